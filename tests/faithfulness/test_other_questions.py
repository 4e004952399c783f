"""Images one by one, the published protocol and maps compared, against slow answers."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny
from faithfulness_cases import make_evaluation, sign_map
from scipy import stats
from sklearn.metrics import roc_auc_score

from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.faithfulness.orders.map_orders import order_by_map, step_counts
from napari_globalxai.faithfulness.questions.map_comparison import (
    Candidate,
    compare_candidates,
    holm,
)
from napari_globalxai.faithfulness.questions.paper_protocol import CHOSEN, MACRO, run_paper
from napari_globalxai.faithfulness.questions.per_image import run_per_image, save_per_image
from napari_globalxai.report.comparison_figure import comparison_figure
from napari_globalxai.report.more_tables import more_tables
from napari_globalxai.settings.peppr_settings import PepprSettings

SETTINGS = PepprSettings(steps=6, bootstrap=60)


def inner():
    valid = np.zeros((tiny.HEIGHT, tiny.WIDTH), bool)
    valid[3:-3, 3:-3] = True
    return valid


def slow_probability(evaluation, row, kept, index):
    """Sigmoid of the linear model of one image of which a mask is left."""
    weight = evaluation.classifier.network.weight.numpy()[index].astype(float)
    shown = np.where(kept, evaluation.stack.images[int(row)], evaluation.fill.image) / 255
    return 1 / (1 + np.exp(-((shown - 0.3) / 0.1 * weight).sum()))


def trapezoid(fractions, values):
    return sum(
        (fractions[t + 1] - fractions[t]) * (values[t] + values[t + 1]) / 2
        for t in range(len(fractions) - 1)
    )


# ---------------------------------------------------------------- images one by one


def own_map(row):
    """Each image's own map; that of image 5 is flat."""
    return np.zeros((32, 48)) if row == 5 else sign_map(seed=row) * (1 + row % 3)


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory):
    evaluation = make_evaluation(
        tmp_path_factory.mktemp("one"), count=14, valid=inner(), batch_size=5
    )
    evaluation.truth[5, 0] = 1
    return evaluation, run_per_image(evaluation, "left", own_map, SETTINGS)


def test_each_image_along_its_own_map_by_a_slow_loop(one_by_one):
    evaluation, result = one_by_one
    carries = [row for row in evaluation.rows if evaluation.truth[row, 0] == 1]
    assert list(result.rows) == carries
    assert result.constant == 1
    total = int(inner().sum())
    insertion = []
    for at, row in enumerate(carries):
        if row == 5:
            # In random order.
            continue
        image = own_map(row)
        places = sorted(zip(*np.nonzero(inner()), strict=True), key=lambda p: -image[p])
        curves = {}
        for arm in ("erase", "restore"):
            curve = []
            for fraction in result.fractions:
                count = round(fraction * total)
                kept = np.zeros((32, 48), bool)
                for place in places[:count] if arm == "restore" else places[count:]:
                    kept[place] = True
                curve.append(slow_probability(evaluation, row, kept, 0))
            np.testing.assert_allclose(result.probabilities[arm][at], curve, atol=1e-5)
            curves[arm] = trapezoid(result.fractions, curve)
        assert result.areas["insertion"][at] == pytest.approx(curves["restore"], abs=1e-5)
        assert result.areas["deletion"][at] == pytest.approx(curves["erase"], abs=1e-5)
        insertion.append(curves["restore"])
    assert len(insertion) == len(carries) - 1


def test_mean_and_spread_over_images(one_by_one, tmp_path):
    _, result = one_by_one
    delta = result.areas["insertion"] - result.areas["deletion"]
    found = result.summary()
    assert found["delta"]["mean"] == pytest.approx(delta.mean())
    assert found["delta"]["sd"] == pytest.approx(np.std(delta, ddof=1))
    assert found["delta"]["quantiles"]["median"] == pytest.approx(np.median(delta))
    assert found["share_above_zero"] == (delta > 0).mean()
    low, high = found["delta"]["mean_ci"]
    assert low < delta.mean() < high
    assert "over" in result.sentence
    path = save_per_image(tmp_path, "left", [result], {int(row): f"{row}.png" for row in range(14)})
    assert path.name == "left.per-image.csv"
    table = pd.read_csv(path)
    np.testing.assert_allclose(table["delta"], delta)
    assert table["file"].iloc[0] == f"{result.rows[0]}.png"
    said = json.loads((tmp_path / "left.per-image.json").read_text())
    assert "not the cohort's" in said["question"]
    assert said["per_image"]["left"]["images"] == len(delta)
    (shown,) = more_tables(tmp_path)
    assert "not the cohort's" in shown.text
    assert shown.rows[0]["Label"] == "left"


def test_a_test_that_was_stopped_goes_on_to_the_same_bits(one_by_one, tmp_path):
    evaluation, whole = one_by_one
    asked = []

    def counted(row):
        asked.append(row)
        return own_map(row)

    def stopping(progress):
        if progress.done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_per_image(
            evaluation, "left", counted, SETTINGS, cache=tmp_path, maps_key="a", progress=stopping
        )
    before, done = list(asked), []
    again = run_per_image(
        evaluation, "left", counted, SETTINGS, cache=tmp_path, maps_key="a",
        progress=lambda progress: done.append(progress.done),
    )  # fmt: skip
    # Each image once, and those of before are counted as done.
    assert sorted(asked) == sorted(whole.rows)
    assert done[0] == len(before) == 3
    assert done[-1] == len(whole.rows)
    for arm, values in whole.probabilities.items():
        np.testing.assert_array_equal(again.probabilities[arm], values)
    assert again.constant == whole.constant
    assert again.summary() == whole.summary()
    # Of other maps, steps or a fill, nothing is taken.
    asked.clear()
    run_per_image(evaluation, "left", counted, SETTINGS, cache=tmp_path, maps_key="b")
    assert len(asked) == len(whole.rows)
    # Half a file, as a full disk leaves it, is made again.
    for path in sorted(tmp_path.glob("*.npy"))[:2]:
        path.write_bytes(path.read_bytes()[:40])
    for key in ("a", "b"):
        mended = run_per_image(evaluation, "left", counted, SETTINGS, cache=tmp_path, maps_key=key)
        np.testing.assert_array_equal(mended.areas["delta"], whole.areas["delta"])


def test_no_image_carries_the_label(one_by_one):
    evaluation, _ = one_by_one
    without = replace(evaluation, truth=np.zeros_like(evaluation.truth))
    with pytest.raises(InputError, match="No image carries left"):
        run_per_image(without, "left", own_map, SETTINGS)


# ---------------------------------------------------------------- as published


def test_the_published_protocol_by_scikit_learn(tmp_path):
    evaluation = make_evaluation(tmp_path, count=40, valid=inner())
    image = sign_map("left") + sign_map("right")
    result = run_paper(evaluation, "overall", image, SETTINGS)
    places = sorted(zip(*np.nonzero(inner()), strict=True), key=lambda p: -image[p])
    table = pd.DataFrame(result.rows).set_index(["label", "arm"]).sort_index(kind="stable")
    mean = 0.0
    for index, label in enumerate(tiny.LABELS):
        truth = evaluation.truth[:, index] == 1
        for arm in ("erase", "restore"):
            part = table.loc[(label, arm)]
            for fraction, value in zip(part["fraction"], part["value"], strict=True):
                count = round(fraction * len(places))
                kept = np.zeros((32, 48), bool)
                for place in places[:count] if arm == "restore" else places[count:]:
                    kept[place] = True
                scores = [slow_probability(evaluation, row, kept, index) for row in range(40)]
                if np.ptp(scores) > 1e-6:
                    # Of about 400 pairs, two may be closer than float32 tells apart.
                    expected = roc_auc_score(truth, scores)
                    assert value == pytest.approx(expected, abs=2 / 390)
                else:
                    assert value == 0.5
            assert (part["ci_low"] <= part["value"] + 1e-9).all()
        own = result.labels[label]
        areas = [
            trapezoid(*table.loc[(label, arm)][["fraction", "value"]].to_numpy().T)
            for arm in ("erase", "restore")
        ]
        assert own["delta"] == pytest.approx(areas[1] - areas[0])
        mean += own["delta"] / 2
    assert result.labels[MACRO]["delta"] == pytest.approx(mean)
    result.save(tmp_path)
    said = json.loads((tmp_path / "overall.paper.json").read_text())
    assert said["protocol"]["chosen"] == list(CHOSEN)
    assert not any("verdict" in values for values in said["labels"].values())
    (shown,) = more_tables(tmp_path)
    assert shown.notes == list(CHOSEN)
    assert [row["Label"] for row in shown.rows] == [*tiny.LABELS, MACRO]


# ---------------------------------------------------------------- maps compared


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    evaluation = make_evaluation(tmp_path_factory.mktemp("compared"), count=60)
    sign = sign_map()
    maps = {"sign": sign, "again": sign + 1, "upturned": -sign}
    candidates = [Candidate(name, image, ("left",), evaluation) for name, image in maps.items()]
    return evaluation, candidates, compare_candidates(candidates, SETTINGS)


def test_differences_are_paired(compared):
    _, _, result = compared
    pairs = {(pair.a, pair.b): pair for pair in result.pairs}
    assert list(pairs) == [("sign", "again"), ("sign", "upturned"), ("again", "upturned")]
    # Equal orders: were the resamples drawn anew, the interval would have a width.
    same = pairs["sign", "again"]
    assert (same.difference, same.ci_low, same.ci_high, same.p_holm) == (0, 0, 0, 1)
    assert "no difference is shown between sign and again" in same.sentence
    other = pairs["sign", "upturned"]
    assert 0 < other.ci_low < other.difference < other.ci_high
    # The upturned order is the reversed one: Δ changes its sign.
    assert other.delta_b == pytest.approx(-other.delta_a, abs=1e-9)
    assert 0 < other.p < 0.001
    assert other.p_holm == pytest.approx(3 * other.p)
    assert result.settings["tests"] == 3


def test_a_difference_by_leaving_each_patient_out_slowly(compared):
    evaluation, candidates, result = compared
    pair = next(each for each in result.pairs if (each.a, each.b) == ("sign", "upturned"))
    owners, truth = np.array(evaluation.patients), evaluation.truth[:, 0]
    courses = []
    for each in (candidates[0], candidates[2]):
        order = order_by_map(each.image, evaluation.valid, SETTINGS.seed)
        steps = step_counts(len(order), SETTINGS.steps)
        courses.append(evaluation.course(order, steps, lambda *_: None))

    def difference(use):
        delta = []
        for course in courses:
            arms = [
                [roc_auc_score(truth[use], step[use, 0]) for step in evaluation.ranking(logits)]
                for logits in (course.logits["restore"], course.logits["erase"])
            ]
            delta.append(trapezoid(course.fractions, np.subtract(*arms)))
        return delta[0] - delta[1]

    whole = difference(np.ones(60, bool))
    names = list(dict.fromkeys(owners))
    without = np.array([difference(owners != name) for name in names])
    error = np.sqrt((len(names) - 1) * np.var(without))
    with_it = len({owner for owner, known in zip(owners, truth, strict=True) if known == 1})
    freedom = min(with_it, len(names) - with_it) - 1
    assert pair.difference == pytest.approx(whole)
    width = stats.t.ppf(0.975, freedom) * error
    assert (pair.ci_low, pair.ci_high) == pytest.approx((whole - width, whole + width))
    assert pair.p == pytest.approx(2 * stats.t.sf(whole / error, freedom))


def test_differences_do_not_depend_on_the_order_of_maps(compared):
    _, candidates, result = compared
    again = compare_candidates(candidates[::-1], SETTINGS)
    one = next(pair for pair in result.pairs if (pair.a, pair.b) == ("sign", "upturned"))
    two = next(pair for pair in again.pairs if (pair.a, pair.b) == ("upturned", "sign"))
    assert two.difference == pytest.approx(-one.difference)
    assert two.ci_low == pytest.approx(-one.ci_high)
    assert two.p_holm == pytest.approx(one.p_holm)


def test_labels_that_judge_a_comparison(compared):
    """Those that all maps are judged by; where there are none, those of any."""
    evaluation, _, _ = compared
    image = sign_map()
    own = [Candidate(label, image, (label,), evaluation) for label in tiny.LABELS]
    assert {pair.label for pair in compare_candidates(own, SETTINGS).pairs} == set(tiny.LABELS)
    overall = [Candidate("overall", image, tiny.LABELS, evaluation), own[1]]
    assert {pair.label for pair in compare_candidates(overall, SETTINGS).pairs} == {"right"}
    together = [replace(each, judged=("macro mean",)) for each in own]
    found = compare_candidates(together, SETTINGS)
    assert {pair.label for pair in found.pairs} == set(tiny.LABELS)


def test_files_and_figure_of_a_comparison(compared, tmp_path):
    _, _, result = compared
    result.save(tmp_path)
    table = pd.read_csv(tmp_path / "compared.csv")
    assert list(table["p_holm"]) == pytest.approx([pair.p_holm for pair in result.pairs])
    said = json.loads((tmp_path / "compared.json").read_text())
    assert [each["name"] for each in said["maps"]] == ["sign", "again", "upturned"]
    figure = comparison_figure(said["maps"])
    figure.canvas.draw()
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["sign", "again", "upturned"]
    (shown,) = more_tables(tmp_path)
    assert len(shown.rows) == 3


def test_a_comparison_tells_what_it_leaves_out(tmp_path):
    valid = np.zeros((tiny.HEIGHT, tiny.WIDTH), bool)
    valid[:, : tiny.WIDTH // 2] = True
    evaluation = make_evaluation(tmp_path, count=30, valid=valid)
    inside = np.where(valid, sign_map(), 0)
    maps = {"inside": inside, "both": inside + sign_map("right")}
    candidates = [Candidate(name, image, ("left",), evaluation) for name, image in maps.items()]
    result = compare_candidates(candidates, SETTINGS)
    share = maps["both"][~valid].sum() / maps["both"].sum()
    assert [each.mass_outside for each in result.maps] == pytest.approx([0, share])
    (caution,) = result.cautions
    assert caution.startswith(f"{100 * share:.0f} % of the mass of both lies outside")


def test_what_cannot_be_compared(compared):
    evaluation, candidates, _ = compared
    with pytest.raises(InputError, match="needs two maps"):
        compare_candidates(candidates[:1], SETTINGS)
    small = Candidate("small", np.zeros((3, 4)), ("left",), evaluation)
    with pytest.raises(InputError, match="map small has shape"):
        compare_candidates([candidates[0], small], SETTINGS)
