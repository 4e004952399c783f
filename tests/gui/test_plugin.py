"""The plugin as napari finds it: manifest, sample data, nothing heavy in the GUI thread."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npe2 import PluginManifest

pytestmark = pytest.mark.gui

TIMEOUT = 60_000

# In a checkout and in the sdist; installs have a copy in the package, which npe2 finds by itself.
MANIFEST = Path(__file__).parents[2] / "napari.yaml"

# A process of its own: here, other tests have imported torch long ago. The finder turns an import
# of the heavy packages on the GUI thread into an error; they must still be imported by workers.
GUARD = """
import sys, threading
from pathlib import Path

HEAVY = {"torch", "monai", "captum"}
COMPILER = "torch._dynamo"
compiled_for = []

def importer():
    frame = sys._getframe(2)
    while frame.f_globals["__name__"].partition(".")[0] in ("importlib", "torch"):
        frame = frame.f_back
    return frame.f_globals["__name__"]

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name == COMPILER:
            compiled_for.append(importer())
        heavy = name.partition(".")[0] in HEAVY
        if heavy and threading.current_thread() is threading.main_thread():
            raise AssertionError(f"{name} imported in the GUI thread")
        return None

sys.meta_path.insert(0, Guard())
cohort, model, out, manifest = map(Path, sys.argv[1:])

import napari
from npe2 import PluginManager, PluginManifest
from qtpy.QtTest import QTest

plugins = PluginManager.instance()
plugins.discover()
if "napari-globalxai" not in plugins:
    plugins.register(PluginManifest.from_file(manifest))

def wait_for(runner):
    for _ in range(3000):
        QTest.qWait(20)
        if not runner.is_running:
            return
    raise SystemExit("the work did not end")

viewer = napari.Viewer(show=False)
failures = []
"""

EXPLAIN = """
_, explain = viewer.window.add_plugin_dock_widget("napari-globalxai", "Global explanations")
_, peppr = viewer.window.add_plugin_dock_widget("napari-globalxai", "PEPPR")
assert not HEAVY & set(sys.modules), HEAVY & set(sys.modules)
assert explain.session is peppr.session
explain.runner.failed.connect(failures.append)
peppr.runner.failed.connect(failures.append)
explain.cohort_field.path = cohort
explain.model_field.path = model
explain.method_box.setCurrentText("saliency")
explain.output_field.path = out
explain.compute()
wait_for(explain.runner)
explain.map_box.setCurrentText("left")
peppr.steps_box.setValue(8)
peppr.controls_box.setValue(2)
peppr.compute()
wait_for(peppr.runner)
peppr.session.scrub(0.3, "erase")
viewer.dims.set_current_step(0, 3)
assert not failures, failures
assert {"torch", "monai"} <= set(sys.modules)
# torch's compiler compiles nothing here, and takes more than a second to import. Of what is
# imported, old releases of MONAI ask einops for it.
assert not [name for name in compiled_for if not name.startswith("einops.")], compiled_for
assert compiled_for or COMPILER not in sys.modules
names = [layer.name for layer in viewer.layers]
assert "Global map: left" in names and "Erased area" in names, names
viewer.close()
print("done")
"""

QUALITY = """
_, quality = viewer.window.add_plugin_dock_widget("napari-globalxai", "Quality control")
assert not HEAVY & set(sys.modules), HEAVY & set(sys.modules)
quality.runner.failed.connect(failures.append)
quality.cohort_field.path = cohort
quality.output_field.path = out
quality.height_box.setValue(32)
quality.width_box.setValue(48)
quality.check()
wait_for(quality.runner)
viewer.dims.set_current_step(0, 3)
assert not failures, failures
assert {"torch", "monai"} <= set(sys.modules)
assert [layer.name for layer in viewer.layers][:2] == ["Aligned images", "Mean image"]
viewer.close()
print("done")
"""


def test_everything_in_the_manifest_can_be_imported() -> None:
    PluginManifest.from_file(MANIFEST).validate_imports()


@pytest.mark.parametrize("script", [GUARD + EXPLAIN, GUARD + QUALITY], ids=["explain", "quality"])
def test_nothing_heavy_is_imported_in_the_gui_thread(
    script: str, inputs: Any, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, inputs.cohort, inputs.model, tmp_path / "run", MANIFEST],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("done"), done.stderr


@pytest.fixture
def sample(npe2pm: Any, make_napari_viewer: Any) -> Any:
    from npe2 import PluginManifest

    npe2pm.register(PluginManifest.from_file(MANIFEST))
    viewer = make_napari_viewer()
    viewer.open_sample("napari-globalxai", "phantom-uwf")
    return viewer


def test_open_sample_shows_the_cohort_and_presets_the_panel(sample: Any, qtbot: Any) -> None:
    from napari_globalxai.cohort.table import read_cohort
    from napari_globalxai.samples import sample_folder
    from napari_globalxai.widgets import ExplainWidget

    folder = sample_folder()
    (layer,) = sample.layers
    assert layer.name == "Images"
    assert layer.rgb
    assert len(layer.data) == len(read_cohort(folder / "cohort" / "cohort.csv"))
    # A panel that is opened afterwards, and one that is there already.
    late = ExplainWidget(sample)
    qtbot.addWidget(late)
    assert late.cohort_field.path == folder / "cohort" / "cohort.csv"
    assert late.model_field.path == folder / "models" / "honest.yaml"
    assert late.output_field.path is not None
    late.cohort_field.path = None
    sample.open_sample("napari-globalxai", "phantom-uwf")
    assert late.cohort_field.path == folder / "cohort" / "cohort.csv"


def test_open_sample_mirrors_right_eyes(sample: Any) -> None:
    from PIL import Image

    from napari_globalxai.cohort.table import read_cohort
    from napari_globalxai.samples import sample_folder

    cohort = read_cohort(sample_folder() / "cohort" / "cohort.csv")
    stack = sample.layers[0].data
    for side in ("L", "R"):
        row = cohort.laterality.index(side)
        raw = np.asarray(Image.open(cohort.files[row]).convert("RGB"))
        np.testing.assert_array_equal(stack[row], raw[:, ::-1] if side == "R" else raw)


def test_a_run_takes_over_the_samples_layer(sample: Any, finished_run: Path, qtbot: Any) -> None:
    from docked import dock_panels

    explain, _ = dock_panels(sample)
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(finished_run)
    assert [layer.name for layer in sample.layers].count("Images") == 1
    np.testing.assert_array_equal(sample.layers["Images"].data, explain.session.view.images)


def test_open_run_in_viewer_docks_the_panels_of_a_run(
    make_napari_viewer: Any, finished_run: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari

    from napari_globalxai.widgets import demo_viewer
    from napari_globalxai.widgets.workbench.open_panels import OF_A_RUN

    # The fixture's viewer, so that pytest closes it and looks for what was left behind.
    monkeypatch.setattr(napari, "Viewer", lambda **options: make_napari_viewer())
    viewer = demo_viewer.open_run_in_viewer(finished_run, block=False)
    qtbot.waitUntil(lambda: "Global map: overall" in viewer.layers, timeout=TIMEOUT)
    # In the order of the work, as those of the sample, and under the names of the menu.
    opened = [f"{name} (Global XAI)" for name in OF_A_RUN]
    qtbot.waitUntil(lambda: list(viewer.window.dock_widgets) == opened, timeout=TIMEOUT)
    explain = viewer.window.dock_widgets[opened[0]]
    qtbot.waitUntil(lambda: explain.isVisibleTo(explain.parent()), timeout=TIMEOUT)


def test_images_too_many_for_memory_are_read_from_the_run(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_globalxai import open_run
    from napari_globalxai.widgets.session import run_view

    held = run_view.read_view(open_run(finished_run)).images
    monkeypatch.setattr(run_view, "MOST_BYTES_IN_MEMORY", 0)
    run = open_run(finished_run)
    asked = []
    read = run.stack.read
    monkeypatch.setattr(run.stack, "read", lambda rows: asked.extend(rows) or read(rows))
    lazy = run_view.read_view(run).images
    assert not asked
    assert lazy.shape == held.shape
    for place in (5, -1, (5, slice(2, 4)), (slice(3, 6), ..., 0), (..., 1), [7, 2]):
        np.testing.assert_array_equal(lazy[place], held[place])
    assert asked[:5] == [5, len(held) - 1, 5, 3, 4]
    np.testing.assert_array_equal(lazy, held)
