"""What is shown in a panel, saved or copied on its own by its context menu or its keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QAction, QKeyEvent, QKeySequence
from qtpy.QtWidgets import QApplication, QFileDialog, QTableWidget, QWidget

from napari_globalxai.csv_text import marked
from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.session.viewer_jobs import tell_napari
from napari_globalxai.widgets.words.plain_labels import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COPY, SAVE = "Ctrl+C", "Ctrl+S"
_FIGURES = "Pictures (*.png);;Drawings (*.svg *.pdf)"
_KINDS = (".png", ".svg", ".pdf")
_DOTS_AN_INCH = 200
# How panels write that there is no number, and a minus.
_NOTHING, _MINUS = "–", "−"


class _Keys(QObject):
    """Keys of a widget that has the focus.

    Not shortcuts of Qt: where the window has the same ones, neither would do anything.
    """

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.actions: dict[str, QAction] = {}
        widget.installEventFilter(self)

    def eventFilter(self, widget: QObject | None, event: QEvent | None) -> bool:
        """Take the keys that are known, before the window's shortcuts."""
        if not isinstance(event, QKeyEvent):
            return False
        pressed = QKeySequence(event.keyCombination()).toString()
        # Of "+", some keyboards make Shift and "=".
        action = self.actions.get(pressed) or self.actions.get(event.text())
        if action is None:
            return False
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
        elif event.type() == QEvent.Type.KeyPress:
            action.trigger()
        return event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress)


def offer(widget: QWidget, text: str, keys: str, act: Callable[[], None]) -> QAction:
    """Put something into a widget's context menu, with a key while the widget has the focus."""
    there = next((each for each in widget.children() if isinstance(each, _Keys)), None)
    there = _Keys(widget) if there is None else there
    native = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
    # What comes behind the tab, menus show as the key.
    action = QAction(f"{text}\t{native}", widget)
    action.triggered.connect(act)
    there.actions[QKeySequence(keys).toString()] = action
    widget.addAction(action)
    widget.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
    return action


def file_name(title: str, suffix: str) -> str:
    """Return a name for a file from what is shown."""
    words = "".join(letter if letter.isalnum() else " " for letter in title).split()
    return "-".join(words).lower() + suffix


def offer_table(table: QTableWidget) -> None:
    """Let a table be copied and saved."""
    offer(table, "Copy table", COPY, lambda: copy_table(table))
    offer(table, "Save table…", SAVE, lambda: save_table(table))


def table_texts(table: QTableWidget) -> list[list[str]]:
    """Return the headings and the rows of a table as other programs read them."""
    across, down = range(table.columnCount()), range(table.rowCount())
    headings = [table.horizontalHeaderItem(column) for column in across]
    items = [[table.item(row, column) for column in across] for row in down]
    return [
        [_read(cell.text()) if cell is not None else "" for cell in line]
        for line in (headings, *items)
    ]


def _read(text: str) -> str:
    return "" if text == _NOTHING else text.replace(_MINUS, "-")


def copy_table(table: QTableWidget) -> None:
    """Copy a table, so that a spreadsheet takes it."""
    clipboard = QApplication.clipboard()
    if clipboard is not None:
        lines = [[marked(" ".join(text.split())) for text in line] for line in table_texts(table)]
        clipboard.setText("\n".join("\t".join(line) for line in lines))


def save_table(table: QTableWidget) -> None:
    """Ask where a table is to be saved, and save it."""
    name = file_name(table.accessibleName() or "table", ".csv")
    path, _ = QFileDialog.getSaveFileName(table, "Save the table", name, "Tables (*.csv)")
    if path:
        texts = table_texts(table)
        _save(table, Path(path), lambda to: _write_table(to, texts))


def _write_table(path: Path, texts: list[list[str]]) -> None:
    import pandas as pd

    from napari_globalxai.storage import write_table

    write_table(path, pd.DataFrame(texts[1:], columns=texts[0]))


def save_figure(widget: QWidget, name: str, draw: Callable[[], Figure]) -> None:
    """Ask where a figure is to be saved, draw it in a worker as it is printed, and save it.

    Parameters
    ----------
    widget : QWidget
        Where it is shown.
    name : str
        What it shows.
    draw : callable
        Returns the figure of matplotlib, for a page.
    """
    start = file_name(name, ".png")
    path, chosen = QFileDialog.getSaveFileName(widget, "Save the figure", start, _FIGURES)
    if path:
        to = Path(path)
        if to.suffix.lower() not in _KINDS:
            to = to.with_name(f"{to.name}{'.png' if 'png' in chosen else '.svg'}")
        _save(widget, to, lambda place: _write_figure(place, draw()))


def _write_figure(path: Path, figure: Figure) -> None:
    from matplotlib import rc_context

    from napari_globalxai.storage import atomic_path

    # Letters stay letters, so that a drawing can be worked on.
    with atomic_path(path) as temporary, rc_context({"svg.fonttype": "none"}):
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=_DOTS_AN_INCH)


def _save(widget: QWidget, path: Path, write: Callable[[Path], None]) -> None:
    """Write a file beside the GUI thread; napari says how that went."""
    runner = JobRunner(widget)
    runner.succeeded.connect(lambda done: show_info(plain(f"Saved: {path}")))
    runner.finished.connect(runner.deleteLater)
    tell_napari(widget, runner, f"Saving {plain(path.name)}")
    runner.run(lambda progress: write(path))
