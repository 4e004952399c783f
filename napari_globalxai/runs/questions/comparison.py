"""Two runs of the same images, compared: performance, answers, and where the mass of maps lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.scores.auc_scores import log_odds, roc_auc
from napari_globalxai.faithfulness.scores.intervals import auc_change_interval
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.common_cells import coarser, on_cells, same_cells
from napari_globalxai.maps.upsampling import cells_inside, upsample
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.peppr.peppr_difference import PepprDifferences
from napari_globalxai.runs.questions.contrast import LEVEL, nearest
from napari_globalxai.runs.questions.matching import Matched, match_images
from napari_globalxai.runs.run import Run
from napari_globalxai.runs.tables import FILE, PATIENT, logit_column, probability_column
from napari_globalxai.settings.compare_settings import CompareSettings
from napari_globalxai.settings.lists import join_names
from napari_globalxai.statistics.contrasts import MeanDifference, Sides, mean_by_patient, permute
from napari_globalxai.statistics.prepared_cells import CellReader
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.statistics.random_model_maps import rank_correlations

_FEWEST_PATIENTS = 2
CHANGED_COLUMNS = ("label", "file", "patient", "truth", "probability_a", "probability_b")


@dataclass(frozen=True)
class LabelComparison:
    """The comparison of one label.

    Attributes
    ----------
    first, second, difference : numpy.ndarray
        Global maps of both runs and the first minus the second, float32 (*frame); empty where no
        map could be compared.
    facts : dict
        What ``comparison.json`` holds of it.
    """

    first: npt.NDArray[np.float32]
    second: npt.NDArray[np.float32]
    difference: npt.NDArray[np.float32]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Two runs, compared.

    Attributes
    ----------
    first, second : Run
        The runs.
    labels : dict of str to LabelComparison
        By label.
    changed : pandas.DataFrame
        Images whose answer changed, columns `CHANGED_COLUMNS`, a row an image and label.
    peppr : list of dict
        Δ of maps that PEPPR was run along in both, and its difference, over the same patients.
    images : int
        Images in common.
    remarks : tuple of str
        What does not match, a sentence each.
    """

    first: Run
    second: Run
    labels: dict[str, LabelComparison]
    changed: pd.DataFrame
    peppr: list[dict[str, Any]]
    images: int
    remarks: tuple[str, ...]


def compare_runs(
    first: Run,
    second: Run,
    settings: CompareSettings,
    progress: ProgressCallback = ignore_progress,
) -> Comparison:
    """Compare two runs of the same images; differences are the first minus the second.

    Raises
    ------
    InputError
        When they have no image, no label or not the same frame in common.
    """
    matched = match_images(first, second)
    labels = _labels(matched, settings.labels)
    work = _Work(first, second, matched, settings, progress)
    found = {label: work.label(number, label, len(labels)) for number, label in enumerate(labels)}
    peppr = PepprDifferences((first, second), matched, labels)
    differences = list(peppr.rows())
    return Comparison(
        first,
        second,
        found,
        pd.DataFrame(
            [row for label in labels for row in work.changed(label)], columns=CHANGED_COLUMNS
        ),
        differences,
        len(matched.first),
        (*matched.remarks, *dict.fromkeys((*work.remarks, *peppr.remarks))),
    )


def _labels(matched: Matched, asked: Sequence[str] | None) -> tuple[str, ...]:
    common = matched.labels
    unknown = [label for label in asked or () if label not in common]
    if unknown:
        raise InputError(
            f"--labels: {unknown[0]!r} is not a label of both runs; those are {join_names(common)}."
        )
    return common if asked is None else tuple(dict.fromkeys(asked))


class _Work:
    """A comparison while it is computed."""

    def __init__(
        self,
        first: Run,
        second: Run,
        matched: Matched,
        settings: CompareSettings,
        progress: ProgressCallback,
    ) -> None:
        self._runs, self._rows = (first, second), (matched.first, matched.second)
        self._settings, self._progress = settings, progress
        self._grid = coarser(first.store.grid, second.store.grid)
        images = first.images.iloc[matched.first]
        self._patients = images[PATIENT].astype(str).tolist()
        self._files = images[FILE].astype(str).tolist()
        self._chosen: npt.NDArray[np.bool_] | None = None
        self.remarks: list[str] = []
        if settings.where:
            query = parse_query(settings.where)
            self._chosen = query.mask(first.images)[matched.first]
            odd = query.remarks(first.images)
            self.remarks += [f"{each[:1].upper()}{each[1:]}." for each in odd]
            self.remarks.append(
                "ROC AUC, changed answers and PEPPR are of all images in common; maps are of those "
                f"where {settings.where}."
            )
        parts = [run.aggregation.part for run in self._runs]
        if parts[0] != parts[1]:
            self.remarks.append(
                f"The runs take different parts of their maps ({parts[0]} and {parts[1]})."
            )
        self._ranking = [
            _ranking(run)[rows] for run, rows in zip(self._runs, self._rows, strict=True)
        ]

    def label(self, number: int, label: str, count: int) -> LabelComparison:
        """Compare one label."""
        total = self._settings.permutations

        def tick(done: int) -> None:
            self._progress(Progress("Comparing maps", number * total + done, count * total))

        tick(0)
        facts: dict[str, Any] = self._performance(label)
        rows = self._carriers(label)
        patients = [self._patients[row] for row in rows]
        facts |= {"n": len(rows), "patients": len(set(patients))}
        if len(set(patients)) < _FEWEST_PATIENTS:
            self.remarks.append(
                f"{label}: its maps could not be compared, for fewer than {_FEWEST_PATIENTS} "
                "patients have images of those that are meant."
            )
            nothing = np.zeros((0,) * len(self._grid.frame), np.float32)
            facts |= dict.fromkeys(("spearman", "min_p", "moved_share"))
            return LabelComparison(nothing, nothing, nothing, facts)
        maps = [self._maps(side, label, rows) for side in (0, 1)]
        sides = Sides.of(*(mean_by_patient(each, patients) for each in maps))
        made = permute(
            sides,
            MeanDifference(sides),
            permutations=total,
            seed=self._settings.seed,
            tick=tick,
        )
        shape = self._grid.shape
        one, other = (each.mean(axis=0).reshape(shape) for each in maps)
        facts |= _mass(one, other, made.p.reshape(shape), self._grid)
        inside = cells_inside(self._runs[0].valid, self._grid)
        facts["spearman"] = (
            float(rank_correlations(one[inside][None], other[inside][None])[0])
            if inside.any()
            else None
        )
        facts["min_p"] = float(made.p.min())
        frame = [upsample(each, self._grid) for each in (one, other)]
        return LabelComparison(frame[0], frame[1], frame[0] - frame[1], facts)

    def _carriers(self, label: str) -> list[int]:
        """Return places, among the matched images, of those whose maps are compared."""
        if self._chosen is not None:
            return np.flatnonzero(self._chosen).tolist()
        return np.flatnonzero((self._truth(label) == 1).all(axis=0)).tolist()

    def _truth(self, label: str) -> npt.NDArray[np.float64]:
        """Return what each run has for true, (run, image)."""
        return np.stack(
            [run.truth((label,))[rows, 0] for run, rows in zip(self._runs, self._rows, strict=True)]
        )

    def _maps(self, side: int, label: str, places: list[int]) -> npt.NDArray[np.float64]:
        """Return a run's maps of some images on the common cells, (image, cell)."""
        run, rows = self._runs[side], self._rows[side][places]
        # Both runs must give the same images; a constant map has its place among them.
        update = {"scale": self._settings.scale, "constant_maps": "counted"}
        settings = run.aggregation.model_copy(update=update)
        grid = run.store.grid
        found = np.zeros((len(rows), int(np.prod(self._grid.shape))))
        order = {int(row): place for place, row in enumerate(rows)}
        for part in CellReader(run.store, settings).chunks(label, np.sort(rows)):
            values = part.values.astype(np.float64).reshape(len(part.rows), *grid.shape)
            if not same_cells(grid, self._grid):
                values = on_cells(values, grid, self._grid)
            if self._settings.scale == "mass":
                # A mass spread evenly is 1 everywhere, whatever the number of cells.
                values = values * np.prod(grid.shape)
            found[[order[int(row)] for row in part.rows]] = values.reshape(len(values), -1)
        return found

    def _performance(self, label: str) -> dict[str, Any]:
        """Return AUC of both runs, and their difference with its interval over patients."""
        truth = self._truth(label)
        scores = [
            ranking[:, list(_outputs(run)).index(label)]
            for run, ranking in zip(self._runs, self._ranking, strict=True)
        ]
        known = np.isfinite(truth).all(axis=0) & np.isfinite(scores).all(axis=0)
        differs = int((known & (truth[0] != truth[1])).sum())
        if differs:
            self.remarks.append(
                f"{label}: the runs have different truth for {differs} images, which do not count."
            )
        known &= truth[0] == truth[1]
        carries = truth[0][known] == 1
        names = ("auc_a", "auc_b", "auc_difference", "ci_low", "ci_high")
        if carries.all() or not carries.any():
            return dict.fromkeys(names)
        owners = [self._patients[row] for row in np.flatnonzero(known)]
        own = [np.asarray(each[known]) for each in scores]
        low, high = auc_change_interval(carries, own[1], own[0], owners)
        one, other = (roc_auc(carries, each) for each in own)
        return dict(zip(names, (one, other, one - other, float(low), float(high)), strict=True))

    def changed(self, label: str) -> Iterator[dict[str, Any]]:
        """Give the images whose answer for a label differs between the runs."""
        one, other = (
            run.images[probability_column(label)].to_numpy(dtype=float)[rows]
            for run, rows in zip(self._runs, self._rows, strict=True)
        )
        truth = self._truth(label)[0]
        threshold = self._settings.threshold
        places = np.flatnonzero((one >= threshold) != (other >= threshold))
        for place in places[np.argsort(-np.abs(one - other)[places], kind="stable")]:
            values = (label, self._files[place], self._patients[place], truth[place])
            yield dict(zip(CHANGED_COLUMNS, (*values, one[place], other[place]), strict=True))


def _outputs(run: Run) -> tuple[str, ...]:
    return run.record.model.card.labels


def _ranking(run: Run) -> npt.NDArray[np.float64]:
    logits = np.column_stack(
        [run.images[logit_column(label)].to_numpy(dtype=float) for label in _outputs(run)]
    )
    return log_odds(logits, run.record.model.card.activation)


def _mass(
    one: npt.NDArray[np.float64],
    other: npt.NDArray[np.float64],
    p: npt.NDArray[np.float64],
    grid: CellGrid,
) -> dict[str, Any]:
    """Return how much of the mass lies elsewhere, and where most went."""
    pictures = [np.abs(upsample(each, grid)).astype(np.float64) for each in (one, other)]
    shares = [each / (each.sum() or 1) for each in pictures]
    difference = one - other

    def place(at: int) -> list[int]:
        cell = np.unravel_index(at, grid.shape)
        return [round(float(along[each])) for along, each in zip(grid.centres, cell, strict=True)]

    return {
        "moved_share": float(np.abs(shares[0] - shares[1]).sum() / 2),
        "more_in_a_at": place(int(difference.argmax())),
        "more_in_b_at": place(int(difference.argmin())),
        "significant_share": float((nearest(p, grid) <= LEVEL).mean()),
        "cells": int(np.prod(grid.shape)),
    }
