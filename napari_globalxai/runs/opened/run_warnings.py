"""What to keep in mind of a run, a sentence each, the gravest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_globalxai.frame.plausibility import Expected, look_at_stack
from napari_globalxai.models.card.model_card import InputCard
from napari_globalxai.runs.inputs.align_cohort import alignment_warnings
from napari_globalxai.runs.inputs.input_problems import input_problems
from napari_globalxai.runs.performance import LabelPerformance, performance_warnings

if TYPE_CHECKING:
    from napari_globalxai.attribution.precision_check import PrecisionCheck
    from napari_globalxai.runs.plan import Plan
    from napari_globalxai.runs.stages import Aggregated


def run_warnings(aggregated: Aggregated, performance: Sequence[LabelPerformance]) -> list[str]:
    """Return the warnings of a run that is about to be written.

    Parameters
    ----------
    aggregated : Aggregated
        The run.
    performance : sequence of LabelPerformance
        How well the model tells each of its labels apart.
    """
    attributed = aggregated.attributed
    aligned, plan = attributed.aligned, attributed.aligned.plan
    return [
        *_of_precision(attributed.precision_check),
        *performance_warnings(performance, plan.truth, attributed.logits, plan.model.activation),
        *look_at_stack(
            aligned.stack, aligned.rows, plan.cohort.names, expected_input(plan.model.card.input)
        ),
        # What `check` and the form told of them before; whoever reads the run was not there.
        *input_problems(plan.cohort, plan.model, estimates_sides=plan.frame.estimate_laterality),
        *plan.model.warnings,
        *_left_out(plan),
        *_of_maps(aggregated),
        *alignment_warnings(plan.frame, aligned.stack, plan.modality),
    ]


def expected_input(card: InputCard) -> Expected:
    """Return what a card tells of the images that a model takes."""
    if card.per_image is not None or card.transforms:
        # A chain, or each image's own scale, tells no number of how the images look.
        return Expected(card.channels, (0.0,) * len(card.channels), (1.0,) * len(card.channels))
    return Expected(card.channels, card.mean, card.std, card.range)


def _of_precision(check: PrecisionCheck | None) -> list[str]:
    if check is None or not check.beyond:
        return []
    return [
        f"The number format that was chosen changes some predictions: {check.sentence}; explain "
        "with --precision float32 where that matters."
    ]


def _left_out(plan: Plan) -> list[str]:
    missing = [label for label in plan.model.labels if label not in plan.labels]
    return [f"Not explained: {', '.join(missing)}."] if missing else []


def _of_maps(aggregated: Aggregated) -> list[str]:
    plan = aggregated.attributed.aligned.plan
    warnings = [
        f"{image.label}: {message}."
        for image in aggregated.maps
        if (message := image.warning(plan.aggregation.fewest_images))
    ]
    if not aggregated.attributed.store.grid.measured:
        warnings.append(
            "The centres of the CAM cells could not be measured on this network; they are "
            "assumed to tile the image evenly, which can shift maps by half a cell."
        )
    if aggregated.pooled:
        warnings.append(
            "Truth or images have changed since the maps were made, so the global maps come from "
            f"the stored maps, pooled by {plan.settings.pooling}; explain into another folder for "
            "all details."
        )
    return warnings
