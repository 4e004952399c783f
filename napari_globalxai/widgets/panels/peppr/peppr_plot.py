"""The plot of PEPPR in the panel: a figure drawn in a worker, with the fraction in view on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import (
    QColor,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from qtpy.QtWidgets import QApplication, QSizePolicy, QWidget

from napari_globalxai.widgets.fields.exporting import COPY, SAVE, offer, save_figure
from napari_globalxai.widgets.fields.wheel_zoom import STEP, wheel_zoom
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.panels.peppr.image_curves_figure import draw_result
from napari_globalxai.widgets.panels.peppr.peppr_figure import WHOLE, Drawn, Wanted, least_height
from napari_globalxai.widgets.panels.peppr.plot_names import NO_CURVES
from napari_globalxai.widgets.words.colours import ARM_COLOURS
from napari_globalxai.widgets.words.seen_colours import seen_on

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult

_DOT = 4.5
_TOP = int(
    Qt.AlignmentFlag.AlignHCenter.value
    | Qt.AlignmentFlag.AlignTop.value
    | Qt.TextFlag.TextWordWrap.value
)
# Of zooming: a step, the part of the view that is moved by, and the smallest range of fractions.
_PART, _NARROWEST = 0.2, 0.02
PLOT_TIP = (
    "Click or drag in the curves to go to a fraction; Ctrl and wheel, + and −: closer;\n"
    "arrow keys: move; 0: all of it; Ctrl+S: save"
)
# Pixels of a page, and the size of its letters.
_PRINTED, _POINTS_PRINTED = (700, 800), 10.5
_MILLISECONDS_OF_RESIZING = 120
# Of a panel that opens: to draw before it has its place takes Python from the window that lays it
# out, and the picture would be of another size. First for one that nobody shows.
_MILLISECONDS_UNSEEN, _MILLISECONDS_OF_PLACING = 400, 40
_DOTS_AN_INCH = 100.0
_LEAST_HEIGHT = 340
# Without curves, in heights of a line: room for the sentence that says so.
_LINES_OF_NOTHING = 6


class PepprPlot(QWidget):
    """Curves of one label: restored and erased along the map, controls, and the fraction in view.

    Parameters
    ----------
    theme : str
        Name of napari's theme.
    has_fraction : bool, optional
        Whether a fraction is in view, which a click moves.

    The line of the fraction is painted by Qt onto the finished picture, so that scrubbing does not
    draw the curves again.

    Attributes
    ----------
    fraction_picked : Signal
        Fraction where the user clicked or dragged in the curves.
    drawn : Signal
        The picture is that of what was last asked for.
    """

    fraction_picked = Signal(float)
    drawn = Signal()

    def __init__(self, theme: str, has_fraction: bool = True) -> None:
        super().__init__()
        self.setMinimumWidth(180)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Curves of PEPPR")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._offer_all()
        self._result: PepprResult | None = None
        self._fit_height()
        self._label = ""
        self._others: tuple[tuple[str, PepprResult], ...] = ()
        self._called = ""
        self._has_fraction, self._fraction, self._arm = has_fraction, 0.0, "restore"
        self._theme = theme
        self._across = WHOLE
        self._drawn: Drawn | None = None
        self._picture: QImage | None = None
        self._figures = LatestOnly(self)
        self._figures.ready.connect(self._on_drawn)
        self._figures.failed.connect(self._catch_up)
        # A part that nobody shows yet is not put away.
        self._is_behind = self._is_away = False
        self._resized = QTimer(self)
        self._resized.setSingleShot(True)
        self._resized.setInterval(_MILLISECONDS_UNSEEN)
        self._resized.timeout.connect(self._draw_placed)
        self._resized.start()

    def _offer_all(self) -> None:
        offer(self, "Save figure…", SAVE, self.save)
        offer(self, "Copy figure", COPY, self.copy)
        offer(self, "Closer", "+", lambda: self.zoom_by(STEP))
        offer(self, "Farther", "-", lambda: self.zoom_by(1 / STEP))
        offer(self, "All of it", "0", lambda: self.zoom_by(0))
        offer(self, "Move left", "Left", lambda: self.show_part(self._moved(-1)))
        offer(self, "Move right", "Right", lambda: self.show_part(self._moved(1)))

    def _moved(self, way: int) -> tuple[float, float]:
        first, last = self._across
        by = way * _PART * (last - first)
        by = min(max(by, -first), 1 - last)
        return first + by, last + by

    @property
    def across(self) -> tuple[float, float]:
        """The fractions from which to which curves are shown."""
        return self._across

    def show_part(self, across: tuple[float, float]) -> None:
        """Show the curves of some of the fractions, or of all."""
        if across != self._across:
            self._across = across
            self._draw_all()

    def zoom_by(self, factor: float, at: float | None = None) -> None:
        """Come closer around a fraction, by default the one in view; all of it by 0."""
        first, last = self._across
        at = min(last, max(first, self._fraction)) if at is None else at
        wide = 1.0 if factor == 0 else min(1.0, max(_NARROWEST, (last - first) / factor))
        # What lies under the pointer stays there.
        share = (at - first) / (last - first)
        begin = min(1 - wide, max(0.0, at - share * wide))
        self.show_part((begin, begin + wide))

    def save(self) -> None:
        """Ask where the figure is to be saved, and save it as it is printed."""
        result, label = self._result, self._label
        if result is not None:
            wanted = replace(
                self._wanted(),
                ground="#ffffff",
                text="#222222",
                size=_PRINTED,
                dots_an_inch=_DOTS_AN_INCH,
                points=_POINTS_PRINTED,
            )
            save_figure(
                self, f"PEPPR {result.map_name} {label}", lambda: draw_result(wanted).figure
            )

    def copy(self) -> None:
        """Copy the figure as it is shown."""
        clipboard = QApplication.clipboard()
        if clipboard is not None and self._picture is not None:
            clipboard.setImage(self._picture)

    @property
    def is_drawing(self) -> bool:
        """Whether the picture is not yet that of what was last asked for."""
        return self._figures.is_running or self._is_behind or self._resized.isActive()

    @property
    def figure(self) -> Any:
        """The figure of matplotlib on show, None before the first is drawn."""
        return None if self._drawn is None else self._drawn.figure

    @property
    def curves_axes(self) -> Any:
        """The axes of its curves."""
        return None if self._drawn is None else self._drawn.curves_axes

    @property
    def deltas_axes(self) -> Any:
        """The axes of Δ."""
        return None if self._drawn is None else self._drawn.deltas_axes

    def sizeHint(self) -> QSize:
        """Return the size that shows all of it well."""
        return QSize(340, 420 if self._result is not None else self.minimumHeight())

    def set_theme(self, theme: str) -> None:
        """Take napari's colours."""
        self._theme = theme
        self._draw_all()

    def show_result(
        self,
        result: PepprResult | None,
        label: str,
        others: tuple[tuple[str, PepprResult], ...] = (),
        called: str = "",
    ) -> None:
        """Show one label's curves, or nothing; among those of other maps, by what it is called."""
        if result is not self._result or others:
            self._others = others
        self._called = called
        self._result, self._label = result, label
        if result is None:
            # Not to be taken for those of what comes next.
            self._drawn = self._picture = None
        self._fit_height()
        self._draw_all()

    def lay_beside(self, others: tuple[tuple[str, PepprResult], ...]) -> None:
        """Show the curves of other results, by name, until another result is shown."""
        self._others = others
        self._draw_all()

    def show_fraction(self, fraction: float, arm: str) -> None:
        """Move the line to a fraction; with another arm, its controls are shown."""
        self._fraction = fraction
        if arm != self._arm:
            self._arm = arm
            self._draw_all()
        else:
            self.update()

    def _wanted(self) -> Wanted:
        theme, ratio = get_theme(self._theme), self.devicePixelRatioF()
        return Wanted(
            result=self._result,
            label=self._label,
            arm=self._arm,
            ground=theme.background.as_hex(),
            text=theme.text.as_hex(),
            size=(round(self.width() * ratio), round(self.height() * ratio)),
            dots_an_inch=_DOTS_AN_INCH * ratio,
            points=self.font().pointSizeF(),
            others=self._others,
            across=self._across,
            called=self._called,
        )

    def setVisible(self, visible: bool) -> None:
        """Draw once it has its place: put away it has none, and nothing is drawn."""
        comes, self._is_away = visible and self._is_away, not visible
        super().setVisible(visible)
        if comes:
            self._resized.start()

    def _draw_placed(self) -> None:
        if self._is_away:
            return
        self._resized.setInterval(_MILLISECONDS_OF_RESIZING)
        self._draw_all()

    def _draw_all(self) -> None:
        if self._is_away or (self._drawn is None and self._resized.isActive()):
            # All of it will be drawn then.
            return
        # One under way is shown first: where curves come faster than they are drawn, each would
        # give way to the next, and none be shown.
        self._is_behind = self._figures.is_running
        if not self._is_behind:
            self._draw_now()

    def _draw_now(self) -> None:
        self._is_behind, wanted = False, self._wanted()
        self._figures.request(wanted, lambda: draw_result(wanted))

    def _catch_up(self, *what: object) -> None:
        if self._is_behind:
            self._draw_now()

    def _on_drawn(self, wanted: Wanted, drawn: Drawn) -> None:
        height, width = drawn.pixels.shape[:2]
        picture = QImage(
            drawn.pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888
        )
        # A copy, as Qt does not keep the bytes.
        self._drawn, self._picture = drawn, picture.copy()
        self.update()
        if self._is_behind:
            self._draw_now()
        else:
            self.drawn.emit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Draw anew once the size stays."""
        super().resizeEvent(event)
        self._fit_height()
        if self._resized.interval() == _MILLISECONDS_UNSEEN:
            self._resized.setInterval(_MILLISECONDS_OF_PLACING)
        self._resized.start()

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the size of the window's letters."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._fit_height()
            self._resized.start()

    def _fit_height(self) -> None:
        """Be as high as axes and words need; the panel scrolls."""
        needed = _LINES_OF_NOTHING * self.fontMetrics().height()
        if self._result is not None:
            named = len(self._others or self._result.judged_by)
            of_axes = least_height(self.font().pointSizeF(), self.width(), _DOTS_AN_INCH, named)
            needed = max(_LEAST_HEIGHT, of_axes)
        self.setMinimumHeight(needed)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the finished picture and the line of the fraction onto it."""
        drawn, picture = self._drawn, self._picture
        painter = QPainter(self)
        if drawn is None or picture is None:
            if self._result is None:
                # As the figure says it in a moment.
                painter.setPen(QColor(get_theme(self._theme).text.as_hex()))
                room = self.rect().adjusted(0, self.height() // 20, 0, 0)
                painter.drawText(room, _TOP, NO_CURVES)
            painter.end()
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(self.rect()), picture)
        first, last = self._across
        if self._has_fraction and drawn.curve is not None and first <= self._fraction <= last:
            text = get_theme(self._theme).text.as_hex()
            value = float(np.interp(self._fraction, *drawn.curve))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(text), 1))
            bottom, top = drawn.curves_axes.get_ylim()
            painter.drawLine(self._place(self._fraction, bottom), self._place(self._fraction, top))
            ground = get_theme(self._theme).background.as_hex()
            painter.setBrush(QColor(seen_on(ARM_COLOURS[self._arm], ground)))
            painter.drawEllipse(self._place(self._fraction, value), _DOT, _DOT)
        painter.end()

    def _place(self, fraction: float, value: float) -> QPointF:
        """Return where a point of the curves lies in the widget."""
        assert self._drawn is not None
        box = self._drawn.figure.bbox
        x, y = self._drawn.curves_axes.transData.transform((100 * fraction, value))
        return QPointF(x / box.width * self.width(), (1 - y / box.height) * self.height())

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the fraction that was clicked."""
        self._pick(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Follow the mouse while it is pressed."""
        self._pick(event)

    def _pick(self, event: QMouseEvent | None) -> None:
        if event is None or self._drawn is None or self._drawn.curve is None:
            return
        if not event.buttons() & Qt.MouseButton.LeftButton:
            return
        bottom, top = self._drawn.curves_axes.get_ylim()
        first, last = self._place(0.0, bottom), self._place(1.0, top)
        place = event.position()
        if last.y() <= place.y() <= first.y():
            self.fraction_picked.emit(float(np.clip(self._fraction_at(place.x()), *self._across)))

    def _fraction_at(self, x: float) -> float:
        bottom = self.curves_axes.get_ylim()[0]
        first, last = (self._place(end, bottom).x() for end in WHOLE)
        return (x - first) / (last - first)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Come closer with Ctrl; otherwise the panel scrolls."""
        if event is None:
            return
        factor = wheel_zoom(event)
        has_curves = self._drawn is not None and self._drawn.curve is not None
        if factor != 1 and has_curves:
            at = float(np.clip(self._fraction_at(event.position().x()), *self._across))
            self.zoom_by(factor, at)
            event.accept()
        else:
            event.ignore()
