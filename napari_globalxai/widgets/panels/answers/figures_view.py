"""The figures of a chapter of the report, drawn in a worker for the panel that shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QResizeEvent, QShowEvent
from qtpy.QtWidgets import QWidget

from napari_globalxai.runs.turns import reading
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.picture_view import PictureView
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.panels.answers.figure_look import Look, picture
from napari_globalxai.widgets.session.session import plain_viewer
from napari_globalxai.widgets.workbench.panel import Panel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from napari_globalxai.runs.run import Run

_MILLISECONDS_OF_RESIZING = 200
_DRAWING = "The figures are being drawn…"


@dataclass(frozen=True)
class _Wanted:
    """Which figures, and for which look."""

    run: Run
    chapter: str
    look: Look


@dataclass(frozen=True)
class _Drawn:
    """A figure as it is shown."""

    name: str
    caption: str
    pixels: npt.NDArray[np.uint8]


class _Means:
    """The mean image of the run whose figures were drawn last; it takes long on a large one."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._mean: Any = None

    def of(self, run: Run) -> Any:
        if run is not self._run:
            self._run, self._mean = run, run.stack.mean_image(run.finished_rows)
        return self._mean


def _draw(wanted: _Wanted, means: _Means) -> list[_Drawn]:
    """Draw the figures of a chapter. To be called in a worker."""
    import_models()
    from napari_globalxai.report.chapter_figures import draw_chapter

    with reading(wanted.run.folder):
        found = draw_chapter(wanted.run, wanted.chapter, means.of(wanted.run), wanted.look.inches)
    return [_Drawn(each.name, each.caption, picture(each.figure, wanted.look)) for each in found]


def _printed(run: Run, chapter: str, name: str, means: _Means) -> Callable[[], Figure]:
    """Return what draws a figure again as the report prints it."""

    def draw() -> Figure:
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        from napari_globalxai.report.chapter_figures import draw_chapter

        with reading(run.folder):
            found = {each.name: each.figure for each in draw_chapter(run, chapter, means.of(run))}
        ConstrainedLayoutEngine().execute(found[name])
        return found[name]

    return draw


class FiguresView(QWidget):
    """Pictures below each other, as wide as the panel, each with its words.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.Viewer
        Has the theme.

    Attributes
    ----------
    pictures : list of PictureView
        What is shown.
    said : QLabel
        That they are being drawn, or why not.
    """

    def __init__(self, panel: Panel, viewer: Any) -> None:
        super().__init__()
        self._panel = panel
        self._theme = str(viewer.theme)
        self._resized = QTimer(self)
        self._resized.setSingleShot(True)
        self._resized.setInterval(_MILLISECONDS_OF_RESIZING)
        self._resized.timeout.connect(self._request)
        self._run: Run | None = None
        self._chapter = ""
        self._means = _Means()
        self._shown: _Wanted | None = None
        self.pictures: list[PictureView] = []
        self.said = text_label()
        self._content = QWidget()
        self._box = in_column(self)
        self._box.addWidget(self.said)
        self._box.addWidget(self._content)
        self._draws = LatestOnly(self)
        self._draws.ready.connect(self._on_drawn)
        self._draws.failed.connect(self._say)
        panel.follow(plain_viewer(viewer).events.theme, self._on_theme)
        self.show_chapter(None, "")

    @property
    def is_drawing(self) -> bool:
        """Whether what is shown is not yet what was last asked for."""
        return self._draws.is_running or self._resized.isActive()

    def show_chapter(self, run: Run | None, chapter: str) -> None:
        """Show the figures of a chapter, or none."""
        self._run, self._chapter = run, chapter
        self._fill(None, [])
        self._say("")
        self._shown = None
        self._request()

    def _request(self) -> None:
        if self._run is None or self.width() <= 0 or not self.isVisible():
            return
        theme, ratio = get_theme(self._theme), self.devicePixelRatioF()
        look = Look(
            theme.background.as_hex(),
            theme.text.as_hex(),
            round(self.width() * ratio),
            ratio,
            self.font().pointSizeF(),
        )
        wanted = _Wanted(self._run, self._chapter, look)
        if wanted != self._shown:
            self._shown = wanted
            if not self.pictures:
                self._say(_DRAWING)
            means = self._means
            self._draws.request(wanted, lambda: _draw(wanted, means))

    def _on_drawn(self, wanted: _Wanted, drawn: list[_Drawn]) -> None:
        if (wanted.run, wanted.chapter) == (self._run, self._chapter):
            self._say("")
            self._fill(wanted, drawn)

    def _fill(self, wanted: _Wanted | None, drawn: list[_Drawn]) -> None:
        before, self._content, self.pictures = self._content, QWidget(), []
        inside = in_column(self._content)
        for each in drawn:
            assert wanted is not None
            shown = PictureView(
                each.name.replace("_", " ").capitalize(),
                each.pixels,
                _printed(wanted.run, wanted.chapter, each.name, self._means),
            )
            self.pictures.append(shown)
            inside.addWidget(shown)
            inside.addWidget(text_label(each.caption))
        self._box.replaceWidget(before, self._content)
        before.hide()
        before.deleteLater()
        if drawn:
            self._panel.take_letters()

    def _say(self, sentence: str) -> None:
        self.said.setText(sentence)
        self.said.setVisible(bool(sentence))

    def _on_theme(self, event: Any) -> None:
        self._theme = str(event.value)
        self._resized.start()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Draw what was asked for while nobody looked."""
        super().showEvent(event)
        self._resized.start()

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the size of the window's letters."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._resized.start()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Draw anew once the size stays."""
        super().resizeEvent(event)
        self._resized.start()
