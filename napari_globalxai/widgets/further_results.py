"""What else a run's ``peppr/`` holds: maps compared, regions erased, images one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_globalxai.runs.folder import PEPPR_FOLDER
from napari_globalxai.runs.turns import reading
from napari_globalxai.storage import read_json, read_table
from napari_globalxai.widgets.fold import Fold
from napari_globalxai.widgets.layouts import in_column
from napari_globalxai.widgets.parts import heading
from napari_globalxai.widgets.result_tables import NOTHING, PlainTable, number
from napari_globalxai.widgets.workers import LatestOnly

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

_MOST_ROWS = 6
_PAIRS = {
    "Label": "Whose Δ",
    "Maps": "The two maps",
    "Difference": "Δ of the first less Δ of the second",
    "95 %": "Interval over patients",
    "p": "Corrected by Holm over all pairs and labels",
}
_REGIONS = {
    "Label": "Whose prediction",
    "Region": "The region that was erased",
    "Times": "How many times its share of the area its share of the map's mass is",
    "AUC": "Change of the ROC AUC when it alone is erased",
    "95 %": "Interval over patients",
}
_IMAGES = {
    "Map": "The map, image by image",
    "Label": "Whose probability",
    "Images": "Images that carry it",
    "Δ": "Mean over images of area restored less area erased along each image's own map",
    "95 %": "Interval over patients",
    "Above 0": "Share of the images whose Δ is above 0",
}
Lines = list[list[str]]


@dataclass(frozen=True)
class _Further:
    """Lines of each table."""

    pairs: Lines
    regions: Lines
    images: Lines

    @property
    def tables(self) -> tuple[Lines, Lines, Lines]:
        """All of them, in the order of the panel."""
        return self.pairs, self.regions, self.images


def read_further(run: Run) -> _Further:
    """Read what a run holds besides results of single maps. To be called in a worker."""
    folder = run.folder / PEPPR_FOLDER
    with reading(run.folder):
        return _Further(
            _tried(_pairs, folder / "compared.csv"),
            _tried(_regions, folder / "regions.csv"),
            [
                line
                for path in sorted(folder.glob("*.per-image.json"))
                for line in _tried(_images, path)
            ],
        )


def _tried(read: Callable[[Path], Lines], path: Path) -> Lines:
    """Return the lines of a file; none where there is none, or where it is not as we write it."""
    if not path.is_file():
        return []
    try:
        return read(path)
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _pairs(path: Path) -> Lines:
    return [
        [
            str(row["label"]),
            f"{row['a']} − {row['b']}",
            _difference(row["difference"]),
            _interval(row["ci_low"], row["ci_high"]),
            number(row["p_holm"], 3),
        ]
        for row in read_table(path).to_dict("records")
    ]


def _regions(path: Path) -> Lines:
    return [
        [
            str(row["label"]),
            str(row["region"]),
            number(row["ratio"], 1),
            _difference(row["auc_change"]),
            _interval(row["auc_ci_low"], row["auc_ci_high"]),
        ]
        for row in read_table(path).to_dict("records")
        if row["arm"] == "erase" and row["ranked"] == "alone"
    ]


def _images(path: Path) -> Lines:
    name = path.name.removesuffix(".per-image.json")
    return [
        [
            name,
            label,
            str(found["images"]),
            number(found["delta"]["mean"]),
            _interval(*found["delta"]["mean_ci"]),
            f"{100 * found['share_above_zero']:.0f} %",
        ]
        for label, found in read_json(path)["per_image"].items()
    ]


def _difference(value: Any) -> str:
    # Minus nothing is nothing.
    return NOTHING if value is None else number(round(float(value), 2) + 0.0)


def _interval(low: Any, high: Any) -> str:
    ends = [_difference(low), _difference(high)]
    return NOTHING if NOTHING in ends else " to ".join(ends)


class FurtherResults(Fold):
    """Tables of what else a run holds; each is there where the run has it.

    Attributes
    ----------
    pairs, regions, images : PlainTable
        Maps compared; regions erased; images one by one.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__("Further results")
        self._found = _Further([], [], [])
        self._run: Run | None = None
        self._reads = LatestOnly(parent)
        self._reads.ready.connect(self._on_read)
        self.make_content(self._make_tables)
        self.hide()

    def show_run(self, run: Run) -> None:
        """Show what a run holds."""
        self._run = run
        self._reads.request(run, lambda: read_further(run))

    def _make_tables(self) -> QWidget:
        self.pairs = PlainTable(_PAIRS, most_rows=_MOST_ROWS)
        self.regions = PlainTable(_REGIONS, most_rows=_MOST_ROWS)
        self.images = PlainTable(_IMAGES, most_rows=_MOST_ROWS)
        content = QWidget()
        box = in_column(content)
        self._parts = []
        for title, table in (
            ("Maps compared", self.pairs),
            ("Regions erased", self.regions),
            ("Image by image", self.images),
        ):
            table.setAccessibleName(title)
            above = heading(title)
            box.addWidget(above)
            box.addWidget(table)
            self._parts.append((above, table))
        self._fill()
        return content

    def _on_read(self, run: Run, found: _Further) -> None:
        if run is self._run:
            self._found = found
            if self.is_made:
                self._fill()
            self.setVisible(any(found.tables))

    def _fill(self) -> None:
        for (above, table), lines in zip(self._parts, self._found.tables, strict=True):
            table.fill(lines)
            above.setVisible(bool(lines))
            table.setVisible(bool(lines))
