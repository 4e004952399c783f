"""A file that somebody made to do harm, and what is to come of it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One file, or folder, that is given to a command.

    Attributes
    ----------
    format : str
        What it is called.
    tries : str
        What it tries to do.
    make : callable
        Writes it into a folder, and returns the command. A file called ``sprung`` in the folder
        says that it has acted.
    says : str
        Part of the sentence that refuses it; empty where it is read and can do nothing.
    """

    format: str
    tries: str
    make: Callable[[Path], list[str]]
    says: str

    @property
    def name(self) -> str:
        """What the test is called."""
        return f"{self.format}: {self.tries}"


def sprung(folder: Path) -> Path:
    """Return the file that tells of a case that has acted."""
    return folder / "sprung"


def add_zeros(archive: Path, name: str) -> None:
    """Add an entry of 288 MiB that takes a quarter of one."""
    with (
        zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as whole,
        whole.open(name, "w") as stream,
    ):
        for _ in range(18):
            stream.write(bytes(16 << 20))
