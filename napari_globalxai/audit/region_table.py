"""``regions.csv``: each region's share of each label's map, by subgroup, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.audit.measured_maps import LabelMaps, MeasuredMaps, groups_within
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.statistics.ratio_intervals import (
    patient_weights,
    ratio_intervals,
    sums_by_patient,
)

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.questions.region_erasure import RegionEffect

COLUMNS = (
    *("label", "region", "subgroup", "share", "area_share", "ratio", "ci_low", "ci_high"),
    *("auc_intact", "auc_erased", "logit_change"),
)
EVERYBODY = "all"

Mask = npt.NDArray[np.bool_]
Effects = Mapping[str, Mapping[str, "RegionEffect"]]


def region_table(
    measured: MeasuredMaps,
    fewest: int,
    resamples: int,
    seed: int,
    progress: ProgressCallback = ignore_progress,
) -> pd.DataFrame:
    """Return the table of regions, without what erasing them does.

    Parameters
    ----------
    measured : MeasuredMaps
        Maps and regions.
    fewest : int
        Patients with a map that a subgroup needs for rows of its own.
    resamples, seed : int
        Of patients, for the intervals.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`.
    """
    rows: list[dict[str, object]] = []
    for number, maps in enumerate(measured.labels):
        generator = np.random.default_rng([seed, 1, number])
        weights = patient_weights(maps.patients, resamples, generator)
        for name, chosen in _groups(measured, maps, fewest):
            progress(Progress("Measuring regions", number, len(measured.labels)))
            rows += _rows(measured, maps, name, chosen, weights)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def with_effects(table: pd.DataFrame, effects: Effects) -> pd.DataFrame:
    """Return the table with what erasing regions did, by region and label, to all images."""
    filled = table.copy()
    for region, by_label in effects.items():
        for label, effect in by_label.items():
            at = (
                (filled["region"] == region)
                & (filled["label"] == label)
                & (filled["subgroup"] == EVERYBODY)
            )
            values = (effect.intact_auc, effect.erased_auc, effect.logit_change)
            filled.loc[at, ["auc_intact", "auc_erased", "logit_change"]] = values
    return filled


def _groups(measured: MeasuredMaps, maps: LabelMaps, fewest: int) -> Iterator[tuple[str, Mask]]:
    """Give the subgroups of a label's images that have enough patients, all of them first."""
    yield EVERYBODY, np.ones(len(maps.owner), dtype=bool)
    for group in groups_within(measured.subgroups, maps.shares.rows):
        sides = [(group.query, group.inside & group.known)]
        if group.pair:
            sides.append((group.rest_query, group.known & ~group.inside))
        for query, chosen in sides:
            if len(np.unique(maps.owner[chosen])) >= fewest:
                yield query, chosen


def _rows(
    measured: MeasuredMaps,
    maps: LabelMaps,
    subgroup: str,
    chosen: Mask,
    weights: npt.NDArray[np.float32],
) -> list[dict[str, object]]:
    columns = measured.columns_of(tuple(measured.regions))
    shares, areas = maps.shares, maps.shares.areas[columns]
    mass = sums_by_patient(
        np.where(chosen[:, None], shares.mass[:, columns], 0), maps.owner, maps.patients
    )
    total = sums_by_patient(np.where(chosen, shares.total, 0), maps.owner, maps.patients)
    whole = np.repeat(total[:, None], len(columns), axis=1)
    low, high = ratio_intervals(mass, whole, weights)
    with np.errstate(invalid="ignore"):
        share = mass.sum(axis=0) / whole.sum(axis=0)
    return [
        {
            "label": maps.label,
            "region": name,
            "subgroup": subgroup,
            "share": share[index],
            "area_share": areas[index],
            "ratio": share[index] / areas[index],
            "ci_low": low[index] / areas[index],
            "ci_high": high[index] / areas[index],
        }
        for index, name in enumerate(measured.regions)
    ]
