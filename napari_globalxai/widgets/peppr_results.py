"""The results of PEPPR that a run holds, side by side: per map and fill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]

from napari_globalxai.runs.folder import PEPPR_FOLDER, file_stem
from napari_globalxai.storage import read_json
from napari_globalxai.widgets.result_tables import NOTHING, PlainTable, number

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.runs.run import Run


def map_of(result: PepprResult, maps: Mapping[str, Any]) -> str:
    """Return the name of the map that a result is of, also where it was read from a file's name."""
    if result.map_name in maps:
        return result.map_name
    stems = {file_stem(name): name for name in maps}
    # Of fills other than the usual one, the file's name ends in the fill.
    stem = result.map_name.removesuffix(f".{result.settings.get('fill', '')}")
    return stems.get(stem, result.map_name)


class ResultTable(PlainTable):
    """A row a result; a click shows it.

    Attributes
    ----------
    chosen : Signal
        Name of the result that was clicked, and of its map.
    """

    chosen = Signal(str, str)

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
        self._made: dict[str, PepprResult] = {}
        self._run: Path | None = None
        self._names: list[tuple[str, str]] = []
        self._fills: list[str] = []
        self.hide()
        self.cellClicked.connect(self._on_cell)
        self.cellActivated.connect(self._on_cell)

    def add(self, result: PepprResult) -> None:
        """Keep a result that was made in this window, whatever the run's folder keeps."""
        self._made[f"{result.map_name}, {result.settings['fill']}"] = result

    def made(self, name: str) -> PepprResult | None:
        """Return a result that was made in this window, or None."""
        return self._made.get(name)

    def show_run(self, run: Run) -> None:
        """List what the run's folder holds, and what was made in this window."""
        if run.folder != self._run:
            self._run = run.folder
            self._made.clear()
        found: dict[tuple[str, str], tuple[str, list[str]]] = {}
        own = {file_stem(name): name for name in run.maps}
        for name, result in self._made.items():
            fill = str(result.settings["fill"])
            words = [verdict.word for verdict in result.verdict.values()]
            deltas = [result.areas[label].get("delta") for label in result.verdict]
            found[result.map_name, fill] = (name, [_delta(deltas), _verdict(words)])
        for stem in run.peppr_names:
            summary = _read_summary(run.folder / PEPPR_FOLDER / f"{file_stem(stem)}.json")
            if summary is None:
                continue
            fill = str(summary["settings"].get("fill", NOTHING))
            plain = stem if stem in run.maps else stem.removesuffix(f".{fill}")
            name = own.get(plain, plain)
            judged = [each for each in summary["labels"].values() if "verdict" in each]
            texts = [
                _delta([each.get("delta") for each in judged]),
                _verdict([str(each["verdict"]) for each in judged]),
            ]
            found.setdefault((name, fill), (stem, texts))
        self._names = [(stem, key[0]) for key, (stem, _) in found.items()]
        self._fills = [fill for _, fill in found]
        self.blockSignals(True)
        self.fill([[*key, *texts] for key, (_, texts) in found.items()])
        self.blockSignals(False)
        self.setVisible(bool(found))

    def mark(self, result: PepprResult | None) -> None:
        """Mark the result on show."""
        self.blockSignals(True)
        self.setCurrentCell(-1, -1)
        if result is not None:
            fill = str(result.settings.get("fill", NOTHING))
            for row, ((stem, map_name), its_fill) in enumerate(
                zip(self._names, self._fills, strict=True)
            ):
                if its_fill == fill and result.map_name in (stem, map_name):
                    self.selectRow(row)
        self.blockSignals(False)

    def _on_cell(self, row: int, *rest: int) -> None:
        if 0 <= row < len(self._names):
            self.chosen.emit(*self._names[row])


def _read_summary(path: Path) -> dict[str, Any] | None:
    """Return what a result says in short; None where it cannot be read, which opening it says."""
    try:
        summary = read_json(path)
        return {"settings": dict(summary["settings"]), "labels": dict(summary["labels"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _delta(values: list[Any]) -> str:
    known = [float(value) for value in values if isinstance(value, int | float)]
    return number(sum(known) / len(known)) if known else NOTHING


def _verdict(words: list[str]) -> str:
    if len(words) == 1:
        return words[0]
    return f"{words.count('faithful')} of {len(words)} faithful" if words else NOTHING
