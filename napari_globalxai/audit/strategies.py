"""Strategies of a model: clusters of a label's maps, what they show, what goes with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.audit.findings import SEARCHES, Finding
from napari_globalxai.audit.measured_maps import LabelMaps, MeasuredMaps, groups_within
from napari_globalxai.audit.searches import LEAST_EXCESS, best_place, make_finding
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.statistics.clusters import Clustering, find_clusters
from napari_globalxai.statistics.map_search import Shuffles, compare_sides, corrected, split_sides
from napari_globalxai.statistics.subgroups import Subgroup, has_enough

if TYPE_CHECKING:
    from napari_globalxai.settings.audit_settings import AuditSettings

Mask = npt.NDArray[np.bool_]
_EXAMPLES = 3
# Of a cluster only the size of the difference is looked at: its maps made it.
_FEW_SHUFFLES = 99


@dataclass(frozen=True)
class Association:
    """A cluster beside a subgroup.

    Attributes
    ----------
    cluster : int
        Number of the cluster.
    group : Subgroup
        Among the images that have a map, turned so that it is the more common in the cluster.
    inside, outside : float
        Share of the images that belong to it, in the cluster and in the others.
    p : float
        Corrected over all labels, clusters and subgroups, and for the other searches.
    """

    cluster: int
    group: Subgroup
    inside: float
    outside: float
    p: float


@dataclass(frozen=True)
class Strategies:
    """The clusters of one label's maps.

    Attributes
    ----------
    maps : LabelMaps
        The label, with the images that have a map alone.
    clustering : Clustering
        Their clusters.
    associations : tuple of Association
        What goes with the clusters, the surest first.
    """

    maps: LabelMaps
    clustering: Clustering
    associations: tuple[Association, ...] = ()

    def members(self, cluster: int) -> Mask:
        """Return which images belong to a cluster."""
        return np.asarray(self.clustering.cluster == cluster)

    def examples(self, cluster: int) -> list[int]:
        """Return the rows of the images nearest to a cluster's centre."""
        chosen = np.flatnonzero(self.members(cluster))
        values = np.sqrt(self.maps.shares.by_image[chosen])
        distance = ((values - values.mean(axis=0)) ** 2).sum(axis=1)
        nearest = chosen[np.argsort(distance, kind="stable")[:_EXAMPLES]]
        return [int(row) for row in self.maps.shares.rows[nearest]]

    def to_dict(self, file_of: Any) -> dict[str, Any]:
        """Return the clusters as ``audit.json`` has them."""
        numbers = range(1, self.clustering.count + 1)
        return {
            "count": self.clustering.count,
            "one_cluster_p": self.clustering.split_p,
            "stability": self.clustering.stability,
            "clusters": [
                {
                    "cluster": number,
                    "images": int(self.members(number).sum()),
                    "patients": len(np.unique(self.maps.owner[self.members(number)])),
                    "map": file_of(self.maps.label, number),
                    "examples": self.examples(number),
                    "associations": [
                        {
                            "query": each.group.query,
                            "share": each.inside,
                            "share_elsewhere": each.outside,
                            "p": each.p,
                        }
                        for each in self.associations
                        if each.cluster == number
                    ],
                }
                for number in numbers
            ],
        }


def find_strategies(
    measured: MeasuredMaps, settings: AuditSettings, progress: ProgressCallback
) -> list[Strategies]:
    """Cluster the maps of every label, and ask which columns go with the clusters."""
    found = []
    columns = measured.columns_of(measured.tiles)
    for number, maps in enumerate(measured.labels):
        progress(Progress("Clustering maps", number, len(measured.labels)))
        chosen = maps.shares.has_mass
        owner = np.unique(maps.owner[chosen], return_inverse=True)[1]
        patients = int(owner.max()) + 1
        kept = replace(maps, shares=maps.shares.of(chosen), owner=owner, patients=patients)
        clustering = find_clusters(kept.shares.by_image[:, columns], owner, settings.seed)
        found.append(Strategies(kept, clustering))
    progress(Progress("Clustering maps", len(found), len(found)))
    return _with_associations(measured, found, settings, progress)


def between_clusters(
    measured: MeasuredMaps,
    strategies: Sequence[Strategies],
    settings: AuditSettings,
    progress: ProgressCallback = ignore_progress,
) -> list[Finding]:
    """Return findings on clusters whose images share a column's value, and a place."""
    findings = []
    everywhere = np.arange(len(measured.places))
    for at, each in enumerate(strategies):
        for number in range(1, each.clustering.count + 1):
            progress(Progress("Comparing clusters", at, len(strategies)))
            strong = [
                other
                for other in each.associations
                if other.cluster == number
                and other.p <= settings.level
                and other.inside - other.outside >= LEAST_EXCESS
            ]
            if not strong:
                continue
            members = each.members(number)
            known = np.ones(len(members), dtype=bool)
            cluster = Subgroup("cluster", number, "", members, known, None, "", False)
            sides = split_sides(each.maps.shares.by_image, members, each.maps.owner)
            generator = np.random.default_rng([settings.seed, 5, number])
            shuffles = Shuffles(each.maps.patients, _FEW_SHUFFLES, generator)
            difference = compare_sides(sides, shuffles)
            best = best_place(
                measured,
                each.maps,
                cluster,
                everywhere,
                difference,
                np.isfinite(difference.statistic),
                settings,
            )
            if best is None or best[0] is not cluster:
                continue
            first = strong[0]
            finding = make_finding(
                measured, each.maps, members, best[1], first.p, settings, cluster
            )
            findings.append(
                replace(
                    finding,
                    kind="cluster",
                    covariate=first.group.column,
                    value=first.group.value,
                    query=first.group.query,
                    same_columns=first.group.same_as,
                    also=tuple(other.group.query for other in strong[1:]),
                )
            )
    return findings


def _with_associations(
    measured: MeasuredMaps,
    found: Sequence[Strategies],
    settings: AuditSettings,
    progress: ProgressCallback,
) -> list[Strategies]:
    compared = []
    for number, each in enumerate(found):
        count = each.clustering.count
        if count < 2:
            continue
        belongs = each.clustering.cluster[:, None] == np.arange(1, count + 1)
        generator = np.random.default_rng([settings.seed, 4, number])
        shuffles = Shuffles(each.maps.patients, settings.permutations, generator)
        for group in groups_within(measured.subgroups, each.maps.shares.rows):
            if not has_enough(group, each.maps.owner, settings.fewest_patients):
                continue
            progress(Progress("Looking at columns", number, len(found)))
            known = group.known
            sides = split_sides(
                belongs[known].astype(float), group.inside[known], each.maps.owner[known]
            )
            compared.append((number, group, compare_sides(sides, shuffles)))
    if not compared:
        return list(found)
    highest = np.max([difference.highest for _, _, difference in compared], axis=0)
    gathered: dict[int, list[Association]] = {}
    for number, group, difference in compared:
        p = np.minimum(1, SEARCHES * corrected(difference.statistic, highest))
        gathered.setdefault(number, []).extend(_associations(found[number], group, p))
    return [
        replace(
            each,
            associations=tuple(
                sorted(
                    gathered.get(number, []),
                    key=lambda one: (one.p, one.outside - one.inside, one.group.query),
                )
            ),
        )
        for number, each in enumerate(found)
    ]


def _associations(
    strategies: Strategies, group: Subgroup, p: npt.NDArray[np.float64]
) -> list[Association]:
    found = []
    for number in range(1, strategies.clustering.count + 1):
        members = strategies.members(number) & group.known
        others = ~strategies.members(number) & group.known
        if not (members.any() and others.any()) or np.isnan(p[number - 1]):
            continue
        inside, outside = (float(group.inside[part].mean()) for part in (members, others))
        turned = inside < outside
        found.append(
            Association(
                number,
                group.turned() if turned else group,
                1 - inside if turned else inside,
                1 - outside if turned else outside,
                float(p[number - 1]),
            )
        )
    return found
