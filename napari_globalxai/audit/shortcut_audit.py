"""The audit of a run: shortcuts that its maps betray, without the model and without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_globalxai.audit.findings import Finding, ShownImage, ranked
from napari_globalxai.audit.measured_maps import MeasuredMaps, measure_maps
from napari_globalxai.audit.places import Places, find_places, refuse_other_axes
from napari_globalxai.audit.region_table import region_table, with_effects
from napari_globalxai.audit.searches import (
    between_subgroups,
    beyond_the_picture,
    in_words,
    with_covariates,
    without_other_sides,
)
from napari_globalxai.audit.strategies import Strategies, between_clusters, find_strategies
from napari_globalxai.audit.strategy_files import (
    AUDIT_FOLDER,
    cluster_table,
    map_file,
    write_strategies,
)
from napari_globalxai.errors import InputError
from napari_globalxai.plain_text import numeral
from napari_globalxai.progress import JobProgress, ignore_progress
from napari_globalxai.runs import tables
from napari_globalxai.runs.folder import STACK_FOLDER
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.turns import made_aside
from napari_globalxai.settings.audit_settings import AuditSettings
from napari_globalxai.storage import write_json, write_table

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.questions.region_erasure import RegionEffect
    from napari_globalxai.progress import ProgressCallback

AUDIT_FILE = "audit.json"
REGIONS_TABLE = "regions.csv"
DUPLICATES_TABLE = "near_duplicates.csv"
_EFFORTS = {"Measuring maps": 4.0, "Clustering maps": 3.0, "Comparing images": 2.0}


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes
    ----------
    folder : pathlib.Path
        Where it was written.
    findings : tuple of Finding
        The surest first; none where there is nothing to look at.
    regions : pandas.DataFrame
        Content of ``regions.csv``.
    clusters : pandas.DataFrame
        Content of ``clusters.csv``.
    near_duplicates : pandas.DataFrame
        Pairs of images of different patients that are nearly the same.
    remarks : tuple of str
        What could not be done, a sentence each.
    """

    folder: Path
    findings: tuple[Finding, ...]
    regions: pd.DataFrame
    clusters: pd.DataFrame
    near_duplicates: pd.DataFrame
    remarks: tuple[str, ...]


def audit(
    run: Run | str | Path,
    settings: AuditSettings | None = None,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    trust: bool = False,
    batch_size: int | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> Audit:
    """Search a run for shortcuts, and keep what was found in its folder ``audit``.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    settings : AuditSettings, optional
        What is chosen.
    model, device, trust, batch_size : optional
        As for `peppr`; the model is needed only to erase regions, and left out where it is gone.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`.
    **keywords
        Fields of `AuditSettings`, in place of those of `settings`.

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        When the regions, a column or the model that was asked for cannot be used.
    """
    chosen = AuditSettings.of(settings, keywords)
    run = run if isinstance(run, Run) else open_run(run)
    refuse_other_axes(run)
    told = JobProgress(progress, _EFFORTS)
    places = find_places(run, chosen.regions)
    measured = measure_maps(run, places, chosen, told)
    regions = region_table(measured, chosen.fewest_patients, chosen.bootstrap, chosen.seed, told)
    strategies = find_strategies(measured, chosen, told)
    findings = _find(run, measured, strategies, chosen, told)
    folder, clusters = run.folder / AUDIT_FOLDER, cluster_table(strategies)
    duplicates, remarks = _duplicates(run, chosen, told)
    result = Audit(folder, findings, regions, clusters, duplicates, (*places.remarks, *remarks))
    _write(result, run, measured, strategies, chosen)
    effects, why = _erase(
        run, result, places, chosen, told, model=model, device=device, trust=trust,
        batch_size=batch_size,
    )  # fmt: skip
    if effects or why:
        result = replace(
            result,
            findings=tuple(_with_effect(each, effects) for each in result.findings),
            regions=with_effects(regions, effects),
            remarks=(*result.remarks, *why),
        )
        _write(result, run, measured, strategies, chosen)
    return result


def _find(
    run: Run,
    measured: MeasuredMaps,
    strategies: Sequence[Strategies],
    settings: AuditSettings,
    progress: ProgressCallback,
) -> tuple[Finding, ...]:
    subgroups = between_subgroups(measured, settings, progress)
    outside = with_covariates(beyond_the_picture(measured, settings), subgroups)
    clusters = between_clusters(measured, strategies, settings, progress)
    files = run.images[tables.FILE]
    return ranked(
        [
            replace(
                each,
                sentence=in_words(each),
                shown=tuple(
                    ShownImage(image.row, str(files.iloc[image.row]), image.share)
                    for image in each.shown
                ),
            )
            for each in without_other_sides([*outside, *subgroups, *clusters])
        ]
    )


def _duplicates(
    run: Run, settings: AuditSettings, progress: ProgressCallback
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    from napari_globalxai.audit.near_duplicates import COLUMNS, near_duplicates

    nothing = pd.DataFrame(columns=list(COLUMNS))
    if not settings.duplicates:
        return nothing, ()
    if not (run.folder / STACK_FOLDER).is_dir():
        return nothing, ("the aligned images are gone, so no duplicates were looked for",)
    return near_duplicates(run, progress), ()


def _erase(
    run: Run,
    result: Audit,
    places: Places,
    settings: AuditSettings,
    progress: ProgressCallback,
    **computing: Any,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what erasing regions did, or why none was erased."""
    named = {name for each in result.findings for name in (each.where, *each.also_where)}
    wanted = {
        name: mask
        for name, mask in places.regions.items()
        if settings.erase == "all" or (settings.erase == "found" and name in named)
    }
    if not wanted:
        return {}, ()
    from napari_globalxai.audit.erasing import erase_regions

    try:
        return erase_regions(run, wanted, progress, **computing), ()
    except InputError as why:
        if settings.erase == "all" or computing["model"] is not None:
            raise
        return {}, (f"no region was erased: {why}",)
    except ImportError as why:
        return {}, (f"no region was erased, because the model cannot be run here ({why})",)


def _with_effect(finding: Finding, effects: Mapping[str, Mapping[str, RegionEffect]]) -> Finding:
    """Tell in a finding's sentence what erasing its region does to its label."""
    effect = effects.get(finding.where, {}).get(finding.label)
    if effect is None:
        return finding
    words = (
        f" Erasing it from all images takes ROC AUC from {effect.intact_auc:.3f} to "
        f"{effect.erased_auc:.3f} and changes the logit of images with the label by "
        f"{numeral(effect.logit_change, '+.2f')}."
    )
    return replace(finding, sentence=finding.sentence + words)


def _write(
    result: Audit,
    run: Run,
    measured: MeasuredMaps,
    strategies: Sequence[Strategies],
    settings: AuditSettings,
) -> None:
    with made_aside(run.folder, AUDIT_FOLDER) as aside:
        write_strategies(aside, run, strategies)
        _write_tables(aside, result, run, measured, strategies, settings)


def _write_tables(
    folder: Path,
    result: Audit,
    run: Run,
    measured: MeasuredMaps,
    strategies: Sequence[Strategies],
    settings: AuditSettings,
) -> None:
    """Write the tables, then the record of what was found and of all that was searched."""
    for name, table in (
        (REGIONS_TABLE, result.regions),
        (DUPLICATES_TABLE, result.near_duplicates),
    ):
        write_table(folder / name, table)
    groups = measured.subgroups
    write_json(
        folder / AUDIT_FILE,
        {
            "findings": [each.to_dict() for each in result.findings],
            "searched": {
                "labels": [maps.label for maps in measured.labels],
                "without_maps": [
                    label
                    for label in run.labels
                    if label not in [maps.label for maps in measured.labels]
                ],
                "without_mass": {
                    maps.label: int((~maps.shares.has_mass).sum()) for maps in measured.labels
                },
                "regions": {name: float(np.mean(mask)) for name, mask in measured.regions.items()},
                "beyond_the_picture": list(measured.beyond),
                "tiles": len(measured.tiles),
                "subgroups": [each.query for each in groups.groups],
                "same_as": {
                    each.query: list(each.same_as) for each in groups.groups if each.same_as
                },
                "columns_left_out": groups.left_out,
            },
            "strategies": {each.maps.label: each.to_dict(map_file) for each in strategies},
            "near_duplicates": len(result.near_duplicates),
            "remarks": list(result.remarks),
            "settings": settings.model_dump(mode="json"),
        },
    )
