"""Each hostile file gets one sentence, acts nowhere, takes neither long nor much memory."""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from hostile import onnx_files, scripts
from hostile.case import sprung
from hostile.write_table import CASES, PAGE, page

from napari_globalxai.cli import main

MOST_SECONDS = 10
MOST_BYTES = 1 << 30
# What a terminal would act upon, ends of lines apart.
STEERING = {chr(code) for code in (*range(32), *range(127, 160), 0x202E)} - {"\n"}


def peak(*, begin: bool = False) -> int:
    """The most memory that was held since it was begun to be noted."""
    if begin:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) << 10


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by Linux alone")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_file_does_nothing(case, tmp_path, monkeypatch, capsys):
    if case.format == onnx_files.FORMAT and onnx_files.onnx is None:
        pytest.skip("needs onnx and onnx2pytorch")
    folder = tmp_path / "given"
    folder.mkdir()
    command = case.make(folder)
    before = set(folder.rglob("*"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["napari-globalxai", *command])
    capsys.readouterr()
    began, held = time.process_time(), peak(begin=True)
    with pytest.raises(SystemExit) as end:
        main()
    assert time.process_time() - began < MOST_SECONDS
    assert peak() - held < MOST_BYTES
    assert not list(tmp_path.rglob("sprung"))
    said = capsys.readouterr()
    assert not set(said.out + said.err) & STEERING
    if case.says:
        assert case.says in said.out + said.err
    if end.value.code:
        assert end.value.code == 2, said.err
        told = [line for line in said.err.splitlines() if line.startswith("napari-globalxai: ")]
        assert len(told) == 1
        assert said.err.endswith(f"{told[0]}\n")
    assert "Traceback" not in said.err
    assert before <= set(folder.rglob("*"))


@pytest.mark.parametrize("case", scripts.ARMED, ids=lambda case: case.name)
def test_the_traps_are_armed(case, tmp_path):
    """Past the package, the file that the case would write is written."""
    case.make(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.load(str(tmp_path / "net.pt"))(torch.zeros(2, 2, 16, 16))
    assert sprung(tmp_path).exists()


def test_the_page_of_cases_is_as_the_tests_are():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: PYTHONPATH=tests python tests/hostile/write_table.py"
    )


def test_there_are_enough_cases_and_each_has_a_name_of_its_own():
    assert len(CASES) >= 100
    assert len({case.name for case in CASES}) == len(CASES)
