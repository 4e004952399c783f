"""PEPPR against a slow one, written from the definition: image by image, step by step."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from faithfulness_cases import make_evaluation, sign_map
from scipy.ndimage import gaussian_filter
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.faithfulness.fills.fill_kinds import fit_fill
from napari_globalxai.faithfulness.folds import (
    CROSS_FITTED,
    FoldMap,
    assign_folds,
    can_cross_fit,
)
from napari_globalxai.faithfulness.orders.map_orders import order_by_map, random_orders
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.faithfulness.questions.region_erasure import erase_region
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.faithfulness.targets import MACRO, POOLED
from napari_globalxai.faithfulness.verdict.verdicts import FAITHFUL, KINDS, NO_BETTER, UNDECIDED
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.settings.peppr_settings import PepprSettings

QUICK = {"steps": 8, "control_steps": 4, "controls": 3, "bootstrap": 20, "fewest_positives": 5}
QUICK |= {"judged_up_to": 0.2}


def run(folder, evaluation, image, judged=tiny.LABELS, **settings):
    chosen = PepprSettings(**{**QUICK, **settings})
    return run_peppr(evaluation, "map", image, judged, chosen, cache=folder / "controls")


def disc():
    y, x = np.mgrid[: tiny.HEIGHT, : tiny.WIDTH]
    return np.hypot((y - 16) / 15, (x - 24) / 23) < 1


class SummedInDouble(tiny.LinearNet):
    """Hundreds of equal terms, as of a black picture, are rounded alike.

    How far that adds up in single precision depends on the processor.
    """

    def forward(self, images):
        return torch.einsum("nchw,lchw->nl", images.double(), self.weight.double()).float()


def linear_classifier():
    card = ModelCard(weights="", labels=tiny.LABELS, input=tiny.input_card())
    return Classifier(SummedInDouble(tiny.sign_weights()), card, device="cpu")


def softmax_classifier():
    card = ModelCard(weights="", labels=tiny.LABELS, input=tiny.input_card(), activation="softmax")
    weight = tiny.sign_weights() + 0.003
    # A little apart: sums of equal ones tie, and rounding then decides which image leads.
    weight += 0.0005 * torch.rand(weight.shape, generator=torch.Generator().manual_seed(0))
    return Classifier(SummedInDouble(weight), card, device="cpu")


def resnet_classifier():
    card = ModelCard(weights="", labels=tiny.LABELS, input=tiny.input_card())
    return Classifier(tiny.resnet(), card, device="cpu")


# ---------------------------------------------------------------- the slow PEPPR


class SlowPeppr:
    """One forward an image and step, own masks, scores by scikit-learn."""

    def __init__(self, evaluation, image):
        self.evaluation = evaluation
        ranked = [
            (-image[y, x], y, x)
            for y in range(tiny.HEIGHT)
            for x in range(tiny.WIDTH)
            if evaluation.valid[y, x]
        ]
        self.pixels = [(y, x) for _, y, x in sorted(ranked)]

    def shown(self, image, count, arm):
        """The picture that the model sees, in 0–255."""
        seen = self.evaluation.fill.image.astype(np.float64)
        keep = self.pixels[:count] if arm == "restore" else self.pixels[count:]
        for y, x in keep:
            seen[:, y, x] = image[:, y, x]
        return seen

    def probabilities(self, count, arm):
        evaluation = self.evaluation
        result = []
        for row in evaluation.rows:
            image = evaluation.stack.images[int(row)]
            inputs = (self.shown(image, count, arm) / 255 - 0.3) / 0.1
            with torch.no_grad():
                outputs = evaluation.classifier.network(torch.tensor(inputs[None]).float())[0]
            softmax = evaluation.classifier.activation == "softmax"
            result.append(outputs.softmax(0) if softmax else outputs.sigmoid())
        return torch.stack(result).double().numpy()


def slow_crossing(fractions, values, level):
    """Pool neighbours that fall until none does, then interpolate."""
    blocks = [[value, 1] for value in values]
    place = 0
    while place < len(blocks) - 1:
        if blocks[place][0] > blocks[place + 1][0]:
            (one, m), (other, n) = blocks[place : place + 2]
            blocks[place : place + 2] = [[(one * m + other * n) / (m + n), m + n]]
            place = max(place - 1, 0)
        else:
            place += 1
    rising = [value for value, count in blocks for _ in range(count)]
    for step, value in enumerate(rising):
        if value >= level - 1e-9:
            if step == 0:
                return fractions[0]
            share = (level - rising[step - 1]) / (value - rising[step - 1])
            return fractions[step - 1] + min(share, 1) * (fractions[step] - fractions[step - 1])
    return np.nan


@pytest.mark.parametrize(
    ("make_classifier", "fill", "valid"),
    [
        (linear_classifier, "mean-image", None),
        (linear_classifier, "black", disc),
        (softmax_classifier, "mean-colour", disc),
        (resnet_classifier, "mean-image", disc),
    ],
)
def test_fast_peppr_equals_the_slow_one(make_classifier, fill, valid, tmp_path):
    evaluation = make_evaluation(
        tmp_path,
        make_classifier(),
        fill=fill,
        valid=None if valid is None else valid(),
        count=12,
        batch_size=7,
    )
    image = sign_map()
    result = run(tmp_path, evaluation, image, controls=0, steps=6)
    slow = SlowPeppr(evaluation, image)
    assert len(slow.pixels) == len(result.order) == evaluation.valid.sum()
    assert result.counts[0] == 0
    assert result.counts[-1] == len(slow.pixels)
    assert len(result.counts) == 7 + len(result.order) % 2
    fractions = [count / len(slow.pixels) for count in result.counts]
    curves = result.curves[result.curves["order"] == "map"]
    steps_by_arm = {
        arm: [slow.probabilities(int(count), arm) for count in result.counts]
        for arm in ("erase", "restore")
    }
    for index, label in enumerate(tiny.LABELS):
        truth = evaluation.truth[:, index]
        auc = {}
        for arm, steps in steps_by_arm.items():
            np.testing.assert_allclose(result.probabilities[arm], steps, atol=2e-6)
            for metric, score in (
                ("roc_auc", roc_auc_score),
                ("average_precision", average_precision_score),
                ("mean_probability", lambda truth, score: score[truth == 1].mean()),
            ):
                found = curves[
                    (curves["label"] == label)
                    & (curves["arm"] == arm)
                    & (curves["metric"] == metric)
                ]
                np.testing.assert_allclose(found["fraction"], fractions)
                expected = [score(truth, step[:, index]) for step in steps]
                if make_classifier is not resnet_classifier:
                    # A random network gives nearly the same score to all: order is rounding.
                    np.testing.assert_allclose(found["value"], expected, atol=2e-6)
                auc[arm] = found["value"].to_numpy() if metric == "roc_auc" else auc[arm]
        summary = result.areas[label]
        areas = {
            arm: sum(
                (fractions[t + 1] - fractions[t]) * (values[t] + values[t + 1]) / 2
                for t in range(len(fractions) - 1)
            )
            for arm, values in auc.items()
        }
        intact = auc["erase"][0]
        assert summary["intact_auc"] == pytest.approx(intact)
        assert summary["area_erase"] == pytest.approx(areas["erase"])
        assert summary["area_restore"] == pytest.approx(areas["restore"])
        assert summary["delta"] == pytest.approx(areas["restore"] - areas["erase"])
        if intact > 0.5:
            assert summary["normalised_erase"] == pytest.approx(
                (intact - areas["erase"]) / (intact - 0.5)
            )
            assert summary["normalised_restore"] == pytest.approx(
                (areas["restore"] - 0.5) / (intact - 0.5)
            )
            assert summary["sufficient_fraction"] == pytest.approx(
                slow_crossing(fractions, auc["restore"], 0.5 + 0.95 * (intact - 0.5))
            )
            assert summary["necessary_fraction"] == pytest.approx(
                slow_crossing(fractions, -auc["erase"], -(0.5 + 0.5 * (intact - 0.5)))
            )
        else:
            for name in ("normalised_erase", "sufficient_fraction", "necessary_fraction"):
                assert np.isnan(summary[name])


# ---------------------------------------------------------------- identities


@pytest.mark.parametrize("make_classifier", [tiny.linear_classifier, resnet_classifier])
@pytest.mark.parametrize("valid", [None, disc])
def test_end_points_are_exact(make_classifier, valid, tmp_path):
    evaluation = make_evaluation(
        tmp_path,
        make_classifier(),
        valid=None if valid is None else valid(),
        count=16,
        batch_size=5,
    )
    result = run(tmp_path, evaluation, sign_map(), controls=1, control_steps=3, adaptive=False)
    index = ["order", "label", "metric", "arm"]
    curves = result.curves.set_index(index)["value"].sort_index(kind="stable")
    for order in (
        "map", "shifted", "surrogate", "random", "reversed", "centre-distance", "mean-intensity",
        "sd-image",
    ):  # fmt: skip
        for label in tiny.LABELS:
            erase = curves[order, label, "roc_auc", "erase"].to_numpy()
            restore = curves[order, label, "roc_auc", "restore"].to_numpy()
            assert erase[0] == restore[-1] == result.areas[label]["intact_auc"]
            assert erase[-1] == restore[0] == 0.5
    erase, restore = (result.probabilities[arm] for arm in ("erase", "restore"))
    assert np.array_equal(erase[0], restore[-1])
    assert np.array_equal(erase[-1], restore[0])
    assert len(np.unique(restore[0], axis=0)) == 1  # one blank, one score


@pytest.mark.parametrize("valid", [None, disc])
def test_restoring_to_q_is_erasing_the_reversed_order_to_1_minus_q(valid, tmp_path):
    evaluation = make_evaluation(
        tmp_path, resnet_classifier(), valid=None if valid is None else valid()
    )
    order = order_by_map(sign_map(), evaluation.valid, 0)
    total = len(order)
    counts = np.array([0, 1, total // 7, total // 2, total - 1, total])
    along = evaluation.logits(order, counts)
    backward = evaluation.logits(order[::-1], total - counts)
    np.testing.assert_allclose(along["restore"], backward["erase"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(along["erase"], backward["restore"], rtol=1e-5, atol=1e-6)


def test_reversed_curves_are_those_of_the_reversed_order(tmp_path):
    """They are read off the map's own curves; here the reversed order is really run."""
    evaluation = make_evaluation(tmp_path)
    result = run(tmp_path, evaluation, sign_map(), steps=12)
    kept = result.curves[
        (result.curves["order"] == "reversed") & (result.curves["metric"] == "roc_auc")
    ]
    fractions = np.unique(kept["fraction"])
    counts = np.rint(fractions * len(result.order)).astype(int)
    actual = evaluation.roc_auc_curves(evaluation.logits(result.order[::-1], counts))
    for arm_index, arm in enumerate(("erase", "restore")):
        for index, label in enumerate(tiny.LABELS):
            found = kept[(kept["arm"] == arm) & (kept["label"] == label)]["value"]
            np.testing.assert_allclose(found, actual[arm_index, :, index], atol=1e-12)
    at = fractions <= 0.2 + 1e-3
    for index, label in enumerate(tiny.LABELS):
        difference = actual[1, :, index] - actual[0, :, index]
        # Reversed, the area over all of the pixels changes its sign, that over a fifth does not.
        gain = result.areas[label]["difference_to"]["reversed"]["difference"]
        assert gain == pytest.approx(-2 * np.trapezoid(difference, fractions))
        (reversed_delta,) = result.areas[label]["control_deltas"]["reversed"]
        assert reversed_delta == pytest.approx(
            np.trapezoid(difference[at], fractions[at]), abs=2e-3
        )


def test_the_expected_delta_of_random_orders_is_zero(tmp_path):
    """Step counts are symmetric, so a random order and its reverse cancel in expectation."""
    evaluation = make_evaluation(tmp_path)
    result = run(tmp_path, evaluation, sign_map())
    deltas = []
    for order in random_orders(evaluation.valid, 30, 0):
        curves = evaluation.roc_auc_curves(evaluation.logits(order, result.counts))
        deltas.append(np.trapezoid(curves[1] - curves[0], result.fractions, axis=0))
    error = np.std(deltas, axis=0, ddof=1) / np.sqrt(len(deltas))
    assert (error > 0).all()
    assert (np.abs(np.mean(deltas, axis=0)) < 3 * error).all()
    assert result.areas["left"]["delta"] > np.max(deltas, axis=0)[0]
    assert len(result.areas["left"]["control_deltas"]["random"]) == 1


# ---------------------------------------------------------------- outside the valid area


def test_pixels_outside_the_valid_area_are_fill_in_both_arms(tmp_path):
    """The sign of the right eye's half lies outside: no step of any arm may show it."""
    valid = np.zeros((tiny.HEIGHT, tiny.WIDTH), bool)
    valid[:, : tiny.WIDTH // 2] = True
    evaluation = make_evaluation(tmp_path, valid=valid)
    result = run(tmp_path, evaluation, sign_map())
    assert not set(result.order) & set(np.flatnonzero(~valid))
    for arm in ("erase", "restore"):
        # Within the tolerance of one float32 sum: the images differ nowhere where it looks.
        assert np.ptp(result.probabilities[arm][:, :, 1]) < 1e-6
    left = result.areas["left"]
    assert left["intact_auc"] > 0.8
    for fraction in (0, 0.3, 1):
        for arm in ("erase", "restore"):
            assert not result.kept(fraction, arm)[~valid].any()


def test_what_the_model_saw_can_be_shown_again(tmp_path):
    evaluation = make_evaluation(tmp_path, valid=disc())
    image = sign_map()
    result = run(tmp_path, evaluation, image)
    slow = SlowPeppr(evaluation, image)
    picture = evaluation.stack.images[3]
    for count in (0, 100, len(result.order)):
        for arm in ("erase", "restore"):
            seen = result.seen(picture, count / len(result.order), arm)
            assert seen.dtype == np.uint8
            assert np.abs(seen - slow.shown(picture, count, arm)).max() <= 0.5


# ---------------------------------------------------------------- labels with one class


@pytest.mark.parametrize("value", [1.0, 0.0, np.nan])
def test_labels_with_one_class_are_left_out_and_listed(value, tmp_path):
    evaluation = make_evaluation(tmp_path)
    evaluation.truth[:, 1] = value
    result = run(tmp_path, evaluation, sign_map())
    # Of one label, the mean over labels is that label.
    assert set(result.curves["label"]) == {"left", "macro mean", "pooled"}
    assert result.areas["macro mean"]["delta"] == result.areas["left"]["delta"]
    assert not result.curves["value"].isna().any()
    assert list(result.settings["left_out"]) == ["right"]
    assert result.verdict["right"].word == "not enough data"
    assert set(result.areas["right"]) == {
        "positives", "negatives", "patients_with", "patients_without",
    }  # fmt: skip
    assert "delta" in result.areas["left"]


def test_no_label_with_both_classes_is_an_error(tmp_path):
    evaluation = make_evaluation(tmp_path)
    evaluation.truth[:] = 1
    with pytest.raises(InputError, match="No label has images with and without it"):
        run(tmp_path, evaluation, sign_map())


def test_images_with_an_unknown_label_do_not_count_for_it(tmp_path):
    whole = make_evaluation(tmp_path / "whole")
    unknown = np.array([0, 3, 4, 11])
    whole.truth[unknown, 0] = np.nan
    rest = np.setdiff1d(whole.rows, unknown)
    part = make_evaluation(
        tmp_path / "part",
        rows=rest,
        truth=whole.truth[rest],
        patients=tuple(whole.patients[row] for row in rest),
        fill=whole.fill,
    )
    first = run(tmp_path / "whole", whole, sign_map())
    second = run(tmp_path / "part", part, sign_map())
    for name in ("positives", "negatives", "intact_auc", "area_erase", "area_restore"):
        assert first.areas["left"][name] == pytest.approx(second.areas["left"][name])
    assert first.areas["right"]["positives"] != second.areas["right"]["positives"]


# ---------------------------------------------------------------- softmax


def test_softmax_ranks_by_probability_not_by_logit(tmp_path):
    """The other class's logit counts too."""
    evaluation = make_evaluation(tmp_path, softmax_classifier())
    evaluation.truth[:, 1] = 1 - evaluation.truth[:, 0]
    result = run(tmp_path, evaluation, sign_map())
    images = evaluation.stack.read(evaluation.rows)
    logits = evaluation.classifier.predict(images).astype(np.float64)
    expected = roc_auc_score(evaluation.truth[:, 0], logits[:, 0] - logits[:, 1])
    by_logit = roc_auc_score(evaluation.truth[:, 0], logits[:, 0])
    assert abs(expected - by_logit) > 0.02
    assert result.areas["left"]["intact_auc"] == pytest.approx(expected)
    # Two classes are each other's mirror.
    assert result.areas["right"]["intact_auc"] == pytest.approx(expected)
    np.testing.assert_allclose(result.probabilities["erase"].sum(axis=-1), 1, atol=1e-6)


# ---------------------------------------------------------------- verdicts


def judged(folder, evaluation, image, **settings):
    chosen = {"steps": 10, "control_steps": 6, "controls": 199, "bootstrap": 50, **settings}
    return run(folder, evaluation, image, ("left",), **chosen).verdict["left"]


def test_the_true_map_is_faithful(tmp_path):
    smooth_sign = gaussian_filter(sign_map(), 2)
    verdict = judged(tmp_path, make_evaluation(tmp_path, count=60), smooth_sign)
    assert verdict.word == "faithful and specific to this model"
    assert "p = 0.050 (exact, 20 places) against shifted orders" in verdict.reason
    far = "p = 0.040 (0.000 to 0.142; beyond their tolerance limit, 24 drawn) against surrogate"
    assert far in verdict.reason
    assert "whether it should is for you to judge" in verdict.reason
    assert verdict.tested == (
        "Tested on 60 images of 30 patients, the same that the map is made of"
    )


def test_the_upturned_map_is_not_faithful(tmp_path):
    smooth_sign = -gaussian_filter(sign_map(), 2)
    verdict = judged(tmp_path, make_evaluation(tmp_path, count=60), smooth_sign, controls=24)
    assert verdict.word == "no better than its shifts"
    assert verdict.reason.startswith("Δ = −")


@pytest.mark.parametrize(
    ("count", "settings", "reason"),
    [
        (60, {"controls": 18}, "18 controls cannot give p ≤ 0.05; 19 can"),
        (60, {"controls": 0}, "0 controls cannot"),
        # 60 images of 30 patients: patients count.
        (60, {"fewest_positives": 28, "controls": 19}, "at least 28 of each are needed"),
    ],
)
def test_not_enough_data(count, settings, reason, tmp_path):
    verdict = judged(tmp_path, make_evaluation(tmp_path, count=count), sign_map(), **settings)
    assert verdict.word == "not enough data"
    assert reason in verdict.reason


def test_a_model_without_skill_is_not_enough_data(tmp_path):
    evaluation = make_evaluation(tmp_path, count=60)
    evaluation.truth[:, 0] = np.random.default_rng(1).permutation(evaluation.truth[:, 0])
    verdict = judged(tmp_path, evaluation, sign_map(), controls=19)
    assert verdict.word == "not enough data"
    assert "not proven better than chance" in verdict.reason


@pytest.mark.slow
def test_smooth_random_maps_are_not_faithful(tmp_path):
    """Against shifts of itself a random map has no advantage: p ≤ 0.05 in one of 20 cases.

    So three of twelve come with a probability of 0.02, and all else that a verdict asks for only
    lowers it.
    """
    evaluation = make_evaluation(tmp_path, count=40)
    words = []
    for seed in range(12):
        noise = np.random.default_rng(100 + seed).normal(size=(tiny.HEIGHT, tiny.WIDTH))
        image = gaussian_filter(noise, 5, mode="wrap").astype(np.float32)
        result = run(tmp_path, evaluation, image, ("left",), steps=6, controls=199)
        words.append(result.verdict["left"].kind)
    assert set(words) <= set(KINDS)
    assert words.count(NO_BETTER) >= 8
    assert words.count(FAITHFUL) <= 2


# ---------------------------------------------------------------- beside ROC AUC


def test_what_is_measured_beside_auc_equals_slow_loops(tmp_path):
    evaluation = make_evaluation(tmp_path)
    result = run(tmp_path, evaluation, sign_map(), ("left",), controls=1)
    logits = evaluation.logits(result.order, result.counts)
    carries = [value == 1 for value in evaluation.truth[:, 0]]
    intact = logits["erase"][0][:, 0].tolist()
    levels = sorted(set(intact))
    best, threshold = -1.0, None
    for low, high in itertools.pairwise(levels):
        cut = (low + high) / 2
        hits = sum(v >= cut for v, c in zip(intact, carries, strict=True) if c) / sum(carries)
        passed = [v < cut for v, c in zip(intact, carries, strict=True) if not c]
        if hits + sum(passed) / len(passed) > best + 1e-12:
            best, threshold = hits + sum(passed) / len(passed), cut

    def gap(values):
        with_it = [v for v, c in zip(values, carries, strict=True) if c]
        without = [v for v, c in zip(values, carries, strict=True) if not c]
        return sum(with_it) / len(with_it) - sum(without) / len(without)

    for arm in ("erase", "restore"):
        curves = result.curves.query(f"label == 'left' and order == 'map' and arm == '{arm}'")
        found = {metric: part["value"].to_numpy() for metric, part in curves.groupby("metric")}
        for step, values in enumerate(logits[arm][:, :, 0].astype(float).tolist()):
            assert found["logit_gap_share"][step] == pytest.approx(
                gap(values) / gap(intact), abs=1e-6
            )
            hits = [v >= threshold for v, c in zip(values, carries, strict=True) if c]
            passed = [v < threshold for v, c in zip(values, carries, strict=True) if not c]
            assert found["sensitivity"][step] == pytest.approx(sum(hits) / len(hits))
            assert found["specificity"][step] == pytest.approx(sum(passed) / len(passed))
    areas = result.areas["left"]
    assert areas["intact_sensitivity"] + areas["intact_specificity"] == pytest.approx(best)
    restored = result.curves.query(
        "label == 'left' and order == 'map' and arm == 'restore' and metric == 'logit_gap_share'"
    )
    assert areas["sufficient_fraction_logit_gap_share"] == pytest.approx(
        slow_crossing(restored["fraction"].tolist(), restored["value"].to_numpy(), 0.95)
    )


def test_early_leads_are_areas_of_the_first_fifth(tmp_path):
    evaluation = make_evaluation(tmp_path)
    result = run(tmp_path, evaluation, sign_map(), ("left",), steps=20, controls=1)
    curves = result.curves.query("label == 'left' and metric == 'roc_auc'")

    def early(order):
        part = curves[curves["order"] == order]
        erase, restore = (
            part[part["arm"] == arm].set_index("fraction")["value"] for arm in ("erase", "restore")
        )
        at = result.settings["control_fractions"]
        total = 0.0
        for low, high in itertools.pairwise(at):
            if high <= 0.2 + 1e-3:
                heights = [restore.loc[q] - erase.loc[q] for q in (low, high)]
                total += (high - low) * sum(heights) / 2
        return total

    areas = result.areas["left"]
    assert areas["early_delta"] == pytest.approx(early("map"), abs=2e-3)
    for name in ("centre-distance", "mean-intensity", "sd-image"):
        lead = areas["difference_to"][name]["early_difference"]
        assert lead == pytest.approx(early("map") - early(name), abs=2e-3), name
    spread = evaluation.stack.read(evaluation.rows).astype(float).std(axis=0).mean(axis=0)
    order = order_by_map(spread, evaluation.valid, 0)
    counts = np.rint(np.array(result.settings["control_fractions"]) * order.size).astype(int)
    along = evaluation.roc_auc_curves(evaluation.logits(order, counts))
    found = curves[(curves["order"] == "sd-image") & (curves["arm"] == "erase")]["value"]
    np.testing.assert_allclose(found, along[0, :, 0])


# ---------------------------------------------------------------- all labels together


def test_the_overall_map_is_judged_by_the_mean_over_labels(tmp_path):
    evaluation = make_evaluation(tmp_path, count=40)
    both = gaussian_filter(sign_map() + sign_map("right", 1), 1)
    result = run(tmp_path, evaluation, both, (MACRO,), controls=19)
    assert list(result.verdict) == [MACRO]
    assert list(result.areas) == [*tiny.LABELS, MACRO, POOLED]
    for name in ("delta", "area_erase", "area_restore", "intact_auc", "early_delta"):
        of_labels = [result.areas[label][name] for label in tiny.LABELS]
        assert result.areas[MACRO][name] == pytest.approx(np.mean(of_labels)), name
    by_label = [result.areas[label]["control_deltas"]["shifted"] for label in tiny.LABELS]
    shifted = result.areas[MACRO]["control_deltas"]["shifted"]
    np.testing.assert_allclose(shifted, np.mean(by_label, axis=0))
    own = result.areas[MACRO]["delta_on_control_steps"]
    p = (1 + sum(delta >= own for delta in shifted)) / 20
    assert result.areas[MACRO]["p_values"]["shifted"] == pytest.approx(p)
    # Each label has patients with and without it, though hardly any patient has none.
    low, high = result.areas[MACRO]["delta_ci"]
    widths = [np.ptp(result.areas[label]["delta_ci"]) for label in tiny.LABELS]
    assert high - low < 1.2 * max(widths)
    # All pairs of image and label in one ranking.
    logits = evaluation.logits(result.order, result.counts)
    curves = result.curves.query(f"label == '{POOLED}' and order == 'map'")
    for arm in ("erase", "restore"):
        found = curves[curves["arm"] == arm]["value"]
        expected = [roc_auc_score(evaluation.truth.ravel(), step.ravel()) for step in logits[arm]]
        expected[0 if arm == "restore" else -1] = found.iloc[0 if arm == "restore" else -1]
        np.testing.assert_allclose(found, expected)


def test_a_label_of_one_class_is_not_pooled_for_the_controls_either(tmp_path):
    """Else the map's Δ and that of its controls are of other labels, and p compares them."""
    evaluation = make_evaluation(tmp_path, count=40)
    evaluation.truth[:, 1] = 1.0
    result = run(tmp_path, evaluation, sign_map(), (MACRO,), controls=19, adaptive=False)
    for name in ("delta", "delta_on_control_steps", "p_values", "control_deltas"):
        assert result.areas[POOLED][name] == result.areas["left"][name], name


def test_several_labels_on_one_map_have_corrected_p(tmp_path):
    evaluation = make_evaluation(tmp_path, count=40)
    image = gaussian_filter(sign_map(), 1)
    result = run(tmp_path, evaluation, image, controls=19, adaptive=False)
    assert set(result.verdict) == set(tiny.LABELS)
    own = [result.areas[label]["delta_on_control_steps"] for label in tiny.LABELS]
    controls = [result.areas[label]["control_deltas"]["shifted"] for label in tiny.LABELS]
    every = np.array([*np.transpose(controls), own])
    scores = (every - every.mean(axis=0)) / every.std(axis=0)
    for place, label in enumerate(tiny.LABELS):
        areas = result.areas[label]
        p = (1 + sum(max(row) >= scores[-1, place] for row in scores[:-1])) / 20
        assert areas["p_corrected"]["shifted"] == pytest.approx(p)
        assert areas["p_corrected"]["shifted"] >= areas["p_values"]["shifted"]
    assert "corrected for all labels" in result.verdict["left"].reason


# ---------------------------------------------------------------- cross-fitting


def test_cross_fitting_tests_each_image_along_its_folds_map(tmp_path):
    """Against each fold run alone and the predictions put together."""
    evaluation = make_evaluation(tmp_path, count=24, batch_size=24)
    fold_of = assign_folds(evaluation.patients, evaluation.truth, 3, seed=0)
    maps = [sign_map(seed=10 + fold) for fold in range(3)]
    crossed = replace(evaluation, fold_of=fold_of)
    result = run_peppr(
        crossed,
        "map",
        sign_map(),
        ("left",),
        PepprSettings(**{**QUICK, "controls": 19}),
        cache=tmp_path / "crossed",
        folds=[FoldMap(image) for image in maps],
        evaluated_on=CROSS_FITTED,
    )
    assert (result.folds, result.evaluated_on) == (3, "cross-fitted")
    assert "each along a map of other patients (3 folds)" in result.verdict["left"].tested
    for fold, image in enumerate(maps):
        order = order_by_map(image, evaluation.valid, 0)
        members = np.flatnonzero(fold_of == fold)
        along = evaluation.logits(order, result.counts)
        for arm in ("erase", "restore"):
            expected = evaluation.classifier.probabilities(along[arm][:, members])
            np.testing.assert_allclose(result.probabilities[arm][:, members], expected, atol=1e-6)
        for row in members:
            assert np.array_equal(result.order_for(int(row)), order)
    result.save(tmp_path)
    again = PepprResult.load(tmp_path, "map")
    assert (again.folds, again.evaluated_on) == (3, "cross-fitted")
    assert np.array_equal(again.kept(0.2, "erase", 5), result.kept(0.2, "erase", 5))
    # Equal maps in all folds are no folds at all.
    alike = run_peppr(
        crossed, "map", maps[0], ("left",), PepprSettings(**QUICK), cache=tmp_path / "alike",
        folds=[FoldMap(maps[0])] * 3,
    )  # fmt: skip
    whole = run(tmp_path, evaluation, maps[0], ("left",))
    assert alike.areas["left"]["delta"] == pytest.approx(whole.areas["left"]["delta"])
    shifts = [each.areas["left"]["control_deltas"]["shifted"] for each in (alike, whole)]
    np.testing.assert_allclose(*shifts, atol=1e-9)


def test_folds_keep_patients_whole_and_labels_even():
    rng = np.random.default_rng(0)
    patients = [f"P{number}" for number in rng.integers(0, 60, 150)]
    truth = (rng.random((150, 3)) < [0.5, 0.2, 0.1]).astype(float)
    truth[rng.random(truth.shape) < 0.1] = np.nan
    fold_of = assign_folds(patients, truth, 4, seed=3)
    for patient in set(patients):
        assert (
            len({fold for fold, who in zip(fold_of, patients, strict=True) if who == patient}) == 1
        )
    of_patient = dict(zip(patients, fold_of, strict=True))
    assert np.ptp(np.bincount(list(of_patient.values()))) <= 1
    carriers = {who for who, value in zip(patients, truth[:, 0], strict=True) if value == 1}
    assert np.ptp(np.bincount([of_patient[who] for who in carriers], minlength=4)) <= 4
    assert np.array_equal(fold_of, assign_folds(patients, truth, 4, seed=3))
    members = {"a": truth[:, 0] == 1}
    enough = min(len({who for who in carriers if of_patient[who] != fold}) for fold in range(4))
    assert can_cross_fit(patients, members, fold_of, enough)
    assert not can_cross_fit(patients, members, fold_of, enough + 1)


# ---------------------------------------------------------------- cache, files, errors


class Counting(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.images = 0

    def forward(self, images):
        self.images += len(images)
        return self.network(images)


def test_controls_are_kept_and_shared(tmp_path):
    network = Counting(tiny.LinearNet(tiny.sign_weights()))
    card = ModelCard(weights="", labels=tiny.LABELS, input=tiny.input_card())
    classifier = Classifier(network, card, device="cpu")
    network = classifier.network
    evaluation = make_evaluation(tmp_path, classifier)

    def images_seen(image, **settings):
        network.images = 0
        result = run(tmp_path, evaluation, image, **settings)
        return network.images, result

    # Inner steps of both arms, and for all orders at once the intact images and the blank.
    # Orders that a map is judged by are evaluated in the first fifth, others on both sides.
    own, control, judging, ends = 2 * 7 * 24, 2 * 4 * 24, 2 * 2 * 24, 24 + 1
    cost, first = images_seen(sign_map())
    assert cost == ends + own + (3 + 3) * judging + 4 * control  # shifted, surrogate, simple
    cost, again = images_seen(sign_map())
    assert cost == 0
    assert again.curves.equals(first.curves)
    assert again.areas == first.areas
    cost, _ = images_seen(sign_map("right"), adaptive=False)
    assert cost == own + (3 + 3) * judging  # its own shifts and surrogates
    changed = evaluation.truth.copy()
    changed[0, 0] = 1 - changed[0, 0]
    evaluation = replace(evaluation, truth=changed)
    cost, _ = images_seen(sign_map())
    # AUCs under another truth are others.
    assert cost == ends + own + (3 + 3) * judging + 4 * control


@pytest.mark.parametrize("stop_at", [0, 40, 200])
def test_a_stopped_peppr_goes_on_where_it_was_to_the_same_bits(tmp_path, stop_at):
    """Stopped within the map, or among its controls."""
    network = Counting(tiny.LinearNet(tiny.sign_weights()))
    card = ModelCard(weights="", labels=tiny.LABELS, input=tiny.input_card())
    classifier = Classifier(network, card, device="cpu")
    evaluation = make_evaluation(tmp_path, classifier, batch_size=4)
    # Of steps that are placed round by round, see test_refinement.py.
    settings = PepprSettings(**{**QUICK, "steps": 20, "step_tolerance": 0})

    def peppr(cache, progress=lambda _: None):
        classifier.network.images = 0
        result = run_peppr(
            evaluation, "map", sign_map(), ("left",), settings, cache=cache, progress=progress
        )
        return result, classifier.network.images

    seen = []

    def stop(progress):
        seen.append(progress)
        if len(seen) > stop_at:
            raise Cancelled

    whole, cost = peppr(tmp_path / "whole")
    with pytest.raises(Cancelled):
        peppr(tmp_path / "stopped", stop)
    done = classifier.network.images
    again, rest = peppr(tmp_path / "stopped")
    assert again.curves.equals(whole.curves)
    assert again.areas == whole.areas
    # What was under way is lost, no more: five steps of the map, or one order.
    assert done + rest <= cost + 2 * 5 * 24
    if stop_at:
        assert rest < cost


def test_result_survives_its_files(tmp_path):
    result = run(tmp_path, make_evaluation(tmp_path), sign_map())
    result.save(tmp_path / "peppr")
    again = PepprResult.load(tmp_path / "peppr", "map")
    assert list(again.curves.columns) == [
        "map", "label", "order", "arm", "fraction", "metric", "value", "ci_low", "ci_high",
    ]  # fmt: skip
    assert np.allclose(
        again.curves[["fraction", "value"]], result.curves[["fraction", "value"]], atol=1e-15
    )
    assert again.verdict == result.verdict
    assert again.areas["left"]["delta"] == result.areas["left"]["delta"]
    assert (again.labels, again.shape) == (result.labels, result.shape)
    assert np.array_equal(again.fill.image, result.fill.image)
    for name in ("order", "counts", "rows", "fractions"):
        assert np.array_equal(getattr(again, name), getattr(result, name))
    for arm in ("erase", "restore"):
        assert np.array_equal(again.probabilities[arm], result.probabilities[arm])
        assert np.array_equal(again.kept(0.3, arm), result.kept(0.3, arm))
    summary = json.loads((tmp_path / "peppr" / "map.json").read_text())
    told = summary["labels"]["left"]
    assert any(told["verdict"].startswith(kind) for kind in KINDS)
    assert told["tested"].startswith("Tested on 24 images of 12 patients")
    assert (summary["evaluated_on"], summary["folds"]) == ("same images", 1)
    assert summary["mass_outside"] == 0
    assert summary["macro"]["delta"] == result.areas[MACRO]["delta"]
    assert MACRO not in summary["labels"]
    assert summary["settings"]["seed"] == 0


@pytest.mark.parametrize("families", [("random", "shifted"), ("random", "of a package now gone")])
def test_results_of_older_versions_are_read(families, tmp_path):
    """Written here as version 0.1 wrote them."""
    order, fill = np.array([5, 0, 7]), np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    probabilities = np.random.default_rng(0).random((4, 2, 1)).astype(np.float32)
    np.savez_compressed(
        tmp_path / "old.npz",
        shape=(3, 4),
        order=order,
        counts=np.arange(4),
        fill=fill,
        rows=np.array([0, 2]),
        labels=("left",),
        erase=probabilities,
        restore=probabilities[::-1],
    )
    label = {
        "positives": 1,
        "negatives": 1,
        "control_deltas": {name: [0.1] for name in (*families, "reversed")},
        "p_values": dict.fromkeys(families, 0.5),
        "difference_to": {"reversed": {"difference": 0.2, "ci": [0.1, 0.3]}},
        "verdict": "not enough data",
        "reason": "so",
    }
    content = {"map": "old", "labels": {"left": label}, "settings": {"fill": "mean-image"}}
    (tmp_path / "old.json").write_text(json.dumps(content))
    (tmp_path / "old.csv").write_text(
        "map,label,order,arm,fraction,metric,value,ci_low,ci_high\nold,left,map,erase,0,roc_auc,1,,\n"
    )
    result = PepprResult.load(tmp_path, "old")
    assert result.shape == (3, 4)
    assert result.judged_by == families
    assert result.compared_with == ("reversed",)
    image = np.full((2, 3, 4), 200, np.uint8)
    seen = result.seen(image, 2 / 3, "restore")
    expected = fill.astype(np.uint8)
    for pixel in order[:2]:
        expected[:, pixel // 4, pixel % 4] = 200
    assert np.array_equal(seen, expected)
    result.save(tmp_path / "again")
    with np.load(tmp_path / "again" / "old.npz") as again, np.load(tmp_path / "old.npz") as old:
        assert set(again.files) == set(old.files)
        assert all(np.array_equal(again[name], old[name]) for name in old.files)


def test_intervals_enclose_their_estimate(tmp_path):
    result = run(tmp_path, make_evaluation(tmp_path, count=60), sign_map(), bootstrap=200)
    for label in tiny.LABELS:
        low, high = result.areas[label]["delta_ci"]
        assert low < result.areas[label]["delta"] < high
        low, high = result.areas[label]["intact_auc_ci"]
        assert low < result.areas[label]["intact_auc"] < high
        for name, found in result.areas[label]["difference_to"].items():
            low, high = found["ci"]
            assert low <= found["difference"] <= high, name
            (other,) = result.areas[label]["control_deltas"][name]
            own = result.areas[label]["delta_on_control_steps"]
            assert found["early_difference"] == pytest.approx(own - other)


@pytest.mark.parametrize(
    ("image", "valid", "message"),
    [
        (np.zeros((5, 7)), None, "map is 5 × 7 pixels, but the frame is 32 × 48"),
        (np.full((32, 48), np.nan), None, "not finite"),
        (np.zeros((32, 48)), np.zeros((32, 48), bool), "No pixel lies in the field of view"),
    ],
)
def test_maps_that_cannot_be_used(image, valid, message, tmp_path):
    with pytest.raises(InputError, match=message):
        run(tmp_path, make_evaluation(tmp_path, valid=valid), image)


def test_values_outside_the_valid_area_may_be_anything(tmp_path):
    image = sign_map()
    image[~disc()] = np.nan
    assert run(tmp_path, make_evaluation(tmp_path, valid=disc()), image).verdict


def test_a_constant_map_is_a_random_order(tmp_path):
    constant = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.float32)
    result = run(tmp_path, make_evaluation(tmp_path, count=60), constant, ("left",), controls=99)
    assert abs(result.areas["left"]["delta"]) < 0.2
    assert result.verdict["left"].kind in (NO_BETTER, UNDECIDED)


def test_erasing_a_region_tells_what_the_model_used(tmp_path):
    evaluation = make_evaluation(tmp_path, count=60, valid=np.zeros((32, 48), bool))
    region = np.zeros((32, 48), bool)
    region[tiny.SIGNS["left"]] = True
    effects = erase_region(evaluation, region)
    # The valid area plays no part, and nothing of the sign is left.
    assert effects["left"].intact_auc > 0.8
    assert effects["left"].erased_auc == pytest.approx(0.5, abs=0.06)
    assert effects["left"].logit_change < 0
    assert effects["right"].intact_auc == effects["right"].erased_auc
    assert effects["right"].logit_change == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("fill", ["mean-image", "mean-colour", "black"])
def test_fills(fill, tmp_path):
    images, _ = tiny.sign_images(10)
    stack = tiny.make_stack(tmp_path / "s.zarr", images)
    rows = [1, 2, 7]
    mean = images[rows].mean(axis=0)
    expected = {
        "mean-image": mean,
        "mean-colour": np.broadcast_to(mean.mean(axis=(1, 2), keepdims=True), mean.shape),
        "black": np.zeros_like(mean),
    }[fill]
    np.testing.assert_allclose(fit_fill(fill, stack, rows).image, expected, rtol=1e-5)


def test_fills_by_name(tmp_path):
    stack = tiny.make_stack(tmp_path / "s.zarr", tiny.sign_images(3)[0])
    with pytest.raises(InputError, match="no fill 'white'; fills are mean-image, mean-colour"):
        fit_fill("white", stack, [0])
