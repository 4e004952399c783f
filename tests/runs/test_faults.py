"""Folders that cannot be written to, and disks that fill up: one sentence, and nothing is lost."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import tiny
import zarr

import napari_globalxai as gx
from napari_globalxai.cli import main
from napari_globalxai.errors import InputError
from napari_globalxai.report.html import write_report

QUICK = {"steps": 6, "control_steps": 4, "bootstrap": 20}
FLAGS = ["--steps", "6", "--control-steps", "4", "--bootstrap", "20", "--device", "cpu"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    base = tmp_path_factory.mktemp("faults")
    return tiny.write_cohort(base / "cohort", 12), tiny.write_linear(base / "model")


@pytest.fixture(scope="module")
def finished(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    gx.explain(*inputs, folder, "saliency", device="cpu")
    return folder


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def read_only(finished, monkeypatch):
    """The finished run on a disk that cannot be written to."""
    make, make_open = tempfile.mkstemp, tempfile.TemporaryFile

    def refuse(there):
        if there is not None and Path(there).is_relative_to(finished):
            raise OSError(errno.EROFS, "Read-only file system", str(there))

    def mkstemp(*args, **keywords):
        refuse(keywords.get("dir"))
        return make(*args, **keywords)

    def temporary(*args, **keywords):
        refuse(keywords.get("dir"))
        return make_open(*args, **keywords)

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)
    return finished


def test_a_run_that_is_read_only_is_told_before_anything_is_computed(read_only, monkeypatch):
    told = r"is read-only; give another folder with --out"
    with pytest.raises(InputError, match=told):
        write_report(gx.open_run(read_only))
    monkeypatch.setattr(
        "napari_globalxai.runs.run.Run.classifier", lambda *args, **keywords: pytest.fail("loaded")
    )
    with pytest.raises(InputError, match=told):
        gx.peppr(read_only, **QUICK)


def test_results_on_a_read_only_run_are_written_elsewhere(read_only, tmp_path):
    before = contents(read_only)
    result = gx.peppr(read_only, out=tmp_path / "out", device="cpu", **QUICK)
    write_report(gx.open_run(read_only), tmp_path / "out")
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "peppr" / f"{result.stem}.json").is_file()
    assert contents(read_only) == before


def run_command(monkeypatch, capsys, *command):
    monkeypatch.setattr(sys, "argv", ["napari-globalxai", *map(str, command)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0, capsys.readouterr().err


@pytest.mark.parametrize("below", ["file/run", "x" * 300])
@pytest.mark.parametrize("command", ["explain", "align", "check", "report", "peppr"])
def test_a_folder_that_cannot_be(command, below, inputs, finished, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("x")
    table, model = inputs
    given = {
        "explain": [table, "--model", model, "--method", "saliency"],
        "align": [table],
        "check": [table],
        "report": [finished],
        "peppr": [finished, *FLAGS],
    }[command]
    status, said = run_command(monkeypatch, capsys, command, *given, "--out", tmp_path / below)
    assert status == 2
    assert [line for line in said.splitlines() if line.startswith("napari-")] == [
        said.splitlines()[-1]
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "part"),
    [
        *(("explain", 0), ("explain", 0.5), ("explain", 1), ("align", 0.5), ("check", 0.5)),
        *(("peppr", 0.5), ("report", 0.5)),
    ],
)
def test_a_full_disk_is_one_sentence_and_costs_nothing(
    command, part, inputs, finished, tmp_path, monkeypatch, capsys
):
    """At the first thing that is forced to the disk, in the middle, and at the last one."""
    table, model = inputs
    run = tmp_path / "run"
    if command in ("peppr", "report"):
        shutil.copytree(finished, run)
    given = {
        "explain": [
            table,
            "--model",
            model,
            "--out",
            run,
            "--method",
            "saliency",
            "--device",
            "cpu",
        ],
        "align": [table, "--out", run],
        "check": [table, "--out", run],
        "report": [run],
        "peppr": [run, *FLAGS],
    }[command]
    sync, calls, full = os.fsync, [], [10**9]

    def fsync(handle):
        calls.append(handle)
        if len(calls) > full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    whole = tmp_path / "whole"
    shutil.copytree(run, whole) if run.exists() else None
    assert run_command(monkeypatch, capsys, command, *_at(given, run, whole))[0] == 0
    full[0], total = 0, len(calls)
    calls.clear()
    full[0] = int(part * (total - 1))
    status, said = run_command(monkeypatch, capsys, command, *given)
    assert status == 2
    assert "the disk is full" in said.splitlines()[-1]
    full[0] = 10**9
    more = ["--resume"] if command == "explain" else []
    assert run_command(monkeypatch, capsys, command, *given, *more)[0] == 0
    for name in ("attributions.zarr", "aligned.zarr/0"):
        if (whole / name).exists():
            one, other = (zarr.open_array(each / name, mode="r")[:] for each in (run, whole))
            assert one.tobytes() == other.tobytes()
    assert not [path for path in run.rglob(".*.????????.*") if path.is_file()]


def _at(given, run, whole):
    return [whole if each == run else each for each in given]
