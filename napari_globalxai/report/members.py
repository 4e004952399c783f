"""Which images stand behind each label's global map, and which of them to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.runs.run import Run


@dataclass(frozen=True)
class LabelImages:
    """The images that enter one label's global map.

    Attributes
    ----------
    label : str
        The label.
    rows : numpy.ndarray
        Their rows in the cohort.
    files : list of str
        Their names.
    truth, probability, similarity : numpy.ndarray
        True label (1, 0 or NaN), predicted probability, and Spearman correlation of their map with
        the global map, NaN where it is undefined.
    threshold : float
        Probability from which an image counts as predicted positive.
    """

    label: str
    rows: npt.NDArray[np.int64]
    files: list[str]
    truth: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    similarity: npt.NDArray[np.float64]
    threshold: float

    @property
    def least_similar_first(self) -> list[int]:
        """Positions of the images with a defined similarity, the least similar first."""
        order = np.argsort(self.similarity)
        return [int(at) for at in order if np.isfinite(self.similarity[at])]

    @property
    def least_similar(self) -> int | None:
        """Position of the image least like the global map."""
        found = self.least_similar_first
        return found[0] if found else None

    @property
    def surest_true_positive(self) -> int | None:
        """Position of the true positive with the highest probability."""
        right = (self.truth == 1) & (self.probability >= self.threshold)
        if not right.any():
            return None
        return int(np.argmax(np.where(right, self.probability, -np.inf)))


def images_by_label(run: Run) -> list[LabelImages]:
    """Return the images behind each label's global map, in the order of the labels."""
    truth = run.truth(run.labels)
    files = run.images["file"].tolist()
    found = []
    for index, label in enumerate(run.labels):
        probability = run.images[f"probability_{label}"].to_numpy(dtype=float)
        rows = run.members(label)
        found.append(
            LabelImages(
                label=label,
                rows=rows,
                files=[files[row] for row in rows],
                truth=truth[rows, index],
                probability=probability[rows],
                similarity=run.images[f"similarity_{label}"].to_numpy(dtype=float)[rows],
                threshold=run.aggregation.threshold,
            )
        )
    return found
