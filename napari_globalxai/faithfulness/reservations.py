"""What a verdict leaves out, measured beside it: all that keeps it from being the whole truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import Course, Evaluation
from napari_globalxai.faithfulness.outside import OutsideFacts, measure_outside
from napari_globalxai.settings.peppr_settings import PepprSettings


@dataclass(frozen=True)
class Reservations:
    """What a verdict leaves out.

    Attributes
    ----------
    outside : OutsideFacts
        What lies outside the valid area.
    """

    outside: OutsideFacts

    @property
    def notes(self) -> dict[str, Any]:
        """What the result says for all labels together."""
        cautions = [text for each in self.outside.labels.values() for text in each["cautions"]]
        return {**self.outside.notes, "cautions": list(dict.fromkeys(cautions))}

    def enter(
        self, map_name: str, areas: dict[str, dict[str, Any]], rows: list[dict[str, Any]]
    ) -> None:
        """Add them to the areas of each label, and to the rows of the table of curves."""
        for label, values in self.outside.labels.items():
            areas[label].update(values)
        rows.extend({"map": map_name, **row} for row in self.outside.rows)


def reservations_on(
    evaluation: Evaluation,
    image: npt.NDArray[np.floating],
    course: Course,
    labels: list[str],
    settings: PepprSettings,
) -> Reservations:
    """Measure what a verdict along a map leaves out.

    Parameters
    ----------
    evaluation : Evaluation
        What was evaluated.
    image : numpy.ndarray
        The map, (*spatial).
    course : Course
        Predictions along it.
    labels : list of str
        Those that can be measured.
    settings : PepprSettings
        Bootstrap and seed.
    """
    return Reservations(measure_outside(evaluation, image, course, labels, settings))
