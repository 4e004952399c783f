"""A label that always says what the session is at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_globalxai.widgets.fields.parts import text_label

if TYPE_CHECKING:
    from qtpy.QtWidgets import QLabel

    from napari_globalxai.widgets.workbench.panel import Panel


class Said(NamedTuple):
    """What a label says: nothing, and it is not there."""

    text: str = ""
    tip: str = ""


def following_label(
    panel: Panel, name: str, signal: Any, say: Callable[[Any], Said], now: Any
) -> QLabel:
    """Return a label of a panel that says something else whenever a signal comes.

    Parameters
    ----------
    panel : Panel
        The panel.
    name : str
        What the label tells, for those who do not see it.
    signal : psygnal.SignalInstance
        Of the session: what it sends is told.
    say : callable
        Makes words of what is sent.
    now : object
        What the signal would send now.
    """
    teller = _Teller(name, say)
    teller.tell(now)
    panel.follow(signal, teller.tell)
    return teller.label


class _Teller:
    def __init__(self, name: str, say: Callable[[Any], Said]) -> None:
        self.label, self._say = text_label(), say
        self.label.setAccessibleName(name)
        # The label keeps what keeps it, as the session knows its method weakly.
        self.label.teller = self  # type: ignore[attr-defined]

    def tell(self, what: Any) -> None:
        said = self._say(what)
        self.label.setText(said.text)
        self.label.setToolTip(said.tip)
        self.label.setAccessibleDescription(said.tip)
        # Shown before a panel has it, it would be a window.
        if not said.text:
            self.label.hide()
        elif self.label.parent() is not None:
            self.label.show()
