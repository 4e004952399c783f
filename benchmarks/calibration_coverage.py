"""How often 95 % intervals hold what they should, on simulated cohorts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from calibration_models import LinearModel

from napari_globalxai.faithfulness.cases import Cases
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.targets import Targets
from napari_globalxai.settings.peppr_settings import PepprSettings


def coverage(repeats: int) -> None:
    """Print how often 95 % intervals hold what they should, on simulated cohorts."""
    print("| patients | Δ | early Δ | intact AUC |")
    print("|---|---|---|---|")
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


def _measured(
    gains: np.ndarray,
    losses: np.ndarray,
    fractions: np.ndarray,
    patients: int,
    seed: int,
    settings: PepprSettings | None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return Δ, early Δ and intact AUC of a simulated cohort with two images a patient."""
    rng = np.random.default_rng(seed)
    truth = rng.random((patients, 2)) < 0.3
    alike = rng.random(patients) < 0.5
    truth[alike, 1] = truth[alike, 0]
    carries = truth.ravel()
    shared = np.repeat(rng.normal(0, 0.6, patients), 2) + 0.7 * rng.normal(0, 0.8, 2 * patients)

    def arm(levels: np.ndarray) -> np.ndarray:
        return levels[:, None] * carries + shared + rng.normal(0, 0.5, (len(levels), len(carries)))

    restore, erase = arm(gains), arm(losses)
    erase[0], restore[0], erase[-1] = restore[-1], 0, 0
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
    values = (curves.deltas, curves.early_deltas, curves.auc["erase"][:, 0])
    scales = ("plain", "plain", "share")
    ends = [
        cases.resamples.interval(each, scale) for each, scale in zip(values, scales, strict=True)
    ]
    return np.array([each[0] for each in values]), ends
