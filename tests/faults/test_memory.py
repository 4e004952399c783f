"""Memory that runs out at some moment: one sentence, and the same bits when there is enough."""

from __future__ import annotations

import errno
import subprocess
import sys

import numpy as np
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.cli import main
from napari_globalxai.errors import is_out_of_memory
from napari_globalxai.frame import alignment
from napari_globalxai.images import guarded_decoder, memory_budget
from napari_globalxai.images.readers import FundusReader
from napari_globalxai.runs import pipeline

TORCH = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 1048576 bytes. Error code 12 (Cannot allocate memory)"
)
ERRORS = [
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((4, 4), np.dtype(float)),
    TORCH,
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    ImportError("x.so: failed to map segment from shared object: Cannot allocate memory"),
    RuntimeError("can't start new thread"),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    base = tmp_path_factory.mktemp("memory")
    return tiny.write_cohort(base / "cohort", 8), tiny.write_linear(base / "model")


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    return gx.explain(*inputs, folder, "saliency", device="cpu")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_lack_of_memory_is_known_in_all_its_words(error, inputs, monkeypatch, tmp_path, capsys):
    assert is_out_of_memory(error)
    wrapped = ValueError("applying transform")
    wrapped.__cause__ = error
    assert is_out_of_memory(wrapped)

    def explain(*args, **keywords):
        raise wrapped

    monkeypatch.setattr(pipeline, "explain", explain)
    table, model = map(str, inputs)
    words = ["explain", table, "--model", model, "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["x", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("napari-globalxai: there is not enough memory (")
    assert said.count("\n") == 1


def test_other_errors_are_no_lack_of_memory():
    for why in (ValueError("out of memory"), RuntimeError("size mismatch"), OSError(errno.EIO, "")):
        assert not is_out_of_memory(why)


def fail_at(monkeypatch, calls):
    """Let reading fail for want of memory at some of its calls."""
    read, count = FundusReader.read, [0]

    def failing(self, data, **keywords):
        count[0] += 1
        if count[0] in calls:
            raise MemoryError
        return read(self, data, **keywords)

    monkeypatch.setattr(FundusReader, "read", failing)
    return count


def test_an_image_that_once_found_no_memory_is_read_again(
    inputs, undisturbed, tmp_path, monkeypatch
):
    count = fail_at(monkeypatch, {3, 6})
    run = gx.explain(*inputs, tmp_path / "run", "saliency", device="cpu")
    assert count[0] == 10
    assert run.record.counts.failed == 0
    np.testing.assert_array_equal(tiny.attributions(run), tiny.attributions(undisturbed))


def test_a_machine_without_memory_is_not_the_fault_of_images(
    inputs, undisturbed, tmp_path, monkeypatch
):
    """Or they would count as failed for ever: a resumed run does not read such files again."""
    with monkeypatch.context() as short:
        fail_at(short, set(range(5, 100)))
        short.setattr(alignment, "is_memory_short", lambda: True)
        with pytest.raises(MemoryError):
            gx.explain(*inputs, tmp_path / "run", "saliency", device="cpu")
    run = gx.explain(*inputs, tmp_path / "run", "saliency", device="cpu", resume=True)
    assert run.record.counts.failed == 0
    np.testing.assert_array_equal(tiny.attributions(run), tiny.attributions(undisturbed))


def test_an_image_that_wants_too_much_is_one_that_failed(inputs, tmp_path, monkeypatch):
    """It may be made to: the others are explained."""
    read = FundusReader.read

    def greedy(self, data, **keywords):
        if str(data).endswith("002.png"):
            raise MemoryError("Unable to allocate 12. TiB")
        return read(self, data, **keywords)

    monkeypatch.setattr(FundusReader, "read", greedy)
    run = gx.explain(*inputs, tmp_path / "run", "saliency", device="cpu")
    assert run.record.counts.failed == 1
    assert "Unable to allocate 12. TiB" in run.images["error"][2]


def test_memory_is_short_where_a_picture_would_not_fit(monkeypatch):
    assert not memory_budget.is_memory_short()
    monkeypatch.setattr(memory_budget, "_LEAST_FREE", 1 << 62)
    assert memory_budget.is_memory_short()


def test_a_decoder_that_the_system_killed_had_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(
        subprocess, "run", lambda *args, **keywords: subprocess.CompletedProcess(args, -9, b"", b"")
    )
    with pytest.raises(MemoryError, match="ended by the system"):
        guarded_decoder.decode_guarded(tmp_path / "a.dcm", "GDCMImageIO", 100)
