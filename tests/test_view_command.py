"""`view RUN`: what is wrong is said in one line before a window opens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def view(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    plain = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    return subprocess.run(
        [sys.executable, "-m", "napari_globalxai", "view", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**plain, **environment},
        timeout=120,
    )


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
    done = view(folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(folder) in done.stderr
