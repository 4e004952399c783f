"""Steps placed where curves bend, against closed forms, a dense grid and the fixed steps."""

import json

import numpy as np
import pytest
import tiny
from faithfulness_cases import make_evaluation, sign_map

from napari_globalxai.errors import Cancelled
from napari_globalxai.faithfulness.orders.map_orders import step_counts
from napari_globalxai.faithfulness.orders.refinement import (
    Bending,
    area_errors,
    crossing_errors,
    place_steps,
)
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.progress import ignore_progress
from napari_globalxai.settings.peppr_settings import PepprSettings

PIXELS = 20_000
FIRST = np.array([0, 700, 2000, 4000, 10_000, 16_000, 18_000, 19_300, 20_000])


def run(folder, evaluation, judged=tiny.LABELS, progress=ignore_progress, **settings):
    quick = {"steps": 30, "control_steps": 6, "controls": 0, "bootstrap": 20, "fewest_positives": 5}
    return run_peppr(
        evaluation,
        "map",
        sign_map(),
        judged,
        PepprSettings(**{**quick, **settings}),
        cache=folder / "controls",
        progress=progress,
    )


def rising(fractions, sharpness):
    """From 0.5 to 1; its area is 1 minus that of the exponential, and any level has one place."""
    return 1 - 0.5 * np.exp(-sharpness * fractions)


def curves_of(sharpness, level=0.9):
    return lambda counts: [[Bending(rising(counts / PIXELS, sharpness), level, rises=True)]]


@pytest.mark.parametrize("sharpness", [2.0, 10.0, 40.0, 200.0])
@pytest.mark.parametrize("tolerance", [0.01, 0.002, 0.0005])
def test_areas_and_crossings_of_exponentials_are_within_the_tolerance(sharpness, tolerance):
    placed = place_steps(FIRST, curves_of(sharpness), 60, tolerance)
    fractions = placed.counts / PIXELS
    values = rising(fractions, sharpness)
    area = 1 - 0.5 * (1 - np.exp(-sharpness)) / sharpness
    place = np.log(0.5 / 0.1) / sharpness
    assert placed.is_settled
    assert np.trapezoid(values, fractions) == pytest.approx(area, abs=tolerance)
    if place < 1:
        assert np.interp(0.9, values, fractions) == pytest.approx(place, abs=tolerance)
    # An estimate, by second differences: of the sharpest curve a tenth too small.
    assert abs(np.trapezoid(values, fractions) - area) <= 1.2 * placed.area_error + 1e-9
    # The coarse pass is kept, as are the ends; each step is there once.
    assert set(FIRST) <= set(placed.counts)
    assert (np.diff(placed.counts) > 0).all()
    assert sorted(np.concatenate(placed.rounds)) == placed.counts.tolist()


def test_steps_go_where_the_curve_bends():
    placed = place_steps(FIRST, curves_of(200.0, np.nan), 30, 0.001)
    (added,) = [np.concatenate(placed.rounds[1:])]
    assert (added < 2000).all()
    fixed = step_counts(PIXELS, 30)
    area = 1 - 0.5 * (1 - np.exp(-200)) / 200

    def error(counts):
        return abs(np.trapezoid(rising(counts / PIXELS, 200.0), counts / PIXELS) - area)

    assert error(placed.counts) < error(fixed) / 2
    assert len(placed.counts) < len(fixed)


def test_no_more_steps_than_were_asked_for():
    placed = place_steps(FIRST, curves_of(200.0), 12, 1e-6)
    assert len(placed.counts) == 13
    assert not placed.is_settled


def test_few_pixels_end_the_halving():
    first = np.array([0, 1, 3, 4])
    placed = place_steps(
        first, lambda counts: [[Bending((counts > 1).astype(float), 0.5, rises=True)]], 30, 1e-6
    )
    assert placed.counts.tolist() == [0, 1, 2, 3, 4]
    ends = np.array([0, 1])
    placed = place_steps(ends, lambda counts: [[Bending(counts * 1.0, 0.5, rises=True)]], 30, 0.01)
    assert placed.counts.tolist() == [0, 1]
    assert (placed.area_error, placed.is_settled) == (0.5, False)


def test_errors_of_a_parabola_are_exact_where_it_rises():
    fractions = np.array([0, 0.1, 0.25, 0.5, 1.0])
    # Of x², the trapezoid rule is off by h³ / 6.
    expected = np.minimum(np.diff(fractions) ** 3 / 6, np.diff(fractions**2) * np.diff(fractions))
    assert area_errors(fractions, fractions**2) == pytest.approx(expected)
    # And a straight line from 0.25 to 0.5 crosses 0.15 later than the parabola does not: earlier.
    curve = Bending(fractions**2, 0.15, rises=True)
    found = crossing_errors(fractions, curve)
    assert np.flatnonzero(found).tolist() == [2]
    off = abs(np.interp(0.15, fractions**2, fractions) - np.sqrt(0.15))
    assert off <= found[2] <= 0.25
    assert not crossing_errors(fractions, Bending(fractions**2, 2.0, rises=True)).any()


def test_refined_steps_come_near_a_dense_grid(tmp_path):
    """Of a run: areas and fractions of 200 fixed steps are the truth."""
    evaluation = make_evaluation(tmp_path, count=40)
    dense = run(tmp_path, evaluation, ("left",), steps=200, step_tolerance=0)
    refined = run(tmp_path, evaluation, ("left",), controls=3)
    fixed = run(tmp_path, evaluation, ("left",), controls=3, step_tolerance=0)
    names = ("area_erase", "area_restore", "delta", "sufficient_fraction", "necessary_fraction")
    for name in names:
        truth = dense.areas["left"][name]
        assert refined.areas["left"][name] == pytest.approx(truth, abs=0.01)
    assert len(refined.counts) < len(fixed.counts) == 31
    # What judges is the same to the bit: controls know nothing of the map's curve.
    for name in ("delta_on_control_steps", "control_deltas", "p_values", "early_delta"):
        assert refined.areas["left"][name] == fixed.areas["left"][name]
    placed = refined.notes["steps_placed"]
    every = sorted(np.concatenate(placed["rounds"]))
    assert every == pytest.approx(refined.fractions.tolist())
    assert placed["settled"]
    assert set(refined.settings["control_fractions"]) < set(refined.fractions)
    assert "steps_placed" not in fixed.notes
    refined.save(tmp_path / "peppr")
    assert json.loads((tmp_path / "peppr" / "map.json").read_text())["steps_placed"] == placed


def test_stopped_between_rounds_it_goes_on_to_the_same_bits(tmp_path):
    evaluation = make_evaluation(tmp_path)
    whole = run(tmp_path / "whole", evaluation)
    rounds = whole.notes["steps_placed"]["rounds"]
    assert len(rounds) > 2

    def stop(progress):
        if progress.done > len(rounds[0]) + len(rounds[1]):
            raise Cancelled

    with pytest.raises(Cancelled):
        run(tmp_path / "stopped", evaluation, progress=stop)
    kept = set((tmp_path / "stopped" / "controls").iterdir())
    assert kept
    again = run(tmp_path / "stopped", evaluation)
    assert np.array_equal(again.counts, whole.counts)
    for arm in ("erase", "restore"):
        assert np.array_equal(again.probabilities[arm], whole.probabilities[arm])
    assert again.notes == whole.notes
