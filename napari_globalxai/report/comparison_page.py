"""Compare two runs of the same images: the files, and the page that answers what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from napari_globalxai.addresses import place
from napari_globalxai.errors import InputError
from napari_globalxai.progress import JobProgress, ProgressCallback, ignore_progress
from napari_globalxai.report.page import ReportFigure, write_page
from napari_globalxai.report.style import (
    BODY,
    TITLE,
    bare,
    colour_scale,
    grey_background,
    name_text,
    new_figure,
    number,
    outline,
    overlay,
    peak,
    percent,
)
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.runs.questions.comparison import Comparison, LabelComparison, compare_runs
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.turns import made_aside
from napari_globalxai.runs.write_maps import write_tiff
from napari_globalxai.settings.compare_settings import CompareSettings
from napari_globalxai.storage import is_unused, write_json, write_table

COMPARISON_FILE = "comparison.json"
COMPARISON_PAGE = "comparison.html"
_LISTED = 100
_PANEL = 3.0


def compare(
    first: Run | str | Path,
    second: Run | str | Path,
    out: str | Path,
    settings: CompareSettings | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> Comparison:
    """Compare two runs of the same images, by two models or two methods.

    Parameters
    ----------
    first, second : Run, str or pathlib.Path
        The runs or their folders. All differences are the first minus the second.
    out : str or pathlib.Path
        Folder for ``comparison.json``, ``comparison.html``, ``changed.csv`` and
        ``<label>.difference.tif``.
    settings : CompareSettings, optional
        What is chosen.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`.
    **keywords
        Fields of `CompareSettings`, in place of those of `settings`.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        When the runs have no image, no label or not the same frame in common, or the folder holds
        something else.
    """
    chosen = CompareSettings.of(settings, keywords)
    one, other = (each if isinstance(each, Run) else open_run(each) for each in (first, second))
    folder = place(out)
    if not is_unused(folder) and not (folder / COMPARISON_FILE).is_file():
        raise InputError(f"{folder}: holds something else; choose another folder.")
    found = compare_runs(one, other, chosen, JobProgress(progress))
    with made_aside(folder, whole=False) as aside:
        for label, each in found.labels.items():
            if each.difference.size:
                write_tiff(aside / f"{file_stem(label)}.difference.tif", each.difference)
        write_table(aside / "changed.csv", found.changed)
        write_json(aside / COMPARISON_FILE, facts_of(found, chosen))
        _write_comparison_page(found, chosen, aside)
    return found


def facts_of(found: Comparison, settings: CompareSettings) -> dict[str, Any]:
    """Return what ``comparison.json`` holds."""
    return {
        "labels": {label: each.facts for label, each in found.labels.items()},
        "difference": "a minus b",
        "run_a": str(found.first.folder.resolve()),
        "run_b": str(found.second.folder.resolve()),
        "images": found.images,
        "changed": len(found.changed),
        "peppr": found.peppr,
        "warnings": list(found.remarks),
        "settings": settings.model_dump(),
    }


def _write_comparison_page(found: Comparison, settings: CompareSettings, folder: Path) -> None:
    write_page(
        folder / COMPARISON_PAGE,
        "comparison.html.j2",
        _comparison_figures(found),
        names=[_title(run) for run in (found.first, found.second)],
        images=found.images,
        remarks=found.remarks,
        answers=[_answer(label, each, found.peppr) for label, each in found.labels.items()],
        rows=[_row(label, each) for label, each in found.labels.items()],
        stems={label: f"comparison_{file_stem(label)}" for label in found.labels},
        changed=[_changed(row) for row in found.changed.head(_LISTED).to_dict("records")],
        unlisted=max(0, len(found.changed) - _LISTED),
        peppr=[_peppr_row(each) for each in found.peppr],
        settings=settings.model_dump(),
    )


def _title(run: Run) -> dict[str, str]:
    record = run.record
    return {
        "folder": run.folder.name,
        "model": record.model.card.name or Path(record.model.source or "").name,
        "method": record.settings.method,
        "sha256": record.model.sha256[:12],
    }


def _answer(label: str, each: LabelComparison, peppr: list[dict[str, Any]]) -> str:
    """Say in a sentence what has changed for a label."""
    facts = each.facts
    said = []
    if facts["auc_difference"] is not None:
        low, high = facts["ci_low"], facts["ci_high"]
        certain = "a difference" if low > 0 or high < 0 else "no difference that is certain"
        said.append(
            f"ROC AUC {number(facts['auc_a'])} against {number(facts['auc_b'])}, {certain} "
            f"({number(facts['auc_difference'])}, {number(low)} to {number(high)})"
        )
    if facts["moved_share"] is not None:
        said.append(
            f"{percent(facts['moved_share'])} of the map's mass lies elsewhere "
            f"(p = {number(facts['min_p'])})"
        )
    own = [row for row in peppr if row["label"] == label and row["map"] == label]
    said += [f"Δ of PEPPR along its own map {_in_words(row)}" for row in own[:1]]
    return f"{label}: {'; '.join(said) or 'nothing could be compared'}."


def _in_words(row: dict[str, Any]) -> str:
    """Say what two Δ come to."""
    certain = "a difference" if row["ci_low"] > 0 or row["ci_high"] < 0 else "no certain difference"
    return (
        f"{number(row['delta_a'])} against {number(row['delta_b'])}, {certain} ({_difference(row)})"
    )


def _difference(row: dict[str, Any]) -> str:
    return f"{number(row['difference'])}, {number(row['ci_low'])} to {number(row['ci_high'])}"


def _peppr_row(row: dict[str, Any]) -> dict[str, str]:
    return {
        **{name: str(row[name]) for name in ("map", "label", "fill", "images", "patients")},
        "delta_a": number(row["delta_a"]),
        "delta_b": number(row["delta_b"]),
        "difference": _difference(row).replace(", ", " (") + ")",
    }


def _row(label: str, each: LabelComparison) -> dict[str, str]:
    facts = each.facts
    interval = f"{number(facts['ci_low'])} to {number(facts['ci_high'])}"
    places = [facts.get(name) for name in ("more_in_a_at", "more_in_b_at")]
    return {
        "label": label,
        "n": f"{facts['n']} of {facts['patients']} patients",
        "auc": f"{number(facts['auc_a'])}, {number(facts['auc_b'])}",
        "difference": f"{number(facts['auc_difference'])} ({interval})",
        "spearman": number(facts.get("spearman"), 2),
        "moved": percent(facts["moved_share"]),
        "p": number(facts["min_p"]),
        "places": "; ".join(", ".join(map(str, each)) for each in places if each is not None),
    }


def _changed(row: dict[Any, Any]) -> dict[str, str]:
    truth = row["truth"]
    return {
        "label": str(row["label"]),
        "file": str(row["file"]),
        "patient": str(row["patient"]),
        "truth": "unknown" if truth != truth else ("yes" if truth == 1 else "no"),
        "a": number(row["probability_a"], 2),
        "b": number(row["probability_b"], 2),
    }


def _comparison_figures(found: Comparison) -> Iterator[ReportFigure]:
    run = found.first
    background = grey_background(run.stack.mean_image(run.finished_rows))
    for label, each in found.labels.items():
        if each.difference.ndim == 2 and each.difference.size:
            yield ReportFigure(
                f"comparison_{file_stem(label)}",
                f"{label}: the map of run A, of run B, and A minus B; 1 is what an even map would "
                "have, where maps are scaled to one mass.",
                _panels(found, each, background),
            )


def _panels(found: Comparison, each: LabelComparison, background: Any) -> Figure:
    height, width = each.difference.shape
    figure = new_figure(_PANEL * height / width + 1.0)
    axes = figure.subplots(1, 3)
    for panel, title, image, signed in zip(
        axes,
        ("A", "B", "A minus B"),
        (each.first, each.second, each.difference),
        (each.first.min() < 0, each.second.min() < 0, True),
        strict=True,
    ):
        top = peak(image) or 1.0
        panel.imshow(overlay(background, image / top, bool(signed)), interpolation="nearest")
        panel.set_title(name_text(title), fontsize=TITLE)
        outline(panel, found.first.valid)
        bare(panel)
        bar = figure.colorbar(
            colour_scale(bool(signed), top),
            ax=panel,
            orientation="horizontal",
            shrink=0.8,
            use_gridspec=False,
        )
        bar.ax.tick_params(labelsize=BODY)
    return figure
