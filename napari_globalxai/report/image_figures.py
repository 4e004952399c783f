"""Figures of single images: how like the global map their maps are, and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from napari_globalxai.report.style import (
    BLUE,
    BODY,
    INK,
    SMALL,
    VERMILLION,
    FloatImage,
    bare,
    colour_image,
    count,
    grey_background,
    most_columns,
    name_text,
    new_figure,
    note,
    number,
    overlay,
    page_width,
    peak,
    plain,
)

NAMED = 3
_JITTER = 0.26


@dataclass(frozen=True)
class SimilarityRow:
    """Similarities of one label's images to its global map.

    Attributes
    ----------
    label : str
        The label.
    files : sequence of str
        Names of the images.
    values : numpy.ndarray
        Spearman correlation of each, NaN where it is undefined.
    """

    label: str
    files: Sequence[str]
    values: npt.NDArray[np.float64]

    @property
    def ascending(self) -> list[int]:
        """Positions of the defined values, least similar first."""
        return [int(at) for at in np.argsort(self.values) if np.isfinite(self.values[at])]


@dataclass(frozen=True)
class Example:
    """One image with its attribution.

    Attributes
    ----------
    file : str
        Name of the image.
    image : numpy.ndarray
        The image in the frame, (channel, height, width).
    attribution : numpy.ndarray
        Its map for the label, (height, width).
    probability, similarity : float
        Predicted probability, and Spearman correlation with the global map; may be NaN.
    """

    file: str
    image: npt.NDArray[np.uint8]
    attribution: FloatImage
    probability: float
    similarity: float


def similarity_figure(rows: Sequence[SimilarityRow]) -> Figure:
    """Draw each label's similarities as points with quartiles, and name the least similar images.

    Parameters
    ----------
    rows : sequence of SimilarityRow
        One a label.
    """
    figure = new_figure(0.72 * len(rows) + 0.95)
    axes, names = figure.subplots(1, 2, width_ratios=[1.7, 1], sharey=True)
    plain(axes)
    axes.grid(False, axis="y")
    generator = np.random.default_rng(0)
    lowest = 0.5
    for index, row in enumerate(rows):
        defined = row.values[np.isfinite(row.values)]
        y = index + generator.uniform(-_JITTER, _JITTER, len(row.values))
        least = row.ascending[:NAMED]
        rest = [at for at in row.ascending if at not in least]
        axes.scatter(row.values[rest], y[rest], s=9, color=BLUE, alpha=0.45, linewidths=0)
        axes.scatter(row.values[least], y[least], s=16, color=VERMILLION, marker="D", linewidths=0)
        if len(defined):
            lowest = min(lowest, float(defined.min()))
            low, middle, high = np.quantile(defined, [0.25, 0.5, 0.75])
            axes.plot([low, high], [index, index], color=INK, linewidth=3, alpha=0.75)
            axes.plot([middle], [index], marker="|", color=INK, markersize=17, markeredgewidth=2)
        text = "\n".join(
            f"{number(row.values[at], 2)}   {name_text(row.files[at], 44)}" for at in least
        )
        names.text(0, index, text or "no image with a value", fontsize=SMALL - 0.5, va="center")
    ticks = [
        f"{name_text(row.label, 24)}\n{count(int(np.isfinite(row.values).sum()), 'image')}"
        for row in rows
    ]
    axes.set_yticks(range(len(rows)), ticks, fontsize=SMALL)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_xlim(lowest - 0.04, 1.02)
    axes.set_xlabel("Spearman correlation with the global map of the other images", fontsize=BODY)
    axes.set_title("Similarity of single images", fontsize=BODY)
    names.set_title("Least similar (diamonds)", fontsize=BODY, loc="left")
    bare(names)
    # The tick labels belong to both axes, which share y; only the left ones are shown.
    axes.set_yticks(range(len(rows)), ticks, fontsize=SMALL)
    names.tick_params(left=False, labelleft=False)
    return figure


def examples_figure(
    rows: Sequence[tuple[str, Example | None, Example | None]],
    channels: tuple[str, ...],
    shape: tuple[int, int],
    *,
    signed: bool = False,
    titles: tuple[str, str] = ("Surest true positive", "Least like the global map"),
) -> Figure:
    """Draw two images for each label, such as its surest true positive and the least usual one.

    Parameters
    ----------
    rows : sequence of (label, Example or None, Example or None)
        Label, and the two images.
    channels : tuple of str
        Names of the images' channels.
    shape : tuple of int
        Height and width of the frame.
    signed : bool, optional
        Whether attributions have two signs.
    titles : tuple of str, optional
        What the two images are.
    """
    # On a narrow page, one image below the other.
    across = 4 if most_columns(4) > 2 else 2
    panel = (page_width() - 0.5) / across
    height = min(panel * shape[0] / shape[1], 3.2)
    lines = len(rows) * 4 // across
    figure = new_figure(lines * (height + 0.55) + 0.2)
    grid = figure.subplots(lines, across, squeeze=False).reshape(len(rows), 4)
    for (label, surest, least), line in zip(rows, grid, strict=True):
        _draw_example(line[:2], titles[0], surest, channels, signed)
        _draw_example(line[2:], titles[1], least, channels, signed)
        line[0].set_ylabel(name_text(label, 20), fontsize=BODY + 1, fontweight="bold")
    return figure


def _draw_example(
    pair: npt.NDArray[np.object_],
    heading: str,
    example: Example | None,
    channels: tuple[str, ...],
    signed: bool,
) -> None:
    left: Axes
    right: Axes
    left, right = pair
    bare(left)
    bare(right)
    if example is None:
        left.set_title(heading, fontsize=SMALL, fontweight="bold")
        note(left, "no such image")
        return
    left.imshow(colour_image(example.image, channels), interpolation="nearest")
    left.set_title(heading, fontsize=SMALL, fontweight="bold")
    left.set_xlabel(name_text(example.file, 38), fontsize=SMALL)
    finite = np.abs(example.attribution[np.isfinite(example.attribution)])
    # Pixel-wise methods have single hot pixels, which would leave the rest dark.
    top = float(np.percentile(finite, 99.7)) if finite.size else 0.0
    top = top if top > 0 else peak(example.attribution)
    relative = example.attribution / top if top > 0 else np.zeros_like(example.attribution)
    background = grey_background(example.image)
    right.imshow(overlay(background, relative, signed), interpolation="nearest")
    right.set_xlabel(
        f"probability {number(example.probability, 2)}, similarity {number(example.similarity, 2)}",
        fontsize=SMALL,
    )
    right.set_title("attribution", fontsize=SMALL)
    if top == 0:
        note(right, "the map is zero everywhere")
