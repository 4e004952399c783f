"""Fixtures that several folders of tests share."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ADDED = Path(__file__).parent / "added"


@pytest.fixture(scope="session")
def archives(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


@dataclass(frozen=True)
class AddedPackage:
    """A package beside ours, see the fixture."""

    folder: Path
    uninstall: Callable[[], None]


@pytest.fixture
def added_package(tmp_path):
    """A package beside ours, as an installer would lay it out, for this process and its children.

    Its classes are those of added/drill_package.py, its lines those of added/entry_points.txt.
    """
    folder = tmp_path / "site"
    info = folder / "drill_package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: drill-package\nVersion: 1.0\n")
    shutil.copy(ADDED / "entry_points.txt", info)
    shutil.copy(ADDED / "drill_package.py", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield AddedPackage(folder, patch.undo)
    sys.modules.pop("drill_package", None)
