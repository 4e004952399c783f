"""Figures for a page of another width: panels go on below each other, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_globalxai.report.map_figures import MapPanel, maps_figure
from napari_globalxai.report.style import PAGE_WIDTH, page_of, page_width
from napari_globalxai.widgets.panels.answers.figure_look import Look, picture

SHAPE = (24, 36)


def draw(panels: int = 4) -> object:
    image = np.random.default_rng(0).random(SHAPE)
    shown = [MapPanel(f"label {at}", image, 5, 5) for at in range(panels)]
    return maps_figure(shown, 200 * np.ones((3, *SHAPE)), np.ones(SHAPE, bool))


def columns(figure: object) -> int:
    maps = [axes for axes in figure.axes if axes.images]  # type: ignore[attr-defined]
    return len({round(axes.get_position().x0, 3) for axes in maps})


def test_panels_go_on_below_each_other() -> None:
    assert columns(draw()) == 4
    with page_of(3.4):
        narrow = draw()
        assert columns(narrow) == 1
        assert narrow.get_figwidth() <= 3.4  # type: ignore[attr-defined]
    with page_of(6):
        assert 1 < columns(draw()) < 4
    assert page_width() == PAGE_WIDTH
    assert columns(draw()) == 4


@pytest.mark.parametrize("ground", ["#262930", "#efebe9"])
@pytest.mark.parametrize(("width", "points"), [(250, 9.0), (900, 16.0)])
def test_a_picture_is_of_the_width_and_colours_asked_for(
    ground: str, width: int, points: float
) -> None:
    look = Look(ground, "#f0f1f2" if ground == "#262930" else "#3b3a39", width, 1.0, points)
    with page_of(look.inches):
        pixels = picture(draw(2), look)  # type: ignore[arg-type]
    assert pixels.shape[1] == pytest.approx(2 * width, abs=1)
    assert "#" + "".join(f"{part:02x}" for part in pixels[0, 0, :3]) == ground
    # Words are drawn in the theme's letters.
    letters = np.array([int(look.text[at : at + 2], 16) for at in (1, 3, 5)])
    assert (np.abs(pixels[..., :3].astype(int) - letters).max(axis=-1) < 8).sum() > 20
