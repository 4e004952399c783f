"""Maps made again of half of the patients say how much of Δ is luck of who they were."""

import numpy as np
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.faithfulness.orders.map_orders import order_by_map
from napari_globalxai.faithfulness.orders.remade_maps import halves
from napari_globalxai.runs.peppr import evaluate
from napari_globalxai.runs.tables import PATIENT

QUICK = {"steps": 6, "control_steps": 4, "controls": 1, "bootstrap": 20, "fewest_positives": 2}


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    cohort = tiny.write_cohort(folder / "cohort", size=24)
    return gx.explain(cohort, tiny.write_linear(folder), folder / "run", "saliency")


@pytest.fixture
def evaluated(monkeypatch):
    """What PEPPR was asked to evaluate."""
    calls = []
    whole = evaluate.run_peppr

    def note(evaluation, *arguments, **keywords):
        calls.append(evaluation)
        return whole(evaluation, *arguments, **keywords)

    monkeypatch.setattr(evaluate, "run_peppr", note)
    return calls


def test_halves_keep_patients_whole_and_come_in_pairs():
    patients = [f"P{number // 3}" for number in range(33)]
    found = list(halves(patients, 6, 0))
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert np.array_equal(first, ~second)
    for half in found:
        chosen = {who for who, use in zip(patients, half, strict=True) if use}
        left = {who for who, use in zip(patients, half, strict=True) if not use}
        assert not chosen & left
        assert abs(len(chosen) - len(left)) == 1
    assert not np.array_equal(found[0], found[2])
    assert [np.array_equal(*pair) for pair in zip(found, halves(patients, 6, 0), strict=True)]


def test_a_half_strays_from_the_whole_as_the_whole_from_the_truth():
    """The SD of means of halves, drawn without replacement, is the standard error of the mean."""
    values = np.random.default_rng(0).normal(size=400)
    names = [f"{number:03}" for number in range(400)]
    means = [values[half].mean() for half in halves(names, 600, 1)]
    assert np.std(means) == pytest.approx(values.std(ddof=1) / 20, rel=0.1)


@pytest.mark.parametrize("folds", [1, 2])
def test_delta_of_remade_maps_equals_that_of_maps_made_by_hand(
    explained, evaluated, folds, tmp_path
):
    chosen = {**QUICK, "random_weights": False, "seed": 2, "folds": folds}
    plain = gx.peppr(explained, "left", out=tmp_path, device="cpu", **chosen)
    result = gx.peppr(explained, "left", out=tmp_path, device="cpu", remade_maps=4, **chosen)
    evaluation = evaluated[-1]
    rows = evaluation.rows
    patients = explained.images[PATIENT].astype(str).to_numpy()[rows]
    at = np.array(result.settings["control_fractions"])
    counts = np.rint(at * evaluation.valid.sum()).astype(int)
    deltas = []
    for half in halves(patients, 4, 2):
        orders = []
        for fold in range(folds):
            use = half if folds == 1 else half & (evaluation.fold_of != fold)
            chosen_rows = np.isin(np.arange(len(explained.images)), rows[use])
            image = explained.maps_of(chosen_rows)["left"].mean
            orders.append(order_by_map(image, evaluation.valid, 2))
        order = orders[0] if folds == 1 else np.stack(orders)
        auc = evaluation.roc_auc_curves(evaluation.logits(order, counts))[:, :, 0]
        deltas.append(np.trapezoid(auc[1] - auc[0], at))
    found = result.areas["left"]["remade"]
    assert found["maps"] == 4
    assert found["delta_sd"] == pytest.approx(np.std(deltas, ddof=1))
    low, high = result.areas["left"]["delta_ci"]
    wider = found["delta_ci"]
    delta = result.areas["left"]["delta"]
    # t of three degrees of freedom, in quadrature.
    assert delta - wider[0] == pytest.approx(
        np.hypot(delta - low, 3.182446 * np.std(deltas, ddof=1)), rel=1e-5
    )
    assert wider[1] >= high
    # All else is as it is without them.
    rest = {key: value for key, value in result.areas["left"].items() if key != "remade"}
    assert rest == plain.areas["left"]
