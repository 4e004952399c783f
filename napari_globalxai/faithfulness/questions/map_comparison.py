"""Several maps on the same images, steps and resamples: which of them is followed better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.cases import Cases
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.numbers_in_words import in_interval, in_percent
from napari_globalxai.faithfulness.orders.map_orders import order_by_map, step_counts
from napari_globalxai.faithfulness.predictions.kept_predictions import course_along
from napari_globalxai.faithfulness.predictions.watching import tell_map
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray
from napari_globalxai.faithfulness.scores.intervals import Resamples
from napari_globalxai.faithfulness.scores.label_effects import LabelCases
from napari_globalxai.faithfulness.targets import Targets
from napari_globalxai.faithfulness.verdict.outside_share import MASS_WORTH_SAYING, outside_share
from napari_globalxai.plain_text import numeral
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.storage import write_json, write_table

PAIR_COLUMNS = (
    "label", "a", "b", "delta_a", "delta_b", "difference", "ci_low", "ci_high", "p", "p_holm"
)  # fmt: skip


# Δ by row of the resamples, which come with it.
_Delta = tuple[FloatArray, Resamples]


@dataclass(frozen=True)
class Candidate:
    """A map that is compared, and the model it is tried on.

    Attributes
    ----------
    name : str
        What it is called.
    image : numpy.ndarray
        The map, (*spatial).
    judged : tuple of str
        Labels that it is judged by.
    evaluation : Evaluation
        Model, images, truth, valid area and fill; all candidates have the same images.
    """

    name: str
    image: npt.NDArray[np.floating]
    judged: tuple[str, ...]
    evaluation: Evaluation


@dataclass(frozen=True)
class MapDelta:
    """Δ of one map for one label, and the share of the map that has no part in it."""

    name: str
    label: str
    delta: float
    ci_low: float
    ci_high: float
    mass_outside: float


@dataclass(frozen=True)
class PairDifference:
    """Δ of one map minus Δ of another, on the same patients.

    Attributes
    ----------
    label, a, b : str
        The label and the two maps.
    delta_a, delta_b, difference, ci_low, ci_high : float
        Their Δ, the difference a − b and its 95 % interval.
    p, p_holm : float
        Two-sided, by the same distribution as the interval; corrected by Holm over all pairs and
        labels.
    """

    label: str
    a: str
    b: str
    delta_a: float
    delta_b: float
    difference: float
    ci_low: float
    ci_high: float
    p: float
    p_holm: float

    @property
    def sentence(self) -> str:
        """What it comes to, in words."""
        if self.p_holm <= 0.05:
            better, worse = (self.a, self.b) if self.difference > 0 else (self.b, self.a)
            word = f"{better} is followed better than {worse}"
        else:
            word = f"no difference is shown between {self.a} and {self.b}"
        return (
            f"{self.label}: {word} (Δ {numeral(self.delta_a)} against {numeral(self.delta_b)}, "
            f"difference {numeral(self.difference)}, {in_interval(self.ci_low, self.ci_high)}, "
            f"p {_in_words(self.p_holm)} after Holm)"
        )


@dataclass(frozen=True)
class MapComparison:
    """Several maps side by side.

    Attributes
    ----------
    maps : list of MapDelta
        Δ of each map by label.
    pairs : list of PairDifference
        All pairs by label.
    settings : dict
        What was chosen, and what the result rests on.
    """

    maps: list[MapDelta]
    pairs: list[PairDifference]
    settings: dict[str, Any]

    @property
    def cautions(self) -> list[str]:
        """What keeps the comparison from saying all, in sentences."""
        shares = {each.name: each.mass_outside for each in self.maps}
        return [
            f"{in_percent(share)} of the mass of {name} lies outside the valid area, where "
            "nothing was tested"
            for name, share in shares.items()
            if share > MASS_WORTH_SAYING
        ]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The pairs as rows of the table."""
        return [asdict(each) for each in self.pairs]

    def save(self, folder: Path) -> Path:
        """Write ``compared.csv`` and ``compared.json`` into a folder; return the table's path."""
        # Takes half a second to import.
        import pandas as pd

        pairs = self.rows
        write_table(folder / "compared.csv", pd.DataFrame(pairs, columns=list(PAIR_COLUMNS)))
        write_json(
            folder / "compared.json",
            {
                "maps": [asdict(each) for each in self.maps],
                "pairs": pairs,
                "sentences": [each.sentence for each in self.pairs],
                "cautions": self.cautions,
                "settings": self.settings,
            },
        )
        return folder / "compared.csv"


def compare_candidates(
    candidates: Sequence[Candidate],
    settings: PepprSettings,
    *,
    cache: Path | None = None,
    progress: ProgressCallback = ignore_progress,
) -> MapComparison:
    """Erase and restore along each map, and compare their Δ pair by pair.

    Parameters
    ----------
    candidates : sequence of Candidate
        At least two.
    settings : PepprSettings
        Steps and seed.
    cache : pathlib.Path, optional
        Folder for the predictions, which a comparison that was stopped goes on from.
    progress : callable, optional
        May raise `Cancelled`.

    Raises
    ------
    InputError
        When there are fewer than two maps, or none has a label with both classes.
    """
    if len({each.name for each in candidates}) < 2:
        raise InputError("A comparison needs two maps; name another one.")
    deltas: dict[tuple[str, str], _Delta] = {}
    labels = _labels(candidates)
    for candidate in candidates:
        for label, found in _deltas(candidate, labels, settings, cache, progress).items():
            deltas[candidate.name, label] = found
    if not deltas:
        raise InputError("No label has images with and without it, so no maps can be compared.")
    outside = {each.name: outside_share(each.image, each.evaluation.valid) for each in candidates}
    maps = [_of_map(name, label, delta, outside[name]) for (name, label), delta in deltas.items()]
    pairs = [
        (label, a.name, b.name)
        for label in labels
        for a, b in combinations(candidates, 2)
        if (a.name, label) in deltas and (b.name, label) in deltas
    ]
    # The same patients are left out for every map.
    gains = [deltas[a, label][0] - deltas[b, label][0] for label, a, b in pairs]
    resamples = [deltas[a, label][1] for label, a, _ in pairs]
    p_values = [one.p_value(gain) for one, gain in zip(resamples, gains, strict=True)]
    differences = []
    for place, p_holm in enumerate(holm(p_values)):
        (label, a, b), gain = pairs[place], gains[place]
        low, high = resamples[place].interval(gain)
        one, two = float(deltas[a, label][0][0]), float(deltas[b, label][0][0])
        numbers = one, two, one - two, float(low), float(high)
        differences.append(PairDifference(label, a, b, *numbers, p_values[place], p_holm))
    first = candidates[0].evaluation
    return MapComparison(
        maps,
        differences,
        {
            **settings.model_dump(exclude={"bootstrap"}),
            "images": len(first.rows),
            "patients": len(set(first.patients)),
            "tests": len(pairs),
        },
    )


def _of_map(name: str, label: str, delta: _Delta, mass_outside: float) -> MapDelta:
    values, resamples = delta
    low, high = resamples.interval(values)
    return MapDelta(name, label, float(values[0]), float(low), float(high), mass_outside)


def _in_words(p: float) -> str:
    """Return a p after its sign: it is never 0."""
    return "< 0.001" if p < 0.0005 else f"= {p:.3f}"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down procedure, in the order given."""
    values = np.asarray(p_values, float)
    order = np.argsort(values, kind="stable")
    stepped = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in corrected]


def _labels(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the labels that judge: those that all maps are judged by, else those of any."""
    judged = []
    for each in candidates:
        known = each.evaluation.classifier.labels
        # A map may be judged by all labels together, which has a name of its own.
        own = tuple(label for label in each.judged if label in known)
        judged.append(own or tuple(known))
    common = [label for label in judged[0] if all(label in each for each in judged)]
    return tuple(common or dict.fromkeys(label for each in judged for label in each))


def _deltas(
    candidate: Candidate,
    labels: Sequence[str],
    settings: PepprSettings,
    cache: Path | None,
    progress: ProgressCallback,
) -> dict[str, _Delta]:
    """Return Δ by label, by row of the resamples of its patients."""
    evaluation = candidate.evaluation
    if candidate.image.shape != evaluation.stack.shape:
        raise InputError(
            f"The map {candidate.name} has shape {candidate.image.shape}, but the frame has "
            f"{evaluation.stack.shape}; compare maps of one frame."
        )
    order = order_by_map(np.nan_to_num(candidate.image), evaluation.valid, settings.seed)

    def tick(done: int, total: int) -> None:
        progress(Progress(f"Erasing and restoring along {candidate.name}", done, total))

    counts = step_counts(len(order), settings.steps)
    tell_map(candidate.name)
    course = course_along(evaluation, order, counts, cache, tick)
    every = evaluation.classifier.labels
    found = {}
    for label in labels:
        if LabelCases.of(evaluation, label).has_both:
            targets = Targets.of(every, (label,), (label,))
            cases = Cases.of(evaluation, targets, label, settings, crossings=False)
            found[label] = cases.curves(course.fractions, course.logits).deltas, cases.resamples
    return found
