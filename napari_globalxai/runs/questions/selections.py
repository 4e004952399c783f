"""Maps of some of a run's images, kept under a name in its folder ``selections``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.clock import now
from napari_globalxai.runs.folder import SELECTIONS_FOLDER, file_stem
from napari_globalxai.runs.opened.global_maps import GlobalMaps
from napari_globalxai.runs.questions.subgroup_maps import averaging_of, chosen_labels
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.turns import made_aside, reading
from napari_globalxai.runs.write_maps import table_of_maps, write_tiff
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.settings.map_settings import MapsSettings
from napari_globalxai.statistics.global_map import OVERALL, GlobalMap
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.statistics.recorded_statistics import STATISTIC
from napari_globalxai.storage import (
    hash_value,
    read_json,
    read_table,
    write_json,
    write_table,
)
from napari_globalxai.unusable import damaged

if TYPE_CHECKING:
    import pandas as pd

SELECTION_FILE = "selection.json"
_TABLE = "maps.csv"
_FORMAT = 1
_AVERAGING = "Averaging maps"


@dataclass(frozen=True)
class Selection:
    """Maps of some of a run's images, as they were kept.

    Attributes
    ----------
    name : str
        What it is called.
    folder : pathlib.Path
        Where it lies.
    record : dict
        Content of ``selection.json``.
    """

    name: str
    folder: Path
    record: dict[str, Any]

    @property
    def warnings(self) -> list[str]:
        """What to keep in mind, a sentence each."""
        return list(self.record["warnings"])

    @cached_property
    def statistics(self) -> pd.DataFrame:
        """Content of ``maps.csv``, one row a map."""
        path = self.folder / _TABLE
        with reading(self._home):
            table = read_table(path, dtype={"map": str})
        # Other labels than the record's, too: the maps may have been made again since.
        if "map" not in table:
            raise damaged(path)
        return table

    @cached_property
    def maps(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """``overall`` and the maps by label, float32 (*frame), read when asked for."""
        names = tuple(str(name) for name in self.statistics["map"])
        return GlobalMaps(self.folder, names, home=self._home)

    @property
    def _home(self) -> Path:
        return self.folder.parent.parent


def make_maps(
    run: Run | str | Path,
    name: str,
    settings: MapsSettings | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> Selection:
    """Make the maps of some of a run's images, without the model, and keep them under a name.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    name : str
        Of the selection; one of that name that is there is replaced.
    settings : MapsSettings, optional
        Which images, and how; what is left open is as for the run's own maps.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`.
    **keywords
        Fields of `MapsSettings`, in place of those of `settings`.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        When a query, a label or a setting cannot be used.
    """
    chosen = MapsSettings.of(settings, keywords)
    run = run if isinstance(run, Run) else open_run(run)
    folder = _folder_of(run, name)
    aggregation = chosen.of_run(run.aggregation)
    labels = chosen_labels(run, chosen.labels)
    rows, warnings = chosen_rows(run, chosen.where)
    averaging = averaging_of(run, aggregation, chosen.statistic)
    made: list[GlobalMap] = []
    with made_aside(run.folder, f"{SELECTIONS_FOLDER}/{folder.name}") as aside:
        for number, label in enumerate(labels):
            progress(Progress(_AVERAGING, number, len(labels)))
            members = np.intersect1d(run.members(label, aggregation), rows)
            image = averaging.label_map(label, members)
            _write_label(aside, image)
            made.append(image)
        overall = averaging.overall_map(made)
        write_tiff(aside / f"{OVERALL}.tif", overall.image)
        table = table_of_maps([overall, *made], aggregation)
        table[STATISTIC] = chosen.statistic
        write_table(aside / _TABLE, table)
        for image in made:
            if said := image.warning(aggregation.fewest_images):
                warnings.append(f"{image.label}: {said}")
        record = _record(run, name, chosen, aggregation, rows, made, warnings)
        write_json(aside / SELECTION_FILE, record)
    progress(Progress(_AVERAGING, len(labels), len(labels)))
    return open_selection(run, name)


def open_selection(run: Run, name: str) -> Selection:
    """Open the maps that were kept under a name.

    Raises
    ------
    InputError
        When there are none.
    """
    folder = run.folder / SELECTIONS_FOLDER / file_stem(name)
    with reading(run.folder):
        if not (folder / SELECTION_FILE).is_file():
            if (folder / _TABLE).is_file():
                raise damaged(folder / SELECTION_FILE)
            known = ", ".join(selection_names(run)) or "none yet"
            raise InputError(f"{run.folder}: has no selection {name!r}; selections are {known}.")
        return Selection(name, folder, _read(folder))


def settings_of(selection: Selection) -> MapsSettings:
    """Return the settings that a selection was made with, nothing left open.

    Raises
    ------
    InputError
        When its record holds something else.
    """
    record = selection.record
    made = {**record["settings"], "where": record["where"], "labels": tuple(record["labels"])}
    try:
        return MapsSettings(**made)
    except InputError as why:
        raise InputError(f"{selection.folder / SELECTION_FILE}: {why}") from why


def selection_names(run: Run) -> list[str]:
    """Return the names of a run's selections, sorted."""
    with reading(run.folder):
        files = (run.folder / SELECTIONS_FOLDER).glob(f"*/{SELECTION_FILE}")
        return sorted(str(_read(path.parent)["name"]) for path in files)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / SELECTION_FILE
    try:
        record: dict[str, Any] = read_json(path)
        if int(record["format"]) > _FORMAT:
            raise InputError(f"{path}: was written by a newer version; install the newest one.")
        if lacking := {"name", "where", "warnings", "labels", "settings"} - record.keys():
            raise ValueError(f"lacks {lacking}")
    except (ValueError, KeyError, TypeError) as why:
        if isinstance(why, InputError):
            raise
        raise damaged(path) from why
    return record


def _folder_of(run: Run, name: str) -> Path:
    if not name.strip():
        raise InputError("The selection has no name; give it one with --name.")
    folder = run.folder / SELECTIONS_FOLDER / file_stem(name)
    with reading(run.folder):
        if (folder / SELECTION_FILE).is_file() and (other := _read(folder)["name"]) != name:
            raise InputError(
                f"{folder}: is taken by the selection {other!r}; choose a name that differs in "
                "more than signs."
            )
    return folder


def chosen_rows(run: Run, where: str | None) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the explained images that a query means, and what is odd about it."""
    if where is None:
        return run.finished_rows, []
    query = parse_query(where)
    asked = query.rows(run.images)
    rows = np.intersect1d(asked, run.finished_rows)
    remarks = [f"{remark}." for remark in query.remarks(run.images)]
    if len(asked) == 0:
        remarks.append(f"No image of the run matches {where!r}; all maps are empty.")
    elif len(rows) < len(asked):
        remarks.append(
            f"{len(asked) - len(rows)} of {len(asked)} images that match could not be explained "
            "and are left out."
        )
    return rows, [remark[:1].upper() + remark[1:] for remark in remarks]


def _write_label(folder: Path, image: GlobalMap) -> None:
    stem = file_stem(image.label)
    write_tiff(folder / f"{stem}.tif", image.image)
    write_tiff(folder / f"{stem}.sd.tif", image.sd)
    write_tiff(folder / f"{stem}.se.tif", image.standard_error)


def _record(
    run: Run,
    name: str,
    chosen: MapsSettings,
    aggregation: AggregationSettings,
    rows: npt.NDArray[np.int64],
    made: Sequence[GlobalMap],
    warnings: Sequence[str],
) -> dict[str, Any]:
    patients = run.images["patient"].to_numpy()[rows]
    return {
        "format": _FORMAT,
        "kind": "selection",
        "name": name,
        "where": chosen.where,
        "images": len(rows),
        "patients": len(set(patients.tolist())),
        "settings": {
            **aggregation.model_dump(mode="json"),
            "statistic": chosen.statistic,
            "like_the_paper": chosen.like_the_paper,
        },
        "labels": {
            image.label: {
                "n": image.n,
                "n_patients": image.n_patients,
                "n_constant": image.n_constant,
                "rows_sha256": hash_value(image.selected.tolist()),
                "warning": image.warning(aggregation.fewest_images),
            }
            for image in made
        },
        "warnings": list(warnings),
        "seed": run.record.settings.seed,
        "store": run.store.fingerprint,
        "written": now(),
    }
