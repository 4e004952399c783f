"""How often maps that never saw the model are called faithful."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from calibration_maps import kinds
from calibration_models import Bench, of_label
from scipy.stats import binom, rankdata

from napari_globalxai.faithfulness.control_steps import EARLY, control_steps, early_steps
from napari_globalxai.faithfulness.crossings import early_area
from napari_globalxai.faithfulness.lattice import choose_lattice, shifted_orders
from napari_globalxai.faithfulness.orders import order_by_map, step_counts
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.faithfulness.sequential import Count, lies_far
from napari_globalxai.faithfulness.surrogates import ValidArea
from napari_globalxai.faithfulness.verdict import FAITHFUL, NO_BETTER, WELL_PLACED
from napari_globalxai.settings.peppr_settings import PepprSettings

_SETTINGS = PepprSettings(steps=12, control_steps=6, controls=499, bootstrap=20, folds=1)
_FAITHFUL = FAITHFUL.split()[0]
_LOOK = 24


def false_positives(bench: Bench, count: int, chosen: Sequence[str], folder: Path) -> None:
    """Judge null maps and print by kind how often one is called faithful.

    Each map is judged by every label alone, and by all of them together, corrected. Verdicts are
    kept line by line, so that a second call goes on.
    """
    for kind, maps in kinds(bench, folder, count).items():
        if chosen and not any(part in kind for part in chosen):
            continue
        path = folder / f"{bench.evaluation.key}-{kind.replace(' ', '-')}.jsonl".replace(",", "")
        done = len(path.read_text().splitlines()) if path.is_file() else 0
        for number, image in enumerate(maps):
            if number < done:
                continue
            with path.open("a") as lines:
                lines.write(json.dumps(_words(bench, image)) + "\n")
        _print_row(kind, path)


def _words(bench: Bench, image: np.ndarray) -> dict[str, dict[str, str]]:
    """Return by label the verdict on a map, by that label alone and corrected for all.

    What its controls refute is not judged in full: nothing can save it. What refutes a label alone
    refutes it among several, too.
    """
    evaluation = bench.evaluation
    labels = evaluation.classifier.labels
    trial = _Trial(evaluation, image)
    alone = corrected = dict.fromkeys(labels, f"{NO_BETTER} controls")
    beaten = [trial.beats(place) for place in range(len(labels))]
    with tempfile.TemporaryDirectory() as cache:

        def judge(on: Any, judged: Sequence[str]) -> dict[str, str]:
            found = run_peppr(on, "null", image, judged, _SETTINGS, cache=Path(cache))
            return {label: verdict.word for label, verdict in found.verdict.items()}

        for label, passed in zip(labels, beaten, strict=True):
            if passed:
                alone = alone | judge(of_label(evaluation, label), (label,))
        if any(beaten):
            corrected = judge(evaluation, labels)
    return {"alone": alone, "corrected": corrected}


class _Trial:
    """Early Δ of a map and of as many of its controls as are asked for, by label."""

    def __init__(self, evaluation: Any, image: np.ndarray) -> None:
        valid = evaluation.valid
        counts = step_counts(int(valid.sum()), _SETTINGS.steps)
        counts = counts[control_steps(counts, _SETTINGS.control_steps)]
        self._counts = counts[early_steps(counts / counts[-1])]
        self._evaluation = evaluation
        lattice = choose_lattice(image, valid)
        self._own = self._deltas(order_by_map(image, valid, 0))
        self._places = int(np.prod(lattice)) - 1
        self._shifts = Kept(map(self._deltas, shifted_orders(image, valid, lattice, 0)))
        area = ValidArea.of(valid)
        # The package's own sequence of draws.
        children = np.random.SeedSequence([0, 5]).spawn(_SETTINGS.controls)
        self._drawn = Kept(
            self._deltas(
                order_by_map(area.surrogate(image, np.random.default_rng(child)), valid, 0)
            )
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

    def _deltas(self, order: np.ndarray) -> np.ndarray:
        logits = self._evaluation.logits(order, self._counts)
        restored, erased = (
            _auc(self._evaluation.truth == 1, logits[arm]) for arm in ("restore", "erase")
        )
        return early_area(self._counts / self._counts[-1], (restored - erased).T, EARLY)


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
        for which, words in json.loads(line).items():
            # 2: called faithful; 1: beats its controls.
            found[which].append([_grade(word) for word in words.values()])
    alone, corrected = (np.array(found[which]) for which in ("alone", "corrected"))
    maps, pairs = len(alone), alone.size
    print(
        f"| {kind} | {maps} | {(alone >= 1).mean():.3f} | {(alone == 2).mean():.3f} "
        f"| {_bound(pairs):.3f} | {(alone == 2).mean(axis=0).max():.3f} | {_bound(maps):.3f} "
        f"| {(corrected >= 1).any(axis=1).mean():.3f} "
        f"| {(corrected == 2).any(axis=1).mean():.3f} | {_bound(maps):.3f} |",
        flush=True,
    )


def _grade(word: str) -> int:
    return 2 if word.startswith(_FAITHFUL) else int(word.startswith(WELL_PLACED))


def _bound(trials: int) -> float:
    return float(binom.ppf(0.975, trials, 0.05)) / trials
