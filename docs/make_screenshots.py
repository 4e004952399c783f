"""Draw the README's pictures: real napari windows on the phantom cohort.

    python docs/make_screenshots.py demo-run

Run it where there is a display (`make screenshots` starts a virtual one where there is none, and
runs the demo before).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.settings import get_settings
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest

from napari_globalxai.report.html import write_report
from napari_globalxai.runs.run import open_run
from napari_globalxai.samples import sample_folder
from napari_globalxai.widgets import QualityWidget
from napari_globalxai.widgets.workbench.open_panels import OF_A_RUN, open_panel

IMAGES = Path(__file__).parent / "images"
WINDOW = (1440, 900)
LABEL = "RVO"
FRACTION = 0.06
PICTURES = ("explain", "peppr", "maps", "quality")
PATIENCE = 3600


def wait_for(done: Callable[[], bool]) -> None:
    """Let the event loop run until something is done."""
    for _ in range(PATIENCE * 20):
        if done():
            # Layers and plots are drawn once the event loop is idle.
            QTest.qWait(800)
            return
        QTest.qWait(50)
    raise SystemExit("The work did not end.")


def typical_row(run: Any, label: str, rows: Any) -> int:
    """Return which image of one label alone has the attribution most like the global map."""
    images = run.images.loc[rows]
    others = [other for other in run.labels if other != label]
    alone = images[(images[label] == 1) & (images[others].sum(axis=1) == 0)]
    return int(alone[f"similarity_{label}"].idxmax())


def save(viewer: Any, name: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / f"{name}.png"
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    print(path)


def show(viewer: Any, panel: Any) -> None:
    """Bring a panel's tab to the front."""
    for name, widget in viewer.window.dock_widgets.items():
        if widget is panel:
            dock = panel.parent()
            dock.raise_()
            QTest.qWait(300)
            print(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="what the demo made, such as demo-run")
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=PICTURES)
    given = parser.parse_args()
    wanted = set(given.only)
    # As napari comes, whatever theme and letters whoever draws them has.
    get_settings(None)
    if wanted != {"quality"}:
        draw_run(given.run, wanted)
    if "quality" in wanted:
        with tempfile.TemporaryDirectory() as temporary:
            draw_quality(Path(temporary) / "quality")


def new_viewer() -> Any:
    viewer = napari.Viewer(title="Global explanations", show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    return viewer


def run_job(panel: Any, start: Callable[[], None]) -> None:
    """Start a panel's job and wait until what it found is drawn."""
    failures: list[str] = []
    panel.runner.failed.connect(failures.append)
    start()
    wait_for(lambda: not panel.runner.is_running)
    if failures:
        raise SystemExit(failures[0])


def draw_run(run_folder: Path, wanted: set[str]) -> None:
    viewer = new_viewer()
    panels = {name: open_panel(viewer, name) for name in OF_A_RUN}
    explain, peppr = panels["Global explanations"], panels["PEPPR"]
    QTest.qWait(500)
    explain.bring_forward()
    folder = sample_folder()
    explain.cohort_field.path = folder / "cohort" / "cohort.csv"
    explain.model_field.path = folder / "models" / "honest.yaml"
    explain.output_field.path = run_folder
    QTest.qWait(300)
    run_job(explain, lambda: explain.open_run(run_folder))
    # The paths of this machine are nobody's business.
    explain.cohort_field.line.setText("sample_data/cohort/cohort.csv")
    explain.model_field.line.setText("sample_data/models/honest.yaml")
    explain.output_field.line.setText("demo-run")
    run = explain.session.run
    explain.session.choose_map(LABEL)
    wait_for(lambda: explain.session.result is not None)
    # Of those that PEPPR predicted: its panel tells the probability of the image in view.
    viewer.dims.set_current_step(0, typical_row(run, LABEL, explain.session.result.rows))
    wait_for(lambda: explain.layers.layer("attribution") is not None)
    viewer.reset_view()
    QTest.qWait(500)
    if "explain" in wanted:
        save(viewer, "explain")
    if "peppr" in wanted:
        draw_peppr(viewer, explain, peppr)
    viewer.close()
    if "maps" in wanted:
        write_report(open_run(run_folder))
        shutil.copyfile(run_folder / "figures" / "maps.png", IMAGES / "maps.png")


def draw_peppr(viewer: Any, explain: Any, peppr: Any) -> None:
    show(viewer, peppr)
    explain.session.scrub(FRACTION, "restore")
    viewer.reset_view()
    QTest.qWait(800)
    # Both curves, and as much of the verdict above them as there is room for.
    end = peppr.plot.mapTo(peppr.widget(), QPoint(0, peppr.plot.height())).y()
    peppr.verticalScrollBar().setValue(max(0, end - peppr.viewport().height()))
    QTest.qWait(300)
    save(viewer, "peppr")


def draw_quality(folder: Path) -> None:
    viewer = new_viewer()
    panel = QualityWidget(viewer)
    viewer.window.add_dock_widget(panel, name="Quality control", area="right")
    panel.cohort_field.path = sample_folder() / "cohort" / "cohort.csv"
    panel.output_field.path = folder
    QTest.qWait(300)
    run_job(panel, panel.check)
    panel.cohort_field.line.setText("sample_data/cohort/cohort.csv")
    panel.output_field.line.setText("demo-quality")
    # Of those that differ, one that cannot be seen whole.
    outliers = panel.layers.view.outliers
    panel.layers.look_at(int(outliers.index[outliers["field_share"].to_numpy().argmin()]))
    QTest.qWait(800)
    save(viewer, "quality")
    viewer.close()


if __name__ == "__main__":
    main()
