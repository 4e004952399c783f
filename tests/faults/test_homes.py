"""A home that cannot be written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.cli import lent_folders, view_command


@pytest.fixture
def no_home(tmp_path, monkeypatch):
    """A home that nobody can write to: not even root may make a folder below a file."""
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return home


def is_writable(folder: Path) -> bool:
    (folder / "some").mkdir()
    return True


def test_napari_gets_folders_that_it_can_write_to(no_home, tmp_path, monkeypatch):
    """Without one for its icons it cannot be imported."""
    run = gx.explain(
        tiny.write_cohort(tmp_path / "cohort", 8), tiny.linear_classifier(), tmp_path / "run",
        "saliency",
    )  # fmt: skip
    seen = []

    class Viewer:
        @staticmethod
        def open_run_in_viewer(folder):
            seen.append(folder)
            assert is_writable(Path(os.environ["XDG_CACHE_HOME"]))
            assert is_writable(Path(os.environ["XDG_CONFIG_HOME"]))

    monkeypatch.setattr(view_command, "import_module", lambda name: Viewer)
    monkeypatch.setattr(view_command, "find_spec", lambda name: Viewer)
    monkeypatch.setenv("DISPLAY", ":0")
    view_command.view(run=run.folder, as_json=False)
    assert seen == [run.folder]


def test_a_home_that_can_be_written_to_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "not there yet"))
    lent_folders.lend_folders()
    assert "XDG_CACHE_HOME" not in os.environ
    assert os.environ["XDG_CONFIG_HOME"] == str(tmp_path / "not there yet")
