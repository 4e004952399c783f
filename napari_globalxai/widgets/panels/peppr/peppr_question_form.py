"""The form of what PEPPR is asked beside the curves along one map, from how that is declared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_globalxai.settings.declared import Declared, declared_fields
from napari_globalxai.settings.peppr_question import PepprQuestion
from napari_globalxai.widgets.fields.check_list import CheckList
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import flowing, tipped_button
from napari_globalxai.widgets.fields.setting_fields import field_value
from napari_globalxai.widgets.fields.settings_form import FormRows, add_field, add_setting
from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.panels.regions.kept_regions import kept_regions
from napari_globalxai.widgets.panels.regions.places_box import PlacesBox
from napari_globalxai.widgets.session.recognised import result_folder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_globalxai.runs.run import Run

_NO_REGION, _FROM_FILE = "None", "File…"


@dataclass(frozen=True)
class Place:
    """A place of the frame that no file of the run holds yet.

    Attributes
    ----------
    name : str
        What it is called.
    region : numpy.ndarray
        bool (height, width).
    """

    name: str
    region: npt.NDArray[np.bool_]


class PepprQuestionForm(QWidget):
    """Asks for maps, other runs, a region and the protocol.

    Attributes
    ----------
    edited : Signal
        Something else is chosen.
    said : Signal
        What could not be found, in a sentence.
    maps, against : CheckList
        Maps to compare; runs whose maps are compared, too.
    add_map_button, add_run_button : QPushButton
        Add a map from a file; a run.
    regions_box : QComboBox
        The region: one that the run holds, a place, or that of a file.
    places : PlacesBox
        The places of the frame that the program knows by itself.
    protocol_box : QComboBox
        How PEPPR is run.
    """

    edited = Signal()
    said = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._run: Run | None = None
        self._places: dict[str, Place] = {}
        self._kept_as: dict[str, Path] = {}
        self._reads = LatestOnly(self)
        self._files: list[str] = []
        declared = {each.name: each for each in declared_fields(PepprQuestion)}
        rows = FormRows()
        self.maps, self.against = (
            CheckList(declared[name].title, declared[name].help) for name in ("maps", "against")
        )
        self.add_map_button = tipped_button("Add a map…", "Compare a map from a TIFF file, too")
        self.add_run_button = tipped_button("Add a run…", "Compare the maps of another run, too")
        _add_row(rows, declared["maps"], self.maps, self.add_map_button)
        _add_row(rows, declared["against"], self.against, self.add_run_button)
        self.regions_box = choice_box(
            declared["regions"].title, tip_lines(declared["regions"].help)
        )
        _add_row(rows, declared["regions"], self.regions_box)
        self.places = PlacesBox(self)
        rows.form.addRow("Places", self.places.box)
        field: Any = add_setting(rows.form, declared["protocol"])
        self.protocol_box = field
        in_column(self).addWidget(rows)
        self._connect()
        self.show_run(None)

    def _connect(self) -> None:
        for each in (self.maps, self.against):
            each.edited.connect(self._on_edited)
        self.maps.dropped.connect(self._on_maps_dropped)
        self.against.dropped.connect(self._on_runs_dropped)
        self.add_map_button.clicked.connect(self._pick_map)
        self.add_run_button.clicked.connect(self._pick_run)
        self.regions_box.activated.connect(self._on_region)
        self.regions_box.currentIndexChanged.connect(self._on_edited)
        self.protocol_box.currentIndexChanged.connect(self._on_edited)
        self.places.chosen.connect(self._on_place)
        self.places.said.connect(self.said)
        self._reads.ready.connect(self._on_kept_as)
        self._reads.failed.connect(self._list_regions)

    def show_run(self, run: Run | None) -> None:
        """Offer what a run has; what is chosen of the run before is forgotten."""
        self._run, self._places, self._kept_as, self._files = run, {}, {}, []
        for each in (self.maps, self.against):
            each.show_names(())
        self.maps.show_names([] if run is None else [(name, name) for name in run.maps])
        self.against.hide()
        self.places.show_run(run)
        self.list_regions()

    def list_regions(self) -> None:
        """List the regions that the run holds by now; the one that is chosen stays so.

        Of a place that the run holds, its file stands for it.
        """
        run, places = self._run, dict(self._places)
        if run is None or not places:
            self._list_regions()
        else:
            self._reads.request(run, lambda: _files_of(run, places))

    def _on_kept_as(self, run: Run, found: dict[str, Path]) -> None:
        if run is self._run:
            self._kept_as = found
            self._list_regions()

    def _list_regions(self, *what: object) -> None:
        box, chosen = self.regions_box, self.regions_box.currentData()
        if chosen in self._kept_as:
            chosen = str(self._kept_as[chosen])
        box.blockSignals(True)
        box.clear()
        box.addItem(_NO_REGION, None)
        for path in () if self._run is None else kept_regions(self._run):
            box.addItem(path.stem, str(path))
        for name in self._places:
            if name not in self._kept_as:
                box.addItem(name, name)
        for file in self._files:
            box.addItem(Path(file).name, file)
            box.setItemData(box.count() - 1, tip_lines(file), Qt.ItemDataRole.ToolTipRole)
        box.addItem(_FROM_FILE, _FROM_FILE)
        box.setCurrentIndex(max(0, box.findData(chosen)))
        box.blockSignals(False)
        self._on_edited()

    def question(self) -> PepprQuestion:
        """Return what is asked; of a place, the region has its name, as no file holds it yet."""
        region = self.regions_box.currentData()
        return PepprQuestion(
            maps=tuple(self.maps.ticked()),
            against=tuple(Path(each) for each in self.against.ticked()),
            regions=None if region is None or region == _FROM_FILE else Path(region),
            protocol=field_value(self.protocol_box),
        )

    @property
    def place(self) -> Place | None:
        """The place that is chosen as the region; None where a file holds it."""
        return self._places.get(str(self.regions_box.currentData()))

    def add_map(self, path: Path) -> None:
        """Compare the map of a file, too."""
        self.maps.add(str(path), path.name)

    def add_run(self, folder: Path, is_ticked: bool = True) -> None:
        """Offer the maps of another run."""
        chosen = result_folder(folder) or folder
        # A link that leads back to itself has no end to compare.
        own = None if self._run is None else os.path.realpath(self._run.folder)
        if os.path.realpath(chosen) != own:
            self.against.show()
            self.against.add(str(chosen), chosen.name, is_ticked)

    def add_region(self, file: Path) -> None:
        """Take the regions of a file."""
        if str(file) not in self._files:
            self._files.append(str(file))
            self.list_regions()
        self.regions_box.setCurrentIndex(self.regions_box.findData(str(file)))

    def _on_edited(self, *what: object) -> None:
        self.edited.emit()

    def _on_maps_dropped(self, paths: list[Path]) -> None:
        for path in paths:
            self.add_map(path)

    def _on_runs_dropped(self, paths: list[Path]) -> None:
        for path in paths:
            self.add_run(path)

    def _pick_map(self) -> None:
        path = self._pick_file("Add a map", "TIFF (*.tif *.tiff)")
        if path is not None:
            self.add_map(path)

    def _pick_run(self) -> None:
        picked = QFileDialog.getExistingDirectory(self, "Add a run", self._near)
        if picked:
            self.add_run(Path(picked))

    def _on_region(self, index: int) -> None:
        if self.regions_box.itemData(index) != _FROM_FILE:
            return
        path = self._pick_file("Regions", "Labels images (*.tif *.tiff *.png *.npy *.nii *.nii.gz)")
        if path is None:
            self.regions_box.setCurrentIndex(0)
        else:
            self.add_region(path)

    def _on_place(self, name: str, region: npt.NDArray[np.bool_]) -> None:
        self._places[name] = Place(name, region)
        self._kept_as.pop(name, None)
        self._list_regions()
        self.regions_box.setCurrentIndex(self.regions_box.findData(name))
        self.list_regions()

    @property
    def _near(self) -> str:
        return str(Path.home() if self._run is None else self._run.folder.parent)

    def _pick_file(self, caption: str, kinds: str) -> Path | None:
        picked, _ = QFileDialog.getOpenFileName(self, caption, self._near, kinds)
        return Path(picked) if picked else None


def _files_of(run: Run, places: Mapping[str, Place]) -> dict[str, Path]:
    """Return the files of places that a run holds, by name. To be called in a worker."""
    from napari_globalxai.widgets.panels.regions.region_view import kept_as

    found = {name: kept_as(run, name, place.region) for name, place in places.items()}
    return {name: path for name, path in found.items() if path is not None}


def _add_row(rows: FormRows, setting: Declared, field: QWidget, *below: QWidget) -> None:
    """Add an input of our own for a setting, under the name and with the help that it has."""
    row = field
    if below:
        row = QWidget()
        column = in_column(row)
        column.addWidget(field)
        column.addWidget(flowing(*below))
    add_field(rows.form, setting, row, first=field)
