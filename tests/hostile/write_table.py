"""Write the table of hostile cases in the docs: what was tried, and what comes of it."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from hostile import images, models, onnx_files, runs, scripts, tables

CASES = (
    *scripts.CASES, *models.CASES, *onnx_files.CASES, *tables.CASES, *images.CASES, *runs.CASES,
)  # fmt: skip
PAGE = Path(__file__).parents[2] / "docs" / "hostile_files.md"
BEGIN, END = "<!-- cases: begin -->\n", "<!-- cases: end -->\n"


def verdict(says: str) -> str:
    """Return what comes of a case, in the words of its test."""
    return f"refused: “{says}”" if says else "does nothing: read or refused, in bounds"


def table() -> str:
    """Return the table, a part a format."""
    parts = [f"{len(CASES)} cases.\n"]
    for kind, cases in groupby(CASES, key=lambda case: case.format):
        parts.append(f"\n### {kind}\n\n| it tries | what comes of it |\n| --- | --- |\n")
        parts += [f"| {each.tries.replace('|', '¦')} | {verdict(each.says)} |\n" for each in cases]
    return "".join(parts)


def page() -> str:
    """Return the page with the table as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
