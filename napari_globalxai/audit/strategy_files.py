"""The files of strategies: a map for each cluster, and tables of clusters and the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.maps.preparing import prepare_maps
from napari_globalxai.maps.upsampling import smooth, upsample
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.runs.turns import reading
from napari_globalxai.runs.write_maps import write_tiff
from napari_globalxai.storage import read_table, write_table
from napari_globalxai.unusable import damaged

if TYPE_CHECKING:
    from napari_globalxai.audit.strategies import Strategies
    from napari_globalxai.runs.run import Run

AUDIT_FOLDER = "audit"
CLUSTERS_TABLE = "clusters.csv"
EMBEDDING_TABLE = "embedding.csv"
_MAPS_FOLDER = "clusters"


def map_file(label: str, cluster: int) -> str:
    """Return where the mean map of a cluster lies, within the folder of the audit."""
    return f"{_MAPS_FOLDER}/{file_stem(label)}-{cluster}.tif"


def cluster_table(strategies: Sequence[Strategies]) -> pd.DataFrame:
    """Return the cluster of each image by label."""
    return pd.DataFrame(
        {
            "row": _joined([each.maps.shares.rows for each in strategies]),
            "label": _joined(
                [np.repeat(each.maps.label, len(each.maps.owner)) for each in strategies]
            ),
            "cluster": _joined([each.clustering.cluster for each in strategies]),
        }
    )


def write_strategies(folder: Path, run: Run, strategies: Sequence[Strategies]) -> None:
    """Write clusters, their mean maps and the embedding."""
    for each in strategies:
        for number, image in mean_maps(run, each).items():
            write_tiff(folder / map_file(each.maps.label, number), image)
    found = cluster_table(strategies)
    points = [each.clustering.embedding for each in strategies]
    embedding = found[["row", "label"]].assign(
        x=_joined([each[:, 0] for each in points]), y=_joined([each[:, 1] for each in points])
    )
    for name, table in ((CLUSTERS_TABLE, found), (EMBEDDING_TABLE, embedding)):
        write_table(folder / name, table)


def read_clusters(run: Run) -> pd.DataFrame | None:
    """Return the table of clusters that an audit of a run kept, None where there is none.

    Raises
    ------
    InputError
        When it is not as an audit writes it.
    """
    path = run.folder / AUDIT_FOLDER / CLUSTERS_TABLE
    with reading(run.folder):
        if not path.is_file():
            return None
        table = read_table(path, dtype={"label": str})
    numbers = ["row", "cluster"]
    if not {"label", *numbers} <= set(table.columns):
        raise damaged(path)
    if len(table) and not (
        all(table[name].dtype.kind in "iu" for name in numbers)
        and table["row"].between(0, len(run.images) - 1).all()
        and table["cluster"].between(1, len(table)).all()
    ):
        raise damaged(path)
    return table


def mean_maps(run: Run, strategies: Strategies) -> dict[int, npt.NDArray[np.float32]]:
    """Return the mean map of each cluster in the frame, made as the global map is."""
    count = strategies.clustering.count
    if count == 1:
        return {1: run.maps[strategies.maps.label]}
    sums = np.zeros((count, *run.store.grid.shape))
    rows = strategies.maps.shares.rows
    of_row = dict(zip(rows.tolist(), strategies.clustering.cluster.tolist(), strict=True))
    for part, raw in run.store.chunks(rows, run.store.labels.index(strategies.maps.label)):
        maps = prepare_maps(raw, run.aggregation)
        np.add.at(sums, [of_row[row] - 1 for row in part.tolist()], maps)
    found = {}
    for number in range(1, count + 1):
        mean = sums[number - 1] / max(1, int(strategies.members(number).sum()))
        found[number] = smooth(upsample(mean, run.store.grid), run.aggregation.smoothing)
    return found


def _joined(parts: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    return np.concatenate(parts) if parts else np.zeros(0)
