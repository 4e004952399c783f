"""Exactly K pixels, ties at random, controls that are what they are called."""

import numpy as np
import pytest

from napari_globalxai.faithfulness.orders import (
    centre_distance_order,
    kept_pixels,
    mask_of_first,
    mean_intensity_order,
    order_by_map,
    random_orders,
    shifted_orders,
    step_counts,
)

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


def test_shifted_orders_are_of_the_map_moved_elsewhere():
    image = noise()
    orders = list(shifted_orders(image, VALID, 30, seed=0))
    assert len({order.tobytes() for order in orders}) > 25  # out of 599, drawn with replacement
    own = order_by_map(image, VALID, 0)
    moved = {
        order_by_map(np.roll(image, (down, across), (0, 1)), VALID, 0).tobytes()
        for down in range(SHAPE[0])
        for across in range(SHAPE[1])
    }
    for order in orders:
        assert order.tobytes() in moved
        assert not np.array_equal(order, own)


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
