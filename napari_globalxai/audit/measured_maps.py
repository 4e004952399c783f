"""What an audit looks at: the shares of every label's maps in every place, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.errors import InputError
from napari_globalxai.runs import tables
from napari_globalxai.statistics.region_shares import Regions, RegionShares, measure_shares, tiles
from napari_globalxai.statistics.subgroups import Subgroup, Subgroups, find_subgroups

if TYPE_CHECKING:
    from napari_globalxai.audit.places import Places
    from napari_globalxai.progress import ProgressCallback
    from napari_globalxai.runs.run import Run
    from napari_globalxai.settings.audit_settings import SearchSettings

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelMaps:
    """The maps of one label.

    Attributes
    ----------
    label : str
        The label.
    shares : RegionShares
        Of the images that make its global map, in named regions and in tiles of the frame.
    owner : numpy.ndarray
        Number of each image's patient, (image,).
    patients : int
        Number of patients.
    """

    label: str
    shares: RegionShares
    owner: npt.NDArray[np.intp]
    patients: int


@dataclass(frozen=True)
class MeasuredMaps:
    """All of a run that an audit looks at.

    Attributes
    ----------
    labels : tuple of LabelMaps
        By label; those without any map are left out.
    regions, tiles : dict of str to numpy.ndarray
        Named regions, and tiles of the frame for what no region holds.
    beyond, pictured : tuple of str
        See `Places`.
    subgroups : Subgroups
        Of all images of the run.
    co_labels : Subgroups
        Images with and without each label.
    """

    labels: tuple[LabelMaps, ...]
    regions: Mapping[str, Mask]
    tiles: Mapping[str, Mask]
    beyond: tuple[str, ...]
    pictured: tuple[str, ...]
    subgroups: Subgroups
    co_labels: Subgroups

    @property
    def places(self) -> dict[str, Mask]:
        """Regions and tiles."""
        return {**self.regions, **self.tiles}

    def columns_of(self, names: Mapping[str, Mask] | tuple[str, ...]) -> npt.NDArray[np.int64]:
        """Return the columns of the shares that hold places of these names."""
        order = list(self.places)
        return np.array([order.index(name) for name in names], dtype=np.int64)


def measure_maps(
    run: Run, places: Places, settings: SearchSettings, progress: ProgressCallback
) -> MeasuredMaps:
    """Measure every label's maps in every place of a run."""
    from napari_globalxai.progress import Progress

    # What was asked for and is not there is said before any work.
    subgroups = subgroups_of(run, settings)
    grid_of_tiles = tiles(run.store.grid.frame)
    regions = Regions.on(run.store.grid, {**places.regions, **grid_of_tiles})
    patients = run.images[tables.PATIENT].to_numpy(dtype=object)
    found = []
    for number, label in enumerate(run.labels):
        progress(Progress("Measuring maps", number, len(run.labels)))
        rows = run.members(label)
        if len(rows) == 0:
            continue
        shares = measure_shares(run.store, label, rows, regions, run.aggregation)
        owner, names = pd.factorize(patients[shares.rows])
        if shares.has_mass.any():
            found.append(LabelMaps(label, shares, owner, len(names)))
    progress(Progress("Measuring maps", len(run.labels), len(run.labels)))
    return MeasuredMaps(
        labels=tuple(found),
        regions=places.regions,
        tiles=grid_of_tiles,
        beyond=places.beyond,
        pictured=places.pictured,
        subgroups=subgroups,
        co_labels=_labels_as_subgroups(run, settings),
    )


def subgroups_of(run: Run, settings: SearchSettings) -> Subgroups:
    """Return the subgroups of a run's images.

    Raises
    ------
    InputError
        When a column is asked for that is not there.
    """
    known = tables.covariate_columns(run.images, run.labels)
    asked = known if settings.columns is None else list(settings.columns)
    for name in asked:
        if name not in run.images:
            raise InputError(
                f"{run.folder}: images.csv has no column {name!r}; take some of {', '.join(known)}."
            )
    return find_subgroups(
        run.images, asked, run.images[tables.PATIENT].tolist(), settings.fewest_patients
    )


def _labels_as_subgroups(run: Run, settings: SearchSettings) -> Subgroups:
    columns = [name for label in run.labels if (name := tables.truth_column(label)) in run.images]
    patients = run.images[tables.PATIENT].tolist()
    return find_subgroups(run.images, columns, patients, settings.fewest_patients)


def groups_within(groups: Subgroups, rows: npt.NDArray[np.int64]) -> list[Subgroup]:
    """Return subgroups among some of the images."""
    return [group.among(rows) for group in groups.groups]
