"""What else a run's ``peppr/`` holds, in tables: maps compared, regions, as published, images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QWidget

from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import heading, text_label
from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.panels.peppr.further_reading import PUBLISHED, Line, read_further
from napari_globalxai.widgets.panels.peppr.further_shown import FurtherShown
from napari_globalxai.widgets.session.session import Session, plain_viewer

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.layers.run_layers import RunLayers
    from napari_globalxai.widgets.workbench.panel import Panel

_MOST_ROWS = 6
# By part: its title, and what its columns mean.
_TABLES = {
    "maps": (
        "Maps side by side",
        {
            "Map": "A map; of several runs, with its run before it",
            "Label": "Whose Δ",
            "Δ": "Area restored less area erased",
            "95 %": "Interval over patients",
            "Outside": "Share of the map outside the area that was tested",
        },
    ),
    "pairs": (
        "Maps compared",
        {
            "Label": "Whose Δ",
            "Maps": "The two maps",
            "Difference": "Δ of the first less Δ of the second",
            "95 %": "Interval over patients",
            "p": "Corrected by Holm over all pairs and labels",
        },
    ),
    "regions": (
        "Regions erased",
        {
            "Label": "Whose prediction",
            "Region": "The region that was erased; a click shows it",
            "Times": "How many times its share of the area its share of the map's mass is",
            "AUC": "Change of the ROC AUC when it alone is erased",
            "95 %": "Interval over patients",
        },
    ),
    "published": (
        "As published",
        {
            "Label": "Whose ROC AUC; a click shows its curves",
            "Intact": "ROC AUC of whole images",
            "Restored": "ROC AUC with 10 % restored",
            "Erased": "ROC AUC with 10 % erased",
            "Δ": "Area restored less area erased; judged by nothing",
        },
    ),
    "images": (
        "Image by image",
        {
            "Map": "The map, image by image",
            "Label": "Whose probability",
            "Images": "Images that carry it",
            "Δ": "Mean over images of area restored less area erased along each image's own map",
            "95 %": "Interval over patients",
            "Above 0": "Share of the images whose Δ is above 0",
        },
    ),
}


class _Part(QWidget):
    """A table with its title, and below it what the line that was chosen comes to."""

    chosen = Signal(object)

    def __init__(self, title: str, columns: dict[str, str]) -> None:
        super().__init__()
        self.table = PlainTable(columns, most_rows=_MOST_ROWS)
        self.table.setAccessibleName(title)
        self.said = text_label()
        self._lines: list[Line] = []
        box = in_column(self)
        for part in (heading(title), self.table, self.said):
            box.addWidget(part)
        self.table.cellClicked.connect(self._on_cell)
        self.table.currentCellChanged.connect(self._on_cell)

    def fill(self, lines: list[Line]) -> None:
        self._lines = lines
        self.table.blockSignals(True)
        self.table.fill([list(line.cells) for line in lines])
        self.table.setCurrentCell(-1, -1)
        self.table.blockSignals(False)
        self._say(0)
        self.setVisible(bool(lines))

    def _on_cell(self, row: int, *rest: int) -> None:
        if 0 <= row < len(self._lines):
            self._say(row)
            self.chosen.emit(self._lines[row])

    def _say(self, row: int) -> None:
        words = self._lines[row].words if row < len(self._lines) else ""
        self.said.setText(words)
        self.said.setVisible(bool(words))


class FurtherResults(Fold):
    """Tables of what else a run holds; each is there where the run has it.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.viewer.Viewer
        The viewer.
    session : Session
        What the viewer works on.
    layers : RunLayers
        The run's own layers.

    Attributes
    ----------
    chosen : Signal
        A `Line` that was clicked, or gone to with the arrow keys.
    maps, pairs, regions, published, images : PlainTable
        Maps side by side, and their differences; regions erased; curves of the published protocol;
        images one by one.
    """

    chosen = Signal(object)

    def __init__(self, panel: Panel, viewer: Any, session: Session, layers: RunLayers) -> None:
        super().__init__("Further results")
        self._found: dict[str, list[Line]] = {}
        self._damaged: list[str] = []
        self.shown = FurtherShown(self, plain_viewer(viewer), session, layers)
        self._reads = LatestOnly(panel)
        self._reads.ready.connect(self._on_read)
        self._run: Run | None = None
        self._wanted = ""
        # What a command wrote meanwhile.
        self.toggled.connect(self._read)
        self.make_content(self._make_parts)
        self.hide()

    def show_run(self, run: Run, wanted: str = "") -> None:
        """Show what a run holds, unfolded where one of the parts is wanted."""
        self._run, self._wanted = run, wanted
        self._read()

    def words(self, part: str) -> str:
        """Return what is said below a part's table."""
        self.ensure_made()
        return self._parts[part].said.text()

    def _make_parts(self) -> QWidget:
        content = QWidget()
        box = in_column(content)
        self._parts = {name: _Part(*told) for name, told in _TABLES.items()}
        for part in self._parts.values():
            box.addWidget(part)
            part.chosen.connect(self.chosen)
        self.maps, self.pairs, self.regions, self.published, self.images = (
            part.table for part in self._parts.values()
        )
        self.said = text_label()
        box.addWidget(self.said)
        self.shown.failed.connect(self._say)
        self._fill()
        return content

    def _say(self, sentence: str) -> None:
        self.said.setText(sentence)
        self.said.setVisible(bool(sentence))

    def _read(self, *what: object) -> None:
        run = self._run
        if run is not None:
            self._reads.request(run, lambda: read_further(run))

    def _on_read(self, run: Run, read: tuple[dict[str, list[Line]], list[str]]) -> None:
        if run is not self._run:
            return
        self._found, self._damaged = read
        found = self._found
        if self.is_made:
            self._fill()
        self.setVisible(any(found.values()) or bool(self._damaged))
        wanted, self._wanted = self._wanted, ""
        if wanted:
            self.expand()
        if wanted == PUBLISHED and found[PUBLISHED]:
            # There is nothing else to see of it.
            self.published.setCurrentCell(0, 0)

    def _fill(self) -> None:
        damaged = ", ".join(self._damaged)
        self._say(f"⚠ Left out, as not written so by PEPPR: {damaged}." if damaged else "")
        for name, part in self._parts.items():
            part.fill(self._found.get(name, []))
