"""Build wheel and sdist, and use them in fresh environments: the core, and napari on each binding.

    python scripts/test_wheels.py [--keep FOLDER] [--only EXTRA]...

Each environment gets the archive and what it asks for, in the newest releases that fit: the wheel
alone from the sdist, then the wheel with PyQt6 and with PySide6. In each the command line explains
a few images; where there is a window, napari opens every panel and the run. TORCH names another
torch, as for the Makefile. It takes minutes and gigabytes of disk: it is for whoever makes a
release or touches what an extra asks for.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = "core"
BINDINGS = {"gui": "PyQt6", "gui-pyside6": "PySide6"}
# The panels are opened as napari's menu does it; the run as a file that is dropped.
WINDOW = """
import sys
import napari
import qtpy
from npe2 import PluginManager

assert qtpy.API_NAME == sys.argv[1], qtpy.API_NAME
viewer = napari.Viewer(show=False)
manifest = PluginManager.instance().get_manifest("napari-globalxai")
for panel in manifest.contributions.widgets:
    viewer.window.add_plugin_dock_widget("napari-globalxai", panel.display_name)
viewer.open(sys.argv[2], plugin="napari-globalxai")
print(qtpy.API_NAME, qtpy.QT_VERSION, "napari", napari.__version__)
viewer.close()
"""


def main() -> None:
    """Build and test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="folder for the environments, to keep them")
    parser.add_argument("--only", action="append", choices=[CORE, *BINDINGS])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        dist = folder / "dist"
        subprocess.run([sys.executable, "-m", "build", "--outdir", dist, ROOT], check=True)
        (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
        for name in options.only or [CORE, *BINDINGS]:
            archive = sdist if name == CORE else f"{wheel}[{name}]"
            test(folder / name, str(archive), BINDINGS.get(name, ""))
            print(f"{name}: well", flush=True)


def test(folder: Path, archive: str, binding: str) -> None:
    """Install an archive into an environment of its own, and use it."""
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*install, os.environ.get("TORCH", "torch")], check=True)
    subprocess.run([*install, archive], check=True)
    use = ROOT / "scripts" / "use_installation.py"
    run = folder / "use"
    subprocess.run([sys.executable, use, environment / "bin" / "napari-globalxai", run], check=True)
    if binding:
        display = ROOT / "scripts" / "with_display.sh"
        window = [display, python, "-c", WINDOW, binding, run / "run" / "run.json"]
        # From elsewhere, so that the installed package is opened.
        subprocess.run(window, cwd=folder, check=True)


if __name__ == "__main__":
    main()
