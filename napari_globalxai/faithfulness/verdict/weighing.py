"""What a verdict rests on: evidence out of areas and controls, and on whom it was gathered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.folds import ANOTHER_RUN, CROSS_FITTED, GIVEN_MAP
from napari_globalxai.faithfulness.orders.controls import Controls, Trial
from napari_globalxai.faithfulness.verdict.verdicts import Evidence, Lead
from napari_globalxai.settings.peppr_settings import PepprSettings

# Orders that say nothing of what is specific: Δ of the first is minus the map's, of the other 0.
_TRIVIAL = ("reversed", "random")
RANDOM_WEIGHTS = "map of random weights"


def evidence_of(
    areas: dict[str, Any], target: str, controls: Controls, rivals: Sequence[str], outside: float
) -> Evidence:
    """Return what a target is judged by.

    Parameters
    ----------
    areas : dict
        Its summary.
    target : str
        Its name.
    controls : Controls
        The controls.
    rivals : sequence of str
        Names of the maps that the map is compared with, beside the simple orders.
    outside : float
        Share of the map's mass outside the valid area.
    """
    if "delta" not in areas:
        return Evidence(areas["patients_with"], areas["patients_without"])
    leads = {
        name: Lead(name, found["early_difference"], *found["early_ci"])
        for name, found in areas["difference_to"].items()
        if name not in _TRIVIAL
    }
    of_labels = [name for name in rivals if name != RANDOM_WEIGHTS]
    return Evidence(
        positives=areas["patients_with"],
        negatives=areas["patients_without"],
        intact_low=areas["intact_auc_ci"][0],
        delta=areas["delta"],
        delta_low=areas.get("remade", areas)["delta_ci"][0],
        judged=areas["delta_on_control_steps"],
        up_to=areas["judged_up_to"],
        counts={name: found[target] for name, found in controls.counts.items()},
        corrected={
            name: found[target] for name, found in controls.corrected.items() if target in found
        },
        controls=controls.fewest,
        leads=tuple(lead for name, lead in leads.items() if name not in of_labels),
        label_leads=tuple(leads[name] for name in of_labels if name in leads),
        mass_outside=outside,
    )


def on_whom(evaluation: Evaluation, evaluated_on: str, folds: int) -> str:
    """Say on whom a map was tested."""
    images, patients = len(evaluation.rows), len(set(evaluation.patients))
    tested = f"Tested on {images} images of {patients} patients"
    if evaluation.drawn_from:
        tested += f" (drawn out of {evaluation.drawn_from} images)"
    whose = {
        CROSS_FITTED: f", each along a map of other patients ({folds} folds)",
        ANOTHER_RUN: ", along a map of another run",
        GIVEN_MAP: ", along a map from a file, whose images are not known here",
    }.get(evaluated_on, ", the same that the map is made of")
    return tested + whose


def what_it_rests_on(
    evaluation: Evaluation,
    trial: Trial,
    settings: PepprSettings,
    left_out: dict[str, dict[str, int]],
    lattice: tuple[int, ...],
) -> dict[str, Any]:
    """Return all that was chosen, and what the evaluation rests on."""
    controls = trial.controls
    inner = 2 * (len(trial.early) - 2) * len(evaluation.rows)
    spared = {name: controls.asked[name] - done for name, done in controls.tested.items()}
    size = evaluation.stack.shape
    return {
        **settings.model_dump(),
        "images": len(evaluation.rows),
        "patients": len(set(evaluation.patients)),
        "drawn_from": evaluation.drawn_from or len(evaluation.rows),
        "valid_pixels": trial.course.order.shape[-1],
        "control_fractions": [float(q) for q in trial.course.fractions[trial.coarse]],
        "judged_fractions": [float(q) for q in trial.course.fractions[trial.early]],
        "lattice": list(lattice),
        "lattice_step": [-(-a // b) for a, b in zip(size, lattice, strict=True)],
        "controls_tested": controls.tested,
        "controls_spared": spared,
        "predictions_spared": int(np.sum(list(spared.values()))) * inner,
        "left_out": {
            label: f"{counts['positives']} images with and {counts['negatives']} without it"
            for label, counts in left_out.items()
        },
    }
