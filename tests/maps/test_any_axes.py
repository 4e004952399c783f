"""Cells, pixels, store and moments along any number of axes, against slow loops over indices."""

import itertools

import numpy as np
import pytest
import zarr
from scipy import ndimage
from scipy.interpolate import RegularGridInterpolator

from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.moments import Moments
from napari_globalxai.maps.preparing import is_constant, prepare_maps
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import cells_inside, smooth, upsample
from napari_globalxai.settings.aggregation_settings import AggregationSettings

# Cells and pixels along each axis: all lengths differ, so that no two axes can be exchanged.
CELLS, FRAME = (2, 3, 4, 5), (5, 7, 9, 11)
AXES = [1, 2, 3, 4]


def make_grid(axes):
    """A grid whose cells tile the frame along some axes and do not along others."""
    whole = CellGrid.tiling(CELLS[:axes], FRAME[:axes])
    centres = list(whole.centres)
    centres[0] = np.array([0.0, 3.0])
    return CellGrid(tuple(centres), whole.frame)


def make_maps(axes, count=6, seed=0):
    return np.random.default_rng(seed).normal(0.2, 1, (count, *CELLS[:axes])).astype(np.float32)


@pytest.mark.parametrize("axes", AXES)
def test_upsampling_is_linear_interpolation_between_centres(axes):
    grid, maps = make_grid(axes), make_maps(axes)
    found = upsample(maps, grid)
    assert found.shape == (6, *FRAME[:axes])
    assert found.dtype == np.float32
    for image, values in zip(found, maps.astype(np.float64), strict=True):
        between = RegularGridInterpolator(grid.centres, values)
        for pixel in np.ndindex(*FRAME[:axes]):
            # Beyond the outermost cells the nearest one counts.
            place = [
                np.clip(at, along[0], along[-1])
                for at, along in zip(pixel, grid.centres, strict=True)
            ]
            assert image[pixel] == pytest.approx(between(place)[0], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("axes", AXES)
def test_a_map_of_the_frame_is_left_as_it_is(axes):
    grid = CellGrid.pixels(FRAME[:axes])
    image = np.random.default_rng(0).random(FRAME[:axes], dtype=np.float32)
    assert grid.is_frame
    assert np.array_equal(upsample(image, grid), image)


@pytest.mark.parametrize("axes", AXES)
def test_cells_inside_look_at_the_pixel_of_their_centre(axes):
    grid = make_grid(axes)
    mask = np.random.default_rng(1).random(FRAME[:axes]) < 0.5
    found = cells_inside(mask, grid)
    for cell in np.ndindex(*CELLS[:axes]):
        pixel = tuple(int(np.rint(along[at])) for at, along in zip(cell, grid.centres, strict=True))
        assert found[cell] == mask[pixel]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_smoothing_goes_along_every_axis(axes):
    """A Gaussian is the product of Gaussians along its axes: of an impulse, of each axis' own."""
    image = np.zeros(FRAME[:axes], np.float32)
    middle = tuple(length // 2 for length in image.shape)
    image[middle] = 1
    expected = np.ones(())
    for length, at in zip(image.shape, middle, strict=True):
        line = np.zeros(length)
        line[at] = 1
        line = ndimage.gaussian_filter1d(line, 1.2, mode="nearest")
        expected = np.multiply.outer(expected, line)
    np.testing.assert_allclose(smooth(image, 1.2), expected, atol=1e-7)
    assert np.array_equal(smooth(image, 0), image)


@pytest.mark.parametrize("axes", AXES)
def test_the_store_gives_back_what_was_written(axes, tmp_path):
    grid = make_grid(axes)
    maps = np.stack([make_maps(axes, 40, seed) for seed in (0, 1)], axis=1)
    store = AttributionStore.create(tmp_path / "store.zarr", 40, ("a", "b"), grid, "print")
    for start in range(0, 40, store.images_per_chunk):
        store.write(start, maps[start : start + store.images_per_chunk])
    again = AttributionStore(store.path)
    assert again.grid.to_dict() == grid.to_dict()
    assert np.array_equal(again.read(35, 1), maps[35, 1])
    rows = np.array([2, 31, 33])
    read = [values for _, values in again.chunks(rows, 0)]
    assert np.array_equal(np.concatenate(read), maps[rows, 0])
    # Past the package: image, label and as many axes as there are, each with a name of its own.
    array = zarr.open_array(store.path, mode="r")
    assert array.shape == (40, 2, *CELLS[:axes])
    names = array.metadata.dimension_names
    assert names[:2] == ("image", "label")
    assert len(set(names)) == axes + 2
    if axes == 3:
        assert names[2:] == ("z", "y", "x")


def slow_prepare(image, part, scale):
    """Part and scale of one map, one cell after the other."""
    result = np.zeros(image.shape)
    for cell in np.ndindex(*image.shape):
        value = float(image[cell])
        if part == "positive":
            value = max(value, 0.0)
        elif part == "absolute":
            value = abs(value)
        result[cell] = value
    sizes = [abs(value) for value in result.ravel()]
    norm = {"none": 1.0, "max": max(sizes), "mass": sum(sizes)}[scale]
    return result / norm if norm else result


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize(
    ("part", "scale"),
    list(itertools.product(["positive", "absolute", "signed"], ["none", "max", "mass"])),
)
def test_preparing(axes, part, scale):
    maps = make_maps(axes)
    maps[2] = 0
    found = prepare_maps(maps, AggregationSettings(part=part, scale=scale))
    expected = np.stack([slow_prepare(image, part, scale) for image in maps])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("axes", AXES)
def test_constant_maps(axes):
    maps = make_maps(axes)
    maps[1], maps[4] = 0, -3.5
    assert is_constant(maps).tolist() == [False, True, False, False, True, False]
    maps[(4, *(0,) * axes)] += 1
    assert is_constant(maps).tolist() == [False, True, False, False, False, False]


@pytest.mark.parametrize("axes", AXES)
def test_moments_in_groups_equal_those_of_all(axes):
    maps = make_maps(axes, 11).astype(np.float64)
    moments = Moments(maps.shape[1:])
    for group in (maps[:1], maps[1:1], maps[1:7], maps[7:]):
        moments.add(group)
    assert moments.n == 11
    np.testing.assert_allclose(moments.mean, maps.mean(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(moments.sd(), maps.std(axis=0, ddof=1), rtol=1e-12)


@pytest.mark.parametrize("axes", AXES)
def test_a_pooled_grid_has_the_centres_of_its_blocks(axes):
    grid = CellGrid.pixels(FRAME[:axes]).pooled(3)
    for along, length in zip(grid.centres, grid.frame, strict=True):
        blocks = [list(range(start, min(start + 3, length))) for start in range(0, length, 3)]
        assert along.tolist() == [sum(block) / len(block) for block in blocks]
    assert CellGrid.from_dict(grid.to_dict()).to_dict() == grid.to_dict()
