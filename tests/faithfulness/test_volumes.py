"""PEPPR along three spatial axes, against a slow one: a small 3-D network, volume by volume."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.fills.fill_kinds import fit_fill
from napari_globalxai.faithfulness.orders.lattice import shifted_orders
from napari_globalxai.faithfulness.orders.map_orders import (
    centre_distance_order,
    kept_pixels,
    mean_intensity_order,
    order_by_map,
    step_counts,
)
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.faithfulness.questions.region_erasure import erase_region
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.settings.peppr_settings import PepprSettings

SHAPE = (4, 5, 6)
LABELS = ("front", "back")
SIGNS = {"front": np.s_[0:2, 1:4, 1:4], "back": np.s_[2:4, 2:5, 2:6]}
FAMILIES = (
    "shifted", "surrogate", "random", "reversed", "centre-distance", "mean-intensity", "sd-image",
)  # fmt: skip
SETTINGS = PepprSettings(steps=6, control_steps=4, controls=3, bootstrap=20, fewest_positives=2)
SETTINGS = SETTINGS.model_copy(update={"judged_up_to": 0.2})


class Volumes:
    """Volumes in memory."""

    def __init__(self, pixels):
        self.pixels = pixels
        self.shape = pixels.shape[2:]

    def read(self, rows):
        return self.pixels[np.asarray(rows, int)]

    def mean_image(self, rows):
        return self.read(rows).mean(axis=0).astype(np.float32)


class VolumeModel:
    """A 3-D network, with no more than PEPPR needs of a model."""

    def __init__(self, activation="sigmoid"):
        torch.manual_seed(3)
        self.network = nn.Sequential(
            nn.Conv3d(2, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 120, 2)
        ).eval()
        self.labels = LABELS
        self.activation = activation
        self.device = torch.device("cpu")

    def to_input(self, images):
        return torch.as_tensor(images).float() / 100 - 1

    def logits(self, inputs):
        return self.network(inputs)

    def probabilities(self, logits):
        logits = torch.as_tensor(np.asarray(logits, np.float64))
        softmax = self.activation == "softmax"
        return (logits.softmax(-1) if softmax else logits.sigmoid()).numpy()


def half():
    z, y, x = np.indices(SHAPE)
    return (z + y + x) % 3 != 0


def make_evaluation(valid=None, fill="mean-image", activation="sigmoid", count=16):
    rng = np.random.default_rng(0)
    truth = np.arange(count)[:, None] // [1, 2] % 2
    pixels = rng.integers(40, 160, (count, 2, *SHAPE))
    for index, sign in enumerate(SIGNS.values()):
        pixels[:, :, *sign] += 40 * truth[:, index, None, None, None, None]
    images, rows = Volumes(pixels.astype(np.uint8)), np.arange(count)
    return Evaluation(
        classifier=VolumeModel(activation),
        stack=images,
        rows=rows,
        truth=truth.astype(float),
        patients=tuple(f"P{row}" for row in rows),
        valid=np.ones(SHAPE, bool) if valid is None else valid,
        fill=fit_fill(fill, images, rows),
        batch_size=5,
        key="volumes",
    )


def make_map():
    image = np.random.default_rng(1).random(SHAPE)
    image[SIGNS["front"]] += 1
    return image


def slow_probabilities(evaluation, fill, ranked, count, arm):
    """Predict volumes one by one, voxel by voxel put together."""
    pixels = evaluation.stack.pixels
    blank = {"mean-image": pixels.mean(axis=0), "black": np.zeros((2, *SHAPE))}[fill]
    result = []
    for volume in pixels:
        seen = blank.copy()
        for z, y, x in ranked[:count] if arm == "restore" else ranked[count:]:
            seen[:, z, y, x] = volume[:, z, y, x]
        with torch.no_grad():
            logits = evaluation.classifier.network(torch.tensor(seen[None] / 100 - 1).float())
        result.append(evaluation.classifier.probabilities(logits)[0])
    return np.array(result)


@pytest.mark.parametrize(
    ("fill", "valid", "activation"),
    [("mean-image", None, "sigmoid"), ("black", half, "sigmoid"), ("mean-image", half, "softmax")],
)
def test_volumes_equal_the_slow_ones(fill, valid, activation, tmp_path):
    evaluation = make_evaluation(valid and valid(), fill, activation)
    image = make_map()
    result = run_peppr(evaluation, "map", image, LABELS, SETTINGS, cache=tmp_path)
    voxels = [tuple(place) for place in np.argwhere(evaluation.valid)]
    ranked = sorted(voxels, key=lambda place: -image[place])
    assert [tuple(np.unravel_index(voxel, SHAPE)) for voxel in result.order] == ranked
    curves = result.curves.query("order == 'map' and metric == 'roc_auc'")
    for arm in ("erase", "restore"):
        slow = np.array(
            [slow_probabilities(evaluation, fill, ranked, int(n), arm) for n in result.counts]
        )
        np.testing.assert_allclose(result.probabilities[arm], slow, atol=2e-6)
        # Where nothing is left, volumes look alike, but the slow ones differ by rounding.
        blank = 0 if arm == "restore" else len(slow) - 1
        for index, label in enumerate(LABELS):
            found = curves[(curves["label"] == label) & (curves["arm"] == arm)]["value"]
            truth = evaluation.truth[:, index]
            expected = [roc_auc_score(truth, step[:, index]) for step in slow]
            expected[blank] = 0.5
            np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("valid", [None, half])
def test_end_points_of_volumes_are_exact(valid, tmp_path):
    evaluation = make_evaluation(valid and valid())
    settings = SETTINGS.model_copy(update={"adaptive": False})
    result = run_peppr(evaluation, "map", make_map(), LABELS, settings, cache=tmp_path)
    index = ["order", "label", "metric", "arm"]
    curves = result.curves.set_index(index)["value"].sort_index(kind="stable")
    for order in ("map", *FAMILIES):
        for label in LABELS:
            erase = curves[order, label, "roc_auc", "erase"].to_numpy()
            restore = curves[order, label, "roc_auc", "restore"].to_numpy()
            assert erase[0] == restore[-1] == result.areas[label]["intact_auc"]
            assert erase[-1] == restore[0] == 0.5


def test_the_reversed_order_mirrors_in_volumes(tmp_path):
    evaluation = make_evaluation(half())
    order = order_by_map(make_map(), evaluation.valid, 0)
    counts = step_counts(len(order), 6)
    along, backward = (evaluation.logits(each, counts) for each in (order, order[::-1]))
    np.testing.assert_allclose(along["restore"], backward["erase"][::-1], atol=1e-6)
    np.testing.assert_allclose(along["erase"], backward["restore"][::-1], atol=1e-6)
    result = run_peppr(evaluation, "map", make_map(), LABELS, SETTINGS, cache=tmp_path)
    curves = result.curves.query("order == 'map' and metric == 'roc_auc'")
    at = result.settings["control_fractions"]
    for label, areas in result.areas.items():
        own = curves[curves["label"] == label].pivot_table("value", "fraction", "arm").loc[at]
        gain = areas["difference_to"]["reversed"]["difference"]
        assert gain == pytest.approx(2 * np.trapezoid(own["restore"] - own["erase"], at))


def test_results_of_volumes_survive_their_files(tmp_path):
    evaluation = make_evaluation(half())
    result = run_peppr(evaluation, "map", make_map(), LABELS, SETTINGS, cache=tmp_path / "c")
    result.save(tmp_path)
    again = PepprResult.load(tmp_path, "map")
    assert again.shape == SHAPE
    volume = evaluation.stack.pixels[3]
    for arm in ("erase", "restore"):
        seen = again.seen(volume, 0.4, arm)
        assert np.array_equal(seen, result.seen(volume, 0.4, arm))
        kept = again.kept(0.4, arm)
        assert np.array_equal(seen[:, kept], volume[:, kept])
        assert np.array_equal(seen[:, ~kept], np.rint(evaluation.fill.image)[:, ~kept])


def test_erasing_a_region_of_volumes():
    evaluation = make_evaluation()
    effects = erase_region(evaluation, np.ones(SHAPE, bool))
    for index, label in enumerate(LABELS):
        logits = evaluation.logits(np.arange(120), np.array([0, 120]))["erase"][:, :, index]
        truth = evaluation.truth[:, index] == 1
        assert effects[label].intact_auc == pytest.approx(roc_auc_score(truth, logits[0]))
        assert effects[label].erased_auc == 0.5
        assert effects[label].logit_change == pytest.approx(
            (logits[1] - logits[0])[truth].mean(), rel=1e-5
        )


def test_a_flat_map_does_not_fit_volumes(tmp_path):
    with pytest.raises(InputError, match="map is 4 × 5 pixels, but the frame is 4 × 5 × 6"):
        run_peppr(make_evaluation(), "map", np.zeros((4, 5)), LABELS, SETTINGS, cache=tmp_path)


# ---------------------------------------------------------------- orders of any shape


@pytest.mark.parametrize("shape", [(7,), SHAPE, (2, 3, 2, 4)])
def test_shifts_are_circular_over_all_axes(shape):
    image = np.random.default_rng(0).random(shape)
    valid = np.ones(shape, bool)
    moved = set()
    for shift in np.ndindex(*shape):
        other = np.empty(shape)
        for place in np.ndindex(*shape):
            target = tuple((p + s) % n for p, s, n in zip(place, shift, shape, strict=True))
            other[target] = image[place]
        moved.add(np.argsort(-other.ravel()).tobytes())
    own = np.argsort(-image.ravel()).tobytes()
    every = tuple(shape)
    found = [order.tobytes() for order in shifted_orders(image, valid, every, 0)]
    assert set(found) == moved - {own}
    assert len(found) == image.size - 1


@pytest.mark.parametrize("shape", [(9,), SHAPE, (2, 3, 2, 4)])
def test_centre_distance_along_any_number_of_axes(shape):
    valid = np.random.default_rng(0).random(shape) < 0.7
    places = np.argwhere(valid)
    centre = places.mean(axis=0)
    order = centre_distance_order(valid, 0)
    distance = [
        sum((at - middle) ** 2 for at, middle in zip(place, centre, strict=True)) ** 0.5
        for place in np.transpose(np.unravel_index(order, shape))
    ]
    assert sorted(order) == list(np.flatnonzero(valid))
    assert (np.diff(distance) >= -1e-9).all()


def test_mean_intensity_and_masks_of_volumes():
    mean = np.random.default_rng(0).random((2, *SHAPE))
    order = mean_intensity_order(mean, half(), 0)
    assert (np.diff(mean.mean(axis=0).ravel()[order]) <= 0).all()
    erased = kept_pixels(order, 10, "erase", SHAPE)
    restored = kept_pixels(order, 10, "restore", SHAPE)
    assert restored.shape == erased.shape == SHAPE
    assert restored.sum() == 10
    assert np.array_equal(erased | restored, half())
    assert not (erased & restored).any()
