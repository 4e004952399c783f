"""What the GUI thread waits for is done beside it, and its window goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from qtpy.QtCore import QTimer

from napari_globalxai.widgets.jobs.beside_window import beside_window
from napari_globalxai.widgets.workbench.open_panels import PANELS

pytestmark = pytest.mark.gui


def test_timers_go_on(qtbot: Any) -> None:
    beats: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(time.monotonic()))
    timer.start(5)
    threads = []

    def work() -> None:
        threads.append(threading.current_thread())
        time.sleep(0.2)

    began = time.monotonic()
    beside_window(work)
    timer.stop()
    assert time.monotonic() - began >= 0.2
    assert threads[0] is not threading.main_thread()
    assert len(beats) > 5


def test_it_returns_where_the_work_fails(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def work() -> None:
        raise ValueError("no")

    beside_window(work)
    assert [each.exc_type for each in told] == [ValueError]


def test_without_a_window_the_work_is_done_here() -> None:
    code = (
        "import threading; from napari_globalxai.widgets.jobs.beside_window import beside_window;"
        "beside_window(lambda: print(threading.current_thread() is threading.main_thread()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize("panel", sorted(PANELS))
def test_a_panel_that_is_the_first_one_is_made_of_little(panel: str) -> None:
    """What takes long to import comes once the panel is there."""
    folded = (
        "napari_globalxai.widgets.panels.answers.ask_view",
        "napari_globalxai.widgets.panels.answers.figures_view",
    )
    of_peppr = (
        "napari_globalxai.settings.peppr_question",
        "napari_globalxai.widgets.words.questions",
    )
    others = () if panel == "PEPPR" else of_peppr
    late = ("pandas", "matplotlib", "zarr", "torch", *folded, *others)
    module = PANELS[panel].partition(":")[0]
    code = (
        f"import sys, napari_globalxai.widgets.panels.{module};"
        f"print([name for name in {late} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_what_a_panel_is_made_of_is_kept_out_of_the_search_for_cycles() -> None:
    """Also where it was imported before: the first search would fall into the panel's making."""
    code = """
import gc, time
from qtpy.QtWidgets import QApplication
from napari_globalxai.widgets.jobs.warm_up import import_beside, is_ready
app, module = QApplication([]), "napari_globalxai.widgets.panels.regions.regions_widget"
until = time.monotonic() + 60
while not is_ready(module) and time.monotonic() < until:
    time.sleep(0.01)
before = gc.get_freeze_count()
import_beside(module)
first = gc.get_freeze_count()
kept = [[] for _ in range(1000)]
import_beside(module)
print(before, first > 10_000, gc.get_freeze_count() == first)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "0 True True", done.stderr
