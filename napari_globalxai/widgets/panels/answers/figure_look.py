"""A figure of the report as a panel shows it: in its colours, its letters and its width. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.widgets.words.seen_colours import LINES, TEXT, seen_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of the screen, for letters of the window's usual size.
_DOTS_AN_INCH, _USUAL_POINTS = 100.0, 9.0
# Narrower, figures are drawn for this width and made smaller.
_NARROWEST = 3.2
# So that a figure that is looked at closely has something to show.
_FINER = 2
_GRID = 0.2


@dataclass(frozen=True)
class Look:
    """How a panel looks.

    Attributes
    ----------
    ground, text : str
        Colours of the theme.
    width : int
        Pixels of the screen.
    ratio : float
        Pixels of the screen to one of the window.
    points : float
        Size of the window's letters.
    """

    ground: str
    text: str
    width: int
    ratio: float
    points: float

    @property
    def inches(self) -> float:
        """Width of the page that figures are drawn for."""
        dots = _DOTS_AN_INCH * self.ratio * max(1.0, self.points / _USUAL_POINTS)
        return max(self.width / dots, _NARROWEST)


def picture(figure: Figure, look: Look) -> npt.NDArray[np.uint8]:
    """Return a figure as RGBA, uint8 (height, width, 4). To be called in a worker."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    _dress(figure, look)
    figure.set_dpi(_FINER * look.width / figure.get_figwidth())
    ConstrainedLayoutEngine().execute(figure)
    canvas: Any = figure.canvas
    canvas.draw()
    return np.array(canvas.buffer_rgba(), np.uint8)


def _dress(figure: Figure, look: Look) -> None:
    """Give a figure the theme's colours; images and what is drawn on them keep theirs."""
    from matplotlib.text import Text

    figure.set_facecolor(look.ground)
    for axes in figure.axes:
        axes.set_facecolor(look.ground)
        axes.tick_params(colors=look.text)
        for spine in axes.spines.values():
            spine.set_color(look.text)
        for line in (*axes.get_xgridlines(), *axes.get_ygridlines()):
            line.set(color=look.text, alpha=_GRID)
        if not axes.images:
            _dress_marks(axes, look)
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_color(_letters(text.get_color(), look))
        box = text.get_bbox_patch()
        if box is not None:
            box.set(facecolor=look.ground, edgecolor=look.text)


def _dress_marks(axes: Any, look: Look) -> None:
    from matplotlib.collections import QuadMesh

    for line in axes.lines:
        line.set_color(_seen(line.get_color(), look))
        for part in ("markerfacecolor", "markeredgecolor"):
            line.set(**{part: _seen(getattr(line, f"get_{part}")(), look)})
    for marks in axes.collections:
        # The colours of a colour bar are what it is there for.
        if not isinstance(marks, QuadMesh):
            marks.set_facecolor([_seen(each, look) for each in marks.get_facecolor()])
            marks.set_edgecolor([_seen(each, look) for each in marks.get_edgecolor()])


def _letters(colour: Any, look: Look) -> Any:
    """Return the theme's colour for black and grey letters; others stand for something."""
    from matplotlib.colors import to_rgb

    return look.text if len(set(to_rgb(colour))) == 1 else _seen(colour, look, TEXT)


def _seen(colour: Any, look: Look, least: float = LINES) -> Any:
    """Return a colour that is seen on the ground, as clear as it was."""
    from matplotlib.colors import to_hex, to_rgba

    if isinstance(colour, str) and colour in ("none", "auto"):
        return colour
    clear = to_rgba(colour)[3]
    return to_rgba(seen_on(to_hex(colour), look.ground, least), clear)
