"""The curves of PEPPR, and where Δ stands among its controls."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from napari.utils.theme import get_theme
from qtpy.QtCore import QPointF, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QPainter, QPen

from napari_globalxai.faithfulness.order_families import FamilyLook, family_look
from napari_globalxai.widgets.colours import ARM_COLOURS

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult

_DOT = 4.5
_VERBS = {"restore": "Restored", "erase": "Erased"}
# Families are told apart by their dashes, too.
_DASHES = ((4, 2), (8, 2, 1, 2), (2, 1), (8, 2))


class PepprPlot(FigureCanvasQTAgg):
    """Curves of one label: restored and erased along the map, controls, and the fraction in view.

    The line of the fraction is painted by Qt onto the finished picture, so that scrubbing does not
    draw the curves again.

    Attributes
    ----------
    fraction_picked : Signal
        Fraction where the user clicked or dragged in the curves.
    curves_axes, deltas_axes : matplotlib.axes.Axes
        The two plots.
    """

    fraction_picked = Signal(float)

    def __init__(self, theme: str) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            Figure(figsize=(4.2, 4.6), dpi=100, layout="constrained")
        )
        self.setMinimumSize(340, 360)
        self._result: PepprResult | None = None
        self._label = ""
        self._fraction, self._arm = 0.0, "restore"
        self._cursor_curve: tuple[Any, Any] | None = None
        self._theme = theme
        grid = self.figure.add_gridspec(2, 1, height_ratios=(3.2, 1))
        self.curves_axes = self.figure.add_subplot(grid[0])
        self.deltas_axes = self.figure.add_subplot(grid[1])
        self.mpl_connect("button_press_event", self._on_mouse)
        self.mpl_connect("motion_notify_event", self._on_mouse)
        self._draw_all()

    def set_theme(self, theme: str) -> None:
        """Take napari's colours."""
        self._theme = theme
        self._draw_all()

    def show_result(self, result: PepprResult | None, label: str) -> None:
        """Show one label's curves, or nothing."""
        self._result, self._label = result, label
        self._draw_all()

    def show_fraction(self, fraction: float, arm: str) -> None:
        """Move the line to a fraction; with another arm, its controls are shown."""
        if arm != self._arm:
            self._fraction, self._arm = fraction, arm
            self._draw_all()
        else:
            self._fraction = fraction
            self.update()

    def _draw_all(self) -> None:
        self._dress()
        if self._result is None or self._curve("map", "restore").empty:
            self._draw_nothing()
        else:
            self._draw_curves()
            self._draw_deltas()
        self.draw_idle()  # type: ignore[no-untyped-call]

    def _dress(self) -> None:
        """Clear the axes and give them the theme's colours."""
        theme = get_theme(self._theme)
        ground, text = theme.background.as_hex(), theme.text.as_hex()
        self._text = text
        self.figure.set_facecolor(ground)
        self._cursor_curve = None
        for axes in (self.curves_axes, self.deltas_axes):
            axes.clear()
            axes.set_axis_on()
            axes.set_facecolor(ground)
            axes.tick_params(colors=text, labelsize=8)
            for side, spine in axes.spines.items():
                spine.set_visible(side in ("left", "bottom"))
                spine.set_color(text)

    def _draw_nothing(self) -> None:
        for axes in (self.curves_axes, self.deltas_axes):
            axes.set_axis_off()
        sentence = "No curves yet: choose a map and run PEPPR."
        if self._result is not None:
            sentence = f"{self._label} has no curves: it needs images\nwith and without the label."
        self.curves_axes.text(
            0.5, 0.4, sentence, color=self._text, ha="center", va="center", fontsize=9
        )

    def _curve(self, order: str, arm: str) -> pd.DataFrame:
        assert self._result is not None
        curves = self._result.curves
        chosen = (
            (curves["label"] == self._label)
            & (curves["order"] == order)
            & (curves["arm"] == arm)
            & (curves["metric"] == "roc_auc")
        )
        return curves[chosen].sort_values("fraction")

    def _families(self) -> list[FamilyLook]:
        """Return the families of control orders that the map is judged by."""
        return [] if self._result is None else [family_look(n) for n in self._result.judged_by]

    def _draw_curves(self) -> None:
        assert self._result is not None
        axes = self.curves_axes
        for look, dashes in zip(self._families(), cycle(_DASHES), strict=False):
            curve = self._curve(look.name, self._arm)
            if len(curve):
                x = 100 * curve["fraction"]
                colour = look.colour
                axes.fill_between(
                    x, curve["ci_low"], curve["ci_high"], color=colour, alpha=0.25, linewidth=0
                )
                label = f"{look.title}, {_VERBS[self._arm].lower()}"
                axes.plot(x, curve["value"], color=colour, lw=1.2, ls=(0, dashes), label=label)
        for arm, colour in ARM_COLOURS.items():
            curve = self._curve("map", arm)
            x = 100 * curve["fraction"]
            axes.fill_between(
                x, curve["ci_low"], curve["ci_high"], color=colour, alpha=0.25, linewidth=0
            )
            axes.plot(x, curve["value"], color=colour, lw=2, label=f"{_VERBS[arm]} along the map")
            if arm == self._arm:
                self._cursor_curve = (curve["fraction"].to_numpy(), curve["value"].to_numpy())
        intact = self._result.areas[self._label]["intact_auc"]
        axes.axhline(intact, color=self._text, lw=0.8, ls=":", label=f"Intact, {intact:.2f}")
        axes.axhline(0.5, color=self._text, lw=0.5, alpha=0.4)
        low = float(self._result.curves.query("metric == 'roc_auc'")["ci_low"].min())
        axes.set(xlim=(0, 100), ylim=(min(0.4, max(0.0, low - 0.02)), 1.02))
        axes.set_xlabel("Valid pixels restored or erased (%)", color=self._text, fontsize=8)
        axes.set_ylabel(f"ROC AUC of {self._label}", color=self._text, fontsize=8)
        # The map's curves come first in the legend, though they are drawn last.
        handles, names = axes.get_legend_handles_labels()
        ranks = sorted(range(len(names)), key=lambda index: "the map" not in names[index])
        axes.legend(
            [handles[index] for index in ranks],
            [names[index] for index in ranks],
            fontsize=7,
            frameon=False,
            labelcolor=self._text,
            loc="lower center",
            bbox_to_anchor=(0.46, 1.0),
            ncols=2,
            columnspacing=1.2,
            handlelength=1.8,
        )

    def _draw_deltas(self) -> None:
        """Draw Δ of the controls as a histogram, and the map's own as a line."""
        assert self._result is not None
        axes, areas = self.deltas_axes, self._result.areas[self._label]
        own = areas["delta_on_control_steps"]
        families = [look for look in self._families() if areas["control_deltas"].get(look.name)]
        values = [np.asarray(areas["control_deltas"][look.name], float) for look in families]
        everything = np.concatenate([*values, [own, 0.0]])
        span = max(float(np.ptp(everything)), 0.05)
        edges = np.linspace(everything.min() - 0.05 * span, everything.max() + 0.05 * span, 31)
        if values:
            axes.hist(
                values,
                bins=edges.tolist(),
                histtype="stepfilled",
                color=[look.colour for look in families],
                alpha=0.85,
                label=[look.title for look in families],
            )
        axes.axvline(own, color=ARM_COLOURS["restore"], lw=2, label=f"This map, {own:.2f}")
        axes.set_xlim(edges[0], edges[-1])
        axes.margins(y=0.1)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
        # The map beside its controls, over their steps: near, not equal, to Δ over all steps.
        what = "Δ = area restored − area erased, at the controls' steps"
        axes.set_xlabel(what, color=self._text, fontsize=8)
        axes.set_ylabel("Orders", color=self._text, fontsize=8)
        axes.legend(
            fontsize=7,
            frameon=False,
            labelcolor=self._text,
            loc="lower center",
            bbox_to_anchor=(0.46, 0.96),
            ncols=3,
            columnspacing=1.2,
            handlelength=1.2,
        )

    def paintEvent(self, event: Any) -> None:
        """Paint the finished picture and the line of the fraction onto it."""
        super().paintEvent(event)  # type: ignore[no-untyped-call]
        if self._cursor_curve is None:
            return
        value = np.interp(self._fraction, *self._cursor_curve)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._text), 1))
        bottom, top = self.curves_axes.get_ylim()
        painter.drawLine(self._place(self._fraction, bottom), self._place(self._fraction, top))
        painter.setBrush(QColor(ARM_COLOURS[self._arm]))
        painter.drawEllipse(self._place(self._fraction, value), _DOT, _DOT)
        painter.end()

    def _place(self, fraction: float, value: float) -> QPointF:
        """Return where a point of the curves lies in the widget."""
        x, y = self.curves_axes.transData.transform((100 * fraction, value))
        ratio = self.device_pixel_ratio
        return QPointF(x / ratio, (self.figure.bbox.height - y) / ratio)

    def _on_mouse(self, event: Any) -> None:
        if event.inaxes is self.curves_axes and event.button == 1 and event.xdata is not None:
            self.fraction_picked.emit(float(np.clip(event.xdata / 100, 0, 1)))
