"""Whether the verdict on a true map depends on the seed, and how often few patients suffice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from calibration_models import Bench

from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.orders.control_steps import control_steps, early_steps
from napari_globalxai.faithfulness.orders.lattice import choose_lattice, shifted_orders
from napari_globalxai.faithfulness.orders.map_orders import order_by_map, step_counts
from napari_globalxai.faithfulness.orders.sequential import Count, lies_far
from napari_globalxai.faithfulness.orders.surrogates import ValidArea
from napari_globalxai.faithfulness.scores.auc_scores import early_area, roc_auc

_LOOK = 24
_FEW = 10


def stability(bench: Bench, steps: int, seeds: int, bank: int, up_to: float, folder: Path) -> None:
    """Print the verdicts of true maps over seeds, and the power with few patients.

    Each seed draws its surrogates out of a bank of them, whose predictions are kept.
    """
    evaluation = bench.evaluation
    labels, valid = evaluation.classifier.labels, evaluation.valid
    counts = step_counts(int(valid.sum()), 30)
    counts = counts[control_steps(counts, steps)]
    counts = counts[early_steps(counts / counts[-1], up_to)]
    fractions = counts / counts[-1]
    area = ValidArea.of(valid)
    print("| label | shifts as good | surrogates as good | beats them in seeds | undecided "
          "| no better | controls, median | power with 10 patients |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for label, image in bench.true_maps.items():
        index = labels.index(label)
        orders = [order_by_map(image, valid, 0)]
        orders += shifted_orders(image, valid, choose_lattice(image, valid), 0)
        shifts = len(orders) - 1
        orders += [
            order_by_map(area.surrogate(image, np.random.default_rng([7, draw])), valid, 0)
            for draw in range(bank)
        ]
        logits = _predictions(evaluation, orders, counts, index, folder / f"bank-{label}.npy")
        deltas = _deltas(logits, evaluation.truth[:, index] == 1, fractions, up_to)
        decided = [_decide(_as_drawn(deltas, shifts, [1, seed]), shifts) for seed in range(seeds)]
        words = [word for word, _ in decided]
        few = [
            _with_few(evaluation, logits, index, (fractions, up_to), shifts, s)
            for s in range(seeds)
        ]
        reached = deltas[1:] >= deltas[0]
        as_good = f"{reached[:shifts].sum()} of {shifts} | {reached[shifts:].sum()} of {bank}"
        print(
            f"| {label} | {as_good} "
            f"| {words.count(True)} of {seeds} | {words.count(None)} | {words.count(False)} "
            f"| {int(np.median([used for _, used in decided]))} | {np.mean(few):.2f} |",
            flush=True,
        )


def _predictions(
    evaluation: Evaluation, orders: list[np.ndarray], counts: np.ndarray, index: int, path: Path
) -> np.ndarray:
    """Return one label's logits (order, arm, step, image), kept on disk order by order."""
    found: list[np.ndarray] = list(np.load(path)) if path.is_file() else []
    for order in orders[len(found) :]:
        logits = evaluation.logits(order, counts)
        found.append(np.stack([logits[arm][:, :, index] for arm in ("erase", "restore")]))
        np.save(path, np.stack(found))
    return np.stack(found)


def _deltas(
    logits: np.ndarray, truth: np.ndarray, fractions: np.ndarray, up_to: float
) -> np.ndarray:
    auc = np.array([[[roc_auc(truth, step) for step in arm] for arm in order] for order in logits])
    return early_area(fractions, auc[:, 1] - auc[:, 0], up_to)


def _as_drawn(deltas: np.ndarray, shifts: int, seed: list[int]) -> np.ndarray:
    """Return Δ of the map, of its shifts, and of its surrogates as a seed would draw them."""
    drawn = np.random.default_rng(seed).permutation(deltas[1 + shifts :])
    return np.concatenate([deltas[: 1 + shifts], drawn])


def _decide(deltas: np.ndarray, shifts: int) -> tuple[bool | None, int]:
    """Judge as the package does, and count the controls that it takes."""
    own, shifted, drawn = deltas[0], deltas[1 : 1 + shifts], deltas[1 + shifts :]
    for tested in range(1, shifts + 1):
        reached = int((shifted[:tested] >= own).sum())
        if Count(reached, tested, shifts).decision is False:
            return False, tested
    for tested in range(_LOOK, len(drawn) + 1, _LOOK):
        seen = drawn[:tested]
        count = Count(int((seen >= own).sum()), tested, is_far=lies_far(own, seen))
        if count.decision is not None:
            return count.decision, shifts + tested
    return None, shifts + len(drawn)


def _with_few(
    evaluation: Evaluation,
    logits: np.ndarray,
    index: int,
    judged: tuple[np.ndarray, float],
    shifts: int,
    seed: int,
) -> bool:
    """Tell whether a true map beats its controls with ten patients with the label."""
    owner, truth = np.asarray(evaluation.patients), evaluation.truth[:, index] == 1
    carriers = np.unique(owner[truth])
    chosen = np.random.default_rng([3, seed]).permutation(carriers)[:_FEW]
    use = np.isin(owner, chosen) | ~np.isin(owner, carriers)
    deltas = _deltas(logits[..., use], truth[use], *judged)
    return _decide(_as_drawn(deltas, shifts, [4, seed]), shifts)[0] is True
