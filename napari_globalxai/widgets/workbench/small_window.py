"""Half of a small window is the canvas's: napari's lists go below the panels, into one column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QScrollArea, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONTROLS, _LIST = "layer controls", "layer list"
# Of a panel, in pixels: what it can be used at, and what suits it.
LEAST_WIDTH, USUAL_WIDTH = 280, 360
# Between docks and canvas.
_EDGES = 28
# More than is needed, before lists go back: where they stand changes a little what they ask for.
_SLACK = 24
# Of the column, below the panels; less where these would have less than suits them.
_SHARE_OF_LIST, _PANEL_HEIGHT = 0.3, 510
_MILLISECONDS_OF_CHANGE = 150


class SmallWindow(QObject):
    """Moves napari's lists when a window is too small for two columns, and back.

    What somebody has moved or hidden by hand stays where it is.

    Parameters
    ----------
    window : QMainWindow
        napari's window; it keeps this, and is not kept by it.
    """

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._has_moved = False
        # How many panels there were when the list of layers got its height.
        self._panels_known = 0
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(_MILLISECONDS_OF_CHANGE)
        self._settled.timeout.connect(self.arrange)
        window.installEventFilter(self)

    @property
    def _window(self) -> QMainWindow:
        window = self.parent()
        assert isinstance(window, QMainWindow)
        return window

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Arrange once the window keeps its size, its letters theirs, and the lists their content.

        napari's controls get wider with what is in them: a name of colours, another kind of layer.
        """
        if event is not None and event.type() in (
            (QEvent.Type.Resize, QEvent.Type.StyleChange)
            if watched is self.parent()
            else (QEvent.Type.LayoutRequest,)
        ):
            self.arrange_soon()
        return False

    def arrange_soon(self) -> None:
        """Arrange once nothing more joins the panels or changes their size."""
        self._settled.start()

    def arrange(self) -> None:
        """Put napari's lists where they leave half of the window to the canvas."""
        # Else, what they ask for may still be that of letters of another size.
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        lists = self._lists()
        panels = self._panels()
        if not panels or not lists:
            if self._has_moved and lists:
                self._move_back(lists)
            return
        for dock in lists:
            # Of a filter that is there, this only changes the turn.
            _asking(dock).installEventFilter(self)
        column = max(_asking(dock).minimumSizeHint().width() for dock in lists)
        for bars in (dock.widget() for dock in lists):
            if isinstance(bars, _Bars):
                bars.updateGeometry()
        half = self._window.width() // 2
        is_small = column + LEAST_WIDTH + _EDGES + (_SLACK if self._has_moved else 0) > half
        if is_small and not self._has_moved:
            self._move_below(panels, lists)
            self._give_width(panels[0], min(max(column, USUAL_WIDTH), half - _EDGES))
            # Before they have their places, Qt would share the height of what stood there.
            self._panels_known = 0
            self.arrange_soon()
        elif is_small and len(panels) != self._panels_known:
            # Whoever gives the list another height keeps it, until another panel comes.
            if self._share_height():
                self._panels_known = len(panels)
        elif not is_small and self._has_moved:
            self._move_back(lists)
            self._give_width(panels[0], min(USUAL_WIDTH, half - column - _EDGES))

    def _lists(self) -> list[QDockWidget]:
        """Return napari's lists that stand where they were put."""
        areas = Qt.DockWidgetArea
        area = areas.RightDockWidgetArea if self._has_moved else areas.LeftDockWidgetArea
        return [
            dock
            for dock in self._docks()
            if dock.objectName() in (_CONTROLS, _LIST)
            and not dock.isHidden()
            and not dock.isFloating()
            and self._window.dockWidgetArea(dock) == area
        ]

    def _panels(self) -> list[QDockWidget]:
        from napari_globalxai.widgets.workbench.panel import Panel

        right = Qt.DockWidgetArea.RightDockWidgetArea
        return [
            dock
            for dock in self._docks()
            if isinstance(dock.widget(), Panel)
            and not dock.isFloating()
            and self._window.dockWidgetArea(dock) == right
        ]

    def _docks(self) -> Sequence[QDockWidget]:
        # Its own only: all that is in a window is thousands.
        return [each for each in self._window.children() if isinstance(each, QDockWidget)]

    def _move_below(self, panels: list[QDockWidget], lists: list[QDockWidget]) -> None:
        """Put the list of layers below the panels, and the controls, which are high, beside."""
        front = [dock for dock in panels if _is_seen(dock)]
        for dock in lists:
            if dock.objectName() == _LIST:
                area = Qt.DockWidgetArea.RightDockWidgetArea
                self._window.addDockWidget(area, dock, Qt.Orientation.Vertical)
            else:
                _let_scroll(dock)
                self._window.tabifyDockWidget(panels[0], dock)
        for dock in front[:1]:
            dock.raise_()
        self._has_moved = True

    def _share_height(self) -> bool:
        """Give the list of layers little of a low window: panels are read, the list is known.

        Returns whether it could: of a window that is not seen, nothing has its height yet.
        """
        lists = self._lists()
        below = [dock for dock in lists if dock.objectName() == _LIST]
        # Those in tabs behind keep the height that they had before.
        beside = [dock for dock in (*self._panels(), *lists) if dock not in below]
        front = [dock for dock in beside if _is_seen(dock)]
        if self._has_moved and below and front:
            height = front[0].height() + below[0].height()
            of_list = min(_SHARE_OF_LIST * height, height - _PANEL_HEIGHT)
            of_list = max(below[0].minimumSizeHint().height(), round(of_list))
            heights = [height - of_list, of_list]
            self._window.resizeDocks([front[0], below[0]], heights, Qt.Orientation.Vertical)
        return bool(front)

    def _move_back(self, lists: list[QDockWidget]) -> None:
        for dock in lists:
            _let_stand(dock)
            self._window.addDockWidget(
                Qt.DockWidgetArea.LeftDockWidgetArea, dock, Qt.Orientation.Vertical
            )
            dock.show()
        self._has_moved = False

    def _give_width(self, dock: QDockWidget, width: int) -> None:
        self._window.resizeDocks([dock], [max(width, LEAST_WIDTH)], Qt.Orientation.Horizontal)


def _is_seen(dock: QDockWidget) -> bool:
    return not dock.visibleRegion().isEmpty()


def _asking(dock: QDockWidget) -> QWidget:
    """Return what a list asks for its width by itself.

    The dock itself may still tell what it was with larger letters.
    """
    inside = dock.widget()
    held = inside.widget() if isinstance(inside, _Bars) else None
    return held or inside or dock


class _Bars(QScrollArea):
    """What scrolls where its content asks for more than half of the window."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)

    def minimumSizeHint(self) -> QSize:
        """Return the width of the content, as long as that leaves half of the window."""
        least, inside, window = super().minimumSizeHint(), self.widget(), self.window()
        if inside is None or window is None:
            return least
        bar = self.verticalScrollBar()
        beside = bar.sizeHint().width() if bar is not None and bar.isVisible() else 0
        width = min(inside.minimumSizeHint().width() + beside, window.width() // 2 - _EDGES)
        return QSize(max(least.width(), width), least.height())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask for another width once the content does."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))


def _let_scroll(dock: QDockWidget) -> None:
    """Put bars around the controls: no tab of a column is narrower than the widest one asks for.

    napari 0.9.0 has them no higher than they ask for, either, nor what stands in tabs with them.
    """
    controls = dock.widget()
    if controls is not None:
        bars = _Bars()
        dock.setWidget(bars)
        bars.setWidget(controls)
        controls.show()


def _let_stand(dock: QDockWidget) -> None:
    """Take the bars around the controls away."""
    bars = dock.widget()
    controls = bars.takeWidget() if isinstance(bars, _Bars) else None
    if bars is not None and controls is not None:
        dock.setWidget(controls)
        controls.show()
        bars.deleteLater()


def keep_half_for_canvas(window: QMainWindow) -> None:
    """Arrange a window with panels, soon and whenever it or its letters get another size."""
    known: SmallWindow | None = window.findChild(SmallWindow)
    (SmallWindow(window) if known is None else known).arrange_soon()
