"""Whatever escapes becomes one sentence, with its details where they can be found."""

from __future__ import annotations

import errno
import re
import sys
from pathlib import Path

import pytest
import tiny

from napari_globalxai import cli
from napari_globalxai.cli import main
from napari_globalxai.errors import fault_of_the_system
from napari_globalxai.runs import pipeline


@pytest.fixture
def failing(monkeypatch, tmp_path, capsys):
    """Let explain fail with an error; return its status and what it says."""
    table = tiny.write_cohort(tmp_path / "cohort", 4)
    model = tiny.write_linear(tmp_path / "model")

    def run(why):
        def explain(*args, **keywords):
            raise why

        monkeypatch.setattr(pipeline, "explain", explain)
        out = str(tmp_path / "run")
        monkeypatch.setattr(
            sys, "argv", ["x", "explain", str(table), "--model", str(model), "--out", out]
        )
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full; make room, and go on"),
        (errno.EROFS, "the disk is read-only"),
        (errno.ENAMETOOLONG, "the name is too long"),
    ],
)
def test_a_fault_of_the_system_is_one_sentence(failing, number, words):
    status, said = failing(OSError(number, "whatever", "/some/run/images.csv"))
    assert status == 2
    assert said.count("\n") == 1
    assert "/some/run/images.csv: " in said
    assert words in said


def test_a_name_that_is_no_text_is_one_sentence(failing):
    with pytest.raises(UnicodeEncodeError) as why:
        "run/bad\udcff".encode()
    status, said = failing(why.value)
    assert status == 2
    assert said.count("\n") == 1
    assert r"'run/bad\udcff' has letters that are no text (UTF-8); rename the file" in said


def test_what_nobody_foresaw_is_one_sentence_that_names_its_details(failing):
    status, said = failing(ZeroDivisionError("by\nnought"))
    assert status == 1
    assert said.count("\n") == 1
    assert "failed unexpectedly (ZeroDivisionError: by nought)" in said
    log = Path(re.search(r"details are in (\S+\.log)", said)[1])
    assert "ZeroDivisionError" in log.read_text()
    log.unlink()


def test_an_unknown_fault_of_the_system_is_no_known_one():
    assert fault_of_the_system(OSError(errno.EPIPE, "x")) == ""


@pytest.mark.parametrize("command", ["explain", "slices"])
def test_ctrl_c_before_a_command_is_under_way_is_one_sentence(command, monkeypatch, capsys):
    def interrupted(**keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    monkeypatch.setattr(sys, "argv", ["x", command])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    said = capsys.readouterr().err
    assert said.startswith("napari-globalxai: stopped; ")
    assert said.count("\n") == 1
