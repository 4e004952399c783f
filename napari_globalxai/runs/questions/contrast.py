"""A contrast of a run: where the maps of two sides differ, with family-wise corrected p."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.progress import JobProgress, Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import CONTRASTS_FOLDER, file_stem
from napari_globalxai.runs.questions.contrast_sides import (
    ChosenImages,
    check_sizes,
    choose_images,
    covariate_sides,
    read_side,
)
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.turns import made_aside
from napari_globalxai.runs.write_maps import write_tiff
from napari_globalxai.settings.contrast_settings import ContrastSettings
from napari_globalxai.settings.lists import join_names
from napari_globalxai.statistics.cluster_enhancement import STEPS, enhance
from napari_globalxai.statistics.contrasts import (
    AdjustedDifference,
    Arrangements,
    Comparison,
    Contrast,
    MeanDifference,
    Sides,
    corrected_p,
    permute,
)
from napari_globalxai.storage import write_json

if TYPE_CHECKING:
    from napari_globalxai.settings.aggregation_settings import AggregationSettings

LEVEL = 0.05
_FEWEST_ARRANGEMENTS = 20


@dataclass(frozen=True)
class LabelContrast:
    """The contrast of one label.

    Attributes
    ----------
    difference, t, p : numpy.ndarray
        Maps of the frame, float32: side A minus side B; studentised; family-wise corrected p, of
        the nearest cell.
    facts : dict
        What ``contrast.json`` holds of it.
    """

    difference: npt.NDArray[np.float32]
    t: npt.NDArray[np.float32]
    p: npt.NDArray[np.float32]
    facts: dict[str, Any]


@dataclass(frozen=True)
class RunContrast:
    """A contrast of a run.

    Attributes
    ----------
    folder : pathlib.Path
        Where it was written.
    labels : dict of str to LabelContrast
        By label; for two labels, under ``A against B``.
    facts : dict
        Content of ``contrast.json``.
    """

    folder: Path
    labels: dict[str, LabelContrast]
    facts: dict[str, Any]


def contrast(
    run: Run | str | Path,
    name: str,
    a: str = "",
    b: str = "",
    settings: ContrastSettings | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> RunContrast:
    """Compare the maps of two sides of a run, and keep the result in ``contrasts/NAME``.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    name : str
        What to call it.
    a, b : str
        Queries over the columns of ``images.csv``, such as ``site == 'A'``; where two labels are
        compared, each may be left out for all images, and `b` for those of `a`.
    settings : ContrastSettings, optional
        What is chosen.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`.
    **keywords
        Fields of `ContrastSettings`, in place of those of `settings`.

    Returns
    -------
    RunContrast

    Raises
    ------
    InputError
        When a query, a label or a covariate cannot be used, or a side has too few patients.
    """
    chosen = ContrastSettings.of(settings, keywords)
    if not isinstance(run, Run):
        run = open_run(run)
    two_labels = chosen.label_a is not None and chosen.label_a != chosen.label_b
    if not two_labels and not (a and b):
        raise InputError("A contrast needs a query for each of its sides; give both --a and --b.")
    if not name.strip():
        raise InputError("--name: is empty; give the contrast a name, which its folder gets.")
    images = choose_images(run, a, b or a, may_overlap=two_labels)
    work = _Work(run, images, chosen, JobProgress(progress))
    found = dict(work.contrasts())
    _over_labels(found)
    folder = run.folder / CONTRASTS_FOLDER / file_stem(name)
    facts = {
        "labels": {title: made.facts for title, (made, _) in found.items()},
        "permutations": chosen.permutations,
        "correction": chosen.correction,
        "where_a": a,
        "where_b": b or a,
        "seed": chosen.seed,
        "covariates": list(chosen.covariates),
        "statistic": "freedman-lane" if chosen.covariates else "studentised-difference",
        "part": work.aggregation.part,
        "scale": work.aggregation.scale,
        "label_a": chosen.label_a,
        "label_b": chosen.label_b,
        "warnings": [*images.remarks, *dict.fromkeys(work.warnings)],
    }
    with made_aside(run.folder, f"{CONTRASTS_FOLDER}/{folder.name}") as aside:
        for title, (made, _) in found.items():
            stem = file_stem(title)
            write_tiff(aside / f"{stem}.difference.tif", made.difference)
            write_tiff(aside / f"{stem}.t.tif", made.t)
            write_tiff(aside / f"{stem}.p.tif", made.p)
        write_json(aside / "contrast.json", facts)
    return RunContrast(folder, {title: made for title, (made, _) in found.items()}, facts)


class _Work:
    """A contrast while it is computed."""

    def __init__(
        self, run: Run, images: ChosenImages, settings: ContrastSettings, progress: ProgressCallback
    ) -> None:
        self._run, self._images, self._settings = run, images, settings
        self._progress = progress
        given = {"part": settings.part, "scale": settings.scale}
        update = {name: value for name, value in given.items() if value is not None}
        self.aggregation: AggregationSettings = run.aggregation.model_copy(update=update)
        self.warnings: list[str] = []

    def contrasts(self) -> Iterator[tuple[str, tuple[LabelContrast, Contrast]]]:
        """Give each contrast with its title."""
        pairs = self._pairs()
        total = self._settings.permutations
        for number, (title, (first, second)) in enumerate(pairs.items()):

            def tick(done: int, number: int = number) -> None:
                stage = "Exchanging patients"
                self._progress(Progress(stage, number * total + done, len(pairs) * total))

            yield title, self._contrast(title, first, second, tick)

    def _pairs(self) -> dict[str, tuple[str, str]]:
        """Return the labels of both sides by title."""
        run, settings = self._run, self._settings
        labels: tuple[str, ...]
        if settings.label_a is not None and settings.label_b is not None:
            labels = (settings.label_a, settings.label_b)
            first, second = labels
            title = first if first == second else f"{first} against {second}"
            pairs = {title: (first, second)}
        else:
            labels = run.labels if settings.labels is None else settings.labels
            pairs = {label: (label, label) for label in labels}
        unknown = [label for label in labels if label not in run.labels]
        if unknown or not pairs:
            lacking = f"has no label {unknown[0]!r}" if unknown else "no label was chosen"
            raise InputError(f"{run.folder}: {lacking}; its labels are {join_names(run.labels)}.")
        return pairs

    def _contrast(
        self, title: str, first: str, second: str, tick: Any
    ) -> tuple[LabelContrast, Contrast]:
        run, settings = self._run, self._settings
        grid = run.store.grid
        one = read_side(run, first, self._images.first, self.aggregation)
        other = read_side(run, second, self._images.second, self.aggregation)
        if not one.means or not other.means:
            side = "--a" if not one.means else "--b"
            raise InputError(
                f"{side}: all maps of {title} are constant there, and those are left out; widen "
                "the query."
            )
        sides = Sides.of(one.means, other.means)
        check_sizes(sides, title)
        comparison: Comparison = MeanDifference(sides)
        if settings.covariates:
            covariates = covariate_sides(run, one, other, settings.covariates)
            rows = np.concatenate([one.rows, other.rows])
            self.warnings += [
                f"{each} has one value only among the images that are compared, and adjusts for "
                "nothing."
                for each in settings.covariates
                if run.images[each].iloc[rows].nunique() == 1
            ]
            try:
                comparison = AdjustedDifference(sides, covariates)
            except ValueError as why:
                raise InputError(
                    f"--covariates: {why} for {title}; leave some of "
                    f"{join_names(settings.covariates)} out."
                ) from why
        if sides.arrangements < _FEWEST_ARRANGEMENTS:
            self.warnings.append(
                f"{title}: the patients can be exchanged in {sides.arrangements} ways only, so p "
                f"cannot be below {1 / sides.arrangements:.2g}."
            )
        made = permute(
            sides,
            comparison,
            permutations=settings.permutations,
            seed=settings.seed,
            score=self._score(comparison, sides, grid),
            tick=tick,
        )
        counts = {
            "n_a": len(one.rows),
            "n_b": len(other.rows),
            "patients_a": sides.sizes[0],
            "patients_b": sides.sizes[1],
            "patients_both": len(sides.first),
        }
        counted = _in_frame(made, grid, counts)
        counted.facts.update(_effect(made, sides, grid))
        return counted, made

    def _score(self, comparison: Comparison, sides: Sides, grid: CellGrid) -> Any:
        if self._settings.correction == "max-t":
            return lambda t: t
        own = comparison.of(Arrangements.as_it_is(sides))[1]
        step = float(np.abs(own).max()) / STEPS
        return lambda t: enhance(t, grid.shape, step)


def _in_frame(made: Contrast, grid: CellGrid, counts: dict[str, int]) -> LabelContrast:
    """Return the maps in the frame, and the facts."""
    shape = grid.shape
    p = nearest(made.p.reshape(shape), grid)
    peak = int(np.argmax(np.abs(made.score)))
    facts: dict[str, Any] = {
        **counts,
        "min_p": float(made.p.min()),
        "peak": _place(peak, grid),
        "peak_difference": float(made.difference[peak]),
        "peak_t": float(made.t[peak]),
        "significant_share": float(np.mean(p <= LEVEL)),
        "cells": len(made.t),
        "cells_without_variance": int((~made.varies).sum()),
    }
    return LabelContrast(
        upsample(made.difference.reshape(shape), grid),
        upsample(made.t.reshape(shape), grid),
        p,
        facts,
    )


def _effect(made: Contrast, sides: Sides, grid: CellGrid) -> dict[str, Any]:
    """Return how large the difference is where p is small, for p says nothing of it."""
    found = np.where(made.p <= LEVEL, np.abs(made.difference), 0)
    if not found.any():
        return {"largest_at": None, "largest_difference": None, "largest_relative": None}
    at = int(np.argmax(found))
    size = float(sides.size.max())
    return {
        "largest_at": _place(at, grid),
        "largest_difference": float(made.difference[at]),
        "largest_relative": float(found[at] / size) if size > 0 else None,
    }


def _place(cell: int, grid: CellGrid) -> list[int]:
    """Return the pixel of the frame nearest to the middle of a cell."""
    place = np.unravel_index(cell, grid.shape)
    return [round(float(along[at])) for along, at in zip(grid.centres, place, strict=True)]


def _over_labels(found: dict[str, tuple[LabelContrast, Contrast]]) -> None:
    """Add p that also holds over all the labels, which were permuted alike."""
    maxima = np.max([made.maxima for _, made in found.values()], axis=0)
    for label, made in found.values():
        greatest = np.abs(made.score).max(keepdims=True)
        label.facts["min_p_over_labels"] = float(corrected_p(greatest, maxima)[0])


def nearest(values: npt.NDArray[np.float64], grid: CellGrid) -> npt.NDArray[np.float32]:
    """Give each pixel of the frame the value of its nearest cell: p is not to be mixed."""
    places = [
        np.abs(np.arange(length)[:, None] - centres[None]).argmin(axis=1)
        for centres, length in zip(grid.centres, grid.frame, strict=True)
    ]
    return np.asarray(values[np.ix_(*places)], np.float32)
