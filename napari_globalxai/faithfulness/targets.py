"""What a map is judged by: a label, or all labels together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.scores.auc_scores import FloatArray, early_area

# Rows of the result that stand for all labels; a label of the same name goes before them.
MACRO = "macro mean"
POOLED = "pooled"


@dataclass(frozen=True)
class Targets:
    """Labels that can be measured, and all of them together.

    Attributes
    ----------
    labels : tuple of str
        Labels with both classes.
    columns : numpy.ndarray
        Their places among the model's labels.
    together : bool
        Whether the macro mean over labels and the pooled labels are measured, too.
    among : numpy.ndarray
        Which of the labels are taken together, as places in `labels`.
    """

    labels: tuple[str, ...]
    columns: npt.NDArray[np.int64]
    together: bool
    among: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        every: Sequence[str],
        usable: Sequence[str],
        judged: Sequence[str],
        among: Sequence[int] | None = None,
    ) -> Targets:
        """Return the targets of a map.

        Parameters
        ----------
        every : sequence of str
            The model's labels.
        usable : sequence of str
            Those with both classes.
        judged : sequence of str
            What the map is judged by; more than one label, or `MACRO`, asks for all together.
        among : sequence of int, optional
            Places among the model's labels of those that are taken together; by default all.
        """
        free = not {MACRO, POOLED} & set(every)
        columns = np.array([every.index(label) for label in usable], np.int64)
        chosen = columns if among is None else np.array(among, np.int64)
        places = np.flatnonzero(np.isin(columns, chosen))
        asked = MACRO in judged or len(judged) > 1
        return cls(tuple(usable), columns, free and asked and len(places) > 0, places)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all targets."""
        return (*self.labels, MACRO, POOLED) if self.together else self.labels

    def curves(self, values: FloatArray) -> FloatArray:
        """Return ROC AUC (..., target) of ROC AUC (..., label and pooled)."""
        by_label = values[..., self.columns]
        if not self.together:
            return by_label
        macro = by_label[..., self.among].mean(axis=-1, keepdims=True)
        return np.concatenate([by_label, macro, values[..., -1:]], axis=-1)

    def deltas(self, values: FloatArray, fractions: FloatArray, until: float = 1.0) -> FloatArray:
        """Return Δ up to a fraction, (..., target), of ROC AUC (..., arm, step, label, pooled)."""
        erase, restore = np.moveaxis(self.curves(values), -3, 0)
        return early_area(fractions, np.moveaxis(restore - erase, -1, -2), until)
