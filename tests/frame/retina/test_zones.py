"""Zones of the retina: where they lie, and that a run finds disc and macula for them."""

import numpy as np

from napari_globalxai.frame.modality import NEUTRAL, modality_of
from napari_globalxai.frame.registrar import KnowsZones, registrar_for
from napari_globalxai.frame.retina.zones import zones_of_the_eye

DISC, MACULA = np.array([60.0, 50.0]), np.array([100.0, 54.0])
FIELD = np.zeros((120, 160), bool)
FIELD[10:110, 5:155] = True
UNIT = np.hypot(40, 4)


def test_circles_have_the_areas_of_circles():
    zones = zones_of_the_eye(DISC, MACULA, 1.0, FIELD)
    for name, share in (("disc", 0.3), ("macula", 0.6)):
        expected = np.pi * (share * UNIT) ** 2
        assert abs(zones[name].sum() / expected - 1) < 0.05
    assert zones["disc"][50, 60]
    assert zones["macula"][54, 100]
    assert not (zones["disc"] & zones["macula"]).any()


def test_pixels_that_are_not_square_make_ellipses():
    zones = zones_of_the_eye(DISC, np.array([100.0, 50.0]), 2.0, FIELD)
    rows, columns = np.nonzero(zones["macula"])
    assert np.ptp(columns) / np.ptp(rows) == 2


def test_zones_part_the_field():
    zones = zones_of_the_eye(DISC, MACULA, 1.0, FIELD)
    quadrants = [zones[name] for name in zones if "superior" in name or "inferior" in name]
    for parts in (quadrants, [zones["posterior-pole"], zones["periphery"]]):
        assert np.array_equal(np.sum(parts, axis=0), FIELD.astype(int))
    # Of a left eye the macula lies to the right of the disc, on the temporal side.
    assert zones["superior-temporal"][20, 140]
    assert zones["inferior-nasal"][100, 10]
    assert zones["upper-lid"].sum() == zones["lower-lid"].sum() == 10 * 150


def test_only_modalities_that_know_zones_are_asked():
    assert NEUTRAL.zones == modality_of("chest X-ray").zones == ""
    assert modality_of("retina").zones == "landmarks"
    atlas_class = type(registrar_for("none")).load.__annotations__["return"]
    assert atlas_class == "RetinaAtlas"
    from napari_globalxai.frame.retina.retina_registrar import RetinaAtlas

    assert issubclass(RetinaAtlas, KnowsZones)
