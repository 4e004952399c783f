"""The findings of an audit, as a list in the panel of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Signal  # type: ignore[attr-defined]

from napari_globalxai.audit.findings import place_title
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.turns import reading
from napari_globalxai.storage import read_json
from napari_globalxai.unusable import damaged
from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.session.present_run import while_present
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.words.table_words import NOTHING, number, probability

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.session.session import ModelUse

AUDIT_FILE = "audit/audit.json"
_REGIONS_TABLE = "regions.csv"


@dataclass(frozen=True)
class ShownFinding:
    """A finding with what the window shows of it.

    Attributes
    ----------
    facts : dict
        As ``audit.json`` has it.
    region : numpy.ndarray or None
        Where it is, bool (height, width); None where that is no place of the frame.
    """

    facts: dict[str, Any]
    region: npt.NDArray[np.bool_] | None

    @property
    def query(self) -> str:
        """The images that it is of, as a query; empty for all."""
        return str(self.facts.get("query") or "")

    @property
    def among(self) -> str:
        """The images that its numbers are of, in words: what goes with it may be fewer."""
        kind = self.facts.get("kind")
        if kind == "cluster":
            return f"cluster of {self.facts.get('images')}"
        return self.query if kind == "subgroup" and self.query else "all"

    @property
    def place(self) -> str:
        """Where it is, in words; empty for no place."""
        return place_title(str(self.facts.get("where") or ""))

    @property
    def rows(self) -> list[int]:
        """The images that show it best."""
        return [int(image["row"]) for image in self.facts.get("shown", ())]


def has_audit(run: Run) -> bool:
    """Return whether an audit of the run was made."""
    return (run.folder / AUDIT_FILE).is_file()


def read_findings(run: Run) -> list[ShownFinding]:
    """Return what an audit of the run found, nothing where none was made. To be called in a worker.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    path = run.folder / AUDIT_FILE
    with reading(run.folder):
        if not path.is_file():
            if (path.parent / _REGIONS_TABLE).is_file():
                raise damaged(path)
            return []
        try:
            found = list(read_json(path)["findings"])
            if not all(_is_whole(facts, len(run.images)) for facts in found):
                raise ValueError("other values than an audit writes")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as why:
            raise damaged(path) from why
    places = _places(run)
    return [ShownFinding(facts, places.get(_place(facts))) for facts in found]


def _is_whole(facts: Any, images: int) -> bool:
    """Return whether a finding has what is shown of it."""
    return (
        isinstance(facts, dict)
        and "label" in facts
        and all(
            isinstance(image, dict)
            and isinstance(image.get("row"), int)
            and 0 <= image["row"] < images
            for image in facts.get("shown", ())
        )
    )


def _place(facts: dict[str, Any]) -> str:
    """Return the name of a finding's place; a tile stands in brackets after where it lies."""
    region, _, tile = str(facts.get("where") or "").partition(" (")
    return tile.rstrip(")") or region


def _places(run: Run) -> dict[str, npt.NDArray[np.bool_]]:
    from napari_globalxai.audit.places import find_places
    from napari_globalxai.statistics.region_shares import tiles

    return {**tiles(run.valid.shape), **find_places(run, None).regions}


def audit_run(
    run: Run, use: ModelUse, progress: ProgressCallback = ignore_progress
) -> list[ShownFinding]:
    """Audit a run and return what was found. To be called in a worker."""
    import_models()
    from napari_globalxai.audit.shortcut_audit import audit

    told = while_present(run, progress)
    told(Progress("Auditing the run", 0, 1))
    audit(run.folder, model=use.model, trust=use.trust, progress=told)
    return read_findings(run)


class FindingsTable(PlainTable):
    """A row a finding; a click shows its map, region and images.

    Attributes
    ----------
    chosen : Signal
        The `ShownFinding` that was clicked.
    """

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__(
            {
                "Label": "Whose map",
                "Where": "The place of the frame",
                "Among": "The images that it is found in: all, those of a query, or some that are "
                "explained alike",
                "Times": "How many times its share of the area the place holds",
                "p": "Corrected for the whole search",
            },
            most_rows=6,
        )
        self.setAccessibleName("Findings of the audit")
        self._findings: list[ShownFinding] = []
        self.cellClicked.connect(self._on_cell)
        self.cellActivated.connect(self._on_cell)

    def show_findings(self, findings: list[ShownFinding]) -> None:
        """List what was found."""
        self._findings = findings
        self.fill(
            [
                [
                    str(each.facts["label"]),
                    each.place or NOTHING,
                    each.among,
                    number(each.facts.get("effect"), 1),
                    probability(each.facts.get("p")),
                ]
                for each in findings
            ]
        )
        for row, each in enumerate(findings):
            for column in range(self.columnCount()):
                item = self.item(row, column)
                if item is not None:
                    item.setToolTip(plain(str(each.facts.get("sentence", ""))))

    def _on_cell(self, row: int, *rest: int) -> None:
        if 0 <= row < len(self._findings):
            self.chosen.emit(self._findings[row])
