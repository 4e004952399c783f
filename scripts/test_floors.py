"""Install every dependency at its floor, in a fresh environment, and see that all of it works.

    python scripts/test_floors.py [--gui] [--keep FOLDER]

First the core alone, which explains some images; then the tests' extras, and the quick tests, with
``--gui`` those of the window. TORCH names another torch than the floor, as for the Makefile: on
Linux the floor brings gigabytes of CUDA. It is for whoever changes a floor, with the oldest Python
that is supported: newer ones have no wheels of some floors.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Name, perhaps with extras, and the floor.
FLOOR = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)")
# Each brings a torchvision, which fits one release of torch; see the Makefile.
WITHOUT_TORCHVISION = ("onnx2pytorch", "timm")


def read_floors() -> dict[str, str]:
    """Return the floor of each dependency, of all extras but the tools for developers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [project["dependencies"], *(extras[name] for name in extras if name != "dev")]
    floors: dict[str, str] = {}
    for requirement in (each for group in declared for each in group):
        found = FLOOR.match(requirement)
        if found is None and not requirement.startswith(project["name"]):
            sys.exit(f"{requirement} has no floor.")
        if found is not None and floors.setdefault(found[1], found[2]) != found[2]:
            sys.exit(f"{found[1]} has two floors.")
    return floors


def main() -> None:
    """Install and test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gui", action="store_true", help="the tests of the window, too")
    parser.add_argument("--keep", type=Path, help="folder for the environment, to keep it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        test(folder, options.gui)


def test(folder: Path, gui: bool) -> None:
    """Test in an environment that is made in the folder."""
    floors = read_floors()
    torch = os.environ.get("TORCH", f"torch=={floors['torch']}")
    constraints = folder / "floors.txt"
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    constraints.write_text(
        "".join(f"{name}=={floor}\n" for name, floor in floors.items() if name != "torch")
    )
    python = folder / "environment" / "bin" / "python"

    def pip(*arguments: str) -> None:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)

    def run(*command: str | Path) -> None:
        print("+", *command, flush=True)
        subprocess.run(command, cwd=ROOT, check=True)

    pip(torch)
    pip("--constraint", str(constraints), "--editable", str(ROOT))
    run(python, "scripts/use_installation.py", python.parent / "napari-globalxai", folder / "use")
    pip("--constraint", str(constraints), "--editable", f"{ROOT}[test]")
    pip("--no-deps", *(f"{name}=={floors[name]}" for name in WITHOUT_TORCHVISION))
    # Old releases call others, which are not at their floors, by names that those deprecate.
    pytest = (python, "-m", "pytest", "-q", "-W", "ignore::DeprecationWarning")
    # As the Makefile does: side by side what needs no display, a thread each.
    os.environ["OMP_NUM_THREADS"] = "1"
    run(*pytest, "--numprocesses", "2", "--dist", "loadfile", "-m", "not gui and not slow")
    if gui:
        run("scripts/with_display.sh", *pytest, "-m", "gui and not slow")


if __name__ == "__main__":
    main()
