"""Which texts of a window do not fit where they stand, and what lies on each other."""

from __future__ import annotations

import re
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollArea,
    QStyle,
    QStyleOptionComboBox,
    QTabBar,
    QTableView,
    QToolButton,
    QWidget,
)

from napari_globalxai.widgets.fields.elided_box import ElidedBox
from napari_globalxai.widgets.words.plain_labels import plain

# Less than a letter's own margin, which hints of styles differ by.
SLACK = 3
# Rows of a table that are looked at; the others are made of the same.
ROWS = 40
# Qt shows a tooltip in one line, however long; this many letters are read at one look.
LETTERS_OF_A_TIP = 100
# Of what Qt takes for HTML, which it wraps.
_TAG = re.compile(r"<[a-z/!]")


def not_readable(panel: QWidget) -> list[str]:
    """Return all that is wrong with a panel, a line each, as far as it is unfolded."""
    return [
        *cut_texts(panel),
        *overlapping(panel),
        *outside_parent(panel),
        *wide_tips(panel),
    ]


def cut_texts(panel: QWidget) -> list[str]:
    """Return what is cut off in a panel, a line each, as far as it is unfolded."""
    found = []
    for widget in [panel, *panel.findChildren(QWidget)]:
        if widget is panel or widget.isVisibleTo(panel):
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
    if isinstance(widget, QLineEdit):
        return _line(widget)
    if isinstance(widget, QTableView):
        return _table(widget)
    if isinstance(widget, QScrollArea):
        return _beyond(widget)
    return []


def _number(box: QAbstractSpinBox) -> list[str]:
    line: Any = box.lineEdit()
    needed = box.fontMetrics().horizontalAdvance(box.text())
    return [box.text()] if needed > line.width() + SLACK else []


def _line(line: QLineEdit) -> list[str]:
    """What is typed is scrolled; what is there to be read before is not."""
    words = line.placeholderText()
    if line.text() or not words or isinstance(line.parent(), QAbstractSpinBox | QComboBox):
        return []
    needed = line.fontMetrics().horizontalAdvance(words)
    return [words] if needed > line.width() - SLACK and words not in line.toolTip() else []


def _label(label: QLabel) -> list[str]:
    if not label.text():
        return []
    if label.wordWrap():
        needed = label.heightForWidth(label.width())
        # As it is drawn, in which a number and its unit are one word.
        longest = max(re.split("[ \n]+", QLabel.text(label)), key=len)
        too_wide = label.fontMetrics().horizontalAdvance(longest) > label.width() + SLACK
        is_cut = needed > label.height() + SLACK or (too_wide and "/" not in longest)
    else:
        is_cut = label.sizeHint().width() > label.width() + SLACK
    is_low = label.fontMetrics().height() > label.height() + SLACK
    return [label.text()] if is_cut or is_low else []


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
    text = box.currentText()
    needed = box.fontMetrics().horizontalAdvance(text)
    # A long name is elided, which shows that there is more; a box of a few letters is of no use.
    least = min(needed, box.fontMetrics().horizontalAdvance("m" * 4))
    # Qt's own boxes cut through a letter, and tell nowhere what is missing.
    is_cut = needed > field.width() + SLACK and not isinstance(box, ElidedBox)
    return [text] if field.width() + SLACK < least or is_cut else []


def _table(table: QTableView) -> list[str]:
    header: QHeaderView = table.horizontalHeader()  # type: ignore[assignment]
    model: Any = table.model()
    cut = []
    for column in range(model.columnCount()):
        text = str(model.headerData(column, header.orientation()) or "")
        tip = model.headerData(column, header.orientation(), Qt.ItemDataRole.ToolTipRole)
        if _is_narrow(header, column, text) and plain(text) not in str(tip or ""):
            cut.append(text)
        cut += _cells(table, column)
    if model.columnCount() and header.fontMetrics().height() > header.height() + SLACK:
        cut.append("the headings")
    if table.fontMetrics().height() > table.rowHeight(0) + SLACK and model.rowCount():
        cut.append("the rows")
    return cut


def _is_narrow(header: QHeaderView, column: int, text: str) -> bool:
    if header.isSectionHidden(column):
        return False
    # In the letters that headings are drawn with, which a style may have bold.
    font = header.font()
    font.setBold(True)
    needed = type(header.fontMetrics())(font).horizontalAdvance(text)
    return bool(needed > header.sectionSize(column) + SLACK)


def _cells(table: QTableView, column: int) -> list[str]:
    """Return cells that end in dots and nowhere tell what is missing."""
    model: Any = table.model()
    room = table.columnWidth(column)
    cut = []
    if table.isColumnHidden(column):
        return []
    for row in range(min(model.rowCount(), ROWS)):
        index = model.index(row, column)
        text = str(index.data() or "")
        needed = max(map(table.fontMetrics().horizontalAdvance, text.split("\n")))
        # Words go on in a second line, where a table has such.
        lines = table.rowHeight(row) // table.fontMetrics().lineSpacing()
        if table.wordWrap() and lines > 1:
            needed = max(map(table.fontMetrics().horizontalAdvance, text.split()), default=0)
        tip = str(index.data(Qt.ItemDataRole.ToolTipRole) or "").replace("\n", " ")
        if needed > room and plain(text) not in tip:
            cut.append(text)
    return cut


def cut_tabs(window: QWidget) -> list[str]:
    """Return names of tabs that are shortened."""
    return [
        f"tab {tabs.tabText(index)}"
        for tabs in window.findChildren(QTabBar)
        for index in range(tabs.count())
        if tabs.fontMetrics().horizontalAdvance(tabs.tabText(index))
        > tabs.tabRect(index).width() + SLACK
    ]


def _beyond(area: QScrollArea) -> list[str]:
    """Return by how much what is in an area is wider than it, so that an edge is out of view."""
    bar: Any = area.horizontalScrollBar()
    return [f"{bar.maximum()} pixels beyond its edge"] if bar.maximum() > 0 else []


def overlapping(panel: QWidget) -> list[str]:
    """Return visible neighbours that lie on each other, as where a layout forgot one."""
    inner: Any = panel.widget() if hasattr(panel, "widget") else panel
    containers = [inner, *(each for each in inner.findChildren(QWidget) if type(each) is QWidget)]
    return [
        pair
        for container in containers
        if container.isVisibleTo(panel) or container is inner
        for pair in _on_each_other(container)
    ]


def _on_each_other(inner: QWidget) -> list[str]:
    parts = [
        each for each in inner.children() if isinstance(each, QWidget) and each.isVisibleTo(inner)
    ]
    found = []
    for at, one in enumerate(parts):
        for other in parts[at + 1 :]:
            common = one.geometry().intersected(other.geometry())
            if common.width() > SLACK and common.height() > SLACK:
                found.append(f"{_name(one)} and {_name(other)}")
    return found


def _name(widget: QWidget) -> str:
    has_text = isinstance(widget, QLabel | QAbstractButton | QLineEdit)
    words = (widget.text() if has_text else "") or widget.accessibleName()  # type: ignore[attr-defined]
    return f"{type(widget).__name__} {words}".strip()


def outside_parent(panel: QWidget) -> list[str]:
    """Return visible parts of a panel that reach beyond what they are in."""
    inner: Any = panel.widget() if hasattr(panel, "widget") else panel
    found = []
    for part in inner.findChildren(QWidget):
        parent = part.parentWidget()
        if not part.isVisibleTo(inner) or parent is None or part.isWindow():
            continue
        # What scrolls shows a part of what it holds; Qt's own are made of overlapping pieces.
        if type(parent) is not QWidget or isinstance(parent.parent(), QScrollArea):
            continue
        rect, edge = parent.rect(), part.geometry()
        if edge.right() > rect.right() + SLACK or edge.bottom() > rect.bottom() + SLACK:
            found.append(f"{_name(part)} beyond its parent")
    return found


def wide_tips(panel: QWidget) -> list[str]:
    """Return tooltips that Qt would lay out in one line too long to read."""
    tips = {each.toolTip() for each in panel.findChildren(QWidget) if each.toolTip()}
    return [
        f"tooltip: {tip}"
        for tip in sorted(tips)
        if not _TAG.search(tip) and max(map(len, tip.split("\n"))) > LETTERS_OF_A_TIP
    ]


def texts_of_figure(figure: Any) -> list[str]:
    """Return texts of a drawn figure that leave it, or lie on each other."""
    from matplotlib.text import Text

    renderer = figure.canvas.get_renderer()
    not_drawn = _not_drawn(figure)
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and id(text) not in not_drawn
    ]
    names = {axis.label.get_text() for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)}
    found = []
    for at, (words, box) in enumerate(boxes):
        if box.x0 < -1 or box.y0 < -1 or box.x1 > figure.bbox.x1 + 1 or box.y1 > figure.bbox.y1 + 1:
            found.append(f"figure: {words}")
        for other, beside in boxes[at + 1 :]:
            if box.shrunk(0.98, 0.9).overlaps(beside.shrunk(0.98, 0.9)):
                found.append(f"figure: {words} on {other}")
            elif (words in names) != (other in names) and box.overlaps(beside):
                # What an axis is of, and its numbers, stand apart.
                found.append(f"figure: {words} touches {other}")
    return found


def _not_drawn(figure: Any) -> set[int]:
    """Return what a figure holds and does not draw: ticks beyond limits, axes that are off."""
    found = set()
    for axes in figure.axes:
        sides = ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim()))
        for axis, limits in sides:
            current = axis.get_major_ticks() if axes.axison else []
            for tick in axis.majorTicks:
                is_within = min(limits) <= tick.get_loc() <= max(limits)
                # Those of an earlier drawing are kept.
                if tick not in current or not is_within:
                    found.add(id(tick.label1))
            if not axes.axison:
                found |= {id(axis.label), id(axes.title)}
    return found
