"""How often maps that never saw the model are called faithful."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
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
from napari_globalxai.faithfulness.sequential import Count, exceedances
from napari_globalxai.faithfulness.verdict import FAITHFUL, NO_BETTER, WELL_PLACED
from napari_globalxai.settings.peppr_settings import PepprSettings

_SETTINGS = PepprSettings(steps=12, control_steps=6, controls=499, bootstrap=40, folds=1)
_FAITHFUL = FAITHFUL.split()[0]


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

    What the shifts refute is not judged in full: nothing can save it.
    """
    evaluation = bench.evaluation
    labels = evaluation.classifier.labels
    own, shifts = _early_deltas(evaluation, image)

    def passes(*, together: bool) -> list[bool]:
        reached = exceedances(own, shifts, together=together)
        return [Count(int(n), len(shifts), len(shifts)).decision is not False for n in reached]

    refuted = f"{NO_BETTER} shifts"
    alone = corrected = dict.fromkeys(labels, refuted)
    with tempfile.TemporaryDirectory() as cache:

        def judge(on: Any, judged: Sequence[str]) -> dict[str, str]:
            found = run_peppr(on, "null", image, judged, _SETTINGS, cache=Path(cache))
            return {label: verdict.word for label, verdict in found.verdict.items()}

        for label, passed in zip(labels, passes(together=False), strict=True):
            if passed:
                alone = alone | judge(of_label(evaluation, label), (label,))
        if any(passes(together=True)):
            corrected = judge(evaluation, labels)
    return {"alone": alone, "corrected": corrected}


def _early_deltas(evaluation: Any, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return early Δ of a map (label,) and of its shifts (shift, label)."""
    valid = evaluation.valid
    counts = step_counts(int(valid.sum()), _SETTINGS.steps)
    counts = counts[control_steps(counts, _SETTINGS.control_steps)]
    counts = counts[early_steps(counts / counts[-1])]
    orders = [order_by_map(image, valid, 0)]
    orders += shifted_orders(image, valid, choose_lattice(image, valid), 0)
    deltas = []
    for order in orders:
        logits = evaluation.logits(order, counts)
        curves = [_auc(evaluation.truth == 1, logits[arm]) for arm in ("restore", "erase")]
        deltas.append(early_area(counts / counts[-1], (curves[0] - curves[1]).T, EARLY))
    return deltas[0], np.stack(deltas[1:])


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
