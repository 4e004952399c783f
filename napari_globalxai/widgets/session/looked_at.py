"""What was looked at before: maps and selections, one after the other, as in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_globalxai.widgets.session.session import Session, plain_viewer, session_of
from napari_globalxai.widgets.session.shown_maps import MapChoice

# What changes together, as a finding changes map and images, is one step.
_SECONDS_OF_ONE_STEP = 0.3
_MOST_STEPS = 100


@dataclass(frozen=True)
class Looked:
    """A map, and the images that it is made of."""

    map_name: str
    choice: MapChoice


class LookedAt:
    """The steps of a session, to go back and forward through.

    Parameters
    ----------
    session : Session
        The session; another run begins anew.
    clock : callable, optional
        Seconds.

    Attributes
    ----------
    changed : psygnal.Signal
        Other ways are open.
    """

    changed = Signal()

    def __init__(self, session: Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._session, self._clock = session, clock
        self._moves = False
        self._begin()
        session.view_changed.connect(self._begin)
        session.map_changed.connect(self._on_changed)
        session.choice_changed.connect(self._on_changed)

    @property
    def can_go_back(self) -> bool:
        """Whether something was looked at before."""
        return self._at > 0

    @property
    def can_go_forward(self) -> bool:
        """Whether somebody went back."""
        return self._at < len(self._steps) - 1

    def back(self) -> None:
        """Look at what was looked at before."""
        if self.can_go_back:
            self._go(self._at - 1)

    def forward(self) -> None:
        """Look at what was left by going back."""
        if self.can_go_forward:
            self._go(self._at + 1)

    def _begin(self, view: object = None) -> None:
        self._steps, self._at = [self._now()], 0
        self._last = self._clock()
        self.changed.emit()

    def _now(self) -> Looked:
        return Looked(self._session.map_name, self._session.choice)

    def _on_changed(self, what: object) -> None:
        now = self._now()
        if self._moves or now == self._steps[self._at]:
            # Of a map that is computed, its signal comes again once it is there.
            return
        before, self._last = self._last, self._clock()
        is_one_step = self._at > 0 and self._last - before < _SECONDS_OF_ONE_STEP
        kept = self._steps[: self._at if is_one_step else self._at + 1]
        self._steps = [*kept, now][-_MOST_STEPS:]
        self._at = len(self._steps) - 1
        self.changed.emit()

    def _go(self, to: int) -> None:
        session, step = self._session, self._steps[to]
        self._at, self._moves = to, True
        try:
            if step.map_name != session.map_name:
                session.choose_map(step.map_name)
            session.select(step.choice.among)
            session.compare_with(step.choice.less)
            session.choose_statistic(step.choice.statistic)
        finally:
            self._moves = False
        self._last = float("-inf")
        self.changed.emit()


_steps: WeakKeyDictionary[Any, LookedAt] = WeakKeyDictionary()


def looked_at(viewer: Any) -> LookedAt:
    """Return what was looked at in a viewer; one a viewer."""
    plain = plain_viewer(viewer)
    if plain not in _steps:
        _steps[plain] = LookedAt(session_of(plain))
    return _steps[plain]
