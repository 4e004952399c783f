"""How often 95 % intervals hold what they should, on simulated cohorts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from calibration_models import LinearModel

from napari_globalxai.faithfulness.cases import Cases
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.scores.auc_scores import patient_resamples, weighted_roc_auc
from napari_globalxai.faithfulness.scores.intervals import auc_interval
from napari_globalxai.faithfulness.targets import Targets
from napari_globalxai.settings.peppr_settings import PepprSettings


def coverage(repeats: int) -> None:
    """Print how often 95 % intervals hold what they should, on simulated cohorts."""
    print("| patients | Δ | early Δ | intact AUC | Δ less that of another map |")
    print("|---|---|---|---|---|")
    gains = np.array([0, 1.2, 1.8, 2.2, 2.6, 2.7, 2.7, 2.75])
    losses = np.array([2.75, 2.2, 1.6, 1.2, 0.5, 0.3, 0.1, 0])
    fractions = np.array([0, 0.033, 0.1, 0.2, 0.8, 0.9, 0.967, 1])
    settings = PepprSettings(bootstrap=200, steps=8)
    truth_of_all = np.mean(
        [_measured(gains, losses, fractions, 3000, seed, None)[0] for seed in range(5)], axis=0
    )
    for patients in (136, 40):
        held = []
        for seed in range(repeats):
            _, ends = _measured(gains, losses, fractions, patients, 100 + seed, settings)
            held.append(
                [low <= due <= high for due, (low, high) in zip(truth_of_all, ends, strict=True)]
            )
        shares = np.mean(held, axis=0)
        print(
            f"| {patients} | " + " | ".join(f"{share:.3f}" for share in shares) + " |", flush=True
        )


def coverage_of_auc(repeats: int) -> None:
    """Print how often intervals of ROC AUC hold it, up to 1, and how wide they are."""
    print("\n| ROC AUC | wholly missed | 40 patients | percentiles | 136 patients | percentiles |")
    print("|---|---|---|---|---|---|")
    for distance, missed in (
        *((0.4, 0.0), (1.2, 0.0), (2.0, 0.0), (2.75, 0.0), (3.5, 0.0), (4.5, 0.0), (6.0, 0.0)),
        *((2.0, 0.1), (6.0, 0.05), (6.0, 0.15)),
    ):
        due = float(np.mean([_auc(*_scores(3000, distance, missed, n)[:2]) for n in range(3)]))
        cells = []
        for patients in (40, 136):
            kinds: tuple[list[bool], list[float], list[bool], list[float]] = ([], [], [], [])
            for seed in range(repeats):
                carries, scores, owners = _scores(patients, distance, missed, 100 + seed)
                if not 0 < carries.sum() < len(carries):
                    continue
                low, high = auc_interval(carries, scores, owners)
                drawn = patient_resamples(owners, carries, 200, seed)
                ends = np.nanquantile(weighted_roc_auc(carries, scores, drawn), (0.025, 0.975))
                for at, (first, last) in ((0, (low, high)), (2, ends)):
                    # The simulated truth is itself known to four digits.
                    kinds[at].append(first - 1e-4 <= due <= last + 1e-4)  # type: ignore[arg-type]
                    kinds[at + 1].append(last - first)
            cells += [f"{np.mean(kinds[at]):.3f} ({np.mean(kinds[at + 1]):.3f})" for at in (0, 2)]
        print(f"| {due:.4f} | {missed:.0%} | " + " | ".join(cells) + " |", flush=True)


def _auc(carries: np.ndarray, scores: np.ndarray) -> float:
    return float(weighted_roc_auc(carries, scores, np.ones((1, len(carries))))[0])


def _scores(
    patients: int, distance: float, missed: float, seed: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return truth, scores and patients of a simulated cohort with two images a patient."""
    rng = np.random.default_rng(seed)
    carries, shared = _carriers(rng, patients)
    seen = carries & np.repeat(rng.random(patients) >= missed, 2)
    owners = [f"{number // 2:05}" for number in range(2 * patients)]
    return carries, distance * seen + shared + rng.normal(0, 0.5, 2 * patients), owners


def _carriers(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which images carry the label, and what the scores of a patient's have in common."""
    truth = rng.random((patients, 2)) < 0.3
    alike = rng.random(patients) < 0.5
    truth[alike, 1] = truth[alike, 0]
    shared = np.repeat(rng.normal(0, 0.6, patients), 2) + 0.7 * rng.normal(0, 0.8, 2 * patients)
    return truth.ravel(), shared


def _measured(
    gains: np.ndarray,
    losses: np.ndarray,
    fractions: np.ndarray,
    patients: int,
    seed: int,
    settings: PepprSettings | None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return Δ, early Δ, intact AUC and a difference of Δ, and their intervals.

    Of a simulated cohort with two images a patient.
    """
    rng = np.random.default_rng(seed)
    carries, shared = _carriers(rng, patients)

    def arm(levels: np.ndarray) -> np.ndarray:
        return levels[:, None] * carries + shared + rng.normal(0, 0.5, (len(levels), len(carries)))

    restore, erase = arm(gains), arm(losses)
    erase[0], restore[0], erase[-1] = restore[-1], 0, 0
    # Another map finds less of it at each step, of the same images.
    less, more = arm(0.8 * gains), arm(np.minimum(1.4 * losses, losses[0]))
    more[0], less[-1], less[0], more[-1] = erase[0], restore[-1], 0, 0
    evaluation = Evaluation(
        classifier=LinearModel(("sign",), np.zeros((1, 1)), np.zeros(1)),  # type: ignore[arg-type]
        stack=None,  # type: ignore[arg-type]
        rows=np.arange(len(carries)),
        truth=carries[:, None].astype(float),
        patients=tuple(f"{number // 2:05}" for number in range(len(carries))),
        valid=np.ones(1, bool),
        fill=None,  # type: ignore[arg-type]
        batch_size=1,
        key="simulated",
    )
    if settings is None:
        weights = PepprSettings(bootstrap=20, steps=8)
        few = replace(evaluation, patients=tuple(f"{n // 2000}" for n in range(len(carries))))
        cases = Cases.of(few, Targets.of(("sign",), ("sign",), ("sign",)), "sign", weights)
    else:
        cases = Cases.of(evaluation, Targets.of(("sign",), ("sign",), ("sign",)), "sign", settings)
    logits = {"erase": erase[:, :, None], "restore": restore[:, :, None]}
    curves = cases.curves(fractions, logits)  # type: ignore[arg-type]
    other = cases.curves(fractions, {"erase": more[:, :, None], "restore": less[:, :, None]})  # type: ignore[dict-item]
    gain = curves.deltas - other.deltas
    values = (curves.deltas, curves.early_deltas, curves.auc["erase"][:, 0], gain)
    scales = ("plain", "plain", "share", "plain")
    ends = [
        cases.resamples.interval(each, scale) for each, scale in zip(values, scales, strict=True)
    ]
    return np.array([each[0] for each in values]), ends
