"""Whether the maps of a run, or of a selection of its images, are stable; kept beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.maps.upsampling import cells_inside, smooth
from napari_globalxai.plain_text import numeral
from napari_globalxai.progress import JobProgress, Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.clock import now
from napari_globalxai.runs.folder import SELECTIONS_FOLDER, STABILITY_FOLDER, file_stem
from napari_globalxai.runs.questions.selections import chosen_rows, open_selection, settings_of
from napari_globalxai.runs.questions.subgroup_maps import chosen_labels
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.tables import PATIENT
from napari_globalxai.runs.turns import made_aside, reading
from napari_globalxai.runs.write_maps import write_tiff
from napari_globalxai.settings.map_settings import MapsSettings
from napari_globalxai.settings.stability_settings import StabilitySettings
from napari_globalxai.statistics.global_map import OVERALL
from napari_globalxai.statistics.patient_groups import PatientGroups, patient_codes
from napari_globalxai.statistics.prepared_cells import CellReader
from napari_globalxai.statistics.stability import (
    MapMaker,
    OverallMaps,
    PatientMaps,
    Stability,
    bootstrap_bands,
    count_draws,
    measure_stability,
)
from napari_globalxai.storage import read_json, read_table, write_json, write_table
from napari_globalxai.unusable import damaged

if TYPE_CHECKING:
    import pandas as pd

STABILITY_FILE = "stability.json"
_TABLE, _GROWTH = "stability.csv", "growth.csv"
# Of the sums of all patients and labels.
_MOST_BYTES = 256 << 20
_MEASURING = "Drawing patients anew"


@dataclass(frozen=True)
class StabilityResult:
    """Whether maps are stable, as it was kept.

    Attributes
    ----------
    folder : pathlib.Path
        Where it lies.
    record : dict
        Content of ``stability.json``; ``labels`` holds a mapping for each map.
    home : pathlib.Path
        The run folder.
    """

    folder: Path
    record: dict[str, Any]
    home: Path

    @property
    def labels(self) -> Mapping[str, Mapping[str, Any]]:
        """What is known of each map, ``overall`` first."""
        found: Mapping[str, Mapping[str, Any]] = self.record["labels"]
        return found

    @cached_property
    def table(self) -> pd.DataFrame:
        """Content of ``stability.csv``, one row a map."""
        with reading(self.home):
            return read_table(self.folder / _TABLE, ("label",), dtype={"label": str})

    @cached_property
    def growth(self) -> pd.DataFrame:
        """Content of ``growth.csv``: agreement by the number of patients."""
        with reading(self.home):
            return read_table(self.folder / _GROWTH, ("label",), dtype={"label": str})


@dataclass(frozen=True)
class _Material:
    """The sums of each patient's maps by label, over the patients of all labels."""

    reader: CellReader
    makers: Mapping[str, PatientMaps]
    images: int
    smoothing: float

    def maker(self, name: str) -> tuple[MapMaker, int, int]:
        """Return what makes a map, and of how many patients and images."""
        if name == OVERALL:
            every = list(self.makers.values())
            with_any = np.any([each.sizes > 0 for each in every], axis=0)
            maker = OverallMaps([_of(each, with_any) for each in every])
            return maker, int(with_any.sum()), self.images
        maps = self.makers[name]
        own = maps.sizes > 0
        return _of(maps, own), int(own.sum()), int(maps.sizes.sum())

    def in_frame(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        return smooth(self.reader.in_frame(values), self.smoothing)


class _Draws:
    """Tells how many draws of patients are made of those of all maps."""

    def __init__(
        self,
        progress: ProgressCallback,
        material: _Material,
        names: Sequence[str],
        chosen: StabilitySettings,
    ) -> None:
        self._progress = progress
        begins, end = {}, 0
        for name in names:
            begins[name] = end
            _, patients, _ = material.maker(name)
            end += count_draws(patients, chosen.splits) + chosen.bootstrap
        self._begins, self._total, self._done = begins, end, 0

    def begin(self, name: str) -> None:
        """Go on to a map: of one that came before, some may have had nothing to draw."""
        self._done = self._begins[name]
        self(0)

    def finish(self) -> None:
        """Tell that all is done."""
        self._done = self._total
        self(0)

    def __call__(self, count: int) -> None:
        """Take how many more were made."""
        self._done += count
        self._progress(Progress(_MEASURING, self._done, self._total))


def _of(maps: PatientMaps, which: npt.NDArray[np.bool_]) -> PatientMaps:
    return PatientMaps(maps.sums[which], maps.sizes[which])


def stability(
    run: Run | str | Path,
    selection: str | None = None,
    settings: StabilitySettings | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> StabilityResult:
    """Tell whether the maps of a run, or of one of its selections, are stable.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    selection : str, optional
        Name of a selection that `make_maps` kept; by default the run's own maps are looked at.
    settings : StabilitySettings, optional
        What is chosen.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`.
    **keywords
        Fields of `StabilitySettings`, in place of those of `settings`.

    Returns
    -------
    StabilityResult

    Raises
    ------
    InputError
        When there is no such selection, or a setting cannot be used.
    """
    chosen = StabilitySettings.of(settings, keywords)
    run = run if isinstance(run, Run) else open_run(run)
    made, part = MapsSettings(), STABILITY_FOLDER
    if selection is not None:
        kept = open_selection(run, selection)
        made, part = settings_of(kept), f"{SELECTIONS_FOLDER}/{kept.folder.name}/{part}"
    material = _material(run, made)
    inside = cells_inside(run.valid, material.reader.grid).ravel()
    names = [OVERALL, *material.makers]
    draws = _Draws(JobProgress(progress), material, names, chosen)
    labels: dict[str, dict[str, Any]] = {}
    with made_aside(run.folder, part) as aside:
        for name in names:
            draws.begin(name)
            maker, patients, images = material.maker(name)
            found = measure_stability(
                maker, patients, inside,
                splits=chosen.splits, settled=chosen.settled, seed=chosen.seed, tick=draws,
            )  # fmt: skip
            bands = bootstrap_bands(maker, patients, chosen.bootstrap, chosen.seed, draws)
            for kind, band in zip(("low", "high"), bands, strict=True):
                write_tiff(aside / f"{file_stem(name)}.{kind}.tif", material.in_frame(band))
            labels[name] = _facts(found, patients, images, chosen)
        record = {
            "format": 1,
            "kind": "stability",
            "selection": selection,
            "statistic": "mean",
            "settings": chosen.model_dump(mode="json"),
            "cells": list(material.reader.grid.shape),
            "labels": labels,
            "written": now(),
        }
        _write_tables(aside, labels)
        write_json(aside / STABILITY_FILE, record)
    draws.finish()
    return open_stability(run, selection)


def open_stability(run: Run, selection: str | None = None) -> StabilityResult:
    """Open what is known of the stability of a run's maps, or of those of a selection.

    Raises
    ------
    InputError
        When it has not been looked at.
    """
    home = run.folder if selection is None else open_selection(run, selection).folder
    path = home / STABILITY_FOLDER / STABILITY_FILE
    with reading(run.folder):
        if not path.is_file():
            if (path.parent / _TABLE).is_file():
                raise damaged(path)
            raise InputError(f"{home}: the stability of its maps is not known; run `stability`.")
        try:
            record = read_json(path)
            if not isinstance(record["labels"], dict):
                raise ValueError("no labels")
        except (ValueError, KeyError, TypeError) as why:
            raise damaged(path) from why
    return StabilityResult(path.parent, record, run.folder)


def _material(run: Run, made: MapsSettings) -> _Material:
    aggregation = made.of_run(run.aggregation)
    rows, _ = chosen_rows(run, made.where)
    members = {
        label: np.intersect1d(run.members(label, aggregation), rows)
        for label in chosen_labels(run, made.labels)
    }
    codes = patient_codes(run.images[PATIENT].tolist())
    images = np.unique(np.concatenate(list(members.values())))
    every = np.unique(codes[images])
    reader = CellReader(run.store, aggregation).fitting(
        max(1, 2 * len(every) * len(members)), _MOST_BYTES
    )
    makers = {}
    for label, chosen in members.items():
        sums = np.zeros((len(every), math.prod(reader.grid.shape)))
        sizes = np.zeros(len(every), np.int64)
        for part in reader.chunks(label, chosen):
            groups = PatientGroups(codes[part.rows])
            places = np.searchsorted(every, groups.present)
            sums[places] += groups.sums(part.values)
            sizes[places] += groups.sizes
        makers[label] = PatientMaps(sums, sizes)
    return _Material(reader, makers, len(images), aggregation.smoothing)


def _facts(
    found: Stability, patients: int, images: int, chosen: StabilitySettings
) -> dict[str, Any]:
    return {
        "n": images,
        "n_patients": patients,
        "split_half": found.split_half.correlation,
        "reliability": found.reliability,
        "ci_low": found.low,
        "ci_high": found.high,
        "has_settled": found.has_settled,
        "settles_at": found.settles_at,
        "growth": [asdict(each) for each in found.growth],
        "warning": _warning(found, patients, chosen),
        "sentence": _sentence(found, patients),
    }


def _warning(found: Stability, patients: int, chosen: StabilitySettings) -> str:
    if patients < chosen.fewest_patients:
        return f"only {_counted(patients)}, fewer than {chosen.fewest_patients}: may be noise"
    if not found.reliability >= chosen.floor:
        if math.isnan(found.reliability):
            return "its reliability is not known: the maps of its halves are constant"
        return (
            f"reliability {numeral(found.reliability, '.2f')}, below {chosen.floor:g}: may be noise"
        )
    return ""


def _counted(patients: int) -> str:
    return f"{patients} patient" if patients == 1 else f"{patients} patients"


def _sentence(found: Stability, patients: int) -> str:
    """Say how stable a map is."""
    if math.isnan(found.reliability):
        return f"Nothing can be said with {_counted(patients)}."
    reliability, low, high = (
        numeral(each, ".2f") for each in (found.reliability, found.low, found.high)
    )
    text = f"Reliability {reliability} ({low} to {high})"
    if found.has_settled:
        when = "" if found.settles_at is None else f", from about {_counted(found.settles_at)} on"
        return f"{text}: it has settled{when}."
    if found.settles_at is None:
        return f"{text}: it has not settled, and nothing shows that more patients would settle it."
    return f"{text}: it has not settled; about {found.settles_at} patients would be needed."


def _write_tables(folder: Path, labels: Mapping[str, Mapping[str, Any]]) -> None:
    import pandas as pd

    columns = [
        {"label": name, **{key: value for key, value in facts.items() if key != "growth"}}
        for name, facts in labels.items()
    ]
    table = pd.DataFrame(columns)
    table["settles_at"] = table["settles_at"].astype("Int64")
    growth = [
        {"label": name, **point} for name, facts in labels.items() for point in facts["growth"]
    ]
    names = ["label", "patients", "correlation", "low", "high", "draws"]
    for path, content in ((_TABLE, table), (_GROWTH, pd.DataFrame(growth, columns=names))):
        write_table(folder / path, content)
