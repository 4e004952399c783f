"""The figure of PEPPR: curves of one label, and where Δ stands among its controls.

Drawn in a worker, as a figure takes longer than a window may stand still; no Qt here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.orders.order_families import FamilyLook, family_look
from napari_globalxai.faithfulness.verdict.verdicts import over_the_first
from napari_globalxai.widgets.panels.peppr.plot_names import NO_CURVES, drawable, of_name
from napari_globalxai.widgets.words.colours import ARM_COLOURS, ARM_DASHES, OTHER_COLOURS
from napari_globalxai.widgets.words.seen_colours import seen_on

if TYPE_CHECKING:
    import pandas as pd

    from napari_globalxai.faithfulness.result import PepprResult

VERBS = {"restore": "Restored", "erase": "Erased"}
# Families are told apart by their dashes, too.
_DASHES = ((4, 2), (8, 2, 1, 2), (2, 1), (8, 2))
_POINTS_AN_INCH = 72
WHOLE = (0.0, 1.0)
# Of the height of what is shown, above and below it.
_ROOM = 0.06
# Sizes of letters, in points: a label's own are smaller than the window's, but no smaller than
# this, and so many stand side by side at least, as the curves need room in a narrow panel, too.
_SMALLEST, _SMALLER, _ACROSS = 7.0, 1.5, 17
# Width of a letter and height of a line, in sizes of a letter.
_LETTER, _LINE = 0.55, 1.25
# Letters that stand beside the axes, and before a name in a legend.
_BESIDE, _BEFORE = 8, 6
# In letters: from which width on two names of a legend stand side by side.
_WIDE = 36
# Numbers across: letters that one takes with the gap beside it, a whole number or another one, and
# how many there are at most.
_WHOLE_NUMBER, _NUMBER, _MOST_NUMBERS = 6, 9, 9
# Rounds after which a figure whose numbers still change its layout is left as it is.
_MOST_ROUNDS = 4
# Between axes, numbers, their name and what is below it, in sizes of a letter.
_GAPS_BELOW = 1.5
# What axes need at least in pixels, and lines around them where legends have a column, or two, for
# so many families of controls; each has a line below the curves and one below Δ.
_AXES, _LINES_OF_ONE, _LINES_OF_TWO = 150, 22, 16
_USUAL_FAMILIES = 2
# In letters: a width below which words have more lines, and how many more.
_TIGHT, _LINES_OF_TIGHT = 22, 3


def size_of_letters(points: float, width: float) -> float:
    """Return the size of a plot's letters, in points, where the window's have `points`.

    Parameters
    ----------
    points : float
        Size of the window's letters.
    width : float
        Width of the plot in points.
    """
    return max(_SMALLEST, min(points - _SMALLER, width / _ACROSS))


def least_height(
    points: float, width: int, dots_an_inch: float, families: int = _USUAL_FAMILIES
) -> int:
    """Return the height in pixels that a plot of a width needs for its axes and its words."""
    in_points = width / dots_an_inch * _POINTS_AN_INCH
    small = size_of_letters(points, in_points)
    columns = 2 if in_points / small > _WIDE else 1
    lines = _LINES_OF_TWO if columns == 2 else _LINES_OF_ONE
    lines += _LINES_OF_TIGHT if in_points / small < _TIGHT else 0
    lines -= 2 * max(0, _USUAL_FAMILIES - families) // columns
    return round(_AXES + lines * _LINE * small * dots_an_inch / _POINTS_AN_INCH)


@dataclass(frozen=True)
class Wanted:
    """What is to be drawn.

    Attributes
    ----------
    result : PepprResult or None
        The result; a sentence stands in its place where there is none.
    label, arm : str
        Whose curves; which controls.
    ground, text : str
        Colours of the theme.
    size : tuple of int
        Width and height in pixels of the screen.
    dots_an_inch : float
        Of the screen.
    points : float
        Size of the window's letters.
    others : tuple of (str, PepprResult)
        Results to lay beside it, by name; the controls make room for them.
    across : tuple of float
        The fractions from which to which curves are shown.
    called : str
        What the map is called among others; by default it is the map on show.
    """

    result: PepprResult | None
    label: str
    arm: str
    ground: str
    text: str
    size: tuple[int, int]
    dots_an_inch: float
    points: float
    others: tuple[tuple[str, PepprResult], ...] = ()
    across: tuple[float, float] = WHOLE
    called: str = ""


@dataclass(frozen=True)
class Drawn:
    """A finished figure.

    Attributes
    ----------
    pixels : numpy.ndarray
        uint8 (height, width, 4), RGBA.
    figure, curves_axes, deltas_axes
        The figure of matplotlib.
    curve : tuple of numpy.ndarray or None
        Fractions and values of the curve that the cursor runs on.
    """

    pixels: npt.NDArray[np.uint8]
    figure: Any
    curves_axes: Any
    deltas_axes: Any
    curve: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None


def draw(wanted: Wanted) -> Drawn:
    """Draw the figure of a map's result. To be called in a worker."""
    return CurvesDrawing(wanted).finish()


class CurvesDrawing:
    """A figure in the making.

    Parameters
    ----------
    wanted : Wanted
        What is to be drawn.

    Attributes
    ----------
    metric : str
        What curves are of.
    """

    metric = "roc_auc"

    def __init__(self, wanted: Wanted) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.result, self.label, self.arm = wanted.result, wanted.label, wanted.arm
        self.ground, self.text = wanted.ground, wanted.text
        self._others, self._called = wanted.others, wanted.called
        self.cursor_curve: tuple[Any, Any] | None = None
        self._across = wanted.across
        width, height = (max(pixels, 80) / wanted.dots_an_inch for pixels in wanted.size)
        self.figure = Figure(figsize=(width, height), dpi=wanted.dots_an_inch, layout="constrained")
        self.small = size_of_letters(wanted.points, width * _POINTS_AN_INCH)
        self._letters = round(width * _POINTS_AN_INCH / (_LETTER * self.small))
        self._canvas: Any = FigureCanvasAgg(self.figure)
        self._grid = self.figure.add_gridspec(2, 1, height_ratios=(3.2, 1))
        self.curves_axes = self.figure.add_subplot(self._grid[0])
        self.deltas_axes = self.figure.add_subplot(self._grid[1])

    def finish(self) -> Drawn:
        """Draw everything."""
        self._dress()
        if self.is_empty:
            self._draw_nothing()
        else:
            self.draw_curves()
            self.draw_deltas()
        self._settle()
        self._canvas.draw()
        pixels = np.array(self._canvas.buffer_rgba(), np.uint8)
        return Drawn(pixels, self.figure, self.curves_axes, self.deltas_axes, self.cursor_curve)

    def _settle(self) -> None:
        """Lay the figure out until its axes stay where they are.

        Axes that become smaller have other numbers beside them, which may be wider than those that
        room was left for.
        """
        engine: Any = self.figure.get_layout_engine()
        before: list[Any] = []
        for _ in range(_MOST_ROUNDS):
            engine.execute(self.figure)
            places = [axes.get_position().bounds for axes in self.figure.axes]
            if before and np.allclose(places, before, atol=1e-3):
                break
            before = places

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return self.result is None or self.curve("map", "restore").empty

    def _dress(self) -> None:
        """Give the axes the theme's colours, and across as many numbers as have room."""
        from matplotlib.ticker import MaxNLocator

        self.figure.set_facecolor(self.ground)
        percent = _WHOLE_NUMBER if self._across == WHOLE else _NUMBER
        for axes, wide in ((self.curves_axes, percent), (self.deltas_axes, _NUMBER)):
            numbers = min(_MOST_NUMBERS, max(1, (self._letters - _BESIDE) // wide))
            axes.xaxis.set_major_locator(MaxNLocator(numbers, steps=[1, 2, 2.5, 5, 10]))
            axes.set_facecolor(self.ground)
            axes.tick_params(colors=self.text, labelsize=self.small)
            # Below the lower half of the lowest number beside the axes.
            axes.tick_params(axis="x", pad=0.5 * self.small)
            for side, spine in axes.spines.items():
                spine.set_visible(side in ("left", "bottom"))
                spine.set_color(self.text)

    def _draw_nothing(self) -> None:
        for axes in (self.curves_axes, self.deltas_axes):
            axes.set_axis_off()
        sentence = NO_CURVES
        if self.result is not None:
            spelt = drawable(self.label) or "This label"
            sentence = f"{spelt} has no curves: it needs images with and without the label."
        self.figure.text(
            0.5,
            0.95,
            fill(sentence, min(34, self._letters - 2)),
            color=self.text,
            ha="center",
            va="top",
            fontsize=self.small,
        )

    def curve(self, order: str, arm: str, result: PepprResult | None = None) -> pd.DataFrame:
        """Return the points of a curve of the label."""
        assert self.result is not None
        curves = (result or self.result).curves
        chosen = (
            (curves["label"] == self.label)
            & (curves["order"] == order)
            & (curves["arm"] == arm)
            & (curves["metric"] == self.metric)
        )
        return curves[chosen].sort_values("fraction")

    def seen(self, colour: str) -> str:
        """Return a colour as it is seen on the ground."""
        return seen_on(colour, self.ground)

    def _families(self) -> list[FamilyLook]:
        """Return the families of control orders that the map is judged by."""
        return [] if self.result is None else [family_look(n) for n in self.result.judged_by]

    def draw_curves(self) -> None:
        """Draw the curves along the map, and those of its controls."""
        from napari_globalxai.faithfulness.result import evaluated_part

        assert self.result is not None
        axes = self.curves_axes
        self._draw_others()
        families = [] if self._others else self._families()
        along = drawable(self._called) or "the map"
        for look, dashes in zip(families, cycle(_DASHES), strict=False):
            curve = evaluated_part(self.curve(look.name, self.arm))
            if len(curve):
                x = 100 * curve["fraction"]
                colour = self.seen(look.colour)
                axes.fill_between(
                    x, curve["ci_low"], curve["ci_high"], color=colour, alpha=0.25, linewidth=0
                )
                label = f"{look.title}, {VERBS[self.arm].lower()}"
                axes.plot(x, curve["value"], color=colour, lw=1.6, ls=(0, dashes), label=label)
        for arm, own in ARM_COLOURS.items():
            curve, colour = self.curve("map", arm), self.seen(own)
            x = 100 * curve["fraction"]
            axes.fill_between(
                x, curve["ci_low"], curve["ci_high"], color=colour, alpha=0.25, linewidth=0
            )
            axes.plot(
                x,
                curve["value"],
                color=colour,
                lw=2,
                ls=(0, ARM_DASHES[arm] or None),
                label=f"{VERBS[arm]} along {along}",
            )
            if arm == self.arm:
                self.cursor_curve = (curve["fraction"].to_numpy(), curve["value"].to_numpy())
        intact = self.result.areas[self.label]["intact_auc"]
        axes.axhline(intact, color=self.text, lw=0.8, ls=":", label=f"Intact, {intact:.2f}")
        axes.axhline(0.5, color=self.text, lw=0.5, alpha=0.6)
        low = float(self.result.curves.query("metric == 'roc_auc'")["ci_low"].min())
        self.limit_axes(axes, min(0.4, max(0.0, low - 0.02)), 1.02)
        what = "Valid pixels restored or erased (%)"
        self.name_axes(axes, what, of_name("ROC AUC", self.label))
        # The map's curves come first in the legend, though they are drawn last.
        handles, names = axes.get_legend_handles_labels()
        ranks = sorted(range(len(names)), key=lambda index: f"along {along}" not in names[index])
        self.name_lines(axes, [handles[at] for at in ranks], [names[at] for at in ranks])

    def _draw_others(self) -> None:
        looks = zip(cycle(OTHER_COLOURS), cycle(_DASHES))
        for number, ((name, result), (own, dashes)) in enumerate(
            zip(self._others, looks, strict=False), start=2
        ):
            colour = self.seen(own)
            curve = self.curve("map", self.arm, result)
            if len(curve):
                spelt = drawable(name) or f"Result {number}"
                x, label = 100 * curve["fraction"], f"{spelt}, {VERBS[self.arm].lower()}"
                self.curves_axes.plot(
                    x, curve["value"], color=colour, lw=1.6, ls=(0, dashes), label=label
                )

    def draw_deltas(self) -> None:
        """Draw Δ of the controls as a histogram, and the map's own as a line."""
        from matplotlib.ticker import MaxNLocator

        assert self.result is not None
        axes, areas = self.deltas_axes, self.result.areas[self.label]
        own = areas["delta_on_control_steps"]
        families = [look for look in self._families() if areas["control_deltas"].get(look.name)]
        if not np.isfinite(own) or not families:
            # Controls are still to come, or none were asked for: the curves have all the room.
            axes.set_axis_off()
            self._grid.set_height_ratios([1, 0.01])
            return
        values = [np.asarray(areas["control_deltas"][look.name], float) for look in families]
        everything = np.concatenate([*values, [own, 0.0]])
        span = max(float(np.ptp(everything)), 0.05)
        edges = np.linspace(everything.min() - 0.05 * span, everything.max() + 0.05 * span, 31)
        part = over_the_first(areas.get("judged_up_to", 1))
        axes.hist(
            values,
            bins=edges.tolist(),
            histtype="stepfilled",
            color=[self.seen(look.colour) for look in families],
            alpha=0.85,
            label=[look.title for look in families],
        )
        # Controls have fewer steps: Δ of all steps, which stands beside the verdict, is another.
        is_other = part == over_the_first(1) and f"{own:.2f}" != f"{areas.get('delta', own):.2f}"
        named = f"This map{' at the same steps' if is_other else ''}, {own:.2f}"
        axes.axvline(own, color=self.seen(ARM_COLOURS["restore"]), lw=2, label=named)
        axes.set_xlim(edges[0], edges[-1])
        axes.margins(y=0.1)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
        self.name_axes(axes, f"Δ = area restored − area erased, {part}", "Orders")
        self.name_lines(axes, *axes.get_legend_handles_labels(), length=1.2)

    def limit_axes(self, axes: Any, low: float, high: float) -> None:
        """Show the fractions that are asked for, and of a part of them what lies there."""
        first, last = self._across
        axes.set_xlim(100 * first, 100 * last)
        if self._across != WHOLE:
            there = [
                values[(x >= 100 * first) & (x <= 100 * last)]
                for line in axes.get_lines()
                if len(x := np.asarray(line.get_xdata(), float)) > 2
                for values in [np.asarray(line.get_ydata(), float)]
            ]
            seen = np.concatenate([*there, [np.nan]])
            if np.isfinite(seen).any():
                low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
                room = _ROOM * max(high - low, 0.05)
                low, high = low - room, high + room
        axes.set_ylim(low, high)

    def name_axes(self, axes: Any, across: str, up: str) -> None:
        """Say what the axes are of."""
        below = fill(across, max(_BESIDE, self._letters - _BESIDE))
        axes.set_xlabel(below, color=self.text, fontsize=self.small)
        axes.set_ylabel(up, color=self.text, fontsize=self.small)

    def name_lines(
        self, axes: Any, handles: list[Any], names: list[str], length: float = 1.8
    ) -> None:
        """Name what is drawn, below the axes: what is looked at first comes first."""
        from matplotlib.transforms import ScaledTranslation

        lines = 1 + axes.get_xlabel().count("\n") + 1
        down = (_GAPS_BELOW + _LINE * lines) * self.small / _POINTS_AN_INCH
        axes.legend(
            handles,
            [fill(name, max(_BEFORE, self._letters // self._columns - _BEFORE)) for name in names],
            fontsize=self.small - 0.5,
            frameon=False,
            labelcolor=self.text,
            loc="upper center",
            bbox_to_anchor=(0.46, 0),
            bbox_transform=axes.transAxes
            + ScaledTranslation(0, -down, self.figure.dpi_scale_trans),
            borderaxespad=0,
            ncols=self._columns,
            columnspacing=1.2,
            handlelength=length,
        )

    @property
    def _columns(self) -> int:
        """How many entries of a legend stand side by side."""
        letters = self.figure.get_figwidth() * _POINTS_AN_INCH / self.small
        return 2 if letters > _WIDE else 1
