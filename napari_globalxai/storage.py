"""Files that survive a crash: atomic writes, an append-only journal, content hashes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well.

    A reader therefore sees the old file or the new one, never half of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically. NaN becomes null, as JSON has no NaN."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """Read a CSV file of the run folder; only empty fields are missing, "None" may be a label."""
    # Takes half a second to import, which `--help` need not wait for.
    import pandas as pd

    table: pd.DataFrame = pd.read_csv(path, keep_default_na=False, na_values=[""], **options)
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and callable(value.item) and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


class Journal:
    """An append-only file with one JSON object a line: what has been finished so far.

    A line is written only after the data it speaks of are on disk. A line cut short by a crash is
    ignored, so the work it stood for is done again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """Return all whole entries, oldest first."""
        if not self.path.exists():
            return []
        entries = []
        for line in self.path.read_text().splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return entries

    def append(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Append entries, force them to disk, and return them as they will be read."""
        if not entries:
            return []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(_plain(entry)) for entry in entries]
        text = "".join(f"{line}\n" for line in lines)
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
    """Return the SHA-256 of a file's content as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_value(value: Any) -> str:
    """Return a SHA-256 of a JSON-like value that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True).encode()).hexdigest()
