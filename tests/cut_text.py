"""Which texts of a window do not fit where they stand."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QHeaderView,
    QLabel,
    QStyle,
    QStyleOptionComboBox,
    QTableView,
    QToolButton,
    QWidget,
)

# Less than a letter's own margin, which hints of styles differ by.
SLACK = 3


def cut_texts(panel: QWidget) -> list[str]:
    """Return what is cut off in a panel, a line each, as far as it is unfolded."""
    found = []
    for widget in panel.findChildren(QWidget):
        if widget.isVisibleTo(panel):
            found += [f"{type(widget).__name__}: {text}" for text in _cut(widget)]
    return found


def _cut(widget: QWidget) -> list[str]:
    if isinstance(widget, QLabel):
        return _label(widget)
    if isinstance(widget, QAbstractButton):
        return _button(widget)
    if isinstance(widget, QComboBox):
        return _box(widget)
    if isinstance(widget, QAbstractSpinBox):
        return _number(widget)
    if isinstance(widget, QTableView):
        return _table(widget)
    return []


def _number(box: QAbstractSpinBox) -> list[str]:
    line: Any = box.lineEdit()
    needed = box.fontMetrics().horizontalAdvance(box.text())
    return [box.text()] if needed > line.width() + SLACK else []


def _label(label: QLabel) -> list[str]:
    if not label.text():
        return []
    if label.wordWrap():
        needed = label.heightForWidth(label.width())
        longest = max(label.text().split(), key=len)
        too_wide = label.fontMetrics().horizontalAdvance(longest) > label.width() + SLACK
        is_cut = needed > label.height() + SLACK or (too_wide and "/" not in longest)
    else:
        is_cut = label.sizeHint().width() > label.width() + SLACK
    return [label.text()] if is_cut else []


def _button(button: QAbstractButton) -> list[str]:
    text = button.text().replace("&", "")
    room = button.width()
    needed = max(map(button.fontMetrics().horizontalAdvance, text.split("\n")))
    if not isinstance(button, QToolButton) and button.isCheckable():
        needed = button.sizeHint().width()
    lines = text.count("\n") + 1
    is_low = lines * button.fontMetrics().height() > button.height() + SLACK
    return [text] if text and (needed > room + SLACK or is_low) else []


def _box(box: QComboBox) -> list[str]:
    option = QStyleOptionComboBox()
    box.initStyleOption(option)
    style: Any = box.style()
    field = style.subControlRect(
        QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, box
    )
    needed = box.fontMetrics().horizontalAdvance(box.currentText())
    # A long name is elided, which shows that there is more; a box of a few letters is of no use.
    least = min(needed, box.fontMetrics().horizontalAdvance("m" * 4))
    return [box.currentText()] if field.width() + SLACK < least else []


def _table(table: QTableView) -> list[str]:
    header: QHeaderView = table.horizontalHeader()  # type: ignore[assignment]
    model: Any = table.model()
    cut = []
    for column in range(model.columnCount()):
        text = str(model.headerData(column, header.orientation()) or "")
        if header.fontMetrics().horizontalAdvance(text) > header.sectionSize(column) + SLACK:
            cut.append(text)
    if model.columnCount() and header.fontMetrics().height() > header.height() + SLACK:
        cut.append("the headings")
    if table.fontMetrics().height() > table.rowHeight(0) + SLACK and model.rowCount():
        cut.append("the rows")
    return cut


def overlapping(panel: QWidget) -> list[str]:
    """Return visible neighbours that lie on each other, as where a layout forgot one."""
    inner: Any = panel.widget() if hasattr(panel, "widget") else panel
    parts = [
        each for each in inner.children() if isinstance(each, QWidget) and each.isVisibleTo(inner)
    ]
    found = []
    for at, one in enumerate(parts):
        for other in parts[at + 1 :]:
            common = one.geometry().intersected(other.geometry())
            if common.width() > SLACK and common.height() > SLACK:
                found.append(f"{type(one).__name__} and {type(other).__name__}")
    return found
