"""PEPPR along the own map of one image, in the shape in which a map's result is shown. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.result import CURVE_COLUMNS, PepprResult
from napari_globalxai.widgets.words.table_words import number

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.questions.stored_images import StoredImages
    from napari_globalxai.runs.run import Run

PROBABILITY = "probability"
_NO_CLAIM = "It says nothing of the global map."


@dataclass(frozen=True)
class ImageResult(PepprResult):
    """A result of one image.

    Attributes
    ----------
    row : int
        The image.
    deltas : numpy.ndarray
        Δ of all images of the label.
    means : dict
        Mean and SD over images of the curves, by arm, and their fractions.
    """

    row: int = -1
    deltas: npt.NDArray[np.floating] = field(default_factory=lambda: np.empty(0), repr=False)
    means: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def sentence(self) -> str:
        """What it comes to, of this image and of all."""
        (label,) = self.labels
        own, every = self.areas[label]["delta"], self.deltas
        below, above = 100 * float((every < own).mean()), 100 * float((every > 0).mean())
        return (
            f"This image along its own map: Δ of the probability {number(own)}, more than "
            f"{below:.0f} % of the {len(every)} images with {label}. Their mean is "
            f"{number(float(every.mean()))}, and {above:.0f} % are above 0. {_NO_CLAIM}"
        )


def image_result(run: Run, stored: StoredImages, row: int) -> ImageResult | None:
    """Return the result of one image, None where it was not tested. To be called in a worker."""
    import pandas as pd

    from napari_globalxai.faithfulness.orders.map_orders import order_by_map, step_counts
    from napari_globalxai.runs.peppr.evaluate import valid_share_of
    from napari_globalxai.runs.peppr.fill_fitting import fitting_of, share_of_fields

    place, chosen, label = stored.place(row), stored.chosen, stored.label
    if place is None:
        return None
    share = valid_share_of(chosen)
    valid = run.coverage >= share_of_fields(run, share)
    image = np.nan_to_num(np.asarray(run.image_map(row, label), np.float64))
    counts = step_counts(int(valid.sum()), chosen.steps)
    own = {} if stored.curves is None else {arm: v[place] for arm, v in stored.curves.items()}
    fractions = counts / counts[-1]
    own = {arm: values for arm, values in own.items() if len(values) == len(counts)}
    curves = [
        (label, label, "map", arm, fraction, PROBABILITY, float(value), np.nan, np.nan)
        for arm, values in own.items()
        for fraction, value in zip(fractions, values, strict=True)
    ]
    intact = float(own["erase"][0]) if own else float("nan")
    result = ImageResult(
        map_name=f"{label}, image by image",
        curves=pd.DataFrame(curves, columns=list(CURVE_COLUMNS)),
        areas={label: {"intact": intact, "delta": float(stored.areas["delta"][place])}},
        verdict={},
        settings={**stored.settings, "fill": stored.fill},
        shape=valid.shape,
        order=order_by_map(image, valid, chosen.seed),
        counts=counts,
        fill=None,
        rows=run.finished_rows,
        labels=(label,),
        probabilities={},
        row=row,
        deltas=stored.areas["delta"],
        means=dict(stored.summary.get("curves", {})),
    )
    labels = run.record.model.card.labels
    fitted = result.fitted(run.stack, fitting_of(run, (label,), share, labels, chosen.seed))
    assert isinstance(fitted, ImageResult)
    by_arm = {arm: np.asarray(values)[:, None, None] for arm, values in own.items()}
    return replace(fitted, rows=np.array([row] if own else []), probabilities=by_arm)
