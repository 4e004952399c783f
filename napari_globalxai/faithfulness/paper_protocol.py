"""PEPPR as published, as far as the public sources tell, and what they leave open.

Sources: the abstracts of Engelmann, Storkey and Bernabeu (arXiv 2112.09591) and of their follow-up
on ultra-widefield images (doi 10.1038/s42256-022-00566-5), and the authors' public model and
inference code. Code of PEPPR itself is not public.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import ARMS, Course, Evaluation
from napari_globalxai.faithfulness.label_effects import LabelCases
from napari_globalxai.faithfulness.orders import order_by_map, step_counts
from napari_globalxai.faithfulness.scores import FloatArray, area
from napari_globalxai.faithfulness.stored_results import result_stem
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.storage import write_json, write_table

PAPER = "paper"
MACRO = "macro mean"
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
    "Intervals: patients are resampled; the sources do not tell of any.",
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


def run_paper(
    evaluation: Evaluation,
    map_name: str,
    image: npt.NDArray[np.floating],
    settings: PepprSettings,
    *,
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
        Steps, bootstrap and seed.
    progress : callable, optional
        May raise `Cancelled`.
    """
    order = order_by_map(image, evaluation.valid, settings.seed)

    def tick(done: int, total: int) -> None:
        progress(Progress(f"Erasing and restoring along {map_name}", done, total))

    course = evaluation.course(order, step_counts(len(order), settings.steps), tick)
    curves = _curves(evaluation, course, settings)
    rows = [
        {"map": map_name, "label": label, "order": "map", "metric": "roc_auc", **row}
        for label, by_arm in curves.items()
        for row in _curve_rows(course.fractions, by_arm)
    ]
    return PaperResult(
        map_name,
        rows,
        {label: _areas(course.fractions, by_arm) for label, by_arm in curves.items()},
        {
            **settings.model_dump(),
            "images": len(evaluation.rows),
            "patients": len(set(evaluation.patients)),
            "valid_pixels": len(order),
        },
    )


# By arm: AUC by step, and (resample, step).
_Curves = dict[str, tuple[FloatArray, FloatArray]]


def _curves(evaluation: Evaluation, course: Course, settings: PepprSettings) -> dict[str, _Curves]:
    """Return the curves of each label with both classes, and their plain mean."""
    rankings = {arm: evaluation.ranking(course.logits[arm]) for arm in ARMS}
    found: dict[str, _Curves] = {}
    for index, label in enumerate(evaluation.classifier.labels):
        cases = LabelCases.of(
            evaluation.truth,
            evaluation.patients,
            index,
            bootstrap=settings.bootstrap,
            seed=settings.seed,
        )
        if cases.has_both:
            found[label] = {
                arm: (
                    np.array([cases.auc(step) for step in ranking]),
                    np.stack([cases.resampled_auc(step) for step in ranking], axis=1),
                )
                for arm, ranking in rankings.items()
            }
    if found:
        each = list(found.values())
        found[MACRO] = {
            arm: (
                np.mean([curves[arm][0] for curves in each], axis=0),
                np.mean([curves[arm][1] for curves in each], axis=0),
            )
            for arm in ARMS
        }
    return found


def _curve_rows(fractions: FloatArray, curves: _Curves) -> list[dict[str, Any]]:
    rows = []
    for arm, (values, drawn) in curves.items():
        low, high = np.nanquantile(drawn, (0.025, 0.975), axis=0)
        rows += [
            {
                "arm": arm,
                "fraction": each[0],
                "value": each[1],
                "ci_low": each[2],
                "ci_high": each[3],
            }
            for each in zip(fractions, values, low, high, strict=True)
        ]
    return rows


def _areas(fractions: FloatArray, curves: _Curves) -> dict[str, Any]:
    (erase, erase_drawn), (restore, restore_drawn) = curves["erase"], curves["restore"]
    drawn = area(fractions, restore_drawn) - area(fractions, erase_drawn)
    return {
        "intact_auc": float(erase[0]),
        "area_erase": float(area(fractions, erase)),
        "area_restore": float(area(fractions, restore)),
        "delta": float(area(fractions, restore) - area(fractions, erase)),
        "delta_ci": np.nanquantile(drawn, (0.025, 0.975)).tolist(),
        "restored_at_a_tenth": float(np.interp(STATED_FRACTION, fractions, restore)),
        "erased_at_a_tenth": float(np.interp(STATED_FRACTION, fractions, erase)),
    }
