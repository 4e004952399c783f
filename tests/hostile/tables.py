"""Tables of cohorts that were made to do harm."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hostile.case import Case, sprung
from PIL import Image

HEAD = "file,a,b\n"


def table(text: str | bytes, *, name: str = "cohort.csv") -> Callable[[Path], list[str]]:
    """A table beside one good image, `good.png`; PATH stands for the trap."""

    def make(folder: Path) -> list[str]:
        Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(folder / "good.png")
        content = text if isinstance(text, bytes) else text.encode()
        (folder / name).write_bytes(content.replace(b"PATH", str(sprung(folder)).encode()))
        return ["check", str(folder / name)]

    return make


def listed(path: str) -> Callable[[Path], list[str]]:
    """One good image, and one path that is none."""
    return table(f"{HEAD}good.png,1,0\ngood.png,0,1\n{path},1,1\n")


def pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "pipe.png")
    return listed("pipe.png")(folder)


def pipe_as_table(folder: Path) -> list[str]:
    os.mkfifo(folder / "cohort.csv")
    return ["check", str(folder / "cohort.csv")]


def link_as_table(folder: Path) -> list[str]:
    (folder / "cohort.csv").symlink_to("/dev/zero")
    return ["check", str(folder / "cohort.csv")]


CASES = [
    Case("Table", tries, make, says)
    for tries, make, says in (
        ("is a pipe", pipe_as_table, "is a pipe"),
        ("is a link to a device", link_as_table, "is a device"),
        ("names a pipe", pipe, "is a pipe"),
        ("names a device", listed("/dev/zero"), "is a device"),
        ("names a file of the kernel", listed("/proc/kmsg"), "belongs to the system"),
        ("names a file of the system", listed("/etc/passwd"), "problem"),
        ("names a file far above", listed("../" * 40 + "etc/passwd"), "problem"),
        ("names an address", listed("http://127.0.0.1:1/x.png"), "does not exist"),
        ("names a folder", listed("."), "problem"),
        ("names a file of 300 letters", listed("x" * 300 + ".png"), "problem"),
        ("names a file that steers the terminal", listed("\x1b]0;x\x07\x9b2J.png"), "\\x1b]0;x"),
        ("names a file that turns what follows", listed("x\u202egnp.exe"), "x\\u202egnp"),
        ("names a file in two lines", listed('"x\nnapari-globalxai: y.png"'), "x\\nnapari"),
        ("has a column that steers the terminal", table(
            "file,\x1b[2Ja,b\ngood.png,1,0\ngood.png,0,1\n"), "\\x1b[2Ja"),
        ("names a file with a null byte", listed("x\x00.png"), "cohort.csv"),
        ("holds formulas", listed('"=cmd|\'/C touch PATH\'!A0"'), "does not exist"),
        ("holds a formula for a column", table("file,a,=cmd|x\ngood.png,1,0\ngood.png,0,1\n"), ""),
        ("a header of 200 kB", table(f"file,{'a' * 200_000},b\ngood.png,1,0\n"), "cohort.csv"),
        ("a field of 200 kB", table(f'{HEAD}good.png,1,"{"0" * 200_000}"\n'), "cohort.csv"),
        ("12 000 columns of one name", table(
            "file" + ",a" * 12_000 + "\ngood.png" + ",1" * 12_000 + "\n"), "cohort.csv"),
        ("100 000 columns in one row", table(HEAD + "good.png" + ",1" * 100_000 + "\n"), "cohort"),
        ("an open quote over a megabyte", table(HEAD + '"' + "x\n" * 500_000), "cohort.csv"),
        ("null bytes", table(bytes(100_000)), "cohort.csv"),
        ("bytes of no text", table(bytes(range(256)) * 100), "cohort.csv"),
        ("nothing", table(""), "cohort.csv"),
        ("a header alone", table(HEAD), "cohort.csv"),
        ("half of UTF-16", table(b"\xff\xfef\x00i"), "cohort.csv"),
        ("a picture called a table", table(b"\x89PNG\r\n\x1a\n" + bytes(1000)), "cohort.csv"),
        ("labels of a thousand digits", table(f"{HEAD}good.png,{'9' * 1000},1\n"), "cohort.csv"),
    )
]  # fmt: skip
