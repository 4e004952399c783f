"""Where a model fails: slices of the cohort in which its AUC or calibration is below the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.audit.measured_maps import subgroups_of
from napari_globalxai.audit.reliability_tables import calibration_table, threshold_table
from napari_globalxai.audit.strategy_files import read_clusters
from napari_globalxai.faithfulness.scores.auc_scores import log_odds
from napari_globalxai.plain_text import numeral
from napari_globalxai.progress import JobProgress, Progress, ignore_progress, may_stop_here
from napari_globalxai.runs import tables
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.turns import made_aside
from napari_globalxai.runs.write_maps import write_tiff
from napari_globalxai.settings.audit_settings import SlicesSettings
from napari_globalxai.statistics.slices import (
    Gap,
    Slice,
    auc_gap,
    calibration_gap,
    conjunctions,
    holm,
)
from napari_globalxai.storage import write_json, write_table

if TYPE_CHECKING:
    from napari_globalxai.progress import ProgressCallback

SLICES_FOLDER = "slices"
SLICES_FILE = "slices.json"
AUC, CALIBRATION = "roc_auc", "calibration"
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FailingSlice:
    """A slice in which one label is predicted worse than in the rest.

    Attributes
    ----------
    label : str
        The label.
    measure : str
        ``roc_auc``, or ``calibration``: mean probability less the share that carries the label.
    query : str
        What `maps --where` takes; ``cluster N`` of a cluster that the audit found.
    value, rest : float
        The measure in the slice and in the rest.
    ci_low, ci_high : float
        95 % interval of the difference.
    p : float
        Corrected over all slices, labels and both measures.
    images, patients, positives : int
        How many are in the slice.
    map : str
        File of the label's global map over the slice's images; empty where none has a map.
    sentence : str
        All of it in words.
    """

    label: str
    measure: str
    query: str
    value: float
    rest: float
    ci_low: float
    ci_high: float
    p: float
    images: int
    patients: int
    positives: int
    map: str = ""
    sentence: str = ""


@dataclass(frozen=True)
class Slices:
    """Where a model fails.

    Attributes
    ----------
    folder : pathlib.Path
        Where it was written.
    found : tuple of FailingSlice
        The surest first.
    searched : int
        Comparisons that were made.
    calibration, thresholds : pandas.DataFrame
        Contents of ``calibration.csv`` and ``thresholds.csv``.
    """

    folder: Path
    found: tuple[FailingSlice, ...]
    searched: int
    calibration: pd.DataFrame
    thresholds: pd.DataFrame


@dataclass(frozen=True)
class _Tried:
    """A comparison: of which label, by what measure, of which slice."""

    label: str
    measure: str
    part: Slice
    gap: Gap
    inside: Mask


@dataclass(frozen=True)
class _Cases:
    """The images of one label that have a truth and a prediction."""

    label: str
    known: Mask
    truth: Mask
    ranking: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]


def slices(
    run: Run | str | Path,
    settings: SlicesSettings | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> Slices:
    """Search a run for slices in which the model fails, and keep them in its folder ``slices``.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    settings : SlicesSettings, optional
        What is chosen.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`.
    **keywords
        Fields of `SlicesSettings`, in place of those of `settings`.

    Returns
    -------
    Slices

    Raises
    ------
    InputError
        When a column that was asked for is not there.
    """
    chosen = SlicesSettings.of(settings, keywords)
    run = run if isinstance(run, Run) else open_run(run)
    told = JobProgress(progress)
    cases = list(_cases(run))
    tried = list(_tried(run, cases, chosen, told))
    folder = run.folder / SLICES_FOLDER
    curves = [(each.label, each.truth[each.known], each.probability[each.known]) for each in cases]
    tables_of_curves = calibration_table(curves), threshold_table(curves)
    with made_aside(run.folder, SLICES_FOLDER) as aside:
        found = tuple(_with_map(run, each, aside) for each in _failing(run, tried, chosen))
        result = Slices(folder, found, len(tried), *tables_of_curves)
        _write(aside, result, chosen)
    return result


def _cases(run: Run) -> Iterator[_Cases]:
    labels = tuple(run.record.model.card.labels)
    truth = run.truth(labels)
    logits = run.images[[tables.logit_column(label) for label in labels]].to_numpy(dtype=float)
    ranking = log_odds(logits, run.record.model.card.activation)
    for index, label in enumerate(labels):
        probability = run.images[tables.probability_column(label)].to_numpy(dtype=float)
        known = np.isfinite(truth[:, index]) & np.isfinite(ranking[:, index])
        if label in run.labels:
            yield _Cases(label, known, truth[:, index] == 1, ranking[:, index], probability)


def _tried(
    run: Run, cases: list[_Cases], settings: SlicesSettings, progress: ProgressCallback
) -> Iterator[_Tried]:
    """Compare every slice with the rest, by both measures."""
    owner = pd.factorize(run.images[tables.PATIENT].to_numpy(dtype=object))[0]
    parts = list(conjunctions(subgroups_of(run, settings).groups, settings.depth))
    clusters = _clusters(run)
    for number, each in enumerate(cases):
        for place, part in enumerate(parts):
            done = number * len(parts) + place
            progress(Progress("Comparing slices", done, len(cases) * len(parts)))
            inside, outside = (
                each.known & part.known & side for side in (part.inside, ~part.inside)
            )
            if _enough(each, owner, inside, outside, settings):
                gap = auc_gap(each.truth, each.ranking, owner, inside, outside)
                yield _Tried(each.label, AUC, part, gap, inside)
                gap = calibration_gap(each.truth, each.probability, owner, inside, outside)
                yield _Tried(each.label, CALIBRATION, part, gap, inside)
        negative = each.known & ~each.truth
        for name, members in clusters.get(each.label, {}).items():
            # Clusters are of images that carry the label; all that lack it stand against either.
            positive = each.known & each.truth
            inside, outside = negative | (positive & members), negative | (positive & ~members)
            if _enough(each, owner, inside, outside, settings):
                gap = auc_gap(each.truth, each.ranking, owner, inside, outside)
                part = Slice(name, (name,), members, positive)
                yield _Tried(each.label, AUC, part, gap, positive & members)
    total = len(cases) * len(parts)
    progress(Progress("Comparing slices", total, total))


def _enough(
    cases: _Cases,
    owner: npt.NDArray[np.intp],
    inside: Mask,
    outside: Mask,
    settings: SlicesSettings,
) -> bool:
    return all(
        (chosen & which).sum() >= settings.fewest_images
        and len(np.unique(owner[chosen & which])) >= settings.fewest_patients
        for chosen in (inside, outside)
        for which in (cases.truth, ~cases.truth)
    )


def _clusters(run: Run) -> dict[str, dict[str, Mask]]:
    """Return the clusters that an audit found, by label."""
    table = read_clusters(run)
    if table is None:
        return {}
    found: dict[str, dict[str, Mask]] = {}
    for (label, number), rows in table.groupby(["label", "cluster"])["row"]:
        members = np.zeros(len(run.images), dtype=bool)
        members[rows.to_numpy()] = True
        found.setdefault(str(label), {})[f"cluster {number}"] = members
    return {label: each for label, each in found.items() if len(each) > 1}


def _failing(
    run: Run, tried: list[_Tried], settings: SlicesSettings
) -> Iterator[tuple[FailingSlice, Mask]]:
    """Give the slices that are worse beyond chance and by enough, the broadest of nested ones."""
    if not tried:
        return
    p = holm(np.array([each.gap.p for each in tried]))
    patients = run.images[tables.PATIENT].to_numpy(dtype=object)
    told: list[_Tried] = []
    order = sorted(range(len(tried)), key=lambda at: (p[at], len(tried[at].part.conditions)))
    order = [at for at in order if p[at] <= settings.level and _loss(tried[at], settings) >= 0]
    order.sort(key=lambda at: len(tried[at].part.conditions))
    kept = []
    for at in order:
        each = tried[at]
        if any(_says_no_more(each, other, settings) for other in told):
            continue
        told.append(each)
        kept.append(at)
    truth = {label: run.truth((label,))[:, 0] == 1 for label in {each.label for each in told}}
    for at in sorted(kept, key=lambda one: (p[one], tried[one].part.query)):
        each = tried[at]
        yield (
            FailingSlice(
                label=each.label,
                measure=each.measure,
                query=each.part.query,
                value=each.gap.inside,
                rest=each.gap.outside,
                ci_low=each.gap.low,
                ci_high=each.gap.high,
                p=float(p[at]),
                images=int(each.inside.sum()),
                patients=len(set(patients[each.inside])),
                positives=int((each.inside & truth[each.label]).sum()),
            ),
            each.inside,
        )


def _loss(tried: _Tried, settings: SlicesSettings) -> float:
    """Return how much more is lost than must be to be told."""
    if tried.measure == AUC:
        return tried.gap.outside - tried.gap.inside - settings.least_auc_loss
    return abs(tried.gap.inside) - abs(tried.gap.outside) - settings.least_miscalibration


def _says_no_more(tried: _Tried, other: _Tried, settings: SlicesSettings) -> bool:
    """Return whether a slice is a part of another that is told, and little worse."""
    same = (tried.label, tried.measure) == (other.label, other.measure)
    if not same or not set(other.part.conditions) < set(tried.part.conditions):
        return False
    return _loss(tried, settings) < _loss(other, settings) + (
        settings.least_auc_loss if tried.measure == AUC else settings.least_miscalibration
    )


def _with_map(run: Run, found: tuple[FailingSlice, Mask], folder: Path) -> FailingSlice:
    """Write the map of a slice, and tell its file."""
    each, inside = found
    may_stop_here()
    image = run.maps_of(inside, labels=[each.label])[each.label]
    name = ""
    if image.n:
        name = f"{file_stem(f'{each.label}-{each.query}')}.tif"
        write_tiff(folder / name, image.mean)
    return replace(each, map=name, sentence=_in_words(each))


def _in_words(each: FailingSlice) -> str:
    counts = f"{each.images} images of {each.patients} patients, {each.positives} with it"
    low, high = numeral(each.ci_low, "+.3f"), numeral(each.ci_high, "+.3f")
    p = numeral(each.p, ".2g")
    sure = f"difference {low} to {high}; p = {p}, corrected for the whole search"
    if each.measure == AUC:
        return (
            f"{each.label}: where {each.query} ({counts}), ROC AUC is {each.value:.3f} against "
            f"{each.rest:.3f} in the rest ({sure})."
        )
    side = "above" if each.value > 0 else "below"
    return (
        f"{each.label}: where {each.query} ({counts}), probabilities lie {abs(each.value):.2f} "
        f"{side} what happens, against {numeral(each.rest, '+.2f')} in the rest ({sure})."
    )


def _write(folder: Path, result: Slices, settings: SlicesSettings) -> None:
    for name, table in (
        ("calibration.csv", result.calibration),
        ("thresholds.csv", result.thresholds),
    ):
        write_table(folder / name, table)
    write_json(
        folder / SLICES_FILE,
        {
            "slices": [asdict(each) for each in result.found],
            "searched": result.searched,
            "settings": settings.model_dump(mode="json"),
        },
    )
