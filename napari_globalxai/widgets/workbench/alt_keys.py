"""The keys with Alt of a panel, which are its own while it is in front.

Panels in tabs behind each other are all visible to Qt: a key that two of them have would lead from
the one to the other, in turns.
"""

from __future__ import annotations

from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QAbstractButton, QFormLayout, QLabel, QWidget


def give_keys(panel: QWidget, *, is_in_front: bool) -> None:
    """Let the keys of a panel's labels and buttons work, or give them up.

    Parameters
    ----------
    panel : QWidget
        The panel.
    is_in_front : bool
        Whether it is seen.
    """
    for form in panel.findChildren(QFormLayout):
        for row in range(form.rowCount()):
            label = _part(form, row, QFormLayout.ItemRole.LabelRole)
            field = _part(form, row, QFormLayout.ItemRole.FieldRole)
            if isinstance(label, QLabel) and "&" in label.text() and field is not None:
                # What hands the focus on takes none by a key, Qt finds.
                label.setBuddy((field.focusProxy() or field) if is_in_front else None)
    for button in panel.findChildren(QAbstractButton):
        if "&" in button.text():
            keys = QKeySequence.mnemonic(button.text()) if is_in_front else QKeySequence()
            button.setShortcut(keys)


def _part(form: QFormLayout, row: int, role: QFormLayout.ItemRole) -> QWidget | None:
    item = form.itemAt(row, role)
    return None if item is None else item.widget()
