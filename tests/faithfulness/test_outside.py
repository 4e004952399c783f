"""What lies outside the valid area, against slow answers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny
from faithfulness_cases import judged_run, make_evaluation, sign_map

from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.faithfulness.verdict.outside_share import outside_cautions, outside_share
from napari_globalxai.faithfulness.verdict.verdicts import FAITHFUL, Verdict
from napari_globalxai.report.peppr_facts import peppr_facts


def left_half():
    valid = np.zeros((tiny.HEIGHT, tiny.WIDTH), bool)
    valid[:, : tiny.WIDTH // 2] = True
    return valid


def test_the_share_of_mass_outside_pixel_by_pixel():
    image = np.random.default_rng(0).normal(size=(5, 7))
    image[2, 5] = np.nan
    image[0, 0] = np.inf
    valid = np.random.default_rng(1).random((5, 7)) < 0.6
    inside = outside = 0.0
    for place in np.ndindex(5, 7):
        if np.isfinite(image[place]):
            inside += abs(image[place]) * valid[place]
            outside += abs(image[place]) * (not valid[place])
    assert outside_share(image, valid) == pytest.approx(outside / (inside + outside))
    assert outside_share(image, np.ones((5, 7), bool)) == 0
    assert np.isnan(outside_share(np.zeros((5, 7)), valid))


def faithful(result):
    """The result as it would be with a bare verdict, however few its controls."""
    return replace(result, verdict={**result.verdict, "left": Verdict(FAITHFUL, "so")})


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """The sign of "right" lies outside, the map holds both signs."""
    folder = tmp_path_factory.mktemp("cut")
    evaluation = make_evaluation(folder, count=60, valid=left_half())
    return evaluation, judged_run(folder, evaluation, sign_map("left") + sign_map("right"))


def test_whole_images_and_erased_outsides_against_the_model_itself(cut):
    evaluation, result = cut
    images = evaluation.stack.read(evaluation.rows).astype(np.float64)
    erased = np.where(left_half(), images, evaluation.fill.image)
    predict = evaluation.classifier.network
    weight = predict.weight.numpy().astype(np.float64)
    whole, inside = (
        np.einsum("nchw,lchw->nl", (each / 255 - 0.3) / 0.1, weight) for each in (images, erased)
    )
    np.testing.assert_allclose(result.whole, 1 / (1 + np.exp(-whole)), atol=1e-5)
    assert np.array_equal(result.own_output, result.whole)
    for index, label in enumerate(tiny.LABELS):
        truth = evaluation.truth[:, index] == 1
        areas = result.areas[label]
        full = areas["intact_auc_full"]
        # Some pairs are closer than float32 tells apart.
        pairs = np.subtract.outer(whole[truth, index], whole[~truth, index])
        assert (pairs > 1e-4).mean() - 1e-9 <= full <= (pairs > -1e-4).mean() + 1e-9
        outside = areas["outside"]
        assert outside["area_share"] == 0.5
        assert outside["auc_intact"] == areas["intact_auc_full"]
        assert outside["auc_erased"] == areas["intact_auc"]
        assert outside["auc_change"] == pytest.approx(areas["intact_auc"] - full)
        change = (inside - whole)[truth, index].mean()
        assert outside["logit_change"] == pytest.approx(change, abs=1e-4)
        for name in ("auc", "logit", "probability"):
            low, high = outside[f"{name}_change_ci"]
            assert low - 1e-6 <= outside[f"{name}_change"] <= high + 1e-6
    assert result.areas["right"]["outside"]["logit_change_ci"][1] < 0
    assert result.areas["right"]["intact_auc_full"] > 0.8
    assert result.areas["right"]["intact_auc"] == pytest.approx(0.5, abs=0.02)


def test_rows_of_the_table(cut):
    _, result = cut
    rows = result.curves[result.curves["order"].isin(["whole", "outside"])]
    assert len(rows) == 2 * 2 * 3
    for label in tiny.LABELS:
        value = rows[rows["label"] == label].set_index(["order", "metric"])["value"]
        areas = result.areas[label]
        assert value["whole", "roc_auc"] == areas["intact_auc_full"]
        assert value["outside", "roc_auc"] == areas["intact_auc"]
        change = value["outside", "mean_logit"] - value["whole", "mean_logit"]
        assert change == pytest.approx(areas["outside"]["logit_change"], abs=1e-5)
    assert (rows["ci_low"] <= rows["value"] + 1e-9).all()


def test_a_verdict_with_mass_outside_never_stands_bare(cut, tmp_path):
    result = faithful(cut[1])
    assert result.word("left") == f"{FAITHFUL}, with a caution"
    result.save(tmp_path)
    said = json.loads((tmp_path / "map.json").read_text())
    assert said["mass_outside"] == said["labels"]["left"]["mass_outside"] > 0.4
    assert said["intact_auc_full"]["left"] == said["labels"]["left"]["intact_auc_full"]
    assert any("mass lies outside" in text for text in said["labels"]["left"]["cautions"])
    assert any("gains by what lies outside" in text for text in said["cautions"])
    again = PepprResult.load(tmp_path, "map")
    assert again.word("left") == result.word("left")
    assert np.array_equal(again.whole, result.whole)
    facts = peppr_facts("map", again)
    (left,) = (row for row in facts.judged if row.label == "left")
    assert left.word == f"{FAITHFUL}, with a caution"
    assert left.cautions == result.cautions("left")
    assert "takes the AUC from" in left.outside
    assert left.cells["Mass outside"].startswith("5")


def test_nothing_is_said_where_nothing_lies_outside(tmp_path):
    evaluation = make_evaluation(tmp_path, count=60)
    result = faithful(judged_run(tmp_path, evaluation, sign_map()))
    left = result.areas["left"]
    assert left["mass_outside"] == 0
    assert left["intact_auc_full"] == left["intact_auc"]
    assert "outside" not in left
    assert not any("outside" in text for text in result.cautions("left"))
    assert left["cautioned"] is False
    assert result.word("left") == FAITHFUL
    assert np.array_equal(result.own_output, result.probabilities["erase"][0])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"mass_outside": 0.09, "intact_auc": 0.9, "intact_auc_full": 0.9}, []),
        ({"mass_outside": 0.48, "intact_auc": 0.9, "intact_auc_full": 0.9}, ["48 % of the map's"]),
        (
            {
                "mass_outside": 0.0,
                "intact_auc": 0.90,
                "intact_auc_full": 0.98,
                "outside": {"auc_change_ci": [-0.12, -0.04]},
            },
            ["0.980 on whole images, but 0.900 on the valid area: it gains"],
        ),
        (
            {
                "mass_outside": 0.0,
                "intact_auc": 0.90,
                "intact_auc_full": 0.93,
                "outside": {"auc_change_ci": [-0.09, 0.03]},
            },
            [],
        ),
        (
            {
                "mass_outside": float("nan"),
                "intact_auc": 0.95,
                "intact_auc_full": 0.90,
                "outside": {"auc_change_ci": [0.01, 0.09]},
            },
            ["it loses"],
        ),
    ],
)
def test_when_the_outside_matters(values, expected):
    found = outside_cautions(values)
    assert len(found) == len(expected)
    assert all(part in text for part, text in zip(expected, found, strict=True))
