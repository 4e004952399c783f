"""What the report says of an audit: findings first, then places, then strategies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.audit.findings import place_title
from napari_globalxai.audit.strategy_files import AUDIT_FOLDER, CLUSTERS_TABLE
from napari_globalxai.report.chapter import (
    Chapter,
    ChapterTable,
    Damaged,
    entries,
    figure_text,
    interval_text,
    mapping_in,
    p_text,
    share_text,
    table_in,
    texts,
)
from napari_globalxai.report.chapter_maps import strategy_maps, unusable_maps
from napari_globalxai.runs.folder import REGIONS_FOLDER

if TYPE_CHECKING:
    import pandas as pd

    from napari_globalxai.runs.run import Run

_FINDINGS = "Findings"
_MOST_ROWS = 20
_NOT_RUN = "The audit was not run, so that nothing here says whether a shortcut is behind the maps."
_NOT_RUN_BUT_DRAWN = (
    "The audit was not run, so that nobody searched for a shortcut behind the maps. What was drawn "
    "and measured by hand is told under “Regions that were drawn”."
)


def findings_chapter(folder: Path) -> Chapter:
    """Return what the audit found, in words, the surest first."""
    audit = mapping_in(folder / AUDIT_FOLDER / "audit.json")
    if audit is None:
        drawn = any((folder / REGIONS_FOLDER).glob("*.json"))
        words = _NOT_RUN_BUT_DRAWN if drawn else _NOT_RUN
        return Chapter("findings", _FINDINGS, [words], is_answered=False)
    if isinstance(audit, Damaged):
        return Chapter("findings", _FINDINGS, warnings=[audit.sentence])
    found = entries(audit.get("findings"))
    if not found:
        quiet = "The audit found nothing that needs a look."
        return Chapter("findings", _FINDINGS, [quiet], warnings=texts(audit.get("remarks")))
    return Chapter(
        "findings",
        _FINDINGS,
        [
            f"{len(found)} finding{'' if len(found) == 1 else 's'}, the surest first. A finding is "
            "a place to look at, and no proof of a fault."
        ],
        points=[str(each.get("sentence", "")) for each in found],
        warnings=texts(audit.get("remarks")),
        tables=[_findings_table(found)],
        figures=["findings"],
    )


def _findings_table(found: list[Mapping[str, Any]]) -> ChapterTable:
    return ChapterTable(
        [
            "Label",
            "Kind",
            "Where",
            "Goes with",
            "Times its area",
            "p, corrected",
            "Images that show it",
        ],
        [
            [
                figure_text(each.get("label")),
                figure_text(each.get("kind")),
                place_title(figure_text(each.get("where"))),
                _goes_with(each),
                interval_text(each.get("effect"), each.get("ci_low"), each.get("ci_high"), 1),
                p_text(each.get("p")),
                ", ".join(
                    figure_text(image.get("file")) for image in entries(each.get("shown"))[:3]
                ),
            ]
            for each in found
        ],
    )


def _goes_with(finding: Mapping[str, Any]) -> str:
    covariate = finding.get("covariate")
    if covariate is None:
        return "–"
    return f"{covariate} = {figure_text(finding.get('value'))}"


def audit_chapter(folder: Path) -> Chapter | None:
    """Return where the maps' mass lies, region by region; None where no audit was run."""
    path = folder / AUDIT_FOLDER / "regions.csv"
    needed = ("label", "region", "subgroup", "share", "area_share", "ratio", "ci_low", "ci_high")
    table = table_in(path, needed)
    if table is None:
        return None
    title = "Audit: where the maps lie"
    if isinstance(table, Damaged):
        return Chapter("audit", title, warnings=[table.sentence])
    duplicates = table_in(
        folder / AUDIT_FOLDER / "near_duplicates.csv", ("file", "other_file", "correlation")
    )
    everybody = table[table["subgroup"].astype(str) == "all"]
    strongest = everybody.sort_values("ratio", ascending=False).head(_MOST_ROWS)
    erased = "auc_erased" in table and table["auc_erased"].notna().any()
    columns = ["Label", "Region", "Share of the map", "Share of the frame", "Ratio"]
    columns += ["AUC, intact", "AUC, erased", "Change of logit"] if erased else []
    rows = [
        [
            str(row["label"]),
            place_title(str(row["region"])),
            share_text(row["share"]),
            share_text(row["area_share"]),
            interval_text(row["ratio"], row["ci_low"], row["ci_high"]),
            *(
                [figure_text(row[name]) for name in ("auc_intact", "auc_erased", "logit_change")]
                if erased
                else []
            ),
        ]
        for row in strongest.to_dict("records")
    ]
    return Chapter(
        "audit",
        title,
        [
            "How many times its share of the frame a region holds of a map's mass, over all images "
            "that make the map, with 95 % intervals over patients; the highest ratios first. "
            f"Subgroups and the rest of {len(table)} rows are in audit/regions.csv."
        ],
        warnings=[duplicates.sentence] if isinstance(duplicates, Damaged) else [],
        tables=[ChapterTable(columns, rows), *_duplicate_tables(duplicates)],
    )


def _duplicate_tables(table: pd.DataFrame | Damaged | None) -> list[ChapterTable]:
    if table is None or isinstance(table, Damaged) or len(table) == 0:
        return []
    rows = [
        [str(row["file"]), str(row["other_file"]), figure_text(row["correlation"])]
        for row in table.head(_MOST_ROWS).to_dict("records")
    ]
    title = f"Nearly the same images of different patients: {len(table)} pairs"
    return [ChapterTable(["Image", "Other image", "Correlation"], rows, title)]


def clusters_in(folder: Path) -> pd.DataFrame | Damaged | None:
    """Read which images an audit put into which group; None where it looked for none."""
    path = folder / CLUSTERS_TABLE
    table = table_in(path, ("label",), ("row", "cluster"))
    if table is None or isinstance(table, Damaged) or not len(table):
        return table
    return table if table["cluster"].dtype.kind in "iu" else Damaged(path)


def strategies_chapter(run: Run) -> Chapter | None:
    """Return the groups of images that were decided alike; None where none were looked for."""
    folder = run.folder / AUDIT_FOLDER
    table = clusters_in(folder)
    if table is None:
        return None
    title = "Strategies: images that are decided alike"
    if isinstance(table, Damaged):
        return Chapter("strategies", title, warnings=[table.sentence])
    counts = table.groupby(["label", "cluster"], sort=False).size().reset_index(name="images")
    rows = [
        [str(row[name]) for name in ("label", "cluster", "images")]
        for row in counts.to_dict("records")
    ]
    names = [row[0] for row in rows]
    parted = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    said = (
        f"The maps of {', '.join(parted)} fall into more than one group."
        if parted
        else "The maps of no label fall into more than one group."
    )
    return Chapter(
        "strategies",
        title,
        [said],
        warnings=unusable_maps(strategy_maps(folder, table, run).values(), run),
        tables=[ChapterTable(["Label", "Group", "Images"], rows)],
        figures=["strategies"],
    )
