"""What an installation holds, and what an import costs."""

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from importlib.metadata import (
    PackageNotFoundError,
    distribution,
    distributions,
    entry_points,
    version,
)
from pathlib import Path

import pytest
from npe2 import PluginManifest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import napari_globalxai

ROOT = Path(__file__).parent.parent
PACKAGE = Path(napari_globalxai.__file__).parent
HEAVY = ("torch", "monai", "captum", "matplotlib", "napari", "qtpy", "PyQt6", "magicgui", "superqt")

# Packages whose module has another name.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "upath": "universal-pathlib",
    "yaml": "pyyaml",
    # One of its extras brings it.
    "distributed": "dask",
}


def declared(*extras):
    """Names of the packages that pyproject.toml declares: for the core, or for extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    groups = [optional[extra] for extra in extras] if extras else [project["dependencies"]]
    return {re.match(r"[\w.-]+", each)[0].lower() for group in groups for each in group}


def imported(files):
    """Names of the packages that source files import, wherever in them."""
    names = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    # Each release of pydantic brings its own release of pydantic_core.
    others = names - sys.stdlib_module_names - {"napari_globalxai", "pydantic_core"}
    return {DISTRIBUTIONS.get(name, name).replace("_", "-").lower() for name in others}


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
        "All images",
        "Global explanations",
        "PEPPR",
        "Quality control",
        "Regions",
    }
    assert [sample.key for sample in manifest.contributions.sample_data] == [
        "phantom-uwf",
        "phantom-uwf-shortcut",
    ]


def test_the_core_imports_what_it_declares_and_nothing_else():
    files = set(PACKAGE.rglob("*.py")) - set((PACKAGE / "widgets").rglob("*.py"))
    assert imported(files) - declared("timm", "onnx", "dask", "s3") == declared()


def test_the_widgets_import_what_they_declare_beside_the_core():
    assert imported((PACKAGE / "widgets").rglob("*.py")) - declared() == declared("widgets")


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
    assert {f"napari_globalxai/{name}" for name in ("__init__.py", "napari.yaml", "py.typed")} <= (
        names
    )
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


def needed_here(wheel):
    """The distributions of this environment that pip would install beside a wheel, by name.

    Left out is what lies here in another release than is asked for.
    """
    found, unfit = {}, set()
    (own,) = distributions(path=[str(wheel)])
    waiting = [(own, "")]
    seen = {(own.name, "")}
    while waiting:
        asking, extra = waiting.pop()
        for requirement in map(Requirement, asking.requires or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(requirement.name)
            try:
                found[name] = distribution(name)
            except PackageNotFoundError:
                continue
            if not requirement.specifier.contains(found[name].version, prereleases=True):
                unfit.add(name)
            for wanted in {"", *requirement.extras} - {each for at, each in seen if at == name}:
                seen.add((name, wanted))
                waiting.append((found[name], wanted))
    return {name: each for name, each in found.items() if name not in unfit and each.files}


def link_what_is_here(python, wheel):
    """Link what a wheel needs into an environment: unpacking it takes a minute.

    pip finds it there, and installs the rest. On Windows it installs all, and torch where another
    release is asked for than lies here.
    """
    needed = {} if os.name == "nt" else needed_here(wheel)
    plain = f"torch=={version('torch').partition('+')[0]}"
    if os.environ.get("TORCH", plain) not in ("torch", plain):
        needed.pop("torch", None)
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for here in needed.values():
        for name in {file.parts[0] for file in here.files} - {"..", "__pycache__"}:
            Path(where.stdout.strip(), name).symlink_to(here.locate_file(name))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_explains_in_an_environment_that_has_nothing_else(archives, tmp_path):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python"]
    link_what_is_here(scripts / "python", archives[1])
    # No bytecode beforehand: most of what is installed is never imported.
    torch = os.environ.get("TORCH", "torch")
    subprocess.run([*pip, "install", "--quiet", "--no-compile", torch, archives[1]], check=True)
    listed = subprocess.run(
        [*pip, "list", "--format", "json"], capture_output=True, text=True, check=True
    )
    names = {each["name"].lower() for each in json.loads(listed.stdout)}
    assert names.isdisjoint({"napari", "qtpy", "superqt", "magicgui", "pyqt6", "pyside6"})
    subprocess.run(
        [
            sys.executable,
            ROOT / "scripts" / "use_installation.py",
            scripts / "napari-globalxai",
            tmp_path / "use",
        ],
        check=True,
    )
