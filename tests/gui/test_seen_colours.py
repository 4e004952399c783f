"""Colours are seen: text at 4.5 to 1, lines and marks at 3 to 1, in every theme, by everybody."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from napari.layers.labels._labels_utils import get_contours
from napari.utils.theme import available_themes, get_theme
from scipy.ndimage import binary_erosion
from skimage.color import rgb2lab

from napari_globalxai.faithfulness.orders.order_families import family_look
from napari_globalxai.report import style
from napari_globalxai.widgets.layers.outlines import (
    CASING,
    INSIDE,
    RIM,
    ZONE_COLOURS,
    outline,
    rimmed,
    rimmed_zones,
)
from napari_globalxai.widgets.words.colours import (
    ARM_COLOURS,
    ARM_DASHES,
    OTHER_COLOURS,
    REGION,
    VERDICT_COLOURS,
    WARNING,
    map_colormap,
)
from napari_globalxai.widgets.words.seen_colours import LINES, TEXT, contrast, seen_on

pytestmark = pytest.mark.gui

# Machado, Oliveira and Fernandes 2009, severity 1: of linear RGB.
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]  # fmt: skip
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]  # fmt: skip
# What is seen as another colour at a glance, in CIE Lab.
APART = 20


@pytest.mark.parametrize(
    ("one", "other", "is_"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#fff", "#ffffff", 1.0),
        # As WebAIM's checker has them.
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#0000ff", 2.15),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, is_: float) -> None:
    assert contrast(one, other) == pytest.approx(is_, abs=0.01)
    assert contrast(other, one) == contrast(one, other)


def test_a_colour_that_is_seen_stays_and_another_keeps_its_hue() -> None:
    assert seen_on("#0072b2", "#ffffff") == "#0072b2"
    for ground in ("#000000", "#262930", "#7f7f7f", "#ebe7e6", "#ffffff"):
        for colour in ("#56b4e9", "#e69f00", "#111111", "#eeeeee"):
            assert contrast(seen_on(colour, ground), ground) >= LINES
    red, green, blue = to_rgb(seen_on("#56b4e9", "#ffffff"))
    assert red < green < blue


@pytest.fixture(params=sorted({*available_themes(), "system"}))
def ground(request: pytest.FixtureRequest) -> Any:
    theme = get_theme(request.param)
    return theme.background.as_hex(), theme.text.as_hex()


def linear(colour: str) -> Any:
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def as_seen(colour: str, matrix: Any) -> Any:
    """The colour in CIE Lab, seen without one of the three cones."""
    seen = np.clip(np.array(matrix) @ linear(colour), 0, 1)
    rgb = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return rgb2lab(rgb[None, None])[0, 0]


def drawn_lines(background: str, text: str) -> Any:
    """The axes of a plot with curves of both arms and three control families."""
    import pandas as pd

    from napari_globalxai.widgets.panels.peppr.peppr_figure import Wanted, draw

    steps = np.linspace(0, 1, 5)
    rows = [
        {"label": "a", "order": order, "arm": arm, "metric": "roc_auc", "fraction": at,
         "value": 0.5 + at / 3, "ci_low": 0.4, "ci_high": 1.0, "evaluated": True}
        for order in ("map", "random", "shifted", "surrogate")
        for arm in ("restore", "erase")
        for at in steps
    ]  # fmt: skip
    areas = {"a": {"intact_auc": 0.9, "delta_on_control_steps": 0.3,
                   "control_deltas": {"random": [0.1, 0.0]}, "judged_up_to": 1.0}}  # fmt: skip
    result = SimpleNamespace(
        curves=pd.DataFrame(rows), areas=areas, judged_by=("random", "shifted", "surrogate")
    )
    wanted = Wanted(
        result=result, label="a", arm="restore", ground=background, text=text,
        size=(300, 400), dots_an_inch=100.0, points=9.0,
    )  # type: ignore[arg-type]  # fmt: skip
    return draw(wanted)


def test_lines_and_letters_of_the_plot_are_seen(ground: Any) -> None:
    background, text = ground
    assert contrast(text, background) >= TEXT
    drawn = drawn_lines(background, text)
    lines = [*drawn.curves_axes.lines, *drawn.deltas_axes.lines]
    assert len(lines) >= 7
    for line in lines:
        alpha = 1.0 if line.get_alpha() is None else line.get_alpha()
        mixed = alpha * np.array(to_rgb(line.get_color())) + (1 - alpha) * np.array(
            to_rgb(background)
        )
        assert contrast(to_hex(mixed), background) >= LINES, line.get_label()
    for patch in drawn.deltas_axes.patches:
        assert contrast(to_hex(patch.get_facecolor()[:3]), background) >= LINES
    # Not by colour alone.
    named = [line for line in drawn.curves_axes.lines if "estored" in line.get_label()]
    named += [line for line in drawn.curves_axes.lines if "rased" in line.get_label()]
    looks = [(line.get_linestyle(), line._unscaled_dash_pattern) for line in named]
    assert len(named) == len(set(map(repr, looks))) == 5
    assert len(set(ARM_DASHES.values())) == len(ARM_COLOURS)


@pytest.mark.parametrize("matrix", [PROTANOPIA, DEUTERANOPIA, np.eye(3)])
def test_the_arms_are_told_apart_without_one_of_the_cones(ground: Any, matrix: Any) -> None:
    seen = [as_seen(seen_on(colour, ground[0]), matrix) for colour in ARM_COLOURS.values()]
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(one - other) >= APART


def test_white_words_on_flags_and_verdicts_are_read() -> None:
    for colour in (WARNING, *VERDICT_COLOURS.values(), *style.VERDICT_COLOURS.values()):
        assert contrast("#ffffff", colour) >= TEXT, colour


def test_colours_beside_the_map_are_seen_after_all(ground: Any) -> None:
    families = [family_look(name).colour for name in ("random", "shifted", "surrogate")]
    for colour in (*OTHER_COLOURS, *families):
        assert contrast(seen_on(colour, ground[0]), ground[0]) >= LINES


def test_ink_and_lines_of_the_report_are_seen_on_paper() -> None:
    for colour in (style.INK, style.GREY):
        assert contrast(colour, "#ffffff") >= TEXT
    for colour in (style.BLUE, style.VERMILLION, style.GREEN):
        assert contrast(colour, "#ffffff") >= LINES


def all_colours(role: str, signed: bool) -> Any:
    """The colours of a map where it is opaque, as it lies on images and alone in the colour bar."""
    colours = map_colormap(signed=signed, role=role).map(np.linspace(0, 1, 101))
    return [to_hex(colour[:3]) for colour in colours if colour[3] > 0]


ROLES = [
    ("global map", False), ("global map", True), ("attribution", False), ("attribution", True),
    ("difference", True),
]  # fmt: skip


@pytest.mark.parametrize(("role", "signed"), ROLES)
def test_of_a_line_and_its_casing_one_is_seen_on_every_colour(role: str, signed: bool) -> None:
    images = [f"#{level:02x}{level:02x}{level:02x}" for level in range(0, 256, 15)]
    lines = [
        *(to_hex(colour) for colour in ZONE_COLOURS.values() if colour != CASING),
        *ARM_COLOURS.values(),
    ]
    assert len(lines) == 4
    for ground in (*all_colours(role, signed), *images, "#c87000", "#d9a0c0"):
        for line in lines:
            assert max(contrast(line, ground), contrast("#000000", ground)) >= LINES


def test_lines_are_cased_as_they_are_drawn() -> None:
    area = np.zeros((12, 14), np.uint8)
    area[2:9, 3:11] = 1
    layer = outline(rimmed(area), {INSIDE: CASING, RIM: "#ffffff"})
    assert layer.opacity == 1
    # As napari draws them: of each label the pixels beside another one.
    drawn = get_contours(layer.data, layer.contour, 0)
    ring = np.zeros_like(area, bool)
    ring[2:9, 3:11], ring[3:8, 4:10] = True, False
    np.testing.assert_array_equal(drawn == RIM, ring)
    casing = np.zeros_like(area, bool)
    casing[3:8, 4:10], casing[4:7, 5:9] = True, False
    np.testing.assert_array_equal(drawn == INSIDE, casing)
    assert tuple(layer.colormap.map(RIM)) == (1, 1, 1, 1)
    assert tuple(layer.colormap.map(INSIDE)) == (0, 0, 0, 1)
    assert layer.colormap.map(0)[3] == 0


def test_zones_of_mass_are_rimmed_and_hold_what_they_say() -> None:
    rows, columns = np.mgrid[:40, :50]
    image = np.exp(-((rows - 18) ** 2 + (columns - 22) ** 2) / 90).astype(np.float32)
    zones = rimmed_zones(image)
    assert set(np.unique(zones)) == {0, *ZONE_COLOURS}
    assert image[zones == 1].sum() / image.sum() == pytest.approx(0.5, abs=0.02)
    assert image[zones > 0].sum() / image.sum() == pytest.approx(0.8, abs=0.02)
    outermost = binary_erosion(zones > 0, border_value=0)
    np.testing.assert_array_equal(zones == 3, (zones > 0) & ~outermost & (zones != 1))


@pytest.mark.parametrize(("role", "signed"), [each for each in ROLES if each[1]])
def test_what_runs_through_zero_is_as_dark_on_both_sides(role: str, signed: bool) -> None:
    heights = np.linspace(0, 1, 11)
    colours = map_colormap(signed=True, role=role)
    lightness = {
        sign: rgb2lab(colours.map(0.5 + sign * heights / 2)[None, :, :3])[0, :, 0]
        for sign in (-1, 1)
    }
    for each in lightness.values():
        assert (np.diff(each) < 0).all()
    assert np.abs(lightness[1] - lightness[-1]).max() <= 10
    assert colours.map(0.5)[..., 3] == 0


@pytest.mark.parametrize("matrix", [PROTANOPIA, DEUTERANOPIA, np.eye(3)])
def test_what_lies_on_one_image_is_told_apart(matrix: Any) -> None:
    ends = {
        role: [as_seen(to_hex(map_colormap(signed=signed, role=role).map(at)[..., :3].ravel()),
                       matrix) for at in ((0.0, 1.0) if signed else (1.0,))]
        for role, signed in (("global map", False), ("attribution", False), ("difference", True))
    }  # fmt: skip
    for one, other in combinations(ends.values(), 2):
        assert min(np.linalg.norm(a - b) for a in one for b in other) >= APART


def test_what_is_drawn_is_seen_on_dark_and_on_bright_images() -> None:
    for ground in ("#000000", "#ffffff"):
        assert contrast(REGION, ground) >= LINES
