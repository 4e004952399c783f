"""Exactly K pixels, ties at random, controls that are what they are called."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_globalxai.faithfulness.orders.control_steps import control_steps
from napari_globalxai.faithfulness.orders.lattice import (
    choose_lattice,
    correlation_length,
    lattice_offsets,
    shifted_orders,
)
from napari_globalxai.faithfulness.orders.map_orders import (
    centre_distance_order,
    kept_pixels,
    mask_of_first,
    mean_intensity_order,
    order_by_map,
    random_orders,
    step_counts,
)
from napari_globalxai.faithfulness.orders.surrogates import ValidArea

SHAPE = (20, 30)
EVERYWHERE = np.ones(SHAPE, bool)
VALID = np.hypot(*(np.indices(SHAPE) - np.array([[[10]], [[15]]]))) < 9


def noise(seed=0):
    return np.random.default_rng(seed).random(SHAPE)


def is_permutation(order, valid):
    return sorted(order.tolist()) == np.flatnonzero(valid).tolist()


@pytest.mark.parametrize("valid", [EVERYWHERE, VALID])
def test_highest_first(valid):
    image = noise()
    order = order_by_map(image, valid, 0)
    assert is_permutation(order, valid)
    assert (np.diff(image.ravel()[order]) <= 0).all()


def test_a_plateau_does_not_fall_row_by_row():
    """Nearest upsampling leaves plateaus; a stable sort would erase each from its top row."""
    plateaus = np.kron([[3.0, 1.0], [2.0, 0.0]], np.ones((10, 15)))
    order = order_by_map(plateaus, EVERYWHERE, 0)
    values = plateaus.ravel()[order]
    assert (np.diff(values) <= 0).all()
    first = np.divmod(order[:75], 30)[0]  # half of the highest plateau
    counts = np.bincount(first, minlength=10)[:10]
    assert counts.min() >= 2  # of 15 in a row
    assert abs(first.mean() - 4.5) < 1


def test_orders_are_those_of_a_slow_sort():
    rng = np.random.default_rng(4)
    for seed in range(40):
        shape = (20, int(rng.integers(3, 40)))
        valid, image = rng.random(shape) < 0.7, rng.standard_normal(shape)
        if seed % 3 == 0:
            image = np.maximum(image, 0)
        if seed % 5 == 0:
            image = image.round(1).astype(np.float32)
        if seed % 7 == 0:
            image[rng.random(shape) < 0.2] = rng.choice([np.nan, -np.inf])
        pixels = np.flatnonzero(valid)
        by_chance = np.random.default_rng(seed).random(valid.size)[pixels]
        slow = pixels[np.lexsort((by_chance, -image.ravel()[pixels]))]
        np.testing.assert_array_equal(order_by_map(image, valid, seed), slow)


def test_ties_are_seeded():
    zeros = np.zeros(SHAPE)
    order = order_by_map(zeros, VALID, 5)
    assert np.array_equal(order, order_by_map(zeros, VALID, 5))
    assert not np.array_equal(order, order_by_map(zeros, VALID, 6))
    assert not np.array_equal(order, np.sort(order))
    # One random field for the frame: what is valid does not change who of two comes first.
    whole = order_by_map(zeros, EVERYWHERE, 5)
    assert np.array_equal(order, whole[np.isin(whole, order)])


@pytest.mark.parametrize("count", [0, 1, 77, 200])
def test_exactly_k_pixels_even_where_most_values_are_equal(count):
    sparse = np.where(noise() > 0.9, noise(1), 0)  # 90 % zeros
    order = order_by_map(sparse, VALID, 0)
    assert mask_of_first(order, count, SHAPE).sum() == count
    erased = kept_pixels(order, count, "erase", SHAPE)
    restored = kept_pixels(order, count, "restore", SHAPE)
    assert restored.sum() == count
    assert erased.sum() == VALID.sum() - count
    assert np.array_equal(erased | restored, VALID)
    assert not (erased & restored).any()


@pytest.mark.parametrize("pixels", [1, 2, 5, 7, 100, 1000, 1001, 20480])
@pytest.mark.parametrize("steps", [4, 7, 20, 30])
def test_step_counts(pixels, steps):
    counts = step_counts(pixels, steps)
    assert (counts[0], counts[-1]) == (0, pixels)
    assert (np.diff(counts) > 0).all()
    assert np.array_equal(counts, pixels - counts[::-1])
    if pixels >= 1000:
        even = steps + steps % 2
        assert len(counts) == even + 1 + pixels % 2
        # Curves bend early: two fifths of the steps lie below a fifth of the pixels.
        assert np.sum(counts < 0.2 * pixels) >= 0.4 * even - 1


def test_random_orders():
    orders = list(random_orders(VALID, 5, seed=3))
    assert len(orders) == 5
    assert all(is_permutation(order, VALID) for order in orders)
    assert len({order.tobytes() for order in orders}) == 5
    again = list(random_orders(VALID, 7, seed=3))
    assert all(np.array_equal(a, b) for a, b in zip(orders, again, strict=False))
    assert not np.array_equal(orders[0], next(random_orders(VALID, 1, seed=4)))


def test_offsets_form_a_subgroup_of_the_padded_frame():
    """Then the map and its shifts are exchangeable, whichever of them is the map."""
    counts = (3, 4)
    offsets = {(0, 0), *lattice_offsets(SHAPE, counts)}
    size = (21, 32)  # 20 × 30, padded to multiples of 3 and 4
    assert len(offsets) == 12
    for one in offsets:
        for other in offsets:
            assert tuple((a + b) % n for a, b, n in zip(one, other, size, strict=True)) in offsets


def test_shifted_orders_are_of_the_map_moved_to_every_other_place():
    image = noise()
    found = list(shifted_orders(image, VALID, (3, 4), seed=0))
    assert len(found) == 11
    padded = np.pad(image, ((0, 1), (0, 2)), mode="edge")
    for down, across in lattice_offsets(SHAPE, (3, 4)):
        moved = np.empty(SHAPE)
        for row in range(20):
            for column in range(30):
                moved[row, column] = padded[(row - down) % 21, (column - across) % 32]
        wanted = order_by_map(moved, VALID, 0)
        assert any(np.array_equal(wanted, order) for order in found)
    # No seed but that of ties, of which there are none where nothing is padded.
    once, again = (shifted_orders(image, VALID, (4, 5), seed) for seed in (0, 9))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_the_lattice_is_as_wide_as_p_allows_and_as_the_map_asks():
    shape = (120, 160)
    valid = np.ones(shape, bool)
    rng = np.random.default_rng(0)
    fine, coarse = (gaussian_filter(rng.normal(size=shape), sigma) for sigma in (3, 25))
    fine_length, coarse_length = (correlation_length(each, valid) for each in (fine, coarse))
    # A Gaussian field's correlation falls to 0.3 at 2 · sigma · sqrt(ln(1 / 0.3)).
    assert all(abs(lag - 6.6) < 2 for lag in fine_length)
    assert min(coarse_length) > 18
    for image in (fine, coarse):
        counts = choose_lattice(image, valid)
        assert 20 <= np.prod(counts) <= 40
    assert np.prod(choose_lattice(fine, valid)) > np.prod(choose_lattice(coarse, valid))
    # A frame of few pixels has no more places than pixels.
    assert np.prod(choose_lattice(noise()[:2, :3], EVERYWHERE[:2, :3])) == 6


@pytest.mark.parametrize("valid", [EVERYWHERE, VALID])
def test_surrogates_keep_power_rim_and_pixels(valid):
    area = ValidArea.of(valid)
    image = gaussian_filter(noise(3), 2)
    drawn = [area.surrogate(image, np.random.default_rng(seed)) for seed in range(60)]
    assert all(np.isfinite(each).all() and (each[~valid] == 0).all() for each in drawn)
    own = image[valid]
    values = np.array([each[valid] for each in drawn])
    # Their mean is the trend alone, their spread about it that of the map.
    trend, _ = area._trend(own)
    spread = (own - trend).std()
    assert abs((values - trend).std() / spread - 1) < 0.15
    off = values.mean(axis=0) - trend
    assert np.sqrt(np.mean(off**2)) < 1.5 * spread / np.sqrt(60)

    # Neighbours are as alike as in the map.
    def alike(each):
        both = valid[:, :-1] & valid[:, 1:]
        return np.corrcoef(each[:, :-1][both], each[:, 1:][both])[0, 1]

    assert abs(np.mean([alike(each) for each in drawn]) - alike(image)) < 0.1
    same = area.surrogate(image, np.random.default_rng(5))
    assert np.array_equal(same, drawn[5])


def test_surrogates_of_a_map_that_fades_fade_as_well():
    rows, columns = np.indices(SHAPE)
    depth = 9 - np.hypot(rows - 10, columns - 15)
    fading = (gaussian_filter(noise(4), 2) + 0.5) * np.clip(depth / 4, 0, 1)
    area = ValidArea.of(VALID)
    rim, middle = VALID & (depth < 2), VALID & (depth > 5)
    for seed in range(10):
        drawn = area.surrogate(fading, np.random.default_rng(seed))
        gap = fading[middle].mean() - fading[rim].mean()
        assert abs((drawn[middle].mean() - drawn[rim].mean()) / gap - 1) < 0.35


def test_a_constant_map_has_surrogates_too():
    drawn = ValidArea.of(VALID).surrogate(np.full(SHAPE, 2.0), np.random.default_rng(0))
    np.testing.assert_allclose(drawn[VALID], 2.0, atol=1e-6)


@pytest.mark.parametrize("steps", [3, 4, 6, 12, 40])
@pytest.mark.parametrize("pixels", [7, 120, 15721])
def test_control_steps_are_early_and_symmetric(steps, pixels):
    counts = step_counts(pixels, 30)
    chosen = counts[control_steps(counts, steps)]
    assert (chosen[0], chosen[-1]) == (0, pixels)
    assert np.array_equal(chosen, pixels - chosen[::-1])
    if pixels > 1000:
        assert chosen[1] <= 0.08 * pixels
        assert np.abs(chosen / pixels - 0.2).min() < 0.01


def test_centre_distance_order():
    order = centre_distance_order(VALID, 0)
    rows, columns = np.divmod(order, SHAPE[1])
    distance = np.hypot(rows - 10, columns - 15)
    assert is_permutation(order, VALID)
    assert (np.diff(distance) >= -1e-9).all()


def test_mean_intensity_order():
    channels = np.stack([noise(0), noise(1)])
    order = mean_intensity_order(channels, VALID, 0)
    assert is_permutation(order, VALID)
    assert (np.diff(channels.mean(axis=0).ravel()[order]) <= 0).all()
