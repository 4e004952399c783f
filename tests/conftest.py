"""Fixtures that several folders of tests share."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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


@pytest.fixture(scope="session")
def added_site(tmp_path_factory):
    """A tiny package outside the tree, laid out as pip installs it."""
    site = tmp_path_factory.mktemp("site")
    info = site / "drill_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: drill-package\nVersion: 1.0\n")
    added = Path(__file__).parent / "added"
    shutil.copy(added / "entry_points.txt", info)
    shutil.copy(added / "drill_package.py", site)
    return site


@pytest.fixture
def added_package(added_site, monkeypatch):
    """Have the tiny package installed; its folder."""
    monkeypatch.syspath_prepend(added_site)
    yield added_site
    sys.modules.pop("drill_package", None)
