"""Remaining time, as a person is told it."""

import pytest

from napari_globalxai.progress import Progress, RemainingTime, format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (45.4, "45 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_format_seconds(seconds, text):
    assert format_seconds(seconds) == text


def test_remaining_time_counts_from_the_start_of_the_stage(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    remaining = RemainingTime()
    # A resumed stage: the first 60 cost nothing now.
    assert remaining.seconds(Progress("a", 60, 100)) is None
    now[0] += 20
    assert remaining.seconds(Progress("a", 70, 100)) == pytest.approx(60)
    now[0] += 20
    assert remaining.seconds(Progress("b", 0, 10)) is None
    now[0] += 5
    assert remaining.seconds(Progress("b", 5, 10)) == pytest.approx(5)
    assert remaining.seconds(Progress("b", 10, 10)) == 0
