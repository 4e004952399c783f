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


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that no process waits for another at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


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


@pytest.fixture(scope="session")
def added_site(tmp_path_factory):
    """A folder with a tiny package beside ours, as an installer would lay it out.

    Its classes are those of the modules in added/, its lines those of added/entry_points.txt.
    """
    folder = tmp_path_factory.mktemp("site")
    info = folder / "drill_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: drill-package\nVersion: 1.0\n")
    shutil.copy(ADDED / "entry_points.txt", info)
    for module in ADDED.glob("*.py"):
        shutil.copy(module, folder)
    return folder


@pytest.fixture
def added_package(added_site):
    """The tiny package installed, for this process and its children."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(added_site)
        patch.setenv("PYTHONPATH", str(added_site), prepend=os.pathsep)
        yield AddedPackage(added_site, patch.undo)
    for module in ADDED.glob("*.py"):
        sys.modules.pop(module.stem, None)
