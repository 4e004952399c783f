"""What the report says of questions asked of the stored maps: stability, subgroups, contrasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.report.chapter import (
    Chapter,
    ChapterTable,
    Damaged,
    entries,
    figure_text,
    interval_text,
    mapping_in,
    named_entries,
    p_text,
    share_text,
    texts,
)
from napari_globalxai.report.chapter_maps import contrast_maps, selection_maps, unusable_maps
from napari_globalxai.runs.folder import (
    CONTRASTS_FOLDER,
    OUTLIERS_FOLDER,
    SANITY_FOLDER,
    SELECTIONS_FOLDER,
    STABILITY_FOLDER,
)

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

_STABILITY = "stability.json"
_RELIABILITY = (
    "Reliability is Spearman’s correlation between the maps of random halves of the patients, "
    "brought to all patients by Spearman and Brown; in brackets, what holds 95 % of the splits."
)
# Selections that hang on the threshold.
_BY_PREDICTION = (
    *("true positives", "false positives", "false negatives", "true negatives"),
    "predicted positives",
)


def stability_chapter(folder: Path) -> Chapter:
    """Return whether other patients would have given the same maps, those of selections too."""
    title = "Stability: would other patients give the same maps?"
    own = mapping_in(folder / STABILITY_FOLDER / _STABILITY)
    found = [] if own is None else [("", own)]
    found += [
        (path.parent.parent.name, record)
        for path, record in _each(folder / SELECTIONS_FOLDER, f"{STABILITY_FOLDER}/{_STABILITY}")
    ]
    if not found:
        text = "The stability of the maps was not looked at."
        return Chapter("stability", title, [text], is_answered=False)
    warnings, tables = [], []
    for name, record in found:
        of = f"{name}: " if name else ""
        if isinstance(record, Damaged):
            warnings.append(f"{of}{record.sentence}")
            continue
        labels = named_entries(record.get("labels"))
        warnings += [
            f"{of}{label}: {each['warning']}."
            for label, each in labels.items()
            if each.get("warning")
        ]
        tables.append(_stability_table(labels, f"Selection {name}" if name else ""))
    return Chapter(
        "stability",
        title,
        [_RELIABILITY] if tables else [],
        warnings=warnings,
        tables=tables,
        figures=["stability"] if isinstance(own, Mapping) else [],
    )


def _stability_table(labels: Mapping[str, Mapping[str, Any]], title: str) -> ChapterTable:
    rows = [
        [
            name,
            figure_text(each.get("n")),
            figure_text(each.get("n_patients")),
            interval_text(each.get("reliability"), each.get("ci_low"), each.get("ci_high")),
            "yes" if each.get("has_settled") is True else "no",
            figure_text(each.get("settles_at")),
        ]
        for name, each in labels.items()
    ]
    columns = ["Map", "Images", "Patients", "Reliability", "Settled", "Settles at, patients"]
    return ChapterTable(columns, rows, title)


def selections_chapter(run: Run) -> Chapter | None:
    """Return the maps of subgroups; None where there are none."""
    rows, warnings, figures = [], [], []
    for path, record in _each(run.folder / SELECTIONS_FOLDER, "selection.json"):
        if isinstance(record, Damaged):
            warnings.append(f"{path.parent.name}: {record.sentence}")
            continue
        name = str(record.get("name"))
        figures.append(f"selection_{path.parent.name}")
        lost = unusable_maps(selection_maps(path.parent, record).values(), run)
        warnings += [f"{name}: {each}" for each in (*texts(record.get("warnings")), *lost)]
        for label, each in named_entries(record.get("labels")).items():
            counts = [figure_text(each.get(key)) for key in ("n", "n_patients", "n_constant")]
            rows.append([name, selected_images(record), label, *counts])
    if not rows and not warnings:
        return None
    columns = ["Selection", "Which images", "Label", "Images", "Patients", "Constant maps"]
    return Chapter(
        "selections",
        "Maps of subgroups",
        warnings=warnings,
        tables=[ChapterTable(columns, rows)] if rows else [],
        figures=figures,
    )


def selected_images(record: Mapping[str, Any]) -> str:
    """Return in words which images a selection's maps are made of."""
    settings = record.get("settings")
    chosen = settings if isinstance(settings, dict) else {}
    kind = str(chosen.get("selection", "")).replace("-", " ")
    if kind in _BY_PREDICTION:
        kind += f" from a probability of {figure_text(chosen.get('threshold'), 2)}"
    where = record.get("where")
    said = ([kind] if kind else []) + ([f"where {where}"] if where else [])
    return ", ".join(said) or "all images"


def contrasts_chapter(run: Run) -> Chapter | None:
    """Return where the maps of two sides differ; None where none were compared."""
    tables, warnings, figures = [], [], []
    for path, record in _each(run.folder / CONTRASTS_FOLDER, "contrast.json"):
        if isinstance(record, Damaged):
            warnings.append(f"{path.parent.name}: {record.sentence}")
            continue
        lost = unusable_maps(chain(*contrast_maps(path.parent, record).values()), run)
        warnings += [
            f"{path.parent.name}: {each}" for each in (*texts(record.get("warnings")), *lost)
        ]
        figures.append(f"contrast_{path.parent.name}")
        tables.append(_contrast_table(path.parent.name, record))
    if not tables and not warnings:
        return None
    return Chapter(
        "contrasts",
        "Contrasts: where the maps of two sides differ",
        ["Patients are exchanged, not images; p is corrected for all places of a map."],
        warnings=warnings,
        tables=tables,
        figures=figures,
    )


def _contrast_table(name: str, record: Mapping[str, Any]) -> ChapterTable:
    rows = [
        [
            label,
            f"{figure_text(each.get('n_a'))} of {figure_text(each.get('patients_a'))}",
            f"{figure_text(each.get('n_b'))} of {figure_text(each.get('patients_b'))}",
            p_text(each.get("min_p")),
            share_text(each.get("significant_share")),
        ]
        for label, each in named_entries(record.get("labels")).items()
    ]
    sides = " against ".join(contrast_side(record, each) for each in "ab")
    columns = ["Label", "Images of patients, A", "B", "Least p", "Share of the frame, p ≤ 0.05"]
    return ChapterTable(columns, rows, f"{name}: {sides}")


def contrast_side(record: Mapping[str, Any], side: str) -> str:
    """Return in words whose maps a side of a contrast is made of."""
    label, where = record.get(f"label_{side}"), record.get(f"where_{side}")
    said = [f"maps of {label}"] * bool(label) + [f"where {where}" if label else str(where)] * bool(
        where
    )
    return ", ".join(said) or "all images"


def sanity_chapter(folder: Path) -> Chapter | None:
    """Return whether the maps come from the model; None where that was not looked at."""
    found = mapping_in(folder / SANITY_FOLDER / "sanity.json")
    if found is None:
        return None
    title = "Sanity: do the maps come from the model?"
    if isinstance(found, Damaged):
        return Chapter("sanity", title, warnings=[found.sentence])
    rows = []
    for label, each in named_entries(found).items():
        seeds = len(texts(each.get("spearman")))
        verdict, reason = figure_text(each.get("verdict")), figure_text(each.get("reason"))
        rows.append([label, verdict, str(seeds), p_text(each.get("p")), reason])
    return Chapter(
        "sanity",
        title,
        [
            "The same maps, made by the model with random weights. A map that survives them shows "
            "the images or the method, not the model."
        ],
        tables=[ChapterTable(["Label", "Verdict", "Seeds", "p", "Why"], rows)],
    )


def outliers_chapter(folder: Path) -> Chapter | None:
    """Return which images were ranked as unlike their maps; None where none were."""
    found = mapping_in(folder / OUTLIERS_FOLDER / "outliers.json")
    if found is None:
        return None
    title = "Images ranked by how unlike the map they are"
    if isinstance(found, Damaged):
        return Chapter("ranked", title, warnings=[found.sentence])
    rows = []
    for label, each in named_entries(found.get("labels")).items():
        first = ", ".join(
            f"{figure_text(one.get('file'))} ({figure_text(one.get('similarity'), 2)})"
            for one in entries(each.get("outliers"))[:3]
        )
        counts = [figure_text(each.get(key)) for key in ("images", "constant")]
        rows.append([label, *counts, figure_text(each.get("median_similarity"), 2), first or "–"])
    return Chapter(
        "ranked",
        title,
        ["The whole tables, with the nearest other images, are in the folder outliers."],
        warnings=texts(found.get("warnings")),
        tables=[
            ChapterTable(
                ["Label", "Images", "Constant maps", "Median similarity", "Least alike"], rows
            )
        ],
    )


def _each(folder: Path, name: str) -> Iterator[tuple[Path, Mapping[str, Any] | Damaged]]:
    """Read the records of all folders in a folder, by name."""
    for path in sorted(each / name for each in folder.glob("*") if each.is_dir()):
        record = mapping_in(path)
        if record is not None:
            yield path, record
