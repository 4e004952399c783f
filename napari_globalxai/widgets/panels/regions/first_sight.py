"""What stands out in the maps of a run before anybody has audited it: places beyond the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.audit.findings import holds_in_words
from napari_globalxai.runs.tables import similarity_column
from napari_globalxai.widgets.panels.regions.findings_view import (
    ShownFinding,
    has_audit,
    read_findings,
)
from napari_globalxai.widgets.words.table_words import share_in_percent

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

# Of a place: what it holds at least of a map, and how many times its share of the area.
_LEAST_SHARE, _LEAST_TIMES = 0.05, 2.0


def known_findings(run: Run) -> list[ShownFinding]:
    """Return what an audit found, or what stands out where none was made. To be called in a worker.

    Raises
    ------
    InputError
        When the file of the audit is damaged.
    """
    return read_findings(run) if has_audit(run) else first_sight(run)


def first_sight(run: Run) -> list[ShownFinding]:
    """Return the place that stands out most in each label's map, the strongest first.

    Corners of the frame and what lies outside of the field of view: a model that looks there may
    look at a mark. The maps alone are read, so nothing is said of chance.
    """
    from napari_globalxai.audit.places import OUTSIDE, corners

    places = {**corners(run.valid.shape), OUTSIDE: ~run.valid}
    found = [
        finding
        for label in run.labels
        if label in run.maps
        for finding in _strongest(run, label, places)
    ]
    return sorted(found, key=lambda each: -float(each.facts["effect"]))


def _strongest(
    run: Run, label: str, places: dict[str, npt.NDArray[np.bool_]]
) -> list[ShownFinding]:
    mass = np.abs(np.nan_to_num(run.maps[label].astype(np.float64)))
    total = float(mass.sum())
    shares = {
        name: (float(mass[place].sum()) / total, float(place.mean()))
        for name, place in places.items()
        if total > 0 and place.any()
    }
    outstanding = {
        name: share / area
        for name, (share, area) in shares.items()
        if share >= _LEAST_SHARE and share / area >= _LEAST_TIMES
    }
    if not outstanding:
        return []
    where = max(outstanding, key=lambda name: outstanding[name])
    share, area = shares[where]
    facts = {
        "label": label,
        "where": where,
        "effect": outstanding[where],
        "sentence": f"{label}: {holds_in_words(where)} {share_in_percent(share)} of the map on "
        f"{share_in_percent(area)} of the area. “Audit” in “Regions” tells whether that may be "
        "chance.",
        "shown": _most_alike(run, label),
    }
    return [ShownFinding(facts, places[where])]


def _most_alike(run: Run, label: str) -> list[dict[str, int]]:
    """Return the image that is most like the map."""
    # A table that somebody has tidied up may lack it.
    if similarity_column(label) not in run.images:
        return []
    alike = run.images[similarity_column(label)].to_numpy(dtype=float)[run.members(label)]
    if not np.isfinite(alike).any():
        return []
    return [{"row": int(run.members(label)[np.nanargmax(alike)])}]
