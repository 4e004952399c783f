"""Remaining time, as a person is told it."""

import pytest

from napari_globalxai import progress as module
from napari_globalxai.progress import JobProgress, Progress, format_seconds


class Clock:
    """A time that goes on as it is told."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)

    def report(self, course, stage, done, total, after=0.0):
        self.now += after
        course(Progress(stage, done, total))


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_remaining_time_follows_the_pace_since_the_start(clock):
    told = []
    course = JobProgress(told.append)
    # A resumed stage: what was done before says nothing about the pace.
    clock.report(course, "A", 50, 100)
    assert told[-1].remaining is None
    clock.report(course, "A", 60, 100, after=5)
    assert told[-1].remaining == pytest.approx(20)
    clock.report(course, "B", 0, 10)
    assert told[-1].remaining is None


def test_the_remaining_time_is_that_of_all_stages(clock):
    told = []
    course = JobProgress(told.append, {"A": 1.0, "B ": 3.0})
    clock.report(course, "A", 0, 10)
    assert told[-1].remaining is None
    # 2 s for half of A: 2 s more for the rest of it, and 12 s for B, three times the work of A.
    clock.report(course, "A", 5, 10, after=2)
    assert told[-1].remaining == pytest.approx(2 + 12)
    clock.report(course, "A", 10, 10, after=2)
    assert told[-1].remaining == pytest.approx(12)
    clock.report(course, "B (its own words)", 0, 4)
    assert told[-1].remaining == pytest.approx(12)
    # B is slower than it was thought to be; its own pace tells.
    clock.report(course, "B (its own words)", 1, 4, after=10)
    assert told[-1].remaining == pytest.approx(30)
    clock.report(course, "B (its own words)", 4, 4, after=30)
    assert told[-1].remaining == pytest.approx(0)


def test_a_stage_that_was_done_before_tells_nothing(clock):
    told = []
    course = JobProgress(told.append, {"A": 1.0, "B": 1.0})
    clock.report(course, "A", 10, 10)
    clock.report(course, "B", 0, 10, after=1)
    assert told[-1].remaining is None
    clock.report(course, "B", 5, 10, after=5)
    assert told[-1].remaining == pytest.approx(5)


def test_a_stage_that_nobody_named_counts_for_itself(clock):
    told = []
    course = JobProgress(told.append, {"A": 1.0})
    clock.report(course, "X", 0, 2)
    clock.report(course, "X", 1, 2, after=3)
    assert told[-1].remaining == pytest.approx(3)
    assert (told[-1].stage, told[-1].done, told[-1].total) == ("X", 1, 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (45.4, "45 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_format_seconds(seconds, text):
    assert format_seconds(seconds) == text
