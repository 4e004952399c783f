"""The runs that were opened before: what each is, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QWidget

from napari_globalxai.errors import InputError
from napari_globalxai.runs.record import RunRecord, has_record, read_record_of
from napari_globalxai.widgets.fields.exporting import offer
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import flowing, text_label, tipped_button
from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.session.remembered import forget_run, listed_runs, remember_run
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.words.table_words import NOTHING, local_time

if TYPE_CHECKING:
    from collections.abc import Sequence

FINISHED, STOPPED, GONE, DAMAGED = "finished", "stopped", "not there", "cannot be read"


@dataclass(frozen=True)
class ListedRun:
    """A run as the list has it.

    Attributes
    ----------
    folder : pathlib.Path
        Its folder.
    state : str
        ``finished``, ``stopped``, ``not there`` or ``cannot be read``.
    record : RunRecord or None
        What it tells of itself, where that can be read.
    """

    folder: Path
    state: str
    record: RunRecord | None = None

    @property
    def texts(self) -> list[str]:
        """What the table shows."""
        if self.record is None:
            return [self.folder.name, self.state, *(NOTHING for _ in range(5))]
        record, counts = self.record, self.record.counts
        model = Path(record.model.source).name if record.model.source else record.model.card.name
        state = f"{self.state}, {counts.failed} failed" if counts.failed else self.state
        return [
            self.folder.name,
            state,
            model or NOTHING,
            record.settings.method,
            Path(record.cohort.table).name,
            str(counts.explained or record.cohort.images),
            local_time(record.finished or record.started),
        ]


def read_listed(folders: Sequence[Path]) -> list[ListedRun]:
    """Read what runs tell of themselves. To be called in a worker."""
    return [_read(folder) for folder in folders]


def _read(folder: Path) -> ListedRun:
    try:
        if not has_record(folder):
            return ListedRun(folder, GONE)
        record = read_record_of(folder, RunRecord)
    except (InputError, OSError):
        return ListedRun(folder, DAMAGED)
    return ListedRun(folder, FINISHED if record.status == "finished" else STOPPED, record)


class RunsView(Fold):
    """Lists runs, opens them, lays them beside, and takes them off the list.

    Nothing here renames or deletes a folder: other runs' comparisons and reports name it, and what
    took hours is not to go by a key.

    Attributes
    ----------
    asked : Signal
        Folder of a run that is to be opened.
    beside_asked : Signal
        Folder of a run that is to be laid beside the one on show.
    stopped_asked : Signal
        A `ListedRun` that is to be gone on with.
    table : PlainTable
        The runs, the newest first; Enter or two clicks open one.
    runs : list of ListedRun
        The same.
    open_button, beside_button, show_button, forget_button : QPushButton
        What can be done with the one that is marked.
    """

    asked = Signal(object)
    beside_asked = Signal(object)
    stopped_asked = Signal(object)

    def __init__(self) -> None:
        super().__init__("Recent runs")
        self.runs: list[ListedRun] = []
        self._is_open = False
        self._reads = LatestOnly(self)
        self._reads.ready.connect(self._on_read)
        self.toggled.connect(self.refresh)
        self.make_content(self._make_parts)
        self.refresh()

    def _make_parts(self) -> QWidget:
        self.table = PlainTable(
            {
                "Run": "Name of its folder",
                "State": "Stopped runs go on where they were",
                "Model": "File of the model",
                "Method": "How the output was traced back",
                "Cohort": "The table",
                "Images": "Images that are explained, or that are to be",
                "Date": "When it was finished, or begun",
            },
            most_rows=8,
        )
        self.table.setAccessibleName("Recent runs")
        self.open_button = tipped_button("Open", "Show it; one that was stopped goes on")
        self.beside_button = tipped_button("Open beside", "Lay it below the run on show")
        self.show_button = tipped_button("Show folder", "Open its folder in the file manager")
        self.forget_button = tipped_button("Off the list", "Its folder stays as it is")
        self.said = text_label()
        self.said.hide()
        content = QWidget()
        box = in_column(content)
        box.addWidget(self.table)
        box.addWidget(
            flowing(self.open_button, self.beside_button, self.show_button, self.forget_button)
        )
        box.addWidget(self.said)
        self._reads.failed.connect(self._say)
        self.table.cellActivated.connect(self._on_activated)
        self.table.itemSelectionChanged.connect(self._on_marked)
        self.open_button.clicked.connect(self.open)
        self.beside_button.clicked.connect(self.open_beside)
        self.show_button.clicked.connect(self.show_folder)
        self.forget_button.clicked.connect(self.forget)
        offer(self.table, "Off the list", "Del", self.forget)
        self._on_marked()
        return content

    def _say(self, sentence: str) -> None:
        """Show a sentence below the list; without one it takes no room."""
        self.said.setText(sentence)
        self.said.setVisible(bool(sentence))

    def refresh(self, *what: object) -> None:
        """Read the list anew, where somebody looks at it."""
        folders = listed_runs()
        self.setVisible(bool(folders))
        if self.isExpanded():
            self._reads.request(tuple(folders), lambda: read_listed(folders))

    def remember(self, folder: Path) -> None:
        """Put a run at the top."""
        remember_run(folder)
        self.refresh()

    def set_beside(self, possible: bool) -> None:
        """Tell whether there is a run on show that another can be laid beside."""
        self._is_open = possible
        self._on_marked()

    @property
    def marked(self) -> ListedRun | None:
        """The run that is marked."""
        if not self.is_made:
            return None
        row = self.table.currentRow()
        is_marked = 0 <= row < len(self.runs) and self.table.selectedItems()
        return self.runs[row] if is_marked else None

    def open(self) -> None:
        """Open the run that is marked, or go on with it."""
        run = self.marked
        if run is not None and run.state == STOPPED:
            self.stopped_asked.emit(run)
        elif run is not None:
            self.asked.emit(run.folder)

    def open_beside(self) -> None:
        """Lay the run that is marked beside the one on show."""
        if self.marked is not None:
            self.beside_asked.emit(self.marked.folder)

    def show_folder(self) -> None:
        """Show the folder of the run that is marked."""
        run = self.marked
        if run is not None:
            url = QUrl.fromLocalFile(str(run.folder))
            if not QDesktopServices.openUrl(url):
                self._say(f"No file manager was found; the folder is {run.folder}.")

    def forget(self) -> None:
        """Take the run that is marked off the list."""
        run = self.marked
        if run is not None:
            forget_run(run.folder)
            # At once: a second press must not take the next one by mistake.
            self._list([each for each in self.runs if each is not run])
            self.refresh()

    def _on_read(self, folders: object, runs: list[ListedRun]) -> None:
        if [run.folder for run in runs] == listed_runs():
            self._list(runs)

    def _list(self, runs: list[ListedRun]) -> None:
        before = self.marked
        self.runs = runs
        self.table.blockSignals(True)
        self.table.fill([run.texts for run in runs])
        self.table.clearSelection()
        for row, run in enumerate(runs):
            for column in range(self.table.columnCount()):
                item = self.table.item(row, column)
                if item is not None:
                    item.setToolTip(plain(str(run.folder)))
            if before is not None and run.folder == before.folder:
                self.table.selectRow(row)
        self.table.blockSignals(False)
        self._on_marked()

    def _on_activated(self, row: int, column: int) -> None:
        self.table.selectRow(row)
        self.open()

    def _on_marked(self) -> None:
        if not self.is_made:
            return
        run = self.marked
        is_there = run is not None and run.state in (FINISHED, STOPPED)
        is_finished = run is not None and run.state == FINISHED
        self.open_button.setEnabled(is_there)
        self.open_button.setText("Go on" if run is not None and not is_finished else "Open")
        self.beside_button.setEnabled(is_finished and self._is_open)
        self.show_button.setEnabled(run is not None and run.state != GONE)
        self.forget_button.setEnabled(run is not None)
