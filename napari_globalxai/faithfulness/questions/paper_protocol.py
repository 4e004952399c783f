"""PEPPR as published, as far as the public sources tell, and what they leave open.

Sources: the abstracts of Engelmann, Storkey and Bernabeu (arXiv 2112.09591) and of their follow-up
on ultra-widefield images (doi 10.1038/s42256-022-00566-5), and the authors' public model and
inference code. Code of PEPPR itself is not public.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.cases import Cases, Curves
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.orders.map_orders import order_by_map, step_counts
from napari_globalxai.faithfulness.predictions.kept_predictions import course_along
from napari_globalxai.faithfulness.predictions.watching import tell_map
from napari_globalxai.faithfulness.scores.auc_scores import area
from napari_globalxai.faithfulness.scores.label_effects import LabelCases
from napari_globalxai.faithfulness.stored_results import result_stem
from napari_globalxai.faithfulness.targets import MACRO, POOLED, Targets
from napari_globalxai.plain_text import numeral
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.storage import write_json, write_table

PAPER = "paper"
# The follow-up finds that about this much of the images carries nearly all performance.
STATED_FRACTION = 0.1
SOURCES = (
    "arXiv 2112.09591, abstract: erase and restore progressively along the global explanation",
    "doi 10.1038/s42256-022-00566-5, abstract: about 10 % of the image carries nearly all of the "
    "performance",
)
CHOSEN = (
    "Order: pixels of the overall map, strongest first, ties in a seeded random order; the sources "
    "do not say whether pixels or cells are ranked.",
    "Area: pixels in the field of view of enough images; outside, both arms show the fill.",
    "Fill: the mean image of the cohort unless another is asked for; the sources do not name one.",
    "Steps: crowded at both ends, where the curves bend; the sources do not tell theirs.",
    "Score: ROC AUC of the cohort by label, and its plain mean over labels.",
    "Areas: trapezoid rule over the actual fractions.",
    "Intervals: over patients, each left out in turn; the sources do not tell of any.",
    "No controls, no folds and no verdict: the sources tell of none, so the result judges nothing.",
)


@dataclass(frozen=True)
class PaperResult:
    """Curves of the published protocol.

    Attributes
    ----------
    map_name : str
        The map.
    rows : list of dict
        Rows of the table of curves, as of a `PepprResult`.
    labels : dict of str to dict
        By label, and for ``macro mean``: intact AUC, areas, Δ with its interval, and AUC at a tenth
        of the area.
    settings : dict
        What was chosen, and what the result rests on.
    """

    map_name: str
    rows: list[dict[str, Any]]
    labels: dict[str, dict[str, Any]]
    settings: dict[str, Any]

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"{result_stem(self.map_name, str(self.settings['fill']))}.{PAPER}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What it comes to by label, in words."""
        return tuple(published_sentence(label, each) for label, each in self.labels.items())

    def save(self, folder: Path) -> None:
        """Write ``<map>.paper.csv`` and ``<map>.paper.json`` into a folder."""
        # Takes half a second to import.
        import pandas as pd

        columns = [
            "map", "label", "order", "arm", "fraction", "metric", "value", "ci_low", "ci_high"
        ]  # fmt: skip
        write_table(folder / f"{self.stem}.csv", pd.DataFrame(self.rows, columns=columns))
        write_json(
            folder / f"{self.stem}.json",
            {
                "map": self.map_name,
                "protocol": {"name": PAPER, "sources": SOURCES, "chosen": CHOSEN},
                "labels": self.labels,
                "settings": self.settings,
            },
        )


def published_sentence(label: str, measured: Mapping[str, Any]) -> str:
    """Return what a label's curves come to, in words."""
    return (
        f"{label}: AUC {measured['intact_auc']:.3f} intact, {measured['restored_at_a_tenth']:.3f} "
        f"with 10 % restored, {measured['erased_at_a_tenth']:.3f} with 10 % erased, Δ "
        f"{numeral(measured['delta'])}; not judged"
    )


def run_paper(
    evaluation: Evaluation,
    map_name: str,
    image: npt.NDArray[np.floating],
    settings: PepprSettings,
    *,
    cache: Path | None = None,
    progress: ProgressCallback = ignore_progress,
) -> PaperResult:
    """Erase and restore along a map and score the cohort, with neither controls nor verdict.

    Parameters
    ----------
    evaluation : Evaluation
        Model, images, truth, valid area and fill.
    map_name : str
        Name of the map.
    image : numpy.ndarray
        The map, (*spatial).
    settings : PepprSettings
        Steps and seed.
    cache : pathlib.Path, optional
        Folder for the predictions, which a run that was stopped goes on from.
    progress : callable, optional
        May raise `Cancelled`.
    """
    order = order_by_map(image, evaluation.valid, settings.seed)

    def tick(done: int, total: int) -> None:
        progress(Progress(f"Erasing and restoring along {map_name}", done, total))

    counts = step_counts(len(order), settings.steps)
    tell_map(map_name)
    course = course_along(evaluation, order, counts, cache, tick)
    cases = _cases(evaluation, settings)
    curves = {
        target: each.curves(course.fractions, course.logits) for target, each in cases.items()
    }
    rows = [
        {"map": map_name, "label": target, "order": "map", "metric": "roc_auc", **row}
        for target, each in cases.items()
        for row in _curve_rows(each, curves[target])
    ]
    return PaperResult(
        map_name,
        rows,
        {target: _areas(each, curves[target]) for target, each in cases.items()},
        {
            **settings.model_dump(exclude={"bootstrap"}),
            "images": len(evaluation.rows),
            "patients": len(set(evaluation.patients)),
            "valid_pixels": len(order),
        },
    )


def _cases(evaluation: Evaluation, settings: PepprSettings) -> dict[str, Cases]:
    """Return the cases of each label with both classes, and of their plain mean."""
    every = evaluation.classifier.labels
    usable = [label for label in every if LabelCases.of(evaluation, label).has_both]
    targets = Targets.of(every, usable, (MACRO,))
    return {
        target: Cases.of(evaluation, targets, target, settings, crossings=False)
        for target in targets.names
        if target != POOLED or target in usable
    }


def _curve_rows(cases: Cases, curves: Curves) -> list[dict[str, Any]]:
    rows = []
    for arm, values in curves.auc.items():
        low, high = cases.resamples.interval(values, "share")
        rows += [
            {
                "arm": arm,
                "fraction": each[0],
                "value": each[1],
                "ci_low": each[2],
                "ci_high": each[3],
            }
            for each in zip(curves.fractions, values[0], low, high, strict=True)
        ]
    return rows


def _areas(cases: Cases, curves: Curves) -> dict[str, Any]:
    fractions = curves.fractions
    erase, restore = curves.auc["erase"][0], curves.auc["restore"][0]
    return {
        "intact_auc": float(erase[0]),
        "area_erase": float(area(fractions, erase)),
        "area_restore": float(area(fractions, restore)),
        "delta": float(curves.deltas[0]),
        "delta_ci": cases.resamples.interval(curves.deltas).tolist(),
        "restored_at_a_tenth": float(np.interp(STATED_FRACTION, fractions, restore)),
        "erased_at_a_tenth": float(np.interp(STATED_FRACTION, fractions, erase)),
    }
