"""What is left of a window that was opened, worked in and closed, round after round.

    python benchmarks/window_rounds.py [--rounds 20]

Each round opens a real napari, all panels, explains a tiny cohort with the button, opens the run of
the round before, and closes the window. Afterwards viewers, panels, layers, threads, open files and
memory are counted. It needs a display; `scripts/with_display.sh python …` brings one.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]
TIMEOUT = 120.0


def wait_until(is_so: Callable[[], bool]) -> None:
    """Let Qt work until something is so."""
    from qtpy.QtWidgets import QApplication

    until = time.monotonic() + TIMEOUT
    while not is_so():
        if time.monotonic() > until:
            raise SystemExit("a round did not end")
        QApplication.processEvents()
        time.sleep(0.005)


def work_in_a_window(cohort: Path, model: Path, out: Path, before: Path | None) -> None:
    """Open a window and all panels, explain, open another run, and close."""
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    from napari_globalxai.widgets.jobs.event_turns import TURNS
    from napari_globalxai.widgets.workbench.open_panels import PANELS, open_panel

    viewer = napari.Viewer()
    panels = {name: open_panel(viewer, name) for name in PANELS}
    wait_until(lambda: TURNS.is_idle)
    explain = next(panel for panel in panels.values() if hasattr(panel, "compute_button"))
    explain.cohort_field.path, explain.model_field.path = cohort, model
    explain.method_box.setCurrentText("saliency")
    explain.output_field.path = out
    QTest.mouseClick(explain.compute_button, Qt.MouseButton.LeftButton)
    wait_until(lambda: explain.session.run is not None and not explain.runner.is_running)
    if before is not None:
        explain.open_run(before)
        wait_until(lambda: explain.session.run.folder == before and not explain.runner.is_running)
    wait_until(lambda: TURNS.is_idle)
    viewer.close()


def left_over() -> dict[str, int]:
    """Count what is there now."""
    import napari
    import psutil
    from napari.layers import Layer
    from qtpy.QtWidgets import QApplication

    from napari_globalxai.widgets.workbench.panel import Panel

    for _ in range(5):
        QApplication.processEvents()
        gc.collect()
    process = psutil.Process()
    kinds: dict[str, Any] = {"viewers": napari.Viewer, "panels": Panel, "layers": Layer}
    objects = gc.get_objects()
    found = {
        name: sum(issubclass(type(each), kind) for each in objects) for name, kind in kinds.items()
    }
    return {
        **found,
        "widgets": len(QApplication.allWidgets()),
        "threads": threading.active_count(),
        "files": len(process.open_files()),
        "MiB": process.memory_info().rss >> 20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["HOME"] = str(folder / "home")
        import tiny

        cohort = tiny.write_cohort(folder / "cohort", size=40)
        model = tiny.write_linear(folder / "model")
        before = None
        for number in range(1, asked.rounds + 1):
            out = folder / f"run-{number}"
            work_in_a_window(cohort, model, out, before)
            before = out
            found = left_over()
            if number == 1:
                print("| round | " + " | ".join(found) + " |\n" + "|---" * (len(found) + 1) + "|")
            print(f"| {number} | " + " | ".join(map(str, found.values())) + " |", flush=True)


if __name__ == "__main__":
    main()
