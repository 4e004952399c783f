"""What the report says of regions that somebody drew, measured and kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_globalxai.report.chapter import (
    Chapter,
    ChapterTable,
    Damaged,
    figure_text,
    mapping_in,
    named_entries,
    share_text,
)
from napari_globalxai.report.style import DASH
from napari_globalxai.runs.folder import REGIONS_FOLDER

_COLUMNS = ["Region", "Label", "Share of the map", "Share of the frame", "Ratio"]
_ERASED = ["AUC, intact", "AUC, erased", "Change of logit"]


def drawn_chapter(folder: Path) -> Chapter | None:
    """Return what drawn regions hold of the maps; None where none was kept with its numbers.

    Parameters
    ----------
    folder : pathlib.Path
        Of the run.
    """
    rows: list[list[str]] = []
    warnings = []
    for path in sorted((folder / REGIONS_FOLDER).glob("*.json")):
        kept = mapping_in(path)
        if isinstance(kept, Damaged):
            warnings.append(kept.sentence)
        elif kept is not None:
            where = f", of images with {kept['where']}" if kept.get("where") else ""
            rows += _rows(f"{kept.get('name', path.stem)}{where}", kept)
    if not rows and not warnings:
        return None
    # Where nothing was erased, there is nothing to tell of it.
    shown = len(_COLUMNS) + (len(_ERASED) if any(row[-2] != DASH for row in rows) else 0)
    table = ChapterTable([*_COLUMNS, *_ERASED][:shown], [row[:shown] for row in rows])
    return Chapter(
        "drawn",
        "Regions that were drawn",
        [
            "How many times its share of the frame a region holds of a label's maps, and what the "
            "model does once the region is erased from all images. They were drawn by someone who "
            "had seen the maps."
        ],
        warnings=warnings,
        tables=[table] if rows else [],
    )


def _rows(name: str, kept: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            name,
            label,
            share_text(facts.get("share")),
            share_text(facts.get("area_share")),
            figure_text(facts.get("ratio"), 1),
            *(figure_text(facts.get(key)) for key in ("auc_intact", "auc_erased", "logit_change")),
        ]
        for label, facts in named_entries(kept.get("labels")).items()
    ]
