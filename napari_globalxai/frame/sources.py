"""What an aligned image was made from, so that no image is aligned twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_globalxai.addresses import is_remote
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.images.image_file import split_page
from napari_globalxai.progress import Progress, ProgressCallback
from napari_globalxai.storage import hash_file, hash_value, is_regular

_THREADS = 4

FileState = tuple[int, int, int, int]
"""Inode, size, and times of change of a file and of its state, in nanoseconds: as long as these
are the same, so is the content, and the file need not be read again to know it."""


@dataclass(frozen=True)
class Source:
    """What one image is made from.

    Attributes
    ----------
    content : str
        SHA-256 of the file; empty where there is none or it cannot be read.
    state : tuple of int or None
        State of the file when `content` was read; None where there is no file.
    key : str
        Hash of everything that decides what the aligned image of a frame looks like: the file's
        content, its page, and what is known about the side. Not its name or folder, which may
        change.
    """

    content: str
    state: FileState | None
    key: str


class SourceFinder:
    """Tells what the images of a cohort are made from.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    """

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self._known: dict[FileState, str] = {}

    def learn(self, contents: Mapping[FileState, str]) -> None:
        """Take over contents by state that are known from earlier."""
        self._known.update(contents)

    def find_all(self, rows: Iterable[int], progress: ProgressCallback) -> None:
        """Read the files of rows whose content is not known yet, several at once."""
        unknown = [row for row in rows if self.known_key(row) is None]
        with ThreadPoolExecutor(_THREADS) as pool:
            for number, _ in enumerate(pool.map(self.find, unknown)):
                progress(Progress("Comparing files", number + 1, len(unknown)))

    def known_key(self, row: int) -> str | None:
        """Return the key of a row if its file need not be read for it, else None."""
        state = file_state(split_page(self.cohort.files[row])[0])
        if state is None:
            return self._source(row, "", None).key
        content = self._known.get(state)
        return None if content is None else self._source(row, content, state).key

    def find(self, row: int) -> Source:
        """Return the source of a row; the file is read unless its state is known."""
        file, _ = split_page(self.cohort.files[row])
        state = file_state(file)
        content = "" if state is None else self._known.get(state)
        if content is None:
            try:
                content = hash_file(file)
            except (OSError, InputError):
                # Nothing is known about it, and the aligner will say why it cannot be read.
                content = ""
            if content and state is not None:
                self._known[state] = content
        return self._source(row, content, state)

    def _source(self, row: int, content: str, state: FileState | None) -> Source:
        path = self.cohort.files[row]
        _, page = split_page(path)
        made_from: list[Any] = [
            content or state,
            page,
            path.suffix.lower(),
            self.cohort.laterality[row],
            self.cohort.laterality_source[row],
        ]
        return Source(content, state, hash_value(made_from)[:32])


def file_state(file: Path) -> FileState | None:
    """Return the state of a file, or None where there is none, or what is there is no file."""
    if not is_regular(file):
        return None
    if is_remote(file):
        return _state_of_object(file)
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _state_of_object(address: Any) -> FileState:
    """Return what a store tells of an object: what it calls its version, or when it was written."""
    told = address.fs.info(address.path)
    version = [str(told.get(name)) for name in ("ETag", "etag", "LastModified", "mtime", "created")]
    number = int(hash_value([str(address), version])[:15], 16)
    return number, int(told.get("size") or 0), 0, 0
