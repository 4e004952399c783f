"""What tests of regions left in a run, read without the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_globalxai.addresses import place
from napari_globalxai.storage import read_json
from napari_globalxai.unusable import as_we_write

ERASE, KEEP = "erase", "keep"
ALONE = "alone"


@dataclass(frozen=True)
class RegionTest:
    """What one test of the regions of a file left.

    Attributes
    ----------
    rows : list of dict
        As the table has them.
    sentences : list of str
        What each region alone comes to, in their order.
    left_out : list of str
        Labels with one class only.
    settings : dict
        What was chosen, and what the rows rest on: the file among them.
    """

    rows: list[dict[str, Any]]
    sentences: list[str]
    left_out: list[str]
    settings: dict[str, Any]

    @property
    def file(self) -> str:
        """The file of the regions, however it was named."""
        file = str(self.settings.get("file", ""))
        return str(place(file).absolute()) if file else ""

    def name_of(self, region: str) -> str:
        """Return what a region is called: its file, and of several in a file, its own name."""
        stem = Path(self.file).stem
        if not stem:
            return region
        several = len({row["region"] for row in self.rows}) > 1
        return f"{stem}, {region}" if several else stem

    @property
    def by_row(self) -> list[tuple[dict[str, Any], str]]:
        """Each row with its sentence, in which regions are called as people know them."""
        sentences = iter(self.sentences)
        told = []
        for row in self.rows:
            region = str(row["region"])
            words = next(sentences, "") if row["ranked"] == ALONE else ""
            told.append((row, words.replace(region, self.name_of(region))))
        return told


def stored_tests(path: Path) -> list[RegionTest]:
    """Return the tests that a ``regions.json`` tells of, the oldest first.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    with as_we_write(path):
        told = read_json(path)
        if "regions" not in told:
            # A map may bear that name.
            return []
        rows, sentences = list(told["regions"]), list(told["sentences"])
        # Earlier versions kept the last test alone.
        one = {"rows": len(rows), "left_out": told["left_out"], "settings": told["settings"]}
        tests: list[RegionTest] = []
        for each in told.get("tests", [one]):
            own, rows = rows[: each["rows"]], rows[each["rows"] :]
            alone = sum(row["ranked"] == ALONE for row in own)
            tests.append(
                RegionTest(own, sentences[:alone], list(each["left_out"]), dict(each["settings"]))
            )
            sentences = sentences[alone:]
        return tests
