"""Files: what a path is, atomic writes, an append-only journal, content hashes."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_globalxai.addresses import is_remote, readable, remove_tree, upload
from napari_globalxai.csv_text import has_returns, marked, unmarked, with_texts
from napari_globalxai.errors import InputError, fault_of_the_system
from napari_globalxai.resaved_csv import options_of, with_points, without_empty
from napari_globalxai.unusable import damaged

if TYPE_CHECKING:
    import pandas as pd

_FOLDER = "is a folder"
_KINDS = {
    stat.S_IFDIR: _FOLDER,
    stat.S_IFIFO: "is a pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}
_BLOCK, _HEADER = 1 << 20, 1 << 16
# How folders begin in which a result is made before it is moved to its place.
ASIDE = ".making-"
# Of a name, letters that are kept in that of a temporary file: of up to four bytes, as emoji have.
_LONGEST_START = 48
# As `atomic_path` names what it has not finished.
_LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?")


def oddity(path: str | Path) -> str:
    """Return what keeps a path from being read as a file, such as ``is a pipe``; nothing if none.

    Links are followed, nothing is opened: opening a pipe waits for whoever writes to it, and
    reading a device may never end.
    """
    if not is_remote(path):
        return _oddity(path)
    address = Path(path) if isinstance(path, str) else path
    if address.is_file():
        return ""
    return _FOLDER if address.is_dir() else "does not exist"


def _oddity(path: str | Path) -> str:
    try:
        found = os.stat(path)  # noqa: PTH116 - thousands of files, given as text
    except (OSError, ValueError):
        return "does not exist"
    if not stat.S_ISREG(found.st_mode):
        return _KINDS.get(stat.S_IFMT(found.st_mode), "is no regular file")
    if found.st_dev in _devices_of_the_kernel():
        return "belongs to the system and is no file on a disk"
    return ""


def absence_of_file(path: str | Path) -> str:
    """Return the same for whoever looks for a file: where there is a folder, none exists."""
    found = oddity(path)
    return "does not exist" if found == _FOLDER else found


def is_regular(path: str | Path) -> bool:
    """Return whether a path, links followed, is a regular file: one that has an end."""
    return not oddity(path)


def check_regular(path: Path) -> None:
    """Raise `InputError` where a path is there but is no regular file."""
    why = oddity(path)
    # What is not there is said by whoever wants to open it.
    if why and path.exists():
        raise InputError(f"{path}: {why}; put a regular file in its place.")


def read_bytes(path: Path) -> bytes:
    """Read a regular file as it is: no more than it has when it is opened.

    Raises
    ------
    InputError
        When it is a pipe, a device or the like.
    """
    check_regular(path)
    if is_remote(path):
        return path.read_bytes()
    with path.open("rb") as stream:
        return stream.read(os.fstat(stream.fileno()).st_size)


@cache
def _devices_of_the_kernel() -> frozenset[int]:
    """Files in these are called regular, but reading them may wait, or change something."""
    return frozenset(
        place.stat().st_dev for place in (Path("/proc"), Path("/sys")) if place.is_mount()
    )


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well.

    A reader therefore sees the old file or the new one, never half of it, even where the power goes
    while it is written.
    """
    if is_remote(path):
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder, path.name)
            temporary.touch()
            yield temporary
            upload(temporary, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Cut, because it must not be too long where the file's own name just fits.
    start = f".{path.stem[:_LONGEST_START]}."
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=start, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        # Or the name could reach the disk before the content does.
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: Path, way_out: str) -> None:
    """Raise `InputError` where nothing can be written into a folder, which need not exist yet.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    way_out : str
        What to do then, in words.
    """
    if is_remote(folder):
        _check_store_takes(folder, way_out)
        return
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as why:
        reason = fault_of_the_system(why).removeprefix(f"{why.filename}: ") or f"{why.strerror}."
        raise InputError(f"{folder}: {reason.rstrip('.').partition(';')[0]}; {way_out}.") from why


def _check_store_takes(folder: Path, way_out: str) -> None:
    probe = folder / f".{uuid4().hex}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    # Each kind of store has errors of its own, and a library's beneath them.
    except Exception as why:
        reason = " ".join(str(why).split()).rstrip(".") or type(why).__name__
        raise InputError(f"{folder}: cannot be written to ({reason}); {way_out}.") from why


def is_unused(folder: Path, besides: str = "") -> bool:
    """Return whether a path is not there, or a folder with at most what a stopped write left.

    A file of the name `besides` does not count.
    """
    if not folder.exists():
        return True
    return folder.is_dir() and all(
        entry.name.startswith(ASIDE)
        or ((entry.name == besides or _LEFTOVER.fullmatch(entry.name)) and entry.is_file())
        for entry in folder.iterdir()
    )


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically. NaN becomes null, as JSON has no NaN."""
    with atomic_path(path) as temporary:
        temporary.write_text(json_text(value) + "\n")


def json_text(value: Any) -> str:
    """Return `value` as readable JSON. NaN becomes null, as JSON has no NaN."""
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(read_bytes(path).decode())


def read_table(path: Path, needed: Iterable[str] = (), **options: Any) -> pd.DataFrame:
    """Read a CSV file of a result folder; only empty fields are missing, "None" may be a label.

    What a spreadsheet program has saved again is read as well, as far as it can be told.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    needed : iterable of str, optional
        Columns without which it is not the table that we wrote.
    **options
        As for `pandas.read_csv`.

    Raises
    ------
    InputError
        When it is missing or damaged.
    """
    # Takes half a second to import, which `--help` need not wait for.
    import pandas as pd

    check_regular(path)
    try:
        with path.open("rb") as stream:
            resaved = options_of(stream.read(_HEADER))
        table: pd.DataFrame = pd.read_csv(
            readable(path), keep_default_na=False, na_values=[""], **options, **resaved
        )
    # What is not there, empty, cut, no text, or has other kinds of values.
    except (FileNotFoundError, ValueError, OverflowError) as why:
        raise damaged(path) from why
    table = with_texts(without_empty(table), unmarked)
    if resaved:
        table = with_points(table, options.get("dtype", {}).keys())
    if not set(needed) <= set(table.columns):
        raise damaged(path)
    return table


def write_table(path: Path, table: pd.DataFrame, *, index_label: str | None = None) -> None:
    """Write a table as CSV that no spreadsheet runs, atomically; all of ours are written here.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    table : pandas.DataFrame
        The table.
    index_label : str, optional
        Write the index as well, under this name.
    """
    with atomic_path(path) as temporary:
        with_texts(table, marked).to_csv(
            # Of a path that begins with "~", pandas would make one of the home.
            temporary.absolute(),
            index=index_label is not None,
            index_label=index_label,
            # Which the writer takes for no end of a line, and readers do.
            quoting=csv.QUOTE_NONNUMERIC if has_returns(table) else csv.QUOTE_MINIMAL,
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and callable(value.item) and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Path) or type(value).__module__.startswith("upath."):
        return str(value)
    return value


class Journal:
    """An append-only file with one JSON object a line: what has been finished so far.

    A line is written only after the data it speaks of are on disk. A line cut short by a crash is
    ignored, so the work it stood for is done again. Where nothing can be appended to, at an
    address, it is a folder of such files, one for each time that something was added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Iterator[dict[str, Any]]:
        """Return all whole entries, oldest first, one at a time: there may be very many."""
        return self._entries(self._content())

    def _entries(self, content: bytes) -> Iterator[dict[str, Any]]:
        for line in content.splitlines():
            try:
                entry = json.loads(line)
            # No text, no JSON, or numbers and nesting beyond what Python reads.
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict):
                yield entry

    def _content(self) -> bytes:
        if not is_remote(self.path):
            return read_bytes(self.path) if self.path.exists() else b""
        address: Any = self.path
        parts = address.fs.cat(f"{address.path}/*") if address.is_dir() else {}
        return b"".join(parts[name] for name in sorted(parts))

    def delete(self) -> None:
        """Delete what was noted."""
        if is_remote(self.path):
            remove_tree(self.path)
        else:
            self.path.unlink(missing_ok=True)

    def append(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Append entries, force them to disk, and return them as they will be read."""
        if not entries:
            return []
        lines = [json.dumps(_plain(entry)) for entry in entries]
        text = "".join(f"{line}\n" for line in lines)
        if is_remote(self.path):
            # In the order in which they were written, whoever did.
            (self.path / f"{time.time_ns():020}-{uuid4().hex[:8]}.jsonl").write_text(text)
            return [json.loads(line) for line in lines]
        if self.path.is_symlink():
            # Of a folder of somebody else's, it could lead to any file of the user.
            raise InputError(f"{self.path}: is a link, and nothing is added to it; delete it.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as stream:
            # After a crash the last line may lack its end; a new entry must not be glued to it.
            if stream.seek(0, os.SEEK_END) > 0:
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    text = "\n" + text
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        return [json.loads(line) for line in lines]


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a regular file's content as hexadecimal digits.

    Raises
    ------
    InputError
        When it is a pipe, a device or the like.
    """
    check_regular(path)
    digest = hashlib.sha256()
    if is_remote(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with path.open("rb") as stream:
        # A file that somebody goes on writing to would have no end.
        left = os.fstat(stream.fileno()).st_size
        while left > 0 and (block := stream.read(min(_BLOCK, left))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def hash_value(value: Any) -> str:
    """Return a SHA-256 of a JSON-like value that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True).encode()).hexdigest()
