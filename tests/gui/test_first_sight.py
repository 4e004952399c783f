"""What stands out in a run's maps before an audit, and findings drawn as layers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels, Shapes

from napari_globalxai.widgets.layers.region_drawing import draw_region, rectangles
from napari_globalxai.widgets.layers.region_mask import region_mask
from napari_globalxai.widgets.panels.regions.first_sight import first_sight

pytestmark = pytest.mark.gui

FRAME = (60, 120)


def made_run(**maps: Any) -> Any:
    """A run with these maps, a field of view of the middle two thirds, and four images."""
    valid = np.zeros(FRAME, bool)
    valid[10:50, 20:100] = True
    similar = {f"similarity_{label}": [0.1, np.nan, 0.7, 0.9] for label in maps}
    return SimpleNamespace(
        labels=tuple(maps), maps=maps, valid=valid, images=pd.DataFrame(similar),
        members=lambda label: np.array([0, 1, 2]),
    )  # fmt: skip


def test_a_corner_that_holds_much_stands_out() -> None:
    even, marked = np.ones(FRAME), np.ones(FRAME)
    # A sixth of height and width, as in the audit.
    corner = np.zeros(FRAME, bool)
    corner[50:, 100:] = True
    marked[corner] = 8
    (found,) = first_sight(made_run(even=even, marked=marked))
    share = 8 * corner.sum() / (8 * corner.sum() + (~corner).sum())
    assert found.facts["label"] == "marked"
    assert found.facts["where"] == "corner-bottom-right"
    assert found.facts["effect"] == pytest.approx(share / corner.mean())
    assert found.rows == [2]
    np.testing.assert_array_equal(found.region, corner)
    assert found.facts["sentence"].startswith(
        f"marked: the bottom right corner of the frame holds {100 * share:.0f} % of the map on "
        "2.8 % of the area"
    )


def test_a_table_without_similarities_has_findings_without_an_image() -> None:
    """Somebody has opened images.csv and taken columns away: what is left still counts."""
    marked = np.ones(FRAME)
    marked[50:, 100:] = 8
    run = made_run(marked=marked)
    run.images = run.images.drop(columns="similarity_marked")
    (found,) = first_sight(run)
    assert found.facts["where"] == "corner-bottom-right"
    assert found.rows == []


@pytest.mark.parametrize("times", [1.5, 2.5])
def test_what_lies_outside_of_the_field_stands_out_where_no_corner_does(times: float) -> None:
    run = made_run(a=np.zeros(FRAME))
    run.valid[4:56, 8:112] = True
    # Beyond the picture, but in no corner.
    side = np.zeros(FRAME, bool)
    side[10:50, :8] = True
    share = times * (~run.valid).mean()
    run.maps["a"][run.valid] = 1
    run.maps["a"][side] = share / (1 - share) * run.valid.sum() / side.sum()
    found = first_sight(run)
    assert [each.facts["where"] for each in found] == (["outside-field"] if times > 2 else [])


def test_maps_without_any_mass_and_signed_ones() -> None:
    signed = np.ones(FRAME)
    signed[:10, :20] = -8
    found = first_sight(made_run(nothing=np.zeros(FRAME), signed=signed))
    assert [each.facts["where"] for each in found] == ["corner-top-left"]


def some_region(kind: str) -> Any:
    mask = np.zeros(FRAME, bool)
    mask[50:, :20] = True
    if kind == "two":
        mask[50:, 100:] = True
    elif kind == "bent":
        mask[40:50, :5] = True
    elif kind == "hollow":
        mask[53:56, 5:9] = False
    return mask


@pytest.mark.parametrize(("kind", "count"), [("one", 1), ("two", 2), ("bent", None)])
def test_regions_of_rectangles_are_drawn_as_such(
    kind: str, count: int | None, make_napari_viewer: Any
) -> None:
    viewer, mask = make_napari_viewer(), some_region(kind)
    images = viewer.add_image(np.zeros((2, *FRAME, 3), np.uint8), rgb=True)
    found = rectangles(mask)
    assert (None if found is None else len(found)) == count
    for _ in range(2):
        layer = draw_region(viewer, mask, "Found", images)
        assert isinstance(layer, Labels if count is None else Shapes)
        # One layer a name, with the same pixels of the frame.
        assert len(viewer.layers) == 2
        np.testing.assert_array_equal(region_mask(layer, images, FRAME), mask)


def test_a_hollow_region_is_no_rectangle() -> None:
    assert rectangles(some_region("hollow")) is None
    assert rectangles(np.zeros(FRAME, bool)) is None
