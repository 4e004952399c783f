"""PEPPR run as published, in the shape in which a map's result is shown. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.runs.folder import PEPPR_FOLDER
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.storage import read_json, read_table
from napari_globalxai.unusable import as_we_write

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


@dataclass(frozen=True)
class PublishedResult(PepprResult):
    """Curves of the published protocol: neither controls nor folds nor verdict."""

    @property
    def sentence(self) -> str:
        """What it is."""
        return (
            f"The published protocol along the map {self.map_name}: it has neither controls nor "
            "folds of patients, so that it judges nothing."
        )


def published_result(run: Run, stem: str) -> PublishedResult:
    """Return what the run's ``peppr/`` holds under a name. To be called in a worker.

    Raises
    ------
    InputError
        When the files are not as we write them.
    """
    from napari_globalxai.faithfulness.orders.map_orders import order_by_map
    from napari_globalxai.runs.peppr.evaluate import valid_share_of
    from napari_globalxai.runs.peppr.fill_fitting import fitting_of, share_of_fields

    folder: Path = run.folder / PEPPR_FOLDER
    with as_we_write(folder / f"{stem}.json"):
        told = read_json(folder / f"{stem}.json")
        name, settings, labels = str(told["map"]), dict(told["settings"]), dict(told["labels"])
        known = PepprSettings.model_fields
        chosen = PepprSettings(**{key: settings[key] for key in settings if key in known})
        curves = read_table(folder / f"{stem}.csv", dtype={"map": str, "label": str})
        fractions = np.unique(curves["fraction"].to_numpy(float))
    share = valid_share_of(chosen)
    valid = run.coverage >= share_of_fields(run, share)
    order = order_by_map(run.maps[name], valid, chosen.seed)
    no_controls = {"delta_on_control_steps": float("nan"), "control_deltas": {}}
    result = PublishedResult(
        map_name=name,
        curves=curves,
        areas={label: {**measured, **no_controls} for label, measured in labels.items()},
        verdict={},
        settings=settings,
        shape=valid.shape,
        order=order,
        counts=np.rint(fractions * len(order)).astype(np.int64),
        fill=None,
        rows=run.finished_rows,
        # It keeps no predictions of single images.
        labels=(),
        probabilities={},
    )
    fitting = fitting_of(run, run.labels, share, run.record.model.card.labels, chosen.seed)
    fitted = result.fitted(run.stack, fitting)
    assert isinstance(fitted, PublishedResult)
    return replace(fitted, rows=np.empty(0, np.int64))
