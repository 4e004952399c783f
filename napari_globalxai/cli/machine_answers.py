"""What each command came to, for ``--json``: plain values, the files that it wrote among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.runs.folder import IMAGES_TABLE, PEPPR_FOLDER
from napari_globalxai.storage import read_json

if TYPE_CHECKING:
    import pandas as pd

    from napari_globalxai.runs.inputs.check import CheckResult
    from napari_globalxai.runs.run import Run


def of_run(run: Run) -> dict[str, Any]:
    """Return what `explain` came to."""
    return {
        "run": run.folder,
        "counts": run.record.counts.model_dump(),
        "warnings": run.record.warnings,
        "performance": [asdict(each) for each in run.performance],
        "maps": records(run.statistics),
        "failed": _failed(run.images),
    }


def of_demo(folder: Path) -> dict[str, Any]:
    """Return what `demo` came to."""
    from napari_globalxai.runs.run import open_run

    page = folder / "report.html"
    return {**of_run(open_run(folder)), "report": page if page.is_file() else None}


def of_alignment(folder: Path) -> dict[str, Any]:
    """Return what `align` came to."""
    from napari_globalxai.runs import tables
    from napari_globalxai.runs.record import AlignRecord, read_record_of

    record = read_record_of(folder, AlignRecord)
    return {
        "alignment": folder,
        "counts": record.counts.model_dump(),
        "warnings": record.warnings,
        "failed": _failed(tables.read_images(folder / IMAGES_TABLE)),
    }


def of_peppr(run: Path, name: str, files: str, out: Path | None = None) -> dict[str, Any]:
    """Return what `peppr` came to along one map, with the beginning of its files' names."""
    stem = (out or run) / PEPPR_FOLDER / files
    # Not with_suffix: a label may hold a dot.
    curves, verdicts = Path(f"{stem}.csv"), Path(f"{stem}.json")
    result = read_json(verdicts) if verdicts.is_file() else {}
    return {"run": run, "map": name, "files": [curves, verdicts], "result": result}


def of_check(found: CheckResult, problems: Sequence[str], out: Path | None) -> dict[str, Any]:
    """Return what `check` came to."""
    return {
        "facts": list(found.facts),
        "problems": list(problems),
        "performance": [asdict(each) for each in found.performance],
        "quality": None if out is None else out / "quality.html",
    }


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table by column, what is missing as None."""
    return [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in table.astype(object).to_dict("records")
    ]


def _failed(images: pd.DataFrame) -> list[dict[str, str]]:
    from napari_globalxai.runs import tables

    failed = images[images[tables.STATUS] == tables.FAILED]
    return [
        {"file": str(row[tables.FILE]), "error": str(row[tables.ERROR])}
        for row in failed.to_dict("records")
    ]
