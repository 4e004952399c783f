"""How figures look, and the one way in which they are made and written.

Figures use matplotlib's object interface on the Agg canvas. pyplot is never imported: it keeps
figures in global state, picks a GUI toolkit, and is not safe in a worker thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine

from napari_globalxai.faithfulness.verdict.verdicts import (
    FAITHFUL,
    FAITHFUL_INSIDE,
    FAITHFUL_WITH_A_CAUTION,
    NO_BETTER,
    NOT_ENOUGH_DATA,
    UNDECIDED,
    WELL_PLACED,
    kind_of,
)
from napari_globalxai.plain_text import numeral
from napari_globalxai.storage import atomic_path

FloatImage = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

# Inches: the width of a report page, and the resolution that stays sharp on it.
PAGE_WIDTH = 10.0
DPI = 150
_page_width = ContextVar("page_width", default=PAGE_WIDTH)
TITLE, BODY, SMALL = 11.0, 9.5, 8.0

# Okabe and Ito's colours, which people with any colour vision tell apart.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
INK, GREY, FAINT = "#222222", "#767676", "#B8B8B8"
VERDICT_COLOURS = {
    FAITHFUL: "#00694D",
    FAITHFUL_WITH_A_CAUTION: "#7A5200",
    FAITHFUL_INSIDE: "#7A5200",
    WELL_PLACED: "#7A5200",
    NO_BETTER: "#A63F00",
    UNDECIDED: "#5A5A5A",
    NOT_ENOUGH_DATA: "#5A5A5A",
    # Of version 0.1.
    "faithful": "#00694D",
    "faithful, with a caution": "#7A5200",
    "not faithful": "#A63F00",
}
_CLASSES = {
    FAITHFUL: "yes",
    "faithful": "yes",
    FAITHFUL_WITH_A_CAUTION: "partly",
    "faithful, with a caution": "partly",
    FAITHFUL_INSIDE: "partly",
    WELL_PLACED: "partly",
    NO_BETTER: "no",
    "not faithful": "no",
}

DASH = "–"
CONTOUR_SHARES = (0.05, 0.1, 0.2)
_SIGNED, _UNSIGNED = "PuOr_r", "inferno"
# A map shows at full colour from this share of its maximum on; below, the image shines through.
_OPAQUE_FROM = 0.35
_DIMMED = 0.55


@contextmanager
def page_of(width: float) -> Iterator[None]:
    """Let figures be drawn for a page of another width in inches, in this thread."""
    before = _page_width.set(width)
    try:
        yield
    finally:
        _page_width.reset(before)


def page_width() -> float:
    """Return the width of the page that figures are drawn for."""
    return _page_width.get()


def most_columns(usual: int) -> int:
    """Return how many panels of a usual number stand side by side on the page."""
    return max(1, min(usual, int(page_width() / PAGE_WIDTH * (usual + 1))))


def new_figure(height: float, width: float | None = None) -> Figure:
    """Return an empty figure of a size in inches; `save_figure` places what it holds."""
    size = (page_width() if width is None else width, height)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def verdict_colour(word: str) -> str:
    """Return the colour of a verdict's word, as it is shown, in figures."""
    return VERDICT_COLOURS.get(kind_of(word), INK)


def verdict_class(word: str) -> str:
    """Return the class under which the page colours a verdict."""
    return _CLASSES.get(kind_of(word), "open")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, and beside it as SVG, atomically."""
    # Once: a figure with an engine of its own is drawn anew for each file to place what it holds.
    ConstrainedLayoutEngine().execute(figure)
    with atomic_path(path) as temporary:
        # Without the version of matplotlib in it, the same figure gives the same file.
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
    # Not with_suffix: a label may hold a dot.
    drawing = path.parent / f"{path.name.removesuffix('.png')}.svg"
    with atomic_path(drawing) as temporary, matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})


def name_text(name: str, longest: int = 40) -> str:
    """Return a name from the user's data as text that matplotlib draws as it is, on one line.

    Dollar signs would start a formula, characters that the font lacks would warn, and a long name
    would run out of the figure; it is cut in the middle, because file names differ at their ends.
    """
    known = _known_characters()
    single = " ".join(name.split())
    drawn = "".join(
        letter if ord(letter) in known else "\N{REPLACEMENT CHARACTER}" for letter in single
    )
    if len(drawn) > longest:
        tail = (longest - 1) * 2 // 3
        drawn = f"{drawn[: longest - 1 - tail]}…{drawn[-tail:]}"
    return drawn.replace("$", r"\$")


@cache
def _known_characters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is due."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def is_missing(value: float | None) -> bool:
    """Tell whether there is no number: JSON's null or NaN."""
    return value is None or not np.isfinite(value)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as text with a true minus sign, a dash where there is none."""
    if value is None or is_missing(value):
        return DASH
    return numeral(value, f".{digits}f")


def percent(value: float | None, digits: int = 0) -> str:
    """Return a share as percent, a dash where there is none."""
    if value is None or is_missing(value):
        return DASH
    if digits == 0 and 0 < value < 0.0095:
        digits = 1
    return f"{number(100 * value, digits)} %"


def bare(axes: Axes) -> None:
    """Take ticks and frame off axes that show an image."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def plain(axes: Axes) -> None:
    """Give axes that show numbers a quiet look."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL, colors=INK)
    axes.grid(True, color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def note(axes: Axes, text: str) -> None:
    """Say in the middle of axes why there is nothing else in them."""
    axes.text(
        0.5,
        0.5,
        text,
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=SMALL,
        color=INK,
        bbox={"facecolor": "white", "edgecolor": FAINT, "boxstyle": "round,pad=0.4"},
    )


def peak(image: FloatImage) -> float:
    """Return the largest absolute value of a map, 0 where it has no finite value."""
    finite = image[np.isfinite(image)]
    return float(np.abs(finite).max()) if finite.size else 0.0


def grey_background(image: npt.NDArray[np.number]) -> npt.NDArray[np.float64]:
    """Return an image (channel, height, width) as grey in 0–1, its bright parts near 1."""
    grey = np.asarray(image, np.float64).mean(axis=0)
    top = np.percentile(grey, 99.5)
    return np.asarray(np.clip(grey / top, 0, 1) if top > 0 else np.zeros_like(grey))


def colour_image(
    image: npt.NDArray[np.number], channels: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """Return an image (channel, height, width) in 0–255 as RGB in 0–1, by its channels' names."""
    planes = dict(zip(channels, np.asarray(image, np.float64) / 255, strict=True))
    if not {"red", "green", "blue"} & set(planes):
        grey = next(iter(planes.values()))
        return np.asarray(np.repeat(np.clip(grey, 0, 1)[..., None], 3, axis=-1))
    empty = np.zeros(image.shape[1:])
    colours = [planes.get(name, empty) for name in ("red", "green", "blue")]
    return np.asarray(np.clip(np.stack(colours, axis=-1), 0, 1))


def map_colours(signed: bool) -> Colormap:
    """Return the colour map of attributions: even steps in lightness, or two-sided if signed."""
    return matplotlib.colormaps[_SIGNED if signed else _UNSIGNED]


def overlay(
    background: npt.NDArray[np.float64], relative: FloatImage, signed: bool
) -> npt.NDArray[np.float64]:
    """Lay a map over a dimmed grey image, RGB in 0–1.

    Parameters
    ----------
    background : numpy.ndarray
        Grey in 0–1, (height, width).
    relative : numpy.ndarray
        The map in 0–1, or in −1 to 1 if signed; not finite where it is unknown.
    signed : bool
        Whether the map has two signs.
    """
    values = np.clip(np.nan_to_num(np.asarray(relative, np.float64)), -1 if signed else 0, 1)
    position = (values + 1) / 2 if signed else values
    colour = map_colours(signed)(position)[..., :3]
    opacity = np.clip(np.abs(values) / _OPAQUE_FROM, 0, 1)[..., None]
    dimmed = np.repeat(_DIMMED * background[..., None], 3, axis=-1)
    return np.asarray(dimmed * (1 - opacity) + colour * opacity)


def colour_scale(signed: bool, top: float = 1.0) -> ScalarMappable:
    """Return what a colour bar of attributions is drawn from."""
    return ScalarMappable(Normalize(-top if signed else 0, top), map_colours(signed))


def contours(axes: Axes, image: FloatImage, valid: Mask) -> None:
    """Draw the edges of the strongest twentieth, tenth and fifth of the valid area.

    They show a map's ranking, which colours do not: PEPPR erases and restores along it.
    """
    size = np.abs(np.nan_to_num(np.asarray(image, np.float64)))
    inside = size[valid]
    if inside.size == 0 or inside.max() <= 0:
        return
    levels = np.unique(np.quantile(inside, [1 - share for share in CONTOUR_SHARES]))
    levels = levels[(levels > size.min()) & (levels < size.max())]
    if levels.size:
        axes.contour(size, levels=levels, colors=["#FFFFFF"], linewidths=0.6, linestyles=":")


def outline(axes: Axes, valid: Mask, colour: str = "white", width: float = 0.8) -> None:
    """Draw the edge of the valid area; nothing where the area is all or none of the frame."""
    # A border of False closes the line where the area touches the edge of the frame.
    if valid.any() and not valid.all():
        padded = np.pad(valid, 1).astype(float)
        rows, columns = np.arange(-1, valid.shape[0] + 1), np.arange(-1, valid.shape[1] + 1)
        axes.contour(columns, rows, padded, levels=[0.5], colors=[colour], linewidths=width)
        axes.set_xlim(-0.5, valid.shape[1] - 0.5)
        axes.set_ylim(valid.shape[0] - 0.5, -0.5)
