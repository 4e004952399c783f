"""A map is judged in the first fifth of the pixels, and no longer than it takes."""

import numpy as np
import pytest
import tiny
from faithfulness_cases import QUICK, make_evaluation, sign_map
from scipy.ndimage import gaussian_filter

from napari_globalxai.faithfulness.orders.control_steps import control_steps, early_steps
from napari_globalxai.faithfulness.orders.lattice import shifted_orders
from napari_globalxai.faithfulness.orders.map_orders import order_by_map, step_counts
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.faithfulness.result import evaluated_part
from napari_globalxai.settings.peppr_settings import PepprSettings


def judged(folder, evaluation, image, judged_by=("left",), **settings):
    chosen = PepprSettings(**{**QUICK, "controls": 99, "judged_up_to": 0.2, **settings})
    return run_peppr(evaluation, "map", image, judged_by, chosen, cache=folder / "controls")


@pytest.mark.parametrize("pixels", [7, 40, 1537, 100_000])
@pytest.mark.parametrize(("steps", "of_controls"), [(4, 3), (12, 4), (30, 6), (100, 20)])
def test_early_steps_end_at_a_fifth(pixels, steps, of_controls):
    counts = step_counts(pixels, steps)
    fractions = counts[control_steps(counts, of_controls)] / pixels
    chosen = early_steps(fractions)
    assert chosen[0] == 0
    assert chosen[-1] == len(fractions) - 1
    inner = fractions[chosen[1:-1]]
    # All below a fifth, and the first that reaches it, but for rounding.
    assert (inner[:-1] < 0.19).all()
    assert inner[-1] >= 0.19
    assert np.array_equal(chosen[:-1], np.arange(len(chosen) - 1))


@pytest.mark.parametrize("up_to", [0.2, 1])
def test_p_counts_shifts_by_the_area_that_was_asked_for(up_to, tmp_path):
    evaluation = make_evaluation(tmp_path, count=40)
    image = gaussian_filter(sign_map(), 3)
    asked = {"adaptive": False, "controls": 19, "judged_up_to": up_to}
    result = judged(tmp_path, evaluation, image, **asked)
    total = int(evaluation.valid.sum())
    at = [round(q * total) for q in result.settings["judged_fractions"]]
    inside = at if up_to == 1 else at[:-1]
    assert inside[-1] / total == pytest.approx(up_to, abs=1e-3)

    def slow(order):
        logits = evaluation.logits(order, np.array(at))
        auc = evaluation.roc_auc_curves(logits)[:, :, 0]
        area = 0.0
        for step in range(1, len(inside)):
            heights = [auc[1, each] - auc[0, each] for each in (step - 1, step)]
            area += (at[step] - at[step - 1]) / total * sum(heights) / 2
        return area

    areas = result.areas["left"]
    own = slow(order_by_map(image, evaluation.valid, 0))
    lattice = tuple(result.settings["lattice"])
    shifts = [slow(order) for order in shifted_orders(image, evaluation.valid, lattice, 0)]
    assert areas["delta_on_control_steps"] == pytest.approx(own, abs=1e-3)
    np.testing.assert_allclose(areas["control_deltas"]["shifted"], shifts[:19], atol=1e-3)
    assert areas["judged_up_to"] == result.settings["judged_up_to"] == up_to
    assert ("over the first fifth" in result.verdict["left"].reason.split(", p =")[0]) == (
        up_to < 1
    )
    expected = (1 + sum(delta >= own for delta in shifts[:19])) / 20
    assert areas["p_values"]["shifted"] == pytest.approx(expected)


@pytest.mark.parametrize("judged_by", [("left",), tiny.LABELS])
def test_a_map_that_a_shift_refutes_is_tested_no_further(judged_by, tmp_path):
    evaluation = make_evaluation(tmp_path, count=60)
    image = -gaussian_filter(sign_map() + sign_map("right", 1), 2)
    quick = judged(tmp_path, evaluation, image, judged_by)
    whole = judged(tmp_path, evaluation, image, judged_by, adaptive=False)
    for label in judged_by:
        assert quick.verdict[label].word == whole.verdict[label].word == "no better than its shifts"
        # The least that p can come to lies above 0.05.
        assert quick.areas[label]["p_intervals"]["shifted"][0] > 0.05
        assert "surrogate" not in quick.areas[label]["p_values"]
        assert "surrogate" not in quick.verdict[label].reason
    assert quick.settings["controls_tested"]["shifted"] < 19
    assert quick.settings["controls_tested"]["surrogate"] == 0
    assert whole.settings["controls_tested"] == {"shifted": 19, "surrogate": 99}
    spared = quick.settings["controls_spared"]
    assert spared["shifted"] == 19 - quick.settings["controls_tested"]["shifted"]
    assert spared["surrogate"] == 99
    # Two early steps of either arm, and 60 images.
    assert quick.settings["predictions_spared"] == sum(spared.values()) * 2 * 2 * 60


def test_a_map_that_passes_has_met_every_shift(tmp_path):
    evaluation = make_evaluation(tmp_path, count=60)
    result = judged(tmp_path, evaluation, gaussian_filter(sign_map(), 2))
    places = np.prod(result.settings["lattice"])
    assert result.settings["controls_tested"]["shifted"] == places - 1
    assert result.settings["controls_spared"]["shifted"] == 0
    assert result.areas["left"]["p_values"]["shifted"] == pytest.approx(1 / places)


def test_among_several_labels_no_few_shifts_refute_a_map_that_all_of_them_do_not(tmp_path):
    """The maximum over labels is standardised by all controls; by few of them it says nothing."""
    evaluation = make_evaluation(tmp_path, count=60)
    image = gaussian_filter(sign_map(), 2)
    quick = judged(tmp_path, evaluation, image, tiny.LABELS)
    whole = judged(tmp_path, evaluation, image, tiny.LABELS, adaptive=False)
    for label in tiny.LABELS:
        found = [each.areas[label]["p_corrected"]["shifted"] for each in (quick, whole)]
        assert found[0] == found[1]
        assert quick.verdict[label].word == whole.verdict[label].word
    assert not quick.verdict["left"].word.startswith("no better")
    assert quick.settings["controls_tested"]["shifted"] == 19


def test_no_line_is_drawn_where_controls_were_not_evaluated(tmp_path):
    evaluation = make_evaluation(tmp_path)
    result = judged(tmp_path, evaluation, gaussian_filter(sign_map(), 2), controls=1)
    curves = result.curves.query("label == 'left' and arm == 'erase' and metric == 'roc_auc'")
    drawn = {
        order: evaluated_part(curves[curves["order"] == order])["fraction"].to_numpy()
        for order in ("map", "shifted", "sd-image")
    }
    assert drawn["map"][-1] == drawn["sd-image"][-1] == 1
    assert drawn["shifted"][-1] == pytest.approx(0.2, abs=1e-2)
    assert np.array_equal(drawn["shifted"], result.settings["judged_fractions"][:-1])
