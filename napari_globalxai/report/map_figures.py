"""Figures of what a run is about: the frame, the global maps, their spread over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from napari_globalxai.report.style import (
    BODY,
    SMALL,
    TITLE,
    FloatImage,
    Mask,
    bare,
    colour_image,
    colour_scale,
    contours,
    count,
    grey_background,
    map_colours,
    most_columns,
    name_text,
    new_figure,
    note,
    number,
    outline,
    overlay,
    page_width,
    peak,
    percent,
)

_BAR_WIDTH = 1.1
_HIGHEST_PANEL = 4.2
_WIDEST_PANEL = 4.4
_LETTERS_AN_INCH = 10


@dataclass(frozen=True)
class MapPanel:
    """One global map with what its title says.

    Attributes
    ----------
    name : str
        Name of the map.
    image : numpy.ndarray
        The mean map, (height, width).
    n, n_patients : int
        Images and patients in it.
    sd : numpy.ndarray or None
        SD over images, (height, width).
    reliability : float
        How alike the maps of two cohorts of this size would be; may be NaN.
    more : tuple of str
        Statistics that other packages declare, a line each.
    """

    name: str
    image: FloatImage
    n: int
    n_patients: int
    sd: FloatImage | None = None
    reliability: float = float("nan")
    more: tuple[str, ...] = ()


def frame_figure(
    mean: FloatImage,
    channels: tuple[str, ...],
    coverage: FloatImage,
    valid: Mask,
    valid_share: float,
) -> Figure:
    """Draw the cohort's mean image and how much of the cohort covers each pixel.

    Parameters
    ----------
    mean : numpy.ndarray
        Mean image in 0–255, (channel, height, width).
    channels : tuple of str
        Names of its channels.
    coverage : numpy.ndarray
        Share of images whose field of view holds a pixel, (height, width).
    valid : numpy.ndarray
        Pixels that are ranked and counted, (height, width).
    valid_share : float
        Coverage from which on a pixel is valid.
    """
    figure, axes = _grid(2, valid.shape, _BAR_WIDTH)
    axes[0].imshow(colour_image(mean, channels), interpolation="nearest")
    axes[0].set_title("Mean image of the cohort", fontsize=TITLE)
    axes[1].imshow(coverage, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    axes[1].set_title(
        f"Coverage; {percent(float(valid.mean()))} of the frame is valid", fontsize=TITLE
    )
    for panel in axes:
        outline(panel, valid)
    scale = ScalarMappable(Normalize(0, 1), "viridis")
    _colour_bar(figure, axes, scale, "share of images whose\nfield of view holds the pixel")
    height, width = valid.shape
    figure.supxlabel(
        f"Frame {width} × {height} pixels. White line: valid area, seen in at least "
        f"{percent(valid_share)} of the images.",
        fontsize=SMALL,
    )
    return figure


def maps_figure(
    panels: Sequence[MapPanel],
    mean: FloatImage,
    valid: Mask,
    *,
    signed: bool = False,
    smoothing: float = 0.0,
) -> Figure:
    """Draw global maps over the dimmed mean image, each on the scale of its own maximum.

    Parameters
    ----------
    panels : sequence of MapPanel
        The maps.
    mean : numpy.ndarray
        Mean image of the cohort, (channel, height, width).
    valid : numpy.ndarray
        Valid area, (height, width).
    signed : bool, optional
        Whether the maps have two signs.
    smoothing : float, optional
        SD in pixels of the Gaussian that they were smoothed with; 0 is none.
    """
    figure, axes = _grid(len(panels), valid.shape, _BAR_WIDTH)
    background = grey_background(mean)
    for panel, at in zip(panels, axes, strict=True):
        top = peak(panel.image)
        relative = panel.image / top if top > 0 else np.zeros_like(panel.image)
        at.imshow(overlay(background, relative, signed), interpolation="nearest")
        outline(at, valid)
        contours(at, panel.image, valid)
        at.set_title(name_text(panel.name, _title_length(len(panels))), fontsize=TITLE)
        counted = f"{count(panel.n, 'image')} of {count(panel.n_patients, 'patient')}"
        more = (name_text(line, _title_length(len(panels))) for line in panel.more)
        at.set_xlabel("\n".join((counted, *more)), fontsize=SMALL)
        if panel.n == 0:
            note(at, "no images for this map")
        elif top == 0:
            note(at, "the map is zero everywhere")
    label = "mean attribution, relative\nto each map's own maximum"
    if smoothing > 0:
        label += f"\n(smoothed by {smoothing:g} pixels)"
    _colour_bar(figure, axes, colour_scale(signed), label)
    return figure


def difference_figure(
    panels: Sequence[MapPanel],
    mean: FloatImage,
    valid: Mask,
    sure: Sequence[Mask] | None = None,
) -> Figure:
    """Draw differences of maps over the dimmed mean image, each on the scale of its own peak.

    Parameters
    ----------
    panels : sequence of MapPanel
        The differences, with the images and patients of both sides.
    mean : numpy.ndarray
        Mean image of the cohort, (channel, height, width).
    valid : numpy.ndarray
        Valid area, (height, width).
    sure : sequence of numpy.ndarray, optional
        Where each difference is significant, (height, width), where that is known.
    """
    figure, axes = _grid(len(panels), valid.shape, _BAR_WIDTH)
    background = grey_background(mean)
    lines: Sequence[Mask | None] = [None] * len(panels) if sure is None else sure
    for panel, where, at in zip(panels, lines, axes, strict=True):
        top = peak(panel.image)
        relative = panel.image / top if top > 0 else np.zeros_like(panel.image)
        at.imshow(overlay(background, relative, signed=True), interpolation="nearest")
        outline(at, valid)
        if where is not None:
            # A line that is seen on any ground.
            outline(at, where, "white", 2.4)
            outline(at, where, "black", 1.0)
        at.set_title(name_text(panel.name, _title_length(len(panels))), fontsize=TITLE)
        at.set_xlabel(
            f"{count(panel.n, 'image')} of {count(panel.n_patients, 'patient')}, "
            f"peak {number(top, 3)}",
            fontsize=SMALL,
        )
        if where is not None and not where.any():
            note(at, "no place differs")
    _colour_bar(figure, axes, colour_scale(signed=True), "A − B, relative\nto each map's own peak")
    return figure


def sd_figure(panels: Sequence[MapPanel], mean: FloatImage, valid: Mask) -> Figure:
    """Draw how much the image-wise maps differ: the SD over images, on one scale for all labels.

    Parameters
    ----------
    panels : sequence of MapPanel
        The label-wise maps; their SD is shown relative to the maximum of their mean.
    mean : numpy.ndarray
        Mean image of the cohort, (channel, height, width).
    valid : numpy.ndarray
        Valid area, (height, width).
    """
    figure, axes = _grid(len(panels), valid.shape, _BAR_WIDTH)
    background = grey_background(mean)
    relative = {}
    for index, panel in enumerate(panels):
        top = peak(panel.image)
        if panel.sd is not None and top > 0 and np.isfinite(panel.sd).any():
            relative[index] = panel.sd / top
    # A single hot pixel would darken every panel.
    top = max((float(np.nanpercentile(image, 99.8)) for image in relative.values()), default=0.0)
    top = top if top > 0 else 1.0
    for index, (panel, at) in enumerate(zip(panels, axes, strict=True)):
        image = relative.get(index, np.zeros(valid.shape))
        at.imshow(overlay(background, image / top, signed=False), interpolation="nearest")
        outline(at, valid)
        at.set_title(name_text(panel.name, _title_length(len(panels))), fontsize=TITLE)
        at.set_xlabel(
            f"{count(panel.n, 'image')}, reliability {number(panel.reliability, 2)}",
            fontsize=SMALL,
        )
        if panel.n < 2:
            note(at, "fewer than two images: no SD")
        elif index not in relative:
            note(at, "the map is zero everywhere")
    scale = ScalarMappable(Normalize(0, top), map_colours(signed=False))
    _colour_bar(figure, axes, scale, "SD over images ÷\nmaximum of the mean map")
    return figure


def _grid(panels: int, shape: tuple[int, int], beside: float) -> tuple[Figure, list[Axes]]:
    """Make a figure with one axes a panel, its height fitted to the panels' aspect."""
    columns = _columns(panels)
    rows = -(-panels // columns)
    height, width = shape
    page = page_width()
    panel_width = min((page - beside) / columns, _WIDEST_PANEL)
    panel_height = min(panel_width * height / width, _HIGHEST_PANEL)
    panel_width = max(min(panel_width, panel_height * width / height), 1.9)
    # A colour bar needs its label's length.
    total = max(rows * (panel_height + 0.65) + 0.25, 2.9)
    figure = new_figure(total, max(columns * panel_width + beside, min(5.5, page)))
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in grid[panels:]:
        unused.remove()
    axes: list[Axes] = grid[:panels]
    for at in axes:
        bare(at)
    return figure, axes


def _columns(panels: int) -> int:
    if panels <= 3:
        return most_columns(max(panels, 1))
    return most_columns(3 if panels in (5, 6, 9) else 4)


def _title_length(panels: int) -> int:
    """Return how many characters of a title fit over a panel."""
    columns = _columns(panels)
    fits = round(_LETTERS_AN_INCH * page_width() / columns)
    return min({1: 44, 2: 44, 3: 30}.get(columns, 22), fits)


def _colour_bar(figure: Figure, axes: Sequence[Axes], scale: ScalarMappable, label: str) -> None:
    bar = figure.colorbar(scale, ax=list(axes), shrink=0.9, aspect=30, pad=0.015)
    bar.set_label(label, fontsize=BODY)
    bar.ax.tick_params(labelsize=SMALL)
