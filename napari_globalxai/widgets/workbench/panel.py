"""What all panels have in common: they scroll, they stand as tabs, they leave no slot behind."""

import time
from collections import deque
from collections.abc import Callable
from threading import Event
from typing import Any, Optional
from weakref import WeakMethod, ref

from napari.settings import get_settings
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QObject, QPoint, QSignalBlocker, QSize, Qt, QTimer
from qtpy.QtGui import QFont, QResizeEvent, QShowEvent
from qtpy.QtWidgets import (
    QApplication,
    QDockWidget,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.jobs.warm_up import warm_up
from napari_globalxai.widgets.workbench.alt_keys import give_keys
from napari_globalxai.widgets.workbench.job_foot import JobFoot
from napari_globalxai.widgets.workbench.small_window import USUAL_WIDTH, keep_half_for_canvas
from napari_globalxai.widgets.workbench.tab_key import let_tab_in, scroll_to_focus

NARROWEST = 160
# Around the words of napari's title bar, its line included.
_TITLE_MARGIN = 24
# Wide enough for most forms, narrow enough for a canvas beside it on a small screen.
_USUAL = QSize(USUAL_WIDTH, 640)
# What parts of a panel may take in one turn of the event loop.
_SECONDS_A_TURN = 0.015


class Panel(QScrollArea):
    """A dock widget whose content scrolls where the window is too small for it.

    Attributes
    ----------
    short_name : str
        What its tab says, beside those of the other panels; its whole name where it is empty.
    content : QVBoxLayout
        What the panel shows.
    """

    short_name = ""

    def __init__(self) -> None:
        super().__init__()
        self._followed = _AllFollowed()
        # Once, and not for each of them: connections stay as long as the panel.
        self.destroyed.connect(self._followed.leave)
        self._is_gone = Event()
        self.destroyed.connect(self._is_gone.set)
        inside = QWidget()
        self.content = QVBoxLayout(inside)
        self.content.setContentsMargins(8, 8, 8, 8)
        self.content.setSpacing(8)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        # Of a large font on a small screen, all can be reached.
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setMinimumWidth(NARROWEST)
        self._is_docked, self._is_in_front = False, True
        # It goes with the panel, which Qt's own timers would outlive.
        self._tabs_settled = QTimer(self)
        self._tabs_settled.setSingleShot(True)
        self._tabs_settled.setInterval(0)
        self._tabs_settled.timeout.connect(self._share_keys)
        self._title_fitted = QTimer(self)
        self._title_fitted.setSingleShot(True)
        self._title_fitted.setInterval(0)
        self._title_fitted.timeout.connect(self._fit_title)
        QApplication.instance().focusChanged.connect(self._on_focus)  # type: ignore[union-attr]
        self._foot: Optional[JobFoot] = None  # noqa: UP045
        self._stressed: list[QPushButton] = []
        self.follow(get_settings().appearance.events.font_size, self.take_letters)
        self._fill_later(inside)
        # Which waits until that is done.
        warm_up(self)

    def _fill_later(self, inside: QWidget) -> None:
        """Take what is in it in turns of their own, once napari has docked the panel.

        To dress and lay out all of that at once would hold up the window for longer.
        """
        panel = ref(self)

        def begin() -> None:
            there = panel()
            if there is not None:
                parts = _Waiting(there.content)
                there.setWidget(inside)
                TURNS.go_on(there._unless_gone(lambda: go_on(parts)))

        def go_on(parts: _Waiting) -> None:
            there = panel()
            if there is not None and parts.show_some(there.content):
                # Before another panel's parts, or Tab would go back and forth between the two.
                TURNS.go_on(there._unless_gone(lambda: go_on(parts)))
            elif there is not None:
                there._foot = JobFoot(there)
                there._take_keys()
                if there.font().pointSize() != QFont().pointSize():
                    there.take_letters()

        self.in_turn(begin)

    def take_in(self, part: QWidget) -> None:
        """Give a part that is made late its letters and keys, and its bars a place at the foot."""
        if self.font().pointSize() != QFont().pointSize():
            self.take_letters()
        self._take_keys()
        if self._foot is not None:
            self._foot.take_in(part)

    def in_turn(self, piece: Callable[[], None]) -> None:
        """Do something in a turn of its own, unless the panel has gone by then."""
        TURNS.add(self._unless_gone(piece))

    def bring_in_view(self, first: QWidget, last: QWidget) -> None:
        """Scroll until two parts and what is between are in view; of more, its beginning."""

        def scroll() -> None:
            inside, bar, room = self.widget(), self.verticalScrollBar(), self.viewport()
            if inside is None or bar is None or room is None:
                return
            top, end = (part.mapTo(inside, QPoint(0, 0)).y() for part in (first, last))
            lowest = max(bar.value(), end + last.height() - room.height())
            bar.setValue(min(top, lowest))

        self.in_turn(scroll)

    def _unless_gone(self, piece: Callable[[], None]) -> Callable[[], None]:
        is_gone = self._is_gone

        def unless_gone() -> None:
            if not is_gone.is_set():
                piece()

        return unless_gone

    def take_letters(self, event: object = None) -> None:
        """Give lines, tables and plots the letters that napari's style gives to labels alone.

        Parts that are made later ask for it, too.
        """
        # Qt hands on what changes only, and parts were made before they were here.
        self.setFont(QFont())
        font = self.font()
        font.setPointSize(int(get_settings().appearance.font_size))
        self.setFont(font)

    def stress(self, button: QPushButton) -> None:
        """Let the button that the panel is there for stand out from those beside it."""
        if not self._stressed:
            self.follow(get_settings().appearance.events.theme, self._take_colours)
        self._stressed.append(button)
        self._take_colours()

    def _take_colours(self, event: object = None) -> None:
        theme = get_theme(get_settings().appearance.theme)
        for button in self._stressed:
            # The colour of what is chosen; one that cannot be pressed looks like all such.
            button.setStyleSheet(
                "QPushButton { border: 1px solid transparent; font-weight: bold; }"
                f"QPushButton:enabled {{ background-color: {theme.current.as_hex()}; }}"
                f"QPushButton:enabled:hover {{ background-color: {theme.highlight.as_hex()}; }}"
            )

    def follow(self, signal: Any, slot: Callable[..., None]) -> None:
        """Connect a signal of the viewer or its session, which outlive the panel.

        Parameters
        ----------
        signal : psygnal.SignalInstance or napari's EventEmitter
            The signal.
        slot : callable
            A method of the panel.
        """
        self._followed.add(_Following(signal, slot))

    def leave(self, signal: Any) -> None:
        """Follow a signal no more, such as that of a layer that was taken away."""
        self._followed.drop(signal)

    def event(self, event: Optional[QEvent]) -> bool:  # noqa: UP045
        """Follow nothing while no window has the panel.

        What napari takes out of its window lives on for as long as anybody refers to it, and would
        go on choosing maps and results for whoever works in the panel that was opened since.
        """
        if event is not None and event.type() == QEvent.Type.ParentChange:
            self._followed.turn(self.parent() is not None)
        return super().event(event)

    def sizeHint(self) -> QSize:
        """Return the size that Qt starts from."""
        return _USUAL

    def showEvent(self, event: Optional[QShowEvent]) -> None:  # noqa: UP045
        """Join the other panels the first time that it is docked."""
        super().showEvent(event)
        if not self._is_docked:
            self._is_docked = True
            # Of what it docks, napari 0.9.0 lets nothing be higher than its hint.
            self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
            self.take_letters()
            # Once napari has put it where it belongs.
            QTimer.singleShot(0, self._join_tabs)

    def _join_tabs(self) -> None:
        dock = self.dock()
        window = None if dock is None else dock.parent()
        if dock is None or not isinstance(window, QMainWindow) or dock.isFloating():
            return
        self._name_dock(dock)
        dock.visibilityChanged.connect(self._on_tabs)
        # Of several panels, all join the oldest, whether opened from a menu or by a script.
        area = window.dockWidgetArea(dock)
        panels = [
            other
            for other in window.findChildren(QDockWidget)
            if isinstance(other.widget(), Panel)
            and not other.isFloating()
            and window.dockWidgetArea(other) == area
        ]
        if panels[0] is not dock and panels[0] not in window.tabifiedDockWidgets(dock):
            # napari would write all its settings once more, for the side where it is already.
            with QSignalBlocker(dock):
                window.tabifyDockWidget(panels[0], dock)
            dock.raise_()
            self._on_tabs()
        for bar in window.findChildren(QTabBar):
            # Names in full, and arrows where they do not fit.
            bar.setElideMode(Qt.TextElideMode.ElideNone)
            bar.setUsesScrollButtons(True)
        keep_half_for_canvas(window)

    def _on_tabs(self, *what: object) -> None:
        # Once Qt has put docks where they belong: those in tabs behind beyond the window's edge.
        self._tabs_settled.start()

    def _share_keys(self) -> None:
        """Give keys to the panels in front alone; of one that goes behind, Qt may not tell."""
        dock = self.dock()
        window = None if dock is None else dock.parent()
        others = window.findChildren(QDockWidget) if isinstance(window, QMainWindow) else ()
        for other in others:
            panel, is_in_front = other.widget(), other.isFloating() or other.geometry().right() >= 0
            if isinstance(panel, Panel) and panel._is_in_front != is_in_front:
                panel._is_in_front = is_in_front
                panel._take_keys()

    def _take_keys(self) -> None:
        give_keys(self, is_in_front=self._is_in_front)
        let_tab_in(self.dock() or self, is_in_front=self._is_in_front)

    def _on_focus(self, before: Optional[QWidget], part: Optional[QWidget]) -> None:  # noqa: UP045
        scroll_to_focus(self, part)

    def _name_dock(self, dock: QDockWidget) -> None:
        """Have a short name on the tab; window, title bar and menu tell the whole one."""
        # napari adds the plugin's.
        name = dock.windowTitle().partition(" (")[0]

        def take_name(floats: bool) -> None:
            dock.setWindowTitle(name if floats else self.short_name or name)
            # Which follows the title by itself.
            dock.toggleViewAction().setText(name)  # type: ignore[union-attr]

        take_name(False)
        dock.topLevelChanged.connect(take_name)

    def _fit_title(self) -> None:
        """Have napari's title bar say the short name where it would cut the whole one."""
        dock = self.dock()
        bar: Any = None if dock is None else dock.titleBarWidget()
        title, last = getattr(bar, "title", None), getattr(bar, "float_button", None)
        if dock is None or title is None or last is None:
            return
        # napari adds the plugin's.
        whole = str(getattr(dock, "name", dock.windowTitle())).partition(" (")[0]
        room = bar.width() - last.geometry().right() - _TITLE_MARGIN
        fits = title.fontMetrics().horizontalAdvance(whole) <= room
        title.setText(whole if fits else self.short_name or whole)

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:  # noqa: UP045
        """Fit the title as well."""
        super().resizeEvent(event)
        # Once the bar has its new width, too.
        self._title_fitted.start()

    def dock(self) -> Optional[QDockWidget]:  # noqa: UP045
        """Return the dock that it stands in, if any."""
        above: Optional[QObject] = self.parent()  # noqa: UP045
        while above is not None and not isinstance(above, QDockWidget):
            above = above.parent()
        return above if isinstance(above, QDockWidget) else None

    def bring_forward(self) -> None:
        """Show the panel's tab."""
        dock = self.dock()
        if dock is not None:
            dock.show()
            dock.raise_()


class _Following:
    """A signal that a part of a panel follows, or not for the time being."""

    def __init__(self, signal: Any, slot: Callable[..., None]) -> None:
        self.signal, self._slot, self._is_on = signal, WeakMethod(slot), False

    def turn(self, on: bool) -> None:
        """Follow the signal or leave it."""
        slot = self._slot()
        if slot is not None and on != self._is_on:
            self._is_on = on
            (self.signal.connect if on else self.signal.disconnect)(slot)


class _AllFollowed:
    """All that a panel follows.

    Python's half of a panel that Qt has deleted may still be there, and would be called.
    """

    def __init__(self) -> None:
        self._all: list[_Following] = []

    def add(self, following: _Following) -> None:
        """Follow one more."""
        following.turn(True)
        self._all.append(following)

    def drop(self, signal: Any) -> None:
        """Leave a signal for good."""
        for each in self._all:
            if each.signal is signal:
                each.turn(False)
        self._all = [each for each in self._all if each.signal is not signal]

    def turn(self, on: bool) -> None:
        """Follow all of them, or none for the time being."""
        for each in self._all:
            each.turn(on)

    def leave(self, gone: object = None) -> None:
        """Follow none."""
        self.turn(False)


class _Waiting:
    """Parts of a panel that are still to be shown, in their order."""

    def __init__(self, layout: QVBoxLayout) -> None:
        # Without a parent, a part that its owner shows would be a window.
        self._holder = QWidget()
        self._parts: deque[tuple[QWidget | None, int]] = deque()
        while layout.count():
            stretch = layout.stretch(0)
            part = layout.itemAt(0).widget()  # type: ignore[union-attr]
            if part is None:
                layout.takeAt(0)
            else:
                # Qt's item goes, too. PySide6 keeps one that is taken, which would then be told of
                # the part's new size in place of the one that the part is laid out by.
                layout.removeWidget(part)
                part.setParent(self._holder)
            self._parts.append((part, stretch))

    def show_some(self, layout: QVBoxLayout) -> bool:
        """Put as many where they belong as there is time for; return whether there are more."""
        until = time.perf_counter() + _SECONDS_A_TURN
        while self._parts and time.perf_counter() < until:
            part, stretch = self._parts.popleft()
            if part is None:
                layout.addStretch(stretch)
                continue
            is_hidden = part.isHidden()
            layout.addWidget(part, stretch)
            if not is_hidden:
                # Else Qt would do so later, all at once.
                part.show()
        return bool(self._parts)
