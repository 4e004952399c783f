"""How often maps that never saw the model are called faithful."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from calibration_maps import kinds
from calibration_models import Bench
from scipy.stats import binom, rankdata

from napari_globalxai.faithfulness.cases import Cases, Curves
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.orders.control_steps import control_steps, early_steps
from napari_globalxai.faithfulness.orders.lattice import choose_lattice, shifted_orders
from napari_globalxai.faithfulness.orders.map_orders import order_by_map, step_counts
from napari_globalxai.faithfulness.orders.order_families import Ranking, order_family
from napari_globalxai.faithfulness.orders.sequential import Count, exceedances, lies_far
from napari_globalxai.faithfulness.orders.surrogates import ValidArea
from napari_globalxai.faithfulness.scores.auc_scores import early_area
from napari_globalxai.faithfulness.targets import Targets
from napari_globalxai.settings.peppr_settings import PepprSettings

_SETTINGS = PepprSettings(steps=12, control_steps=6, controls=499, bootstrap=40, folds=1)
_LOOK = 24
_SIMPLE = ("centre-distance", "mean-intensity", "sd-image")
# How far a map gets.
REFUTED, BEATS, FAITHFUL = range(3)


def false_positives(
    bench: Bench, count: int, chosen: Sequence[str], up_to: float, folder: Path
) -> None:
    """Judge null maps and print by kind how often one is called faithful.

    Each map is judged by every label alone, and by all of them together, corrected. Verdicts are
    kept line by line, so that a second call goes on.
    """
    for kind, maps in kinds(bench, folder.parent, count).items():
        if chosen and not any(part in kind for part in chosen):
            continue
        path = folder / f"{bench.evaluation.key}-{kind.replace(' ', '-')}.jsonl".replace(",", "")
        done = len(path.read_text().splitlines()) if path.is_file() else 0
        for number, image in enumerate(maps):
            if number < done:
                continue
            with path.open("a") as lines:
                lines.write(json.dumps(grades(bench, image, up_to)) + "\n")
        _print_row(kind, path)


def grades(bench: Bench, image: np.ndarray, up_to: float) -> dict[str, list[int]]:
    """Return by label how far a map gets, by that label alone and corrected for all.

    It is what `run_peppr` says, but what refutes a map is not followed by what cannot save it.
    """
    trial = Trial(bench.evaluation, image, up_to)
    labels = range(len(bench.evaluation.classifier.labels))
    alone = [int(trial.beats(label)) for label in labels]
    # What refutes a label alone refutes it among several, too.
    together = trial.beats_together() if any(alone) else [False] * len(labels)
    corrected = [int(both) for both in together]
    for label in labels:
        if (alone[label] or corrected[label]) and trial.leads(label):
            alone[label] *= FAITHFUL
            corrected[label] *= FAITHFUL
    return {"alone": alone, "corrected": corrected}


class Trial:
    """Δ of a map, as far as it is judged, and of the controls that are asked for, by label."""

    def __init__(self, evaluation: Evaluation, image: np.ndarray, up_to: float) -> None:
        valid = evaluation.valid
        self._evaluation, self._up_to = evaluation, up_to
        self._every = step_counts(int(valid.sum()), _SETTINGS.steps)
        self._coarse = control_steps(self._every, _SETTINGS.control_steps)
        counts = self._every[self._coarse]
        self._counts = counts[early_steps(counts / counts[-1], up_to)]
        lattice = choose_lattice(image, valid)
        self._order = order_by_map(image, valid, 0)
        self._own = self._deltas(self._order)
        self._places = int(np.prod(lattice)) - 1
        self._shifts = Kept(map(self._deltas, shifted_orders(image, valid, lattice, 0)))
        source = ValidArea.of(valid).source(image)
        # The package's own sequence of draws.
        children = np.random.SeedSequence([0, 5]).spawn(_SETTINGS.controls)
        self._drawn = Kept(
            self._deltas(order_by_map(source.draw(np.random.default_rng(child)), valid, 0))
            for child in children
        )

    def beats(self, label: int) -> bool:
        """Tell whether the map beats its shifts and surrogates for a label."""
        own = self._own[label]
        for tested in range(1, self._places + 1):
            reached = int((self._shifts.first(tested)[:, label] >= own).sum())
            if Count(reached, tested, self._places).decision is False:
                return False
        for tested in range(_LOOK, _SETTINGS.controls, _LOOK):
            seen = self._drawn.first(tested)[:, label]
            count = Count(int((seen >= own).sum()), tested, is_far=lies_far(own, seen))
            if count.decision is not None:
                return count.decision
        return False

    def beats_together(self) -> list[bool]:
        """Tell for which labels it does, where all are judged on this map."""
        shifts = exceedances(self._own, self._shifts.first(self._places), together=True)
        passed = [Count(int(n), self._places, self._places).decision is True for n in shifts]
        for tested in range(_LOOK, _SETTINGS.controls, _LOOK):
            reached = exceedances(self._own, self._drawn.first(tested), together=True)
            words = [Count(int(n), tested).decision for n in reached]
            if all(word is not None or not use for word, use in zip(words, passed, strict=True)):
                return [use and word is True for word, use in zip(words, passed, strict=True)]
        return [False] * len(passed)

    def leads(self, label: int) -> bool:
        """Tell whether it leads every simple order that never saw the model."""
        evaluation = self._evaluation
        name = evaluation.classifier.labels[label]
        targets = Targets.of(evaluation.classifier.labels, (name,), (name,))
        cases = Cases.of(evaluation, targets, name, _SETTINGS)
        whole = self._curves(cases, self._order, self._every)
        low, _ = cases.resamples.interval(whole.deltas)
        intact, _ = cases.resamples.interval(whole.auc["erase"][:, 0], "share")
        if not (intact > 0.5 and low > 0):
            return False
        own = whole.at(self._coarse).early_deltas
        ranking = Ranking(
            image=np.zeros(evaluation.valid.shape),
            valid=evaluation.valid,
            order=self._order,
            images=evaluation.stack,
            rows=evaluation.rows,
            count=1,
            seed=0,
        )
        for simple in _SIMPLE:
            order = next(order_family(simple).orders(ranking))
            other = self._curves(cases, order, self._every[self._coarse])
            low, _ = cases.resamples.interval(own - other.early_deltas)
            if not low > 0:
                return False
        return True

    def _curves(self, cases: Cases, order: np.ndarray, counts: np.ndarray) -> Curves:
        return cases.curves(counts / counts[-1], self._evaluation.logits(order, counts))

    def _deltas(self, order: np.ndarray) -> np.ndarray:
        logits = self._evaluation.logits(order, self._counts)
        restored, erased = (
            _auc(self._evaluation.truth == 1, logits[arm]) for arm in ("restore", "erase")
        )
        return early_area(self._counts / self._counts[-1], (restored - erased).T, self._up_to)


class Kept:
    """Items that are made when they are asked for, and kept."""

    def __init__(self, items: Iterator[np.ndarray]) -> None:
        self._items = items
        self._made: list[np.ndarray] = []

    def first(self, count: int) -> np.ndarray:
        """Return the first items."""
        while len(self._made) < count:
            self._made.append(next(self._items))
        return np.stack(self._made[:count])


def _auc(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return ROC AUC (step, label) of scores (step, image, label); truth (image, label)."""
    with_it = truth.sum(axis=0)
    ranks = (rankdata(scores, axis=1) * truth).sum(axis=1)
    return (ranks - with_it * (with_it + 1) / 2) / (with_it * (len(truth) - with_it))


def heading() -> None:
    """Print the table's head."""
    print("| null maps | maps | beats its controls, a label | called faithful, a label | bound "
          "| worst label | bound | beats, any label, corrected | faithful | bound |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")


def _print_row(kind: str, path: Path) -> None:
    found: dict[str, list[list[int]]] = defaultdict(list)
    for line in path.read_text().splitlines():
        for which, far in json.loads(line).items():
            found[which].append(far)
    alone, corrected = (np.array(found[which]) for which in ("alone", "corrected"))
    maps, pairs = len(alone), alone.size
    faithful = alone == FAITHFUL
    print(
        f"| {kind} | {maps} | {(alone >= BEATS).mean():.3f} | {faithful.mean():.3f} "
        f"| {_bound(pairs):.3f} | {faithful.mean(axis=0).max():.3f} | {_bound(maps):.3f} "
        f"| {(corrected >= BEATS).any(axis=1).mean():.3f} "
        f"| {(corrected == FAITHFUL).any(axis=1).mean():.3f} | {_bound(maps):.3f} |",
        flush=True,
    )


def _bound(trials: int) -> float:
    return float(binom.ppf(0.975, trials, 0.05)) / trials
