"""Tables of the report for what else PEPPR was asked, as plain texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_globalxai.faithfulness.stored_results import stored_results
from napari_globalxai.report.peppr_facts import with_interval
from napari_globalxai.report.region_facts import region_facts
from napari_globalxai.report.style import number, percent
from napari_globalxai.storage import read_json


@dataclass(frozen=True)
class MoreTable:
    """A table of the report.

    Attributes
    ----------
    anchor, title, text : str
        Its place in the page, its heading, and what it shows.
    rows : list of dict of str to str
        Cells by column, a row each; all have the same columns.
    notes : list of str
        What to keep in mind.
    """

    anchor: str
    title: str
    text: str
    rows: list[dict[str, str]]
    notes: list[str]


def more_tables(folder: Path) -> list[MoreTable]:
    """Return the tables for what lies in the folder of PEPPR's results, those that there are."""
    tables = [
        MoreTable(
            "regions",
            "Regions kept and erased",
            "What the model does without a region, and with nothing but it, in the whole frame; "
            "95 % intervals over patients.",
            region_facts(folder),
            [],
        ),
        _fills(folder),
        _compared(folder),
        *(_per_image(path) for path in sorted(folder.glob("*.per-image.json"))),
        *(_published(path) for path in sorted(folder.glob("*.paper.json"))),
    ]
    return [table for table in tables if table is not None and table.rows]


def _fills(folder: Path) -> MoreTable:
    rows, notes = [], []
    for stored in stored_results(folder):
        content = read_json(folder / f"{stored.stem}.json")
        for label, values in content["labels"].items():
            shift = values.get("fill_shift")
            if "verdict" not in values or not shift:
                continue
            rows.append(
                {
                    "Map": stored.map_name,
                    "Label": str(label),
                    "Fill": stored.fill,
                    "Verdict": str(values["verdict"]),
                    "Δ (95 % CI)": with_interval(values.get("delta"), values.get("delta_ci")),
                    "Shift of images without labels": percent(shift["in_gaps"]),
                    "of their features": _moved(shift.get("features", {})),
                    "AUC of blanks": number(shift["blank_auc"], 2),
                }
            )
        for label, agreement in content.get("fills", {}).items():
            notes.append(f"{stored.map_name}, {label}: {agreement['sentence']}.")
    return MoreTable(
        "fills",
        "What erased pixels showed",
        "The shift is how far the fill alone moves images without any label, with half of the area "
        "erased, as a share of the logit gap between images with and without the label: the less, "
        "the more of a curve is the model's doing. That of the features is the same of what goes "
        "into the model's last layer, as a share of the way to the images with the label.",
        rows,
        list(dict.fromkeys(notes)),
    )


def _moved(features: dict[str, Any]) -> str:
    return percent(features["in_gaps"]) if "in_gaps" in features else "not known"


def _compared(folder: Path) -> MoreTable | None:
    path = folder / "compared.json"
    content = read_json(path) if path.is_file() else {}
    pairs = content.get("pairs", [])
    return MoreTable(
        "compared",
        "Maps compared",
        "Δ of one map minus Δ of another, on the same images and resamples of patients; p is "
        "corrected by Holm over all rows. The figure peppr_comparison shows Δ of each.",
        [
            {
                "Label": str(pair["label"]),
                "Map": str(pair["a"]),
                "Against": str(pair["b"]),
                "Δ": number(pair["delta_a"]),
                "Δ, other": number(pair["delta_b"]),
                "Difference (95 % CI)": with_interval(
                    pair["difference"], [pair["ci_low"], pair["ci_high"]]
                ),
                "p, Holm": number(pair["p_holm"]),
            }
            for pair in pairs
        ],
        [f"Caution: {text}." for text in content.get("cautions", [])],
    )


def _per_image(path: Path) -> MoreTable | None:
    content = read_json(path)
    if "per_image" not in content:
        return None
    return MoreTable(
        path.stem.replace(".", "-"),
        f"Images one by one ({path.stem.removesuffix('.per-image')})",
        str(content["question"]),
        [
            {
                "Label": label,
                "Images": str(found["images"]),
                **{
                    name.capitalize(): _mean(found[name])
                    for name in ("insertion", "deletion", "delta")
                },
                "Δ above 0": percent(found["share_above_zero"]),
            }
            for label, found in content["per_image"].items()
        ],
        ["Cells: mean over images with its 95 % interval over patients; SD over images."],
    )


def _mean(found: dict[str, Any]) -> str:
    return f"{with_interval(found['mean'], found['mean_ci'])}; SD {number(found['sd'])}"


def _published(path: Path) -> MoreTable | None:
    content = read_json(path)
    if "protocol" not in content:
        return None
    return MoreTable(
        path.stem.replace(".", "-"),
        "PEPPR as published",
        "Along the overall map, as close to the publication as its public sources allow; nothing "
        "is judged.",
        [
            {
                "Label": label,
                "Intact AUC": number(found["intact_auc"]),
                "AUC, 10 % restored": number(found["restored_at_a_tenth"]),
                "AUC, 10 % erased": number(found["erased_at_a_tenth"]),
                "Δ (95 % CI)": with_interval(found["delta"], found["delta_ci"]),
            }
            for label, found in content["labels"].items()
        ],
        [str(line) for line in content["protocol"]["chosen"]],
    )
