"""Draw every panel in all its states, themes, fonts and sizes, and list texts that are cut off.

For whoever changes the window: look at the pictures. One command draws all of them, each look in a
process of its own. Run it where there is a display (scripts/with_display.sh starts a virtual one);
prints a table of what is cut, and exits with 1 where something is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, product
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.settings import get_settings
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cut_text import cut_tabs, not_readable, texts_of_figure

from napari_globalxai.errors import Cancelled
from napari_globalxai.progress import Progress
from napari_globalxai.samples import sample_folder
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.workbench.open_panels import PANELS, open_panel

THEMES = ("dark", "light")
FONTS = (9, 12, 16)
SIZES = ((1024, 768), (1440, 900))
STATES = ("empty", "running", "error", "card", "done", "unfolded")
DOCK_WIDTH = 280
FOUND = "cut.json"
LOOKS = 4
PATIENCE = 120_000
# Theme, size of the letters, size of the window.
Look = tuple[str, int, tuple[int, int]]


def wait_for(done: Callable[[], bool]) -> None:
    for _ in range(PATIENCE // 20):
        QTest.qWait(20)
        if done():
            return
    raise SystemExit("The work did not end.")


def settle() -> None:
    # Panels join the tabs once the event loop is idle, and layouts follow.
    QTest.qWait(400)


def save(viewer: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(path), canvas_only=False, flash=False)


def in_states(viewer: Any, panels: dict[str, Any], given: argparse.Namespace) -> Iterator[str]:
    """Bring the panels into one state after the other."""
    yield "empty"
    stop = threading.Event()
    with_jobs = [each for each in panels.values() if hasattr(each, "runner")]
    for each in with_jobs:
        each.runner.run(lambda progress: _busy(progress, stop))
    settle()
    try:
        yield "running"
    finally:
        stop.set()
    wait_for(lambda: not any(each.runner.is_running for each in with_jobs))
    for each in with_jobs:
        each.job_bar.say(
            "cohort.csv: no column with the image files was recognised, so name it with the field "
            "“File column” under “Cohort table”."
        )
    settle()
    yield "error"
    if "card" in given.states:
        with tempfile.TemporaryDirectory() as folder:
            choose_without_card(panels["Global explanations"], Path(folder))
            yield "card"
    open_all(viewer, panels, given)
    yield "done"
    unfold(panels, given.second)
    yield "unfolded"


def choose_without_card(panel: Any, folder: Path) -> None:
    """Choose a model of which nothing is said."""
    weights = sample_folder() / "models" / "honest.safetensors"
    panel.model_field.path = Path(shutil.copy(weights, folder))
    wait_for(lambda: not panel.form.card.is_looking)
    panel.form.card.more.expand()
    panel.form.card.check()
    settle()


def open_all(viewer: Any, panels: dict[str, Any], given: argparse.Namespace) -> None:
    """Open a run and a quality control, and measure a region."""
    panel, control, regions = (
        panels[name] for name in ("Global explanations", "Quality control", "Regions")
    )
    if given.quality is not None:
        control.open_folder(given.quality)
        wait_for(lambda: not control.runner.is_running)
        outliers = control.layers.view.outliers
        if len(outliers):
            control.layers.look_at(int(outliers.index[0]))
    panel.open_run(given.run)
    wait_for(lambda: not panel.runner.is_running)
    session = panel.session
    tested = [name for name in session.run.peppr_names if name in session.run.labels]
    session.choose_map([*tested, *session.run.labels][0])
    height, width = session.view.valid.shape
    regions.new_region()
    corner = [[0.8, 0.85], [0.8, 1.0], [1.0, 1.0], [1.0, 0.85]]
    viewer.layers["Region"].add_rectangles(np.array(corner) * (height, width))
    regions.measure()
    wait_for(lambda: not regions.runner.is_running)
    panels["PEPPR"].bring_forward()
    settle()
    wait_for(lambda: not panels["PEPPR"].plot.is_drawing)


def unfold(panels: dict[str, Any], second: Path | None) -> None:
    """Show all that there is to be shown."""
    panel, plot = panels["Global explanations"], panels["PEPPR"].plot
    if second is not None:
        panel.beside.open_run(second)
        wait_for(lambda: not panel.beside.runner.is_running)
        panel.beside.show_instead("means")
        wait_for(lambda: not panel.beside.runner.is_running)
    for box in (panel.maps.residual_box, panel.maps.contour_box, panel.maps.colour_bar_box):
        box.click()
    panels["PEPPR"].results.selectAll()
    otherwise = panels["PEPPR"].otherwise
    otherwise.expand()
    otherwise.form.maps.tick(otherwise.form.maps.names()[:2])
    # Twice: folds lie in folds.
    for _ in range(2):
        for fold in (each for one in panels.values() for each in one.findChildren(Fold)):
            fold.expand()
        settle()
    wait_for(lambda: not plot.is_drawing)


def _busy(progress: Any, stop: threading.Event) -> Any:
    while not stop.wait(0.05):
        progress(Progress("Explaining images (grad-cam)", 120, 256))
    # As a job that is cancelled ends: nothing is shown of it.
    raise Cancelled


def show(panel: Any, panels: dict[str, Any]) -> None:
    """Bring a panel to the front, and on the canvas what it is about."""
    panel.bring_forward()
    control = panels["Quality control"].layers
    if control.view is not None and control is getattr(panel, "layers", None):
        control.bring_forward()
    elif control.view is not None:
        control.step_back()
    settle()


def draw(given: argparse.Namespace, look: Look) -> dict[str, Any]:
    """Draw all panels in all states once, and return what is cut off, and how wide panels were."""
    theme, font, size = look
    # In memory, and not for whoever draws them from then on.
    appearance = get_settings(None).appearance
    appearance.theme, appearance.font_size = theme, font
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(*size)
    panels = {name: open_panel(viewer, name) for name in PANELS}
    settle()
    window: Any = viewer.window._qt_window
    docks = [panel.dock() for panel in panels.values()]
    cut, widths = [], set()
    last = max(map(STATES.index, given.states))
    for state in islice(in_states(viewer, panels, given), last + 1):
        for name, panel in panels.items() if state in given.states else ():
            window.resizeDocks(docks[:1], [given.dock], Qt.Orientation.Horizontal)
            show(panel, panels)
            for _ in range(LOOKS):
                # On a busy machine layouts follow late.
                if not wrong_with(panel, window):
                    break
                settle()
            place = given.out / name_of(look) / f"{name.replace(' ', '-').lower()}-{state}"
            save(viewer, place.with_suffix(".png"))
            if state in ("card", "done", "unfolded"):
                # All of it, also what lies below the edge of the window.
                panel.widget().grab().save(f"{place}-whole.png")
            cut += [[name, state, text] for text in wrong_with(panel, window)]
            # In a small window napari's controls lie in the same column, and may be wider.
            widths.add(panel.width())
    viewer.close()
    return {"cut": cut, "widths": [min(widths), max(widths)]}


def wrong_with(panel: Any, window: Any) -> list[str]:
    """Return what is cut off in a panel that is in front."""
    figure = panel.plot.figure if hasattr(panel, "plot") else None
    of_figure = [] if figure is None else texts_of_figure(figure)
    return [*not_readable(panel), *of_figure, *cut_tabs(window)]


def name_of(look: Look) -> str:
    theme, font, (width, _) = look
    return f"{theme}-{font}-{width}"


def draw_apart(given: argparse.Namespace, look: Look) -> dict[str, Any]:
    """Draw one look in a process of its own, as napari's settings are the process's."""
    theme, font, (width, _) = look
    one = ["--themes", theme, "--fonts", str(font), "--widths", str(width)]
    # What is given last counts.
    command = [sys.executable, __file__, *sys.argv[1:], *one]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path = given.out / name_of(look) / FOUND
    if not path.is_file():
        raise SystemExit(f"{name_of(look)} was not drawn:\n{done.stderr}")
    print(f"{name_of(look)}: drawn", flush=True)
    return dict(json.loads(path.read_text()))


def print_table(found: dict[str, dict[str, Any]]) -> None:
    """Print what is cut, a line each, and how much of each look."""
    for name, look in found.items():
        low, high = look["widths"]
        print(f"{name:<15}{len(look['cut'])} cut, panels {low} to {high} pixels wide")
    rows = [[name, *line] for name, look in found.items() for line in look["cut"]]
    rows = [[text.replace("\n", " ") for text in row] for row in rows]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)] if rows else []
    for row in rows:
        print("".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    print("Something is cut." if rows else "No text is cut.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a finished run with a result of PEPPR")
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--second", type=Path, help="a run of the same images to lay beside it")
    parser.add_argument("--quality", type=Path, help="a finished quality control")
    parser.add_argument("--themes", nargs="+", default=THEMES)
    parser.add_argument("--fonts", nargs="+", type=int, default=FONTS)
    parser.add_argument("--widths", nargs="+", type=int, default=[width for width, _ in SIZES])
    parser.add_argument("--states", nargs="+", choices=STATES, default=STATES)
    parser.add_argument("--dock", type=int, default=DOCK_WIDTH, help="width of the panels")
    parser.add_argument("--processes", type=int, default=1, help="how many look at a time")
    given = parser.parse_args()
    sizes = [size for size in SIZES if size[0] in given.widths]
    looks = list(product(given.themes, given.fonts, sizes))
    for look in looks:
        (given.out / name_of(look) / FOUND).unlink(missing_ok=True)
    if len(looks) == 1:
        found = {name_of(looks[0]): draw(given, looks[0])}
        (given.out / name_of(looks[0]) / FOUND).write_text(json.dumps(found[name_of(looks[0])]))
    else:
        with ThreadPoolExecutor(given.processes) as processes:
            drawn = processes.map(lambda look: draw_apart(given, look), looks)
            found = dict(zip(map(name_of, looks), drawn, strict=True))
    print_table(found)
    raise SystemExit(1 if any(look["cut"] for look in found.values()) else 0)


if __name__ == "__main__":
    main()
