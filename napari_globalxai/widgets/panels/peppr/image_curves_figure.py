"""The figure of PEPPR along the own map of one image, among the other images of its label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.widgets.panels.peppr.peppr_figure import (
    VERBS,
    CurvesDrawing,
    Drawn,
    Wanted,
    draw,
)
from napari_globalxai.widgets.panels.peppr.plot_names import of_name
from napari_globalxai.widgets.session.image_result import PROBABILITY, ImageResult
from napari_globalxai.widgets.words.colours import ARM_COLOURS, ARM_DASHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_result(wanted: Wanted) -> Drawn:
    """Draw the figure of a map's result or of an image's. To be called in a worker."""
    if isinstance(wanted.result, ImageResult):
        return ImageDrawing(wanted).finish()
    return draw(wanted)


class ImageDrawing(CurvesDrawing):
    """Probabilities of one image as it is erased and restored along its own map."""

    metric = PROBABILITY

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw; the means are there in any case."""
        return not isinstance(self.result, ImageResult)

    def draw_curves(self) -> None:
        """Draw the image's own curves over the mean of all images."""
        result, axes = self.result, self.curves_axes
        assert isinstance(result, ImageResult)
        for arm, own in ARM_COLOURS.items():
            colour = self.seen(own)
            self._draw_mean(axes, result, arm, colour)
            curve = self.curve("map", arm)
            if len(curve):
                x, y = curve["fraction"].to_numpy(float), curve["value"].to_numpy(float)
                dashes = (0, ARM_DASHES[arm] or None)
                name = f"{VERBS[arm]}, this image"
                axes.plot(100 * x, y, color=colour, lw=2, ls=dashes, label=name)
                if arm == self.arm:
                    self.cursor_curve = (x, y)
        intact = result.areas[self.label]["intact"]
        if np.isfinite(intact):
            named = f"Intact, {intact:.2f}"
            axes.axhline(intact, color=self.text, lw=0.8, ls=":", label=named)
        self.limit_axes(axes, -0.02, 1.02)
        across = "Valid pixels restored or erased (%)"
        self.name_axes(axes, across, of_name("Probability", self.label))
        self.name_lines(axes, *axes.get_legend_handles_labels())

    def _draw_mean(self, axes: Axes, result: ImageResult, arm: str, colour: str) -> None:
        told = result.means.get(arm)
        if told is None:
            return
        x, middle, spread = (
            np.asarray(values, float)
            for values in (result.means["fraction"], told["mean"], told["sd"])
        )
        low, high = np.clip(middle - spread, 0, 1), np.clip(middle + spread, 0, 1)
        axes.fill_between(100 * x, low, high, color=colour, alpha=0.15, linewidth=0)
        name = f"{VERBS[arm]}, mean and SD"
        axes.plot(100 * x, middle, color=colour, lw=1, ls=(0, (2, 2)), label=name)

    def draw_deltas(self) -> None:
        """Draw Δ of all images as a histogram, and the image's own as a line."""
        result, axes = self.result, self.deltas_axes
        assert isinstance(result, ImageResult)
        own = result.areas[self.label]["delta"]
        everything = np.append(result.deltas, [own, 0.0])
        span = max(float(np.ptp(everything)), 0.05)
        edges = np.linspace(everything.min() - 0.05 * span, everything.max() + 0.05 * span, 31)
        axes.hist(result.deltas, bins=edges.tolist(), color=self.text, alpha=0.45, label="Images")
        named = f"This image, {own:.2f}"
        axes.axvline(own, color=self.seen(ARM_COLOURS["restore"]), lw=2, label=named)
        axes.set_xlim(edges[0], edges[-1])
        self.name_axes(axes, "Δ = area restored − area erased, image by image", "Images")
        self.name_lines(axes, *axes.get_legend_handles_labels())
