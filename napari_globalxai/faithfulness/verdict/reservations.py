"""What a verdict leaves out, measured beside it: all that keeps it from being the whole truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import Course, Evaluation
from napari_globalxai.faithfulness.fills.feature_shift import Features
from napari_globalxai.faithfulness.fills.fill_kinds import fill_facts
from napari_globalxai.faithfulness.fills.fill_shift import (
    blank_tells,
    fill_cautions,
    fill_shift,
    half_way,
)
from napari_globalxai.faithfulness.verdict.outside import OutsideFacts, measure_outside
from napari_globalxai.settings.peppr_settings import PepprSettings


@dataclass(frozen=True)
class Reservations:
    """What a verdict leaves out.

    Attributes
    ----------
    outside : OutsideFacts
        What lies outside the valid area.
    labels : dict of str to dict
        By label: all of it, with ``cautions`` in words, and ``cautioned``: whether the verdict may
        not stand without them.
    fill_facts : dict
        What the fill tells of itself.
    """

    outside: OutsideFacts
    labels: dict[str, dict[str, Any]]
    fill_facts: dict[str, Any]

    @property
    def notes(self) -> dict[str, Any]:
        """What the result says for all labels together."""
        cautions = [text for each in self.labels.values() for text in each["cautions"]]
        return {
            **self.outside.notes,
            "cautions": list(dict.fromkeys(cautions)),
            "fill_facts": self.fill_facts,
        }

    def enter(
        self, map_name: str, areas: dict[str, dict[str, Any]], rows: list[dict[str, Any]]
    ) -> None:
        """Add them to the areas of each label, and to the rows of the table of curves."""
        for label, values in self.labels.items():
            if label in areas:
                areas[label].update(values)
        for together in set(areas) - set(self.labels):
            areas[together].update(self._together())
        rows.extend({"map": map_name, **row} for row in self.outside.rows)

    def _together(self) -> dict[str, Any]:
        """Return what a verdict on all labels leaves out."""
        cautions: dict[str, list[str]] = {}
        for label, values in self.labels.items():
            for caution in values["cautions"]:
                cautions.setdefault(caution, []).append(label)
        return {
            "mass_outside": self.outside.share,
            "cautions": [
                text if len(labels) == len(self.labels) else f"for {', '.join(labels)}, {text}"
                for text, labels in cautions.items()
            ],
            "cautioned": any(values["cautioned"] for values in self.labels.values()),
        }


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
        Bootstrap, seed and the fill's name.
    """
    outside = measure_outside(evaluation, image, course, labels)
    found = {}
    features = Features.of(evaluation, course, half_way(course))
    for label, values in outside.labels.items():
        shift = fill_shift(evaluation, course, label, features)
        cautions = [*values["cautions"], *fill_cautions(str(settings.fill), shift)]
        found[label] = {
            **values,
            "fill_shift": shift,
            "cautions": cautions,
            # How far a fill moves the model is a matter of degree; these are not.
            "cautioned": bool(values["cautions"]) or blank_tells(shift),
        }
    return Reservations(outside, found, fill_facts(evaluation.fill))
