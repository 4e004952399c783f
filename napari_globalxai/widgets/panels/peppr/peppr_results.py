"""The results of PEPPR that a run holds, side by side: per map and fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QAbstractItemView

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.stored_results import stored_results
from napari_globalxai.faithfulness.targets import MACRO
from napari_globalxai.faithfulness.verdict.verdicts import is_faithful, shown_word
from napari_globalxai.runs.folder import PEPPR_FOLDER, file_stem
from napari_globalxai.runs.turns import reading
from napari_globalxai.storage import read_json
from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.session.shown_maps import map_of
from napari_globalxai.widgets.words.table_words import NOTHING, number

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.panels.peppr.peppr_plot import PepprPlot
    from napari_globalxai.widgets.session.session import Session


def results_of(run: Run, keys: Sequence[tuple[str, str]]) -> tuple[tuple[str, PepprResult], ...]:
    """Return stored results by map and fill, with the name of each. To be called in a worker."""
    return tuple((", ".join(key), run.peppr_result(*key)) for key in keys)


class ResultTable(PlainTable):
    """A row a result; a click shows it, and with Ctrl or Shift others beside it.

    Attributes
    ----------
    chosen : Signal
        Map and fill of the result that was clicked.
    compared : Signal
        Maps and fills of all results that are marked, where there are several.
    """

    chosen = Signal(str, str)
    compared = Signal(object)

    def __init__(self) -> None:
        super().__init__(
            {
                "Map": "The map that was followed",
                "Fill": "What erased pixels showed",
                "Δ": "Area restored less area erased, of the map's own label or on average",
                "Verdict": "Of the map's own label, or how many labels are faithful",
            },
            most_rows=6,
        )
        self.setAccessibleName("Results of PEPPR")
        self.setToolTip("A click shows a result; Ctrl-click lays the curves of others beside it")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self._keys: list[tuple[str, str]] = []
        self.hide()
        self.cellClicked.connect(self._on_cell)
        self.cellActivated.connect(self._on_cell)

    def show_run(self, run: Run) -> None:
        """List what the run's folder holds."""
        folder, lines = run.folder / PEPPR_FOLDER, []
        own = {file_stem(name): name for name in run.maps}
        self._keys = []
        with reading(run.folder):
            try:
                stored_ones = stored_results(folder)
            except InputError:
                # Which is said by whoever opens a result.
                stored_ones = []
            read = [(each, _read_summary(folder / f"{each.stem}.json")) for each in stored_ones]
        for stored, summary in read:
            if summary is None:
                continue
            name = own.get(stored.map_name, stored.map_name)
            judged = [each for each in summary.values() if "verdict" in each]
            self._keys.append((name, stored.fill))
            lines.append(
                [
                    name,
                    stored.fill,
                    _delta([each.get("delta") for each in judged]),
                    _verdict([_word(each) for each in judged]),
                ]
            )
        self.blockSignals(True)
        self.fill(lines)
        self.blockSignals(False)
        self.setVisible(bool(lines))

    @property
    def maps(self) -> list[str]:
        """Names of the maps that results are of, each once."""
        return list(dict.fromkeys(name for name, _ in self._keys))

    def mark(self, result: PepprResult | None, maps: Mapping[str, Any]) -> None:
        """Mark the result on show."""
        self.blockSignals(True)
        self.setCurrentCell(-1, -1)
        if result is not None and not _is_published(result):
            key = (map_of(result, maps), str(result.settings.get("fill", "")))
            if key in self._keys:
                self.selectRow(self._keys.index(key))
        self.blockSignals(False)

    def _on_cell(self, row: int, *rest: int) -> None:
        if not 0 <= row < len(self._keys):
            return
        marked = sorted({index.row() for index in self.selectedIndexes()})
        if len(marked) > 1:
            self.compared.emit([self._keys[each] for each in marked])
        else:
            self.chosen.emit(*self._keys[row])


class CurvesBeside(LatestOnly):
    """Lays the curves of all results that are marked beside those of the one on show.

    Parameters
    ----------
    table : ResultTable
        Where they are marked.
    session : Session
        Has the one on show.
    plot : PepprPlot
        Where they are laid.
    """

    def __init__(self, table: ResultTable, session: Session, plot: PepprPlot) -> None:
        super().__init__(table)
        self._session, self._plot = session, plot
        table.compared.connect(self._on_compared)
        self.ready.connect(self._on_ready)

    def _on_compared(self, keys: list[tuple[str, str]]) -> None:
        view, shown = self._session.view, self._session.result
        if view is None or shown is None:
            return
        run, own = view.run, (map_of(shown, view.maps), str(shown.settings.get("fill", "")))
        others = [key for key in keys if key != own]
        self.request(shown, lambda: results_of(run, others))

    def _on_ready(self, shown: PepprResult, others: Any) -> None:
        if shown is self._session.result:
            self._plot.lay_beside(others)


def _is_published(result: PepprResult) -> bool:
    """Return whether it is of the published protocol, which is listed elsewhere."""
    # Imports pandas, which the first panel can do without.
    from napari_globalxai.widgets.panels.peppr.published_result import PublishedResult

    return isinstance(result, PublishedResult)


def _read_summary(path: Path) -> dict[str, Any] | None:
    """Return what a result says of its labels; None where it cannot be read: opening says why."""
    try:
        summary = read_json(path)
        # The overall map is judged by all labels together.
        labels = {**summary["labels"], MACRO: summary.get("macro")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return {name: told for name, told in labels.items() if isinstance(told, dict)}


def _delta(values: list[Any]) -> str:
    known = [value for value in values if isinstance(value, int | float) and abs(value) < 1e300]
    return number(sum(known) / len(known)) if known else NOTHING


def _verdict(words: list[str]) -> str:
    if len(set(words)) == 1:
        return words[0]
    return f"{sum(map(is_faithful, words))} of {len(words)} faithful" if words else NOTHING


def _word(told: dict[str, Any]) -> str:
    return shown_word(str(told["verdict"]), cautioned=bool(told.get("cautioned")))
