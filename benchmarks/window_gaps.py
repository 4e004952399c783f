"""How long napari's window stands still for us, beside napari alone; a run of 13 000 images.

    python benchmarks/window_gaps.py [--images 13000] [--run FOLDER] [--repeat 3]

Draws a finished run of so many images and 8 labels (or takes one), then goes through what a person
does in real windows: opens the run and each panel, each panel before all others, steps, sorts,
filters, draws contours; opens the sample and explains it while the slider moves. Each round is a
process of its own, as what is done for the first time takes longest; the table has the medians. In
a round before, which does not count, Python compiles what is imported, as an installer does. It
needs a display; `scripts/with_display.sh python …` brings one.

A gap is processor time of the thread that draws the window between two beats of a timer of 5 ms, so
that other work on the machine does not count. *napari alone* adds the same layers, whose imports
are done, or the same empty dock: what it takes nobody who adds them can avoid. Whole seconds are
the processor time of all threads, without those that draw in place of a graphics card; on the
clock they are told as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]
MANIFEST = ROOT / "napari_globalxai" / "napari.yaml"
# Between two steps of the slider, which somebody goes on moving while a cohort is explained.
MILLISECONDS_A_STEP = 200
FRAME = (96, 128)
LABELS = 8
OTHERS = ("All images", "Regions", "PEPPR", "Quality control")
IMAGES_A_WRITE = 512


def write_large_run(folder: Path, count: int) -> None:
    """Write a finished run of many images, as `explain` leaves it."""
    import pandas as pd
    import tifffile
    from stored_run import Plan, write_run

    from napari_globalxai.frame.sources import Source
    from napari_globalxai.frame.stack import AlignedImage, AlignedStack
    from napari_globalxai.runs import tables
    from napari_globalxai.settings.frame_settings import FrameSettings
    from napari_globalxai.storage import write_table

    write_run(folder, Plan(images=count, labels=LABELS, cells=(12, 16), frame=FRAME))
    rng = np.random.default_rng(0)
    images = tables.read_images(folder / "images.csv").drop(columns="row")
    for number in range(LABELS):
        images[f"similarity_L{number}"] = rng.uniform(-0.2, 1, count)
        carries = images[f"L{number}"] == 1
        ranks = images[f"similarity_L{number}"][carries].rank(pct=True)
        images[f"percentile_L{number}"] = pd.Series(np.nan, images.index).fillna(100 * ranks)
    tables.write_images(folder / "images.csv", {str(name): images[name] for name in images})
    tifffile.imwrite(folder / "maps" / "overall.tif", _mean_map(folder))
    shown = pd.read_csv(folder / "maps" / "maps.csv")
    shown.loc[len(shown)] = ["overall", count, count // 2]
    write_table(folder / "maps" / "maps.csv", shown)
    frame = FrameSettings(channels=("red",), height=FRAME[0], width=FRAME[1])
    stack = AlignedStack.create(folder / "aligned.zarr", count, frame)
    ground = rng.integers(40, 200, (1, *FRAME), np.uint8)
    field = np.ones(FRAME, bool)
    matrix = [[2.0, 0.0, 0.5], [0.0, 2.0, 0.5], [0.0, 0.0, 1.0]]
    facts = {"matrix": matrix, "native_shape": [2 * side for side in FRAME], "laterality": "L"}
    for start in range(0, count, IMAGES_A_WRITE):
        rows = range(start, min(start + IMAGES_A_WRITE, count))
        stack.put({row: AlignedImage(np.roll(ground, row, axis=2), field) for row in rows})
        stack.note(
            [(row, Source(f"{row:064x}", (1, row, 1, 1), f"{row:032x}"), facts) for row in rows]
        )


def _mean_map(folder: Path) -> np.ndarray:
    import tifffile

    maps = [tifffile.imread(folder / "maps" / f"L{number}.tif") for number in range(LABELS)]
    return np.mean(maps, axis=0, dtype=np.float32)


def write_tested_run(folder: Path) -> None:
    """Explain a tiny cohort and test one of its maps with PEPPR."""
    import tiny

    import napari_globalxai as gx

    cohort, model = tiny.write_cohort(folder / "cohort", size=40), tiny.write_linear(folder / "m")
    run = gx.explain(cohort, model, folder / "run", "saliency")
    gx.peppr(run, "left", steps=8, control_steps=4, controls=3, bootstrap=20)


def busy() -> float:
    """Return processor seconds of this process, but of threads in place of a graphics card."""
    drawing = 0.0
    for stat in Path("/proc/self/task").glob("*/stat"):
        name, _, facts = stat.read_text().rpartition(") ")
        if "(llvmpipe" in name:
            drawing += sum(map(int, facts.split()[11:13])) / 100
    return time.process_time() - drawing


class Window:
    """A window, and what is measured in it.

    Attributes
    ----------
    found : dict of str to list of float
        By what was done: the longest gap, processor seconds, seconds on the clock.
    """

    def __init__(self) -> None:
        import napari

        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1400, 900)
        self.found: dict[str, list[float]] = {}
        self.settle(least=1.0)

    def settle(self, done: Callable[[], bool] = lambda: True, least: float = 0.3) -> float:
        """Run the event loop until something is done, and on for a while; return when it was."""
        from qtpy.QtWidgets import QApplication

        began, at = time.perf_counter(), 0.0
        # What is drawn comes after what was done.
        while not at or time.perf_counter() - at < least:
            if time.perf_counter() - began > 300:
                raise SystemExit("The window did not come to rest in five minutes.")
            QApplication.processEvents()
            time.sleep(0.001)
            if not at and done():
                at = time.perf_counter()
        return at

    def measure(
        self, name: str, act: Callable[[], Any], done: Callable[[], bool] = lambda: True
    ) -> None:
        """Do something, and note what it takes."""
        from heartbeat import Heartbeat

        clock, before = time.perf_counter(), busy()
        with Heartbeat(name) as beat:
            act()
            seconds = self.settle(done) - clock
        self.found[name] = [beat.own, busy() - before, seconds]


def napari_alone(window: Window, count: int) -> None:
    """Add to napari what the plugin adds."""
    from napari.layers import Image, Labels
    from qtpy.QtWidgets import QScrollArea

    # Of the first layer, most is imports; the plugin has them done beside the window.
    Image(np.zeros((2, 2), np.float32))
    Labels(np.zeros((2, 2), np.uint8))
    viewer, rng = window.viewer, np.random.default_rng(0)
    images = np.zeros((count, *FRAME, 3), np.uint8)
    maps = rng.random((3, *FRAME)).astype(np.float32)
    corners = np.array([[0, 0], [0, 9], [9, 9], [9, 0]])
    look: dict[str, Any] = {"colormap": "viridis", "contrast_limits": (0, 1), "opacity": 0.75}

    def add_labels() -> None:
        layer = Labels((maps[0] > 0.5).astype(np.uint8))
        layer.contour = 1
        viewer.add_layer(layer)

    def dock() -> None:
        viewer.window.add_dock_widget(QScrollArea(), area="right")

    def step() -> None:
        viewer.dims.set_point(0, 5)
        viewer.layers["attribution"].data = maps[2]

    window.measure("dock", dock)
    window.measure("images", lambda: viewer.add_image(images, rgb=True))
    window.measure("map", lambda: viewer.add_image(maps[0], name="map", **look))
    window.measure("attribution", lambda: viewer.add_image(maps[1], name="attribution", **look))
    window.measure("step", step)
    window.measure("other data", lambda: setattr(viewer.layers["map"], "data", maps[2]))
    window.measure("labels", add_labels)
    window.measure("picture", lambda: viewer.add_image(images[0], rgb=True))
    window.measure("shapes", lambda: viewer.add_shapes(corners, shape_type="rectangle"))
    window.measure("away", lambda: viewer.layers.remove("attribution"))


def large_run(window: Window, folder: Path) -> None:
    """Go through a large run."""
    from qtpy.QtCore import Qt

    from napari_globalxai.widgets.jobs.event_turns import TURNS
    from napari_globalxai.widgets.jobs.warm_up import wait_until_warm
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    viewer = window.viewer
    opened: dict[str, Any] = {}

    def panel(name: str) -> None:
        window.measure(
            f"{name}: panel",
            lambda: opened.update({name: open_panel(viewer, name)}),
            lambda: TURNS.is_idle,
        )

    panel("Global explanations")
    explain = opened["Global explanations"]
    layers, session = explain.layers, explain.session
    wait_until_warm()
    panel("All images")
    images = opened["All images"]
    window.measure(
        "run opened",
        lambda: explain.open_run(folder),
        lambda: not explain.runner.is_running and layers.layer("attribution") is not None,
    )

    def stepped(row: int) -> None:
        shown: list[int] = []
        layers.attribution_shown.connect(lambda at, name: shown.append(at))
        window.measure("next image", lambda: layers.step_to(row), lambda: row in shown)

    stepped(1)
    stepped(2)
    orders = Qt.SortOrder
    sort = images.view.sortByColumn
    window.measure("table sorted by numbers", lambda: sort(2, orders.DescendingOrder))
    window.measure("table sorted by text", lambda: sort(0, orders.DescendingOrder))
    window.measure("errors first", lambda: images.preset_box.setCurrentIndex(1))
    window.measure(
        "row chosen in the table", lambda: images.view.selectRow(len(session.view.images) // 2)
    )
    window.measure(
        "table and maps filtered",
        lambda: images.filter("site == 'B' and age > 60"),
        lambda: session.shown is not None,
    )
    window.measure("filter taken away", lambda: session.select(None), lambda: not session.shown)
    for name in ("Regions", "PEPPR", "Quality control"):
        panel(name)
    window.measure("new region", opened["Regions"].new_region, lambda: TURNS.is_idle)
    stepped(3)
    window.measure("another map", lambda: session.choose_map(session.run.labels[0]))
    window.measure(
        "contours",
        lambda: explain.maps.contour_box.setChecked(True),
        lambda: layers.layer("contours") is not None,
    )
    last = opened["Quality control"]
    window.measure("a panel closed", lambda: viewer.window.remove_dock_widget(last))


def first_panel(window: Window, name: str) -> None:
    """Open one panel before all others."""
    from napari_globalxai.widgets.jobs.event_turns import TURNS
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    window.measure(
        f"{name} before all others: panel",
        lambda: open_panel(window.viewer, name),
        lambda: TURNS.is_idle,
    )


def sample(window: Window) -> None:
    """Open the sample, explain it while the slider moves, and show what stands out."""
    from npe2 import PluginManager, PluginManifest
    from qtpy.QtCore import QTimer

    from napari_globalxai.widgets.jobs.event_turns import TURNS
    from napari_globalxai.widgets.workbench.open_panels import find_panel

    viewer, plugins = window.viewer, PluginManager.instance()
    if all(known.name != "napari-globalxai" for known in plugins.iter_manifests()):
        plugins.register(PluginManifest.from_file(MANIFEST))
    window.measure(
        "sample with panels",
        lambda: viewer.open_sample("napari-globalxai", "phantom-uwf-shortcut"),
        lambda: find_panel(viewer, "PEPPR") is not None and TURNS.is_idle,
    )
    explain = find_panel(viewer, "Global explanations")
    assert explain is not None
    window.settle(lambda: "256 images" in explain.form.preview.facts.text())
    explain.output_field.path = Path.home() / "run"
    slider = QTimer()
    slider.timeout.connect(
        lambda: viewer.dims.set_point(0, (viewer.dims.current_step[0] + 1) % 256)
    )
    slider.start(MILLISECONDS_A_STEP)
    window.measure(
        "sample explained",
        explain.compute,
        lambda: not explain.runner.is_running and explain.stands_out.isVisibleTo(explain),
    )
    slider.stop()
    window.measure("finding shown", explain.stands_out.show_button.click, lambda: TURNS.is_idle)


def tested_run(window: Window, folder: Path) -> None:
    """Open a run that PEPPR has tested."""
    from napari_globalxai.widgets.jobs.event_turns import TURNS
    from napari_globalxai.widgets.jobs.warm_up import wait_until_warm
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    explain = open_panel(window.viewer, "Global explanations")
    open_panel(window.viewer, "PEPPR")
    wait_until_warm()
    window.settle(lambda: TURNS.is_idle)
    explain.open_run(folder)
    layers = explain.layers
    window.settle(lambda: layers.layer("attribution") is not None)
    window.measure(
        "first layers of PEPPR",
        lambda: explain.session.choose_map("left"),
        lambda: layers.layer("seen") is not None,
    )
    window.measure(
        "a second run beside",
        lambda: explain.beside.open_run(folder),
        lambda: layers.layer("other map") is not None,
    )
    window.measure("taken away", explain.beside.close_button.click, lambda: TURNS.is_idle)


# What napari itself is to add where a flow adds it: the slowest of these stands beside it.
ALIKE = {
    "Global explanations: panel": ("dock",),
    "All images: panel": ("dock",),
    "Regions: panel": ("dock",),
    "PEPPR: panel": ("dock",),
    "Quality control: panel": ("dock",),
    "run opened": ("images", "map", "attribution"),
    "next image": ("step",),
    "row chosen in the table": ("step",),
    "errors first": ("step",),
    "another map": ("other data",),
    "table and maps filtered": ("other data",),
    "filter taken away": ("other data",),
    "contours": ("labels",),
    "new region": ("shapes",),
    "first layers of PEPPR": ("labels", "picture"),
    "a second run beside": ("images", "map"),
    "taken away": ("away",),
    "sample with panels": ("images",),
    "sample explained": ("images", "map", "attribution"),
    "finding shown": ("shapes",),
} | {f"{name} before all others: panel": ("dock",) for name in OTHERS}


def in_a_process(flow: str, argument: str, compiled: Path) -> dict[str, list[float]]:
    """Go through a flow in a process and a home of its own; modules are compiled into a folder."""
    surroundings = {**os.environ, "PYTHONPYCACHEPREFIX": str(compiled)}
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", __file__, "--flow", flow, argument],
            capture_output=True,
            text=True,
            env={**surroundings, "HOME": home, "USERPROFILE": home},
        )
    if done.returncode:
        raise SystemExit(f"{flow}: ended with {done.returncode}\n{done.stderr[-2000:]}")
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def go_through(flow: str, arguments: list[str]) -> None:
    """Measure one flow here, and print what was found."""
    window = Window()
    if flow == "napari alone":
        napari_alone(window, int(arguments[0]))
    elif flow == "large run":
        large_run(window, Path(arguments[0]))
    elif flow == "tested run":
        tested_run(window, Path(arguments[0]))
    elif flow == "sample":
        sample(window)
    else:
        first_panel(window, flow)
    window.viewer.close()
    print(json.dumps(window.found))


def medians(rounds: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    """Return the median of each figure over rounds."""
    return {
        name: [statistics.median(each) for each in zip(*(one[name] for one in rounds), strict=True)]
        for name in rounds[0]
    }


@contextmanager
def any_run(given: Path | None, count: int) -> Iterator[Path]:
    """Give the run that was named, or a large one."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as name:
        write_large_run(Path(name) / "run", count)
        yield Path(name) / "run"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=13_000)
    parser.add_argument("--run", type=Path, help="a finished run; by default one is drawn")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--flow", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flow:
        go_through(options.flow[0], options.flow[1:])
        return
    with any_run(options.run, options.images) as large, tempfile.TemporaryDirectory() as name:
        write_tested_run(Path(name))
        flows = {
            "napari alone": str(options.images),
            "large run": str(large),
            "tested run": str(Path(name) / "run"),
            "sample": "",
            **dict.fromkeys(OTHERS, ""),
        }
        rounds = {
            flow: [
                in_a_process(flow, argument, Path(name) / "compiled")
                for _ in range(1 + options.repeat)
            ][1:]
            for flow, argument in flows.items()
        }
    alone, ours = medians(rounds["napari alone"]), {}
    for flow in list(flows)[1:]:
        ours.update(medians(rounds[flow]))
    print(
        "| | longest gap, ms | napari alone, ms | processor, s | clock, s |\n|---|---|---|---|---|"
    )
    for what, (gap, seconds, clock) in ours.items():
        own = max((alone[part][0] for part in ALIKE.get(what, ())), default=None)
        beside = "" if own is None else f"{1000 * own:.0f}"
        print(f"| {what} | {1000 * gap:.0f} | {beside} | {seconds:.2f} | {clock:.2f} |")


if __name__ == "__main__":
    main()
