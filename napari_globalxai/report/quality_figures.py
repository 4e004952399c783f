"""Figures of quality control: the cohort's mean, and the images that do not belong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from napari_globalxai.frame.quality_measures import overall_sd
from napari_globalxai.report.style import (
    BLUE,
    BODY,
    PAGE_WIDTH,
    SMALL,
    TITLE,
    VERMILLION,
    FloatImage,
    bare,
    colour_image,
    name_text,
    new_figure,
    note,
    number,
    plain,
)

_COLUMNS = 4
_REASON_LENGTH = 46


def cohort_figure(
    mean: FloatImage,
    sd: FloatImage,
    coverage: FloatImage,
    channels: tuple[str, ...],
    sharpness: float,
) -> Figure:
    """Draw mean, spread and coverage of a cohort side by side.

    Parameters
    ----------
    mean, sd : numpy.ndarray
        Mean and SD over the images in 0–255, (channel, height, width).
    coverage : numpy.ndarray
        Share of images whose field of view holds a pixel, (height, width).
    channels : tuple of str
        Names of the channels.
    sharpness : float
        Of the mean; may be NaN.
    """
    height, width = coverage.shape
    figure = new_figure(min(3.2 * height / width, 3.6) + 1.3)
    axes = figure.subplots(1, 3).tolist()
    for at in axes:
        bare(at)
        # The first has no colour bar below; all begin at one height.
        at.set_anchor("N")
    axes[0].imshow(colour_image(mean, channels), interpolation="nearest")
    axes[0].set_title(f"Mean image, sharpness {number(sharpness, 2)}", fontsize=TITLE)
    spread = overall_sd(sd)
    axes[1].imshow(spread, cmap="viridis", vmin=0, interpolation="nearest")
    axes[1].set_title("SD over the images", fontsize=TITLE)
    axes[2].imshow(coverage, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    axes[2].set_title("Coverage", fontsize=TITLE)
    scales = [
        None,
        (ScalarMappable(Normalize(0, float(spread.max()) or 1), "viridis"), "grey levels of 255"),
        (ScalarMappable(Normalize(0, 1), "viridis"), "share of the images"),
    ]
    for at, scale in zip(axes, scales, strict=True):
        if scale is not None:
            bar = figure.colorbar(
                scale[0],
                ax=at,
                orientation="horizontal",
                pad=0.03,
                shrink=0.8,
                use_gridspec=False,
            )
            bar.set_label(scale[1], fontsize=SMALL)
            bar.ax.tick_params(labelsize=SMALL)
    return figure


def distances_figure(
    distances: npt.NDArray[np.float64], flagged: npt.NDArray[np.bool_], wording: str
) -> Figure:
    """Draw how far the images lie from the template of all others.

    Parameters
    ----------
    distances : numpy.ndarray
        One an image, may be NaN.
    flagged : numpy.ndarray
        Which of them differ, in anything.
    wording : str
        What the axis says.
    """
    figure = new_figure(2.6)
    axes = figure.subplots()
    plain(axes)
    known = np.isfinite(distances)
    if not known.any():
        note(axes, "no distances")
        return figure
    edges = np.histogram_bin_edges(distances[known], bins=min(60, max(10, known.sum() // 6)))
    groups = [distances[known & ~flagged], distances[known & flagged]]
    axes.hist(
        groups,
        edges.tolist(),
        stacked=True,
        color=[BLUE, VERMILLION],
        label=["unremarkable", "listed"],
    )
    axes.set_xlabel(wording, fontsize=BODY)
    axes.set_ylabel("images", fontsize=BODY)
    axes.legend(fontsize=SMALL, frameon=False)
    return figure


def contact_sheet(
    images: Sequence[npt.NDArray[np.uint8]],
    names: Sequence[str],
    reasons: Sequence[str],
    channels: tuple[str, ...],
) -> Figure:
    """Draw images with their names above and the reasons they are shown for below.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        (channel, height, width).
    names, reasons : sequence of str
        One each.
    channels : tuple of str
        Names of the channels.
    """
    _, height, width = images[0].shape
    rows = -(-len(images) // _COLUMNS)
    panel = (PAGE_WIDTH - 0.4) / _COLUMNS
    figure = new_figure(rows * (min(panel * height / width, 3.2) + 0.62) + 0.1)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel().tolist()
    for unused in axes[len(images) :]:
        unused.remove()
    for at, image, name, reason in zip(axes, images, names, reasons, strict=False):
        bare(at)
        at.imshow(colour_image(image, channels), interpolation="nearest")
        at.set_title(name_text(name, 30), fontsize=SMALL)
        at.set_xlabel(_in_lines(reason), fontsize=SMALL, color=VERMILLION)
    return figure


def _in_lines(reason: str) -> str:
    """Break a list of reasons after the first one that would run out of its panel."""
    lines = [""]
    for part in reason.split("; "):
        if lines[-1] and len(lines[-1]) + len(part) > _REASON_LENGTH:
            lines.append("")
        lines[-1] += f"; {part}" if lines[-1] else part
    return "\n".join(name_text(line, _REASON_LENGTH + 10) for line in lines[:2])
