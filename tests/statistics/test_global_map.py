"""Global maps against slow NumPy over the whole array."""

import numpy as np
import pytest
import tiny
import torch
from scipy.stats import spearmanr

from napari_globalxai.attribution.method import make_method
from napari_globalxai.maps.preparing import is_constant, prepare_maps
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import smooth, upsample
from napari_globalxai.models.split.cell_centres import CellGrid
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import Averaging, overall_map
from napari_globalxai.statistics.regions import agreement_with_truth, share_against_area
from napari_globalxai.statistics.selection import select_rows
from napari_globalxai.statistics.similarity import spearman_to_global

GRID = CellGrid((16.0 * np.arange(4), 16.0 * np.arange(6)), (60, 90))
SIZE = 75  # three chunks of the store, the last one short


@pytest.fixture
def maps():
    values = np.random.default_rng(0).normal(0.3, 1, (SIZE, 2, *GRID.shape)).astype(np.float32)
    # Unequal sizes, so that scaling matters.
    return values * np.geomspace(0.1, 10, SIZE, dtype=np.float32)[:, None, None, None]


def write_store(folder, maps, grid=GRID):
    store = AttributionStore.create(folder / "store.zarr", len(maps), ("a", "b"), grid, "print")
    size = store.images_per_chunk
    for start in range(0, len(maps), size):
        store.write(start, maps[start : start + size])
    return store


def settings(**changes):
    return AggregationSettings(**{"part": "signed", **changes})


def label_map(store, label, rows, patients, settings, seed=0):
    return Averaging(store, patients, settings, seed).label_map(label, rows)


def patients(count):
    return [f"P{row // 2}" for row in range(count)]


def test_the_store_gives_back_what_was_written(maps, tmp_path):
    store = AttributionStore(write_store(tmp_path, maps).path)
    assert len(store) == SIZE
    assert store.images_per_chunk == 32
    assert (store.labels, store.fingerprint) == (("a", "b"), "print")
    assert store.grid.to_dict() == GRID.to_dict()
    assert np.array_equal(store.read(74, 1), maps[74, 1])
    rows = np.array([3, 31, 32, 70])
    parts = list(store.chunks(rows, 1))
    assert [part.tolist() for part, _ in parts] == [[3, 31], [32], [70]]
    assert np.array_equal(np.concatenate([values for _, values in parts]), maps[rows, 1])


# ---------------------------------------------------------------- mean and SD


def slow_prepare(image, part, scale):
    image = image.astype(np.float64)
    if part == "positive":
        image = np.where(image > 0, image, 0)
    elif part == "absolute":
        image = np.where(image > 0, image, -image)
    if scale == "none" or not image.any():
        return image
    norms = {"max": np.abs(image).max(), "mass": np.abs(image).sum()}
    return image / norms[scale]


@pytest.mark.parametrize("part", ["positive", "absolute", "signed"])
@pytest.mark.parametrize("scale", ["none", "max", "mass"])
def test_mean_and_sd_equal_numpy_on_the_whole_array(part, scale, maps, tmp_path):
    rows = np.flatnonzero(np.arange(SIZE) % 3 != 1)
    chosen = settings(part=part, scale=scale, smoothing=1.3)
    result = label_map(write_store(tmp_path, maps), "b", rows, patients(SIZE), chosen)
    prepared = np.stack([slow_prepare(maps[row, 1], part, scale) for row in rows])
    expected = smooth(upsample(prepared.mean(axis=0), GRID), 1.3)
    size = np.abs(expected).max()
    np.testing.assert_allclose(result.mean, expected, atol=1e-6 * size, rtol=1e-5)
    expected = smooth(upsample(prepared.std(axis=0, ddof=1), GRID), 1.3)
    np.testing.assert_allclose(result.sd, expected, rtol=1e-5)
    assert result.mean.dtype == result.sd.dtype == np.float32
    assert (result.n, result.n_constant) == (50, 0)
    assert result.n_patients == len({patients(SIZE)[row] for row in rows})


def test_streaming_is_exact_where_sums_of_squares_are_not(tmp_path):
    """A large offset cancels catastrophically in E[x²] − E[x]²."""
    values = np.random.default_rng(0).normal(0, 1, (70, 2, *GRID.shape)) + 1e4
    values = values.astype(np.float32)
    result = label_map(write_store(tmp_path, values), "a", np.arange(70), patients(70), settings())
    expected = upsample(values[:, 0].astype(np.float64).std(axis=0, ddof=1), GRID)
    np.testing.assert_allclose(result.sd, expected, rtol=1e-5)


def test_the_map_over_one_image_is_that_images_map(maps, tmp_path):
    chosen = settings(part="positive", scale="mass")
    result = label_map(write_store(tmp_path, maps), "a", np.array([40]), patients(SIZE), chosen)
    expected = upsample(slow_prepare(maps[40, 0], "positive", "mass"), GRID)
    np.testing.assert_allclose(result.mean, expected, rtol=1e-6)
    assert np.isnan(result.sd).all()
    assert (result.n, result.n_patients) == (1, 1)
    assert np.isnan(result.reliability)
    assert result.warning(fewest=20) == "only 1 image: this is its map, and no global one"


def test_a_map_over_no_image_is_empty_and_says_so(maps, tmp_path):
    rows = np.array([], dtype=np.int64)
    result = label_map(write_store(tmp_path, maps), "a", rows, patients(SIZE), settings())
    assert not result.mean.any()
    assert (result.n, result.n_patients, result.n_constant) == (0, 0, 0)
    assert result.warning(fewest=1)


@pytest.mark.parametrize(("choice", "n"), [("counted", SIZE), ("left-out", SIZE - 30)])
def test_constant_maps_are_counted_or_left_out(choice, n, maps, tmp_path):
    maps[:30, 0] = -2.0  # all-zero once the positive part is taken
    store = write_store(tmp_path, maps)
    chosen = settings(part="positive", constant_maps=choice)
    result = label_map(store, "a", np.arange(SIZE), patients(SIZE), chosen)
    entered = np.maximum(maps[SIZE - n :, 0], 0).astype(np.float64)
    np.testing.assert_allclose(result.mean, upsample(entered.mean(axis=0), GRID), rtol=1e-5)
    np.testing.assert_allclose(
        result.sd, upsample(entered.std(axis=0, ddof=1), GRID), rtol=1e-5, atol=1e-6
    )
    assert (result.n, result.n_constant) == (n, 30)
    assert result.n_patients == (38 if choice == "counted" else 23)


def test_mostly_constant_maps_are_warned_of(maps, tmp_path):
    maps[:40, 0] = 0
    result = label_map(
        write_store(tmp_path, maps), "a", np.arange(SIZE), patients(SIZE), settings()
    )
    assert result.warning(fewest=10) == "40 image-wise maps are constant"


def test_is_constant():
    assert is_constant(np.array([[[0, 0]], [[3, 3]], [[0, 1e-9]]])).tolist() == [True, True, False]


def test_an_all_zero_map_has_no_scale(maps):
    zero = np.zeros((1, *GRID.shape), np.float32)
    for scale in ("max", "mass"):
        assert not prepare_maps(zero, settings(scale=scale)).any()


# ---------------------------------------------------------------- reliability


def test_reliability_is_high_for_a_shared_pattern_and_low_for_noise(tmp_path):
    rng = np.random.default_rng(0)
    pattern = rng.normal(0, 1, GRID.shape)
    noise = rng.normal(0, 1, (60, 2, *GRID.shape))
    noise[:, 0] = 0.1 * noise[:, 0] + pattern
    store = write_store(tmp_path, noise.astype(np.float32))
    found = [
        label_map(store, label, np.arange(60), patients(60), settings()).reliability
        for label in ("a", "b")
    ]
    assert found[0] > 0.95
    assert abs(found[1]) < 0.6


def test_the_halves_part_patients_not_images(tmp_path):
    """Ten images each of two patients: the halves are the patients, whatever the seed."""
    rng = np.random.default_rng(0)
    by_patient = rng.normal(0, 1, (2, *GRID.shape)) + rng.normal(0, 1, GRID.shape)
    owner = np.repeat([0, 1], 10)
    values = by_patient[owner] + rng.normal(0, 1, (20, *GRID.shape))
    store = write_store(tmp_path, np.stack([values, values], axis=1).astype(np.float32))
    means = [store_values.mean(axis=0) for store_values in (values[:10], values[10:])]
    expected = spearmanr(means[0].ravel(), means[1].ravel()).statistic
    for seed in range(5):
        result = label_map(
            store, "a", np.arange(20), [f"P{who}" for who in owner], settings(), seed
        )
        # Brought to both patients by Spearman and Brown.
        assert expected > 0
        assert result.reliability == pytest.approx(2 * expected / (1 + expected), abs=1e-6)


# ---------------------------------------------------------------- overall map


def test_overall_map_is_the_mean_of_maps_of_mass_one():
    rng = np.random.default_rng(0)
    quiet, loud, signed = rng.random((5, 7)), 1000 * rng.random((5, 7)), rng.normal(0, 1, (5, 7))
    given = {"q": quiet, "l": loud, "s": signed, "none": np.zeros((5, 7))}
    given = {name: image.astype(np.float32) for name, image in given.items()}
    slow = np.zeros((5, 7))
    for image in (quiet, loud, signed):
        mass = 0.0
        for value in image.ravel():
            mass += abs(value)
        slow += image / mass / 3
    result = overall_map(given)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, slow, rtol=1e-4, atol=1e-7)


def test_overall_map_of_maps_without_mass():
    assert not overall_map({"a": np.zeros((3, 4), np.float32)}).any()


# ---------------------------------------------------------------- which images

TRUTH = [1, 1, 0, 0, np.nan, np.nan, 1, 0]
PROBABILITY = [0.9, 0.2, 0.6, 0.1, 0.7, 0.1, np.nan, np.nan]


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        ("positives", [0, 1]),
        ("predicted-positives", [0, 2, 4]),
        ("true-positives", [0]),
        ("false-positives", [2]),
        ("false-negatives", [1]),
        ("all", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_selection(selection, rows):
    """A missing label is neither true nor false; rows 6 and 7 were not predicted."""
    chosen = select_rows(np.array(TRUTH), np.array(PROBABILITY), settings(selection=selection))
    assert chosen.tolist() == rows


@pytest.mark.parametrize(("threshold", "rows"), [(0.2, [0, 1]), (0.21, [0]), (0.9, [0])])
def test_threshold_is_reached_not_passed(threshold, rows):
    chosen = settings(selection="true-positives", threshold=threshold)
    assert select_rows(np.array(TRUTH), np.array(PROBABILITY), chosen).tolist() == rows


# ---------------------------------------------------------------- one image against the map


def slow_similarity(maps, rows, members, inside, part):
    result = []
    for row in rows:
        others = [other for other in members if other != row]
        own = slow_prepare(maps[row], part, "none")[inside]
        if not others or np.ptp(own) == 0:
            result.append(np.nan)
            continue
        mean = np.mean([slow_prepare(maps[other], part, "none") for other in others], axis=0)
        result.append(spearmanr(own, mean[inside]).statistic)
    return np.array(result)


@pytest.mark.parametrize("part", ["signed", "positive"])
def test_similarity_leaves_the_image_out_of_its_own_mean(part, maps, tmp_path):
    maps[5, 0] = -1.0
    members = np.array([1, 5, 30, 33, 50, 70])
    rows = np.arange(SIZE)
    inside = np.random.default_rng(1).random(GRID.shape) < 0.7
    found = spearman_to_global(
        write_store(tmp_path, maps), "a", rows, members, inside, settings(part=part)
    )
    expected = slow_similarity(maps[:, 0], rows, members, inside, part)
    assert np.isnan(expected[5])
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_leaving_out_matters(tmp_path):
    """Two members that have nothing in common: with themselves inside they would look alike."""
    noise = np.random.default_rng(0).normal(0, 1, (2, 2, *GRID.shape)).astype(np.float32)
    store = write_store(tmp_path, noise)
    both, inside = np.arange(2), np.ones(GRID.shape, bool)
    honest = spearman_to_global(store, "a", both, both, inside, settings())
    assert honest[0] == pytest.approx(honest[1])
    assert honest[0] == pytest.approx(spearmanr(noise[0, 0].ravel(), noise[1, 0].ravel()).statistic)
    alone = spearman_to_global(store, "a", both, both[:1], inside, settings())
    assert np.isnan(alone[0])  # no other member is left
    assert alone[1] == pytest.approx(honest[1])


def test_similarity_where_no_cell_is_valid(maps, tmp_path):
    nowhere = np.zeros(GRID.shape, bool)
    found = spearman_to_global(
        write_store(tmp_path, maps), "a", np.arange(3), np.arange(9), nowhere, settings()
    )
    assert np.isnan(found).all()


# ---------------------------------------------------------------- regions


def test_share_against_area():
    image = np.ones((10, 10))
    corner = np.zeros((10, 10), bool)
    corner[:2, :5] = True
    assert share_against_area(image, corner) == pytest.approx(1)
    image[~corner] = 0
    assert share_against_area(image, corner) == pytest.approx(10)
    image[corner] = -1
    assert share_against_area(image, corner) == pytest.approx(10)
    assert np.isnan(share_against_area(np.zeros((10, 10)), corner))


def test_agreement_with_truth_by_pairs():
    rng = np.random.default_rng(0)
    density = rng.random((5, 6))
    image = np.round(rng.random((5, 6)) + 0.4 * density, 1)
    inside, outside = image[density > density.max() / 2], image[density <= density.max() / 2]
    wins = [(first > second) + (first == second) / 2 for first in inside for second in outside]
    assert agreement_with_truth(image, density) == pytest.approx(np.mean(wins))


# ---------------------------------------------------------------- from model to map


def test_linear_model_gives_its_weights_as_global_map(tmp_path):
    """Saliency of a linear model is the same for every image: |w| summed over channels."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 2, tiny.HEIGHT, tiny.WIDTH, generator=generator)
    classifier = tiny.linear_classifier(weight.clone())
    images, _ = tiny.sign_images(40)
    method = make_method("saliency")
    result = method.attribute(classifier, classifier.to_input(images), [0, 1])
    store = write_store(tmp_path, result.maps.numpy(), method.grid(classifier))
    chosen = settings(part=method.default_part)
    for index, label in enumerate(("a", "b")):
        found = label_map(store, label, np.arange(40), patients(40), chosen)
        np.testing.assert_allclose(found.mean, weight[index].abs().sum(dim=0), rtol=1e-5)
        np.testing.assert_allclose(found.sd, 0, atol=1e-6)
        assert found.reliability == pytest.approx(1)
