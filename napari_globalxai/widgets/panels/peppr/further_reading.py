"""Reads what else a run's ``peppr/`` holds: maps compared, regions, as published, image by image.

No Qt here: it is read in a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.faithfulness.stored_results import DEFAULT_FILL
from napari_globalxai.runs.folder import PEPPR_FOLDER
from napari_globalxai.runs.turns import reading
from napari_globalxai.storage import read_json, read_table
from napari_globalxai.widgets.words.table_words import NOTHING, number, probability

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

MAP, REGION, PUBLISHED = "map", "region", "published"


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes
    ----------
    cells : tuple of str
        What stands in it.
    words : str
        What it comes to, in sentences; empty without.
    shows : tuple of str
        What a click on it shows: `MAP` and its name, `REGION` with its file and its name in it, or
        `PUBLISHED` with the name of its files; empty without.
    """

    cells: tuple[str, ...]
    words: str = ""
    shows: tuple[str, ...] = ()


Lines = list[Line]


def read_further(run: Run) -> tuple[dict[str, Lines], list[str]]:
    """Read what a run holds besides results of single maps, by part; and damaged files."""
    folder, damaged = run.folder / PEPPR_FOLDER, []
    found: dict[str, Lines] = {}
    with reading(run.folder):
        for part, (pattern, read) in _PARTS.items():
            found[part] = []
            for path in sorted(folder.glob(pattern)):
                try:
                    found[part] += read(path)
                except (OSError, ValueError, KeyError, TypeError):
                    damaged.append(path.name)
    return found, damaged


def _maps(path: Path) -> Lines:
    told = read_json(path)
    fill, runs = str(told["settings"]["fill"]), told["settings"].get("runs", {})
    beside = f" Runs: {', '.join(runs)}." if len(runs) > 1 else ""
    cautions = "".join(f" Caution: {each}." for each in told.get("cautions", ()))
    words = f"All with the fill {fill}, on {told['settings']['images']} images.{beside}{cautions}"
    return [
        Line(
            (
                str(each["name"]),
                str(each["label"]),
                _difference(each["delta"]),
                _interval(each["ci_low"], each["ci_high"]),
                f"{100 * float(each['mass_outside']):.0f} %",
            ),
            words,
            (MAP, map_of(str(each["name"]), runs)),
        )
        for each in told["maps"]
    ]


def _pairs(path: Path) -> Lines:
    rows = read_table(path).to_dict("records")
    record = path.with_suffix(".json")
    told = read_json(record) if record.is_file() else {}
    sentences = list(told.get("sentences", ()))
    words = sentences if len(sentences) == len(rows) else [""] * len(rows)
    runs = told.get("settings", {}).get("runs", {})
    return [
        Line(
            (
                str(row["label"]),
                f"{row['a']} − {row['b']}",
                _difference(row["difference"]),
                _interval(row["ci_low"], row["ci_high"]),
                probability(row["p_holm"]),
            ),
            _sentence(sentence),
            (MAP, map_of(str(row["a"]), runs)),
        )
        for row, sentence in zip(rows, words, strict=True)
    ]


def map_of(name: str, runs: Mapping[str, Any]) -> str:
    """Return the map's own name, of this run; empty where it is that of another run.

    Of several runs, that of the run stands before it, and this run's comes first.
    """
    place, colon, own = name.partition(":")
    if not colon or place not in runs or len(runs) == 1:
        return name
    return own if place == next(iter(runs)) else ""


def _regions(path: Path) -> Lines:
    from napari_globalxai.faithfulness.questions.stored_regions import ALONE, ERASE, stored_tests

    lines = []
    for test in stored_tests(path):
        fill, file = str(test.settings["fill"]), str(test.settings["file"])
        alone = [(row, words) for row, words in test.by_row if row["ranked"] == ALONE]
        said = {(row["label"], row["region"], row["arm"]): words for row, words in alone}
        for row, words in alone:
            if row["arm"] != ERASE:
                continue
            region = str(row["region"])
            kept = said.get((row["label"], region, "keep"), "")
            lines.append(
                Line(
                    (
                        str(row["label"]),
                        _with_fill(test.name_of(region), fill),
                        number(row["ratio"], 1),
                        _difference(row["auc_change"]),
                        _interval(row["auc_ci_low"], row["auc_ci_high"]),
                    ),
                    f"{_sentence(words)} {_sentence(kept)}".strip(),
                    (REGION, file, region),
                )
            )
    return lines


def _published(path: Path) -> Lines:
    from napari_globalxai.faithfulness.questions.paper_protocol import published_sentence

    told = read_json(path)
    fill = str(told["settings"]["fill"])
    return [
        Line(
            (
                _with_fill(str(label), fill),
                number(each["intact_auc"]),
                number(each["restored_at_a_tenth"]),
                number(each["erased_at_a_tenth"]),
                number(each["delta"]),
            ),
            _sentence(published_sentence(label, each)),
            (PUBLISHED, path.name.removesuffix(".json")),
        )
        for label, each in told["labels"].items()
    ]


def _images(path: Path) -> Lines:
    name = path.name.removesuffix(".per-image.json")
    return [
        Line(
            (
                name,
                label,
                str(found["images"]),
                number(found["delta"]["mean"]),
                _interval(*found["delta"]["mean_ci"]),
                f"{100 * found['share_above_zero']:.0f} %",
            )
        )
        for label, found in read_json(path)["per_image"].items()
    ]


_PARTS: dict[str, tuple[str, Callable[[Path], Lines]]] = {
    "maps": ("compared.json", _maps),
    "pairs": ("compared.csv", _pairs),
    "regions": ("regions*.json", _regions),
    "published": ("*.paper.json", _published),
    "images": ("*.per-image.json", _images),
}


def _with_fill(name: str, fill: str) -> str:
    return name if fill == DEFAULT_FILL else f"{name}, {fill}"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _difference(value: Any) -> str:
    # Minus nothing is nothing.
    return NOTHING if value is None else number(round(float(value), 2) + 0.0)


def _interval(low: Any, high: Any) -> str:
    ends = [_difference(low), _difference(high)]
    return NOTHING if NOTHING in ends else " to ".join(ends)
