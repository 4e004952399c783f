"""Which map PEPPR tests, what it is judged by, and the maps of other patients for each fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from napari_globalxai.addresses import place, readable
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.folds import (
    ANOTHER_RUN,
    GIVEN_MAP,
    SAME_IMAGES,
    FoldMap,
    assign_folds,
    can_cross_fit,
)
from napari_globalxai.faithfulness.orders.remade_maps import halves
from napari_globalxai.faithfulness.targets import MACRO
from napari_globalxai.faithfulness.verdict.weighing import RANDOM_WEIGHTS
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.runs.opened.read_maps import no_tiff
from napari_globalxai.runs.peppr.random_rival import RandomRival
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.tables import PATIENT
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.statistics.global_map import OVERALL, Averaging, overall_map

FloatImage = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TestedMap:
    """A map to test.

    Attributes
    ----------
    name : str
        Of its files.
    title : str
        ``overall``, the label, or the file.
    image : numpy.ndarray
        The map, (*spatial).
    judged : tuple of str
        What it is judged by.
    evaluated_on : str
        Whose images it is made of.
    """

    name: str
    title: str
    image: FloatImage
    judged: tuple[str, ...]
    evaluated_on: str

    @property
    def is_own(self) -> bool:
        """Whether the run made it of its own images, and can make it anew of others."""
        return self.evaluated_on == SAME_IMAGES


def find_map(
    run: Run, name: str, map_from: Run | str | Path | None, *, judge_labels: bool
) -> TestedMap:
    """Find a map by name, in the run, in another run, or as a file.

    Raises
    ------
    InputError
        When there is none, or it cannot be read as a map.
    """
    if map_from is not None:
        other = map_from if isinstance(map_from, Run) else open_run(map_from)
        if name not in other.maps:
            raise InputError(f"{other.folder}: has no map {name!r}, but {', '.join(other.maps)}.")
        stem = file_stem(f"{name}-of-{other.folder.resolve().name}")
        judged = _judged_by(run, name, judge_labels=judge_labels)
        return TestedMap(stem, name, other.maps[name], judged, ANOTHER_RUN)
    if name in run.maps:
        judged = _judged_by(run, name, judge_labels=judge_labels)
        return TestedMap(file_stem(name), name, run.maps[name], judged, SAME_IMAGES)
    path = place(name)
    if not path.is_file():
        raise InputError(
            f"{name}: is neither a map of the run ({', '.join(run.maps)}) nor a TIFF file."
        )
    try:
        with tifffile.TiffFile(readable(path)) as file:
            _check_size(path, file.series[0].shape, run)
            image = np.asarray(file.asarray(), dtype=np.float32)
    except no_tiff() as why:
        if isinstance(why, InputError):
            raise
        raise InputError(f"{path}: cannot be read as a TIFF file ({why}).") from why
    stem = file_stem(path.stem)
    if stem in {file_stem(own) for own in run.maps}:
        # A file must not take the place of the run's own result.
        stem = f"file-{stem}"
    return TestedMap(stem, name, image, run.labels, GIVEN_MAP)


def _check_size(path: Path, size: tuple[int, ...], run: Run) -> None:
    """Refuse what does not fit the frame before it is decoded: it may swell a thousandfold."""
    if len(size) != 2:
        raise InputError(f"{path}: a map is one grey image, this has shape {size}.")
    frame = (run.record.frame.height, run.record.frame.width)
    if size != frame:
        own, due = (" × ".join(map(str, each)) for each in (size, frame))
        raise InputError(f"{path}: is {own} pixels, but the frame is {due}; give a map of it.")


def _judged_by(run: Run, name: str, *, judge_labels: bool) -> tuple[str, ...]:
    if name != OVERALL:
        if name not in run.labels:
            raise InputError(
                f"{run.folder}: has no label {name!r} to judge the map by; its labels are "
                f"{', '.join(run.labels)}."
            )
        return (name,)
    if len(run.labels) == 1:
        # The mean over one label is that label.
        return run.labels
    return (MACRO, *run.labels) if judge_labels else (MACRO,)


def fold_maps(
    run: Run,
    found: TestedMap,
    evaluation: Evaluation,
    settings: PepprSettings,
    random: RandomRival | None = None,
) -> tuple[Rows, list[FoldMap]] | None:
    """Return the fold of each image, and each fold's map of the other folds' patients.

    Parameters
    ----------
    run : Run
        The run.
    found : TestedMap
        Its map.
    evaluation : Evaluation
        On which images.
    settings : PepprSettings
        How many folds, and how many patients a map needs.
    random : RandomRival, optional
        Maps of the model with random weights, to compare with.

    Returns
    -------
    tuple or None
        None where folds are not asked for, or a fold's map would rest on too few patients.
    """
    if settings.folds < 2:
        return None
    rows = evaluation.rows
    fold_of = assign_folds(evaluation.patients, evaluation.truth, settings.folds, settings.seed)
    labels = run.labels if found.title == OVERALL else (found.title,)
    members = {label: np.isin(rows, run.members(label)) for label in labels}
    if not can_cross_fit(evaluation.patients, members, fold_of, settings.fewest_positives):
        return None
    parts = [
        _made_of(run, found, evaluation, fold_of != fold, settings, random)
        for fold in range(settings.folds)
    ]
    return fold_of, _with_common_rivals(parts)


def maps_of_all(
    run: Run,
    found: TestedMap,
    evaluation: Evaluation,
    settings: PepprSettings,
    random: RandomRival | None = None,
) -> FoldMap:
    """Return the run's own map, and what it is compared with, made of all images."""
    everyone = np.ones(len(evaluation.rows), bool)
    made = _made_of(run, found, evaluation, everyone, settings, random)
    (part,) = _with_common_rivals([made])
    return replace(part, image=found.image)


def _made_of(
    run: Run,
    found: TestedMap,
    evaluation: Evaluation,
    use: npt.NDArray[np.bool_],
    settings: PepprSettings,
    random: RandomRival | None,
) -> FoldMap:
    """Make a map of some of the images, and those that it is compared with."""
    among = evaluation.rows[use]
    averaging = Averaging(
        run.store,
        run.images[PATIENT].tolist(),
        run.aggregation,
        run.record.settings.seed,
        evaluation.valid,
        statistics=(),
    )

    def mean(label: str, rows: Rows) -> FloatImage:
        return averaging.label_map(label, rows).mean

    def map_of(rows: Rows) -> FloatImage:
        labels = run.labels if found.title == OVERALL else (found.title,)
        each = {label: mean(label, np.intersect1d(run.members(label), rows)) for label in labels}
        return overall_map(each) if found.title == OVERALL else each[found.title]

    again = halves(evaluation.patients, settings.remade_maps, settings.seed)
    remade = tuple(map_of(evaluation.rows[use & half]) for half in again)
    by_label = {
        label: mean(label, np.intersect1d(run.members(label), among)) for label in run.labels
    }
    if found.title == OVERALL:
        untrained = {}
        if random is not None:
            each = {label: random.label_map(label, among) for label in run.labels}
            untrained = {RANDOM_WEIGHTS: overall_map(each)}
        return FoldMap(overall_map(by_label), untrained, remade)
    own = found.title
    rivals = {f"map of {label}": image for label, image in by_label.items() if label != own}
    without = among[run.truth((own,))[among, 0] == 0]
    if len(without):
        rivals[f"map of images without {own}"] = mean(own, without)
    if random is not None:
        rivals[RANDOM_WEIGHTS] = random.label_map(own, among)
    return FoldMap(by_label[own], rivals, remade)


def _with_common_rivals(parts: Sequence[FoldMap]) -> list[FoldMap]:
    """Keep the rivals that every fold has, with values that can be ranked."""
    usable = [
        name
        for name in parts[0].rivals
        if all(
            name in part.rivals
            and np.isfinite(part.rivals[name]).all()
            and np.ptp(part.rivals[name]) > 0
            for part in parts
        )
    ]
    return [replace(part, rivals={name: part.rivals[name] for name in usable}) for part in parts]
