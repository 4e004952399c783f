"""Nothing is collected in one window by what a person does in it again and again."""

from __future__ import annotations

import gc
import threading
from typing import Any
from weakref import ref

import pytest
from qtpy import API_NAME
from qtpy.QtCore import QObject

from napari_globalxai.errors import Cancelled
from napari_globalxai.progress import Progress
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.jobs.warm_up import import_models, wait_until_warm
from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.workbench.open_panels import open_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def waiting_for_the_end(part: QObject) -> int:
    """Return how many are told when Qt takes an object away."""
    return part.receivers(part.destroyed if API_NAME == "PyQt6" else "2destroyed()")


def test_a_runner_is_connected_no_more_after_ten_jobs_than_after_one(qtbot: Any) -> None:
    runner, counts = JobRunner(), []
    for number in range(10):
        with qtbot.waitSignal(runner.finished, timeout=TIMEOUT):
            runner.run(lambda progress, number=number: number)
        counts.append(waiting_for_the_end(runner))
    assert counts == counts[:1] * 10


def test_a_job_of_a_panel_that_is_collected_is_asked_to_quit(qtbot: Any) -> None:
    """By Python, not by Qt: a panel is no more than taken out of its dock."""
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def work(progress: Any) -> None:
        begun.set()
        try:
            assert let_go.wait(60)
            progress(Progress("Explaining images", 1, 2))
        except Cancelled:
            ended.set()
            raise

    class Part(QObject):
        def __init__(self) -> None:
            super().__init__()
            self.itself = self
            self.runner = JobRunner(self)
            self.runner.run(work)

    part = Part()
    qtbot.waitUntil(begun.is_set, timeout=TIMEOUT)
    del part
    gc.collect()
    let_go.set()
    qtbot.waitUntil(ended.is_set, timeout=TIMEOUT)


def test_a_panel_is_connected_no_more_by_what_it_does_in_turns(panels: Any, qtbot: Any) -> None:
    done: list[int] = []
    before = waiting_for_the_end(panels.explain)
    for number in range(10):
        panels.explain.in_turn(lambda number=number: done.append(number))
    qtbot.waitUntil(lambda: len(done) == 10, timeout=TIMEOUT)
    assert waiting_for_the_end(panels.explain) == before


def test_a_region_that_is_taken_off_is_followed_no_more(opened: Any, qtbot: Any) -> None:
    regions = open_panel(opened.viewer, "Regions")
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    counts, events = [], []
    for _ in range(4):
        regions.new_region()
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
        layer = regions.regions.layer
        events.append(ref(layer.events.data))
        opened.viewer.layers.remove(layer)
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
        counts.append(waiting_for_the_end(regions))
        del layer
    gc.collect()
    # Who looked at the last may still know it.
    assert [known() for known in events[1:3]] == [None] * 2
    assert counts == counts[:1] * 4


def test_work_that_is_done_is_taken_off_the_list_of_napari(
    opened: Any, finished_run: Any, qtbot: Any
) -> None:
    manager = opened.viewer.window._task_status_manager
    before, while_open = dict(manager._tasks), []
    opened.explain.runner.started.connect(lambda: while_open.append(manager.get_status()))
    for _ in range(3):
        with qtbot.waitSignal(opened.explain.runner.finished, timeout=TIMEOUT):
            opened.explain.open_run(finished_run)
    assert [len(each) for each in while_open] == [1, 1, 1]
    assert dict(manager._tasks) == before == {}


def test_jobs_keep_nothing_out_of_the_search_for_cycles_that_was_not_imported(
    panels: Any,
) -> None:
    class Part:
        """Something that holds itself, as many of napari's and zarr's do."""

    wait_until_warm()
    import_models()
    kept = gc.get_freeze_count()
    part = Part()
    part.itself = part
    known = ref(part)
    del part
    import_models()
    assert gc.get_freeze_count() == kept > 0
    gc.collect()
    assert known() is None
