"""What an installation holds, and what an import costs."""

import json
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_globalxai

ROOT = Path(__file__).parent.parent
PACKAGE = Path(napari_globalxai.__file__).parent
HEAVY = ("torch", "monai", "captum", "matplotlib", "napari", "qtpy", "PyQt6", "magicgui", "superqt")


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the heavy packages that it loaded."""
    script = f"""
import json, sys
try:
{"".join(f"    {line}" + chr(10) for line in code.splitlines())}
except SystemExit as end:
    assert not end.code, end.code
print()
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_heavy_packages_are_noticed():
    assert loaded_after("import matplotlib") == {"matplotlib"}


def test_import_loads_nothing_heavy():
    assert loaded_after("import napari_globalxai") == set()


def test_help_loads_nothing_heavy():
    code = """
from importlib.metadata import entry_points
(script,) = entry_points(group="console_scripts", name="napari-globalxai")
sys.argv = ["napari-globalxai", "--help"]
script.load()()
"""
    assert loaded_after(code) == set()


def test_the_two_manifests_are_equal():
    assert (ROOT / "napari.yaml").read_bytes() == (PACKAGE / "napari.yaml").read_bytes()


def test_manifest_is_found_and_named_like_the_distribution():
    manifest = PluginManifest.from_distribution("napari-globalxai")
    assert manifest.name == "napari-globalxai"
    assert manifest.package_version == version("napari-globalxai") == napari_globalxai.__version__
    assert {widget.display_name for widget in manifest.contributions.widgets} == {
        "Global explanations",
        "PEPPR",
        "Quality control",
    }
    assert [sample.key for sample in manifest.contributions.sample_data] == ["phantom-uwf"]


@pytest.mark.gui
def test_everything_in_the_manifest_can_be_imported():
    PluginManifest.from_file(PACKAGE / "napari.yaml").validate_imports()


def test_group_of_methods_is_left_to_others():
    own = [point for point in entry_points(group="napari_globalxai.methods") if point.dist]
    assert "napari-globalxai" not in {point.dist.name for point in own}


def sample_files():
    """Files of the sample cohort, relative to the checkout."""
    files = [path for path in (ROOT / "sample_data").rglob("*") if path.is_file()]
    return {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}


@pytest.mark.slow
def test_wheel_holds_package_manifest_and_sample(archives):
    _, wheel = archives
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (points_file,) = (name for name in names if name.endswith("dist-info/entry_points.txt"))
        points = ConfigParser()
        points.read_string(archive.read(points_file).decode())
    assert {"napari_globalxai/__init__.py", "napari_globalxai/napari.yaml"} <= names
    assert sample_files()
    assert {f"napari_globalxai/{name}" for name in sample_files()} <= names
    assert points["napari.manifest"]["napari-globalxai"] == "napari_globalxai:napari.yaml"
    assert points["console_scripts"]["napari-globalxai"] == "napari_globalxai.cli:main"
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "napari_globalxai"
    }


@pytest.mark.slow
def test_sdist_holds_what_a_build_and_the_tests_need(archives):
    sdist, _ = archives
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"LICENSE", "README.md", "Makefile", "napari.yaml", "tests/test_packaging.py"} <= names
    assert sample_files() <= names
