"""The three searches of an audit: beyond the picture, between subgroups, between clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_globalxai.audit.findings import (
    SEARCHES,
    Finding,
    ShownImage,
    holds_in_words,
    numbers_in_words,
)
from napari_globalxai.audit.measured_maps import LabelMaps, MeasuredMaps, groups_within
from napari_globalxai.audit.places import whereabouts
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.audit_settings import AuditSettings
from napari_globalxai.statistics.map_search import (
    Difference,
    Shuffles,
    centred_ranks,
    compare_sides,
    corrected,
    split_sides,
)
from napari_globalxai.statistics.ratio_intervals import (
    mean_above_p,
    patient_weights,
    ratio_intervals,
    sums_by_patient,
)
from napari_globalxai.statistics.subgroups import Subgroup

Mask = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

# Beside the least ratio, what a difference between images must reach, however certain it is: an
# image inside has more of the place than one outside in so many of 100 pairs, and so many times
# more of it over all. Sites of an honest model differ a little, and that is no finding.
LEAST_SUPERIORITY = 0.8
LEAST_FACTOR = 2.0
# Of a cluster: how much more common a column's value must be in it than elsewhere.
LEAST_EXCESS = 0.5
_MOST_SHOWN = 6


@dataclass(frozen=True)
class Comparison:
    """A subgroup of a label's images against the rest, at every place.

    Attributes
    ----------
    maps : LabelMaps
        The label.
    group : Subgroup
        Among the images of `maps`.
    columns : numpy.ndarray
        The places that were compared, as columns of the shares.
    difference : Difference
        What came out.
    """

    maps: LabelMaps
    group: Subgroup
    columns: npt.NDArray[np.int64]
    difference: Difference

    @property
    def patients(self) -> int:
        """Patients on the side that has fewer."""
        return min(self.difference.patients_inside, self.difference.patients_outside)


def beyond_the_picture(measured: MeasuredMaps, settings: AuditSettings) -> list[Finding]:
    """Return findings on places that hold more of a label's map than of the area.

    Nothing is to be seen there, so that an honest map holds less. Where the picture fills the frame
    a lesion may lie near a corner, so that one must hold twice as much to be told.
    """
    tested = len(measured.labels) * len(measured.beyond)
    columns = measured.columns_of(measured.beyond)
    least = settings.least_ratio * np.where(np.isin(measured.beyond, measured.pictured), 2, 1)
    findings = []
    for maps in measured.labels:
        shares = maps.shares
        excess = shares.mass[:, columns] - shares.areas[columns] * shares.total[:, None]
        p = np.minimum(
            1,
            mean_above_p(sums_by_patient(excess, maps.owner, maps.patients)) * tested * SEARCHES,
        )
        everybody = np.ones(len(maps.owner), dtype=bool)
        ratios = ratios_of(maps, everybody)[columns]
        passing = np.flatnonzero((p <= settings.level) & (ratios >= least))
        if maps.patients < settings.fewest_patients or not len(passing):
            continue
        ordered = passing[np.argsort(-ratios[passing])]
        names = [measured.beyond[index] for index in ordered]
        finding = make_finding(
            measured, maps, everybody, int(columns[ordered[0]]), float(p[ordered[0]]), settings
        )
        kind = "region" if names[0].startswith("region-") else "outside-field"
        findings.append(replace(finding, kind=kind, also_where=tuple(names[1:])))
    return findings


def between_subgroups(
    measured: MeasuredMaps, settings: AuditSettings, progress: ProgressCallback = ignore_progress
) -> list[Finding]:
    """Return findings on places that the maps of a subgroup hold much more of than others."""
    comparisons = _comparisons(measured, settings, progress)
    if not comparisons:
        return []
    highest = np.max([each.difference.highest for each in comparisons], axis=0)
    found: dict[tuple[str, bool], list[tuple[float, Finding]]] = {}
    for number, each in enumerate(comparisons):
        progress(Progress("Comparing places", number, len(comparisons)))
        p = np.minimum(1, SEARCHES * corrected(each.difference.statistic, highest))
        certain = p <= settings.level
        best = best_place(
            measured, each.maps, each.group, each.columns, each.difference, certain, settings
        )
        if best is None:
            continue
        group, column = best
        at = int(np.flatnonzero(each.columns == column)[0])
        finding = make_finding(
            measured, each.maps, group.inside, column, float(p[at]), settings, group
        )
        key = (each.maps.label, finding.beyond)
        found.setdefault(key, []).append((-abs(float(each.difference.statistic[at])), finding))
    findings = []
    for several in found.values():
        several.sort(key=lambda each: (each[0], each[1].query))
        first = several[0][1]
        also = tuple(other.query for _, other in several[1:])
        findings.append(replace(first, also=also))
    return findings


def _comparisons(
    measured: MeasuredMaps, settings: AuditSettings, progress: ProgressCallback
) -> list[Comparison]:
    everywhere = np.arange(len(measured.places))
    beyond = measured.columns_of(
        tuple(name for name in measured.beyond if name not in measured.pictured)
    )
    found: list[Comparison] = []
    for number, maps in enumerate(measured.labels):
        chosen = maps.shares.has_mass
        owner = np.unique(maps.owner[chosen], return_inverse=True)[1]
        generator = np.random.default_rng([settings.seed, 2, number])
        shuffles = Shuffles(int(owner.max()) + 1, settings.permutations, generator)
        rows = maps.shares.rows
        # A lesion of another label draws a map, too, and is no shortcut; beyond the picture there
        # is none.
        for groups, columns in ((measured.subgroups, everywhere), (measured.co_labels, beyond)):
            for each in _compared(maps, groups_within(groups, rows), columns, shuffles):
                progress(Progress("Comparing subgroups", number, len(measured.labels)))
                found.append(each)
    return [each for each in found if each.patients >= settings.fewest_patients]


def _compared(
    maps: LabelMaps,
    groups: Sequence[Subgroup],
    columns: npt.NDArray[np.int64],
    shuffles: Shuffles,
) -> Iterator[Comparison]:
    chosen = maps.shares.has_mass
    values = maps.shares.by_image[chosen][:, columns]
    owner = np.unique(maps.owner[chosen], return_inverse=True)[1]
    ranked: npt.NDArray[np.float32] | None = None
    for group in groups:
        among = group.among(chosen)
        known = among.known
        if not len(columns) or not (among.inside & known).any() or among.inside[known].all():
            continue
        sides = split_sides(values[known], among.inside[known], owner[known])
        whole = known.all() and (sides.partner < 0).all()
        if whole and ranked is None:
            # Patients are the units then, however they are parted.
            ranked = centred_ranks(sides)
        difference = compare_sides(sides, shuffles, ranked if whole else None)
        yield Comparison(maps, group, columns, difference)


def best_place(
    measured: MeasuredMaps,
    maps: LabelMaps,
    group: Subgroup,
    columns: npt.NDArray[np.int64],
    difference: Difference,
    certain: Mask,
    settings: AuditSettings,
) -> tuple[Subgroup, int] | None:
    """Return the place that a subgroup, or the rest, holds much more of, and which of the two.

    Places beyond the picture go before other regions, those before tiles, and of each kind the
    place with the highest ratio is taken.
    """
    beyond = measured.columns_of(measured.beyond)
    rank = np.where(columns < len(measured.regions), 1, 2) - np.isin(columns, beyond)
    candidates = []
    sides = (group, difference.superiority), (group.turned(), 1 - difference.superiority)
    for side, superiority in sides:
        ratios = ratios_of(maps, side.inside & side.known)[columns]
        rest = ratios_of(maps, side.known & ~side.inside)[columns]
        large = (
            certain
            & (superiority >= LEAST_SUPERIORITY)
            & (ratios >= settings.least_ratio)
            & (ratios >= LEAST_FACTOR * rest)
        )
        candidates += [
            (int(rank[index]), -float(ratios[index]), side, int(index))
            for index in np.flatnonzero(large)
        ]
    if not candidates:
        return None
    _, _, side, index = min(candidates, key=lambda each: each[:2])
    return side, int(columns[index])


def ratios_of(maps: LabelMaps, chosen: Mask) -> FloatArray:
    """Return how many times its share of area each place holds of the map of some images."""
    total = maps.shares.total[chosen].sum()
    mass = maps.shares.mass[chosen].sum(axis=0)
    return np.asarray(mass / (total if total > 0 else np.nan) / maps.shares.areas)


def make_finding(
    measured: MeasuredMaps,
    maps: LabelMaps,
    chosen: Mask,
    column: int,
    p: float,
    settings: AuditSettings,
    group: Subgroup | None = None,
) -> Finding:
    """Return a finding on a place and some of a label's images, without files and words."""
    shares = maps.shares
    mass = sums_by_patient(np.where(chosen, shares.mass[:, column], 0), maps.owner, maps.patients)
    total = sums_by_patient(np.where(chosen, shares.total, 0), maps.owner, maps.patients)
    generator = np.random.default_rng([settings.seed, 3, column])
    weights = patient_weights(maps.patients, settings.bootstrap, generator)
    low, high = ratio_intervals(mass[:, None], total[:, None], weights)
    area = float(shares.areas[column])
    own = np.where(chosen & shares.has_mass, shares.by_image[:, column], -1)
    best = np.argsort(-own, kind="stable")[: min(_MOST_SHOWN, int((own >= 0).sum()))]
    rest = None if group is None else float(ratios_of(maps, group.known & ~group.inside)[column])
    return Finding(
        label=maps.label,
        kind="subgroup",
        where=name_of_place(measured, column),
        beyond=is_beyond(measured, column),
        pictured=list(measured.places)[column] in measured.pictured,
        covariate=None if group is None else group.column,
        value=None if group is None else group.value,
        query="" if group is None else group.query,
        effect=float(mass.sum() / total.sum()) / area,
        ci_low=float(low[0]) / area,
        ci_high=float(high[0]) / area,
        p=p,
        rest=rest,
        images=int(chosen.sum()),
        patients=len(np.unique(maps.owner[chosen])),
        same_columns=() if group is None else group.same_as,
        shown=tuple(ShownImage(int(shares.rows[at]), "", float(own[at])) for at in best),
    )


def is_beyond(measured: MeasuredMaps, column: int) -> bool:
    """Return whether a place lies where no picture is, mostly or as a whole."""
    name = list(measured.places)[column]
    if name in measured.regions or not measured.beyond:
        return name in measured.beyond
    outside = np.logical_or.reduce([measured.regions[each] for each in measured.beyond])
    return bool(outside[measured.tiles[name]].mean() >= 0.5)


def name_of_place(measured: MeasuredMaps, column: int) -> str:
    """Return the name of a place; a tile is told with the region, or the part of the frame."""
    name = list(measured.places)[column]
    if name in measured.regions:
        return name
    tile = measured.tiles[name]
    holding = [
        (mask.mean(), region)
        for region, mask in measured.regions.items()
        if mask[tile].mean() >= 0.5
    ]
    return f"{min(holding)[1] if holding else whereabouts(tile)} ({name})"


def without_other_sides(findings: Sequence[Finding]) -> list[Finding]:
    """Leave out what is only the other side of something beyond the picture.

    Where some images of a label are decided in a corner, the others hold more of all else.
    """
    told: dict[str, set[str]] = {}
    for each in findings:
        if each.beyond:
            told.setdefault(each.label, set()).update(_columns(each))
    return [
        each for each in findings if each.beyond or not _columns(each) & told.get(each.label, set())
    ]


def _columns(finding: Finding) -> set[str]:
    named = {finding.covariate} if finding.covariate is not None else set()
    return named | set(finding.same_columns)


def in_words(finding: Finding) -> str:
    """Return a finding as a sentence."""
    numbers = numbers_in_words(finding.effect, finding.ci_low, finding.ci_high, finding.p)
    holds = holds_in_words(finding.where)
    if finding.kind in ("outside-field", "region"):
        start = f"{finding.label}: {holds} {numbers}"
        seen = "little" if finding.pictured else "nothing"
        goes = f", and that goes with {finding.query}" if finding.query else ""
        return f"{start}, though {seen} is to be seen there{goes}{_also(finding)}."
    rest = "" if finding.rest is None else f", against {finding.rest:.1f} times in the others"
    if finding.kind == "cluster":
        return (
            f"{finding.label}: {finding.images} images form a cluster in which {holds} "
            f"{numbers}{rest}; it goes with {finding.query}{_also(finding)}."
        )
    return f"{finding.label}: where {finding.query}, {holds} {numbers}{rest}{_also(finding)}."


def _also(finding: Finding) -> str:
    parts = [f"{', '.join(finding.same_columns)} parts the images alike"] * bool(
        finding.same_columns
    )
    if finding.also:
        goes = "goes" if len(finding.also) == 1 else "go"
        parts.append(f"{' and '.join(finding.also)} {goes} with it, too")
    return f" ({'; '.join(parts)})" if parts else ""


def with_covariates(outside: Sequence[Finding], subgroups: Sequence[Finding]) -> list[Finding]:
    """Tell of each place beyond the picture which column goes with it, where one was found."""
    by_label = {each.label: each for each in subgroups if each.beyond}
    return [
        replace(
            each,
            covariate=known.covariate,
            value=known.value,
            query=known.query,
            also=known.also,
            same_columns=known.same_columns,
        )
        if (known := by_label.get(each.label)) is not None
        else each
        for each in outside
    ]
