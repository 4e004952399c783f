"""Which images of a store are explained: the journal beside it, held against the store itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.storage import Journal


class ExplainedRows:
    """What is finished, and what was predicted on the way.

    A row is finished where the journal says so, its image is still the same, and its map is there.

    Parameters
    ----------
    store : AttributionStore
        The image-wise maps.
    sources : mapping of int to str
        What each image of the stack was made from.
    wanted : set of int
        Rows that are to be explained; the maps of others are forgotten.
    outputs : int
        Number of the model's labels.

    Attributes
    ----------
    finished : set of int
        Rows that need not be explained again.
    logits : numpy.ndarray
        float32 (image, all labels of the model), NaN where there is none.
    empty : dict of int to list of str
        By finished row: labels whose map is 0 everywhere, where there are some.
    """

    def __init__(
        self, store: AttributionStore, sources: Mapping[int, str], wanted: set[int], outputs: int
    ) -> None:
        self._path = store.path
        self._journal = Journal(self._path.with_suffix(".jsonl"))
        self._lines = list(self._journal.read())
        self._sources = sources
        self.finished: set[int] = set()
        self.logits = np.full((len(store), outputs), np.nan, np.float32)
        self.empty: dict[int, list[str]] = {}
        latest = _latest(self._lines)
        gone = [row for row in latest if row not in wanted and latest[row].get("source")]
        if gone:
            # Noted before they are forgotten: an image that comes back is explained again.
            self._append({"images": [{"row": row, "source": ""} for row in gone]})
            for row in gone:
                if row < len(store):
                    store.clear(row)
        known = {
            row: entry
            for row, entry in latest.items()
            if row in wanted
            and entry.get("source") == sources[row]
            and len(entry.get("logits", ())) == outputs
        }
        for row in store.rows_with_maps(known):
            self.finished.add(row)
            self.logits[row] = known[row]["logits"]
            if "empty" in known[row]:
                self.empty[row] = known[row]["empty"]

    @property
    def observed(self) -> Path | None:
        """File in which an observer kept what it had seen up to the last line, if there is one."""
        names = [line["observed"] for line in self._lines if isinstance(line.get("observed"), str)]
        # Beside the store, whatever somebody wrote here.
        return self._path.parent / Path(names[-1]).name if names else None

    def next_observed(self) -> Path:
        """Return a file for what an observer has seen; one a line, so that the two go together."""
        return self._path.parent / f"{self._path.stem}-observed-{len(self._lines)}.npz"

    def note(
        self, rows: Sequence[int], empty: Mapping[int, list[str]], observed: Path | None
    ) -> None:
        """Note rows whose maps are on disk, their logits, and what an observer has kept."""
        entries = [
            {"row": row, "source": self._sources[row], "logits": self.logits[row].tolist()}
            # Named only where there are some.
            | ({"empty": empty[row]} if row in empty else {})
            for row in rows
        ]
        # One line: cut short, it counts as a whole as not written.
        line: dict[str, Any] = {"images": entries}
        if observed is not None:
            line["observed"] = observed.name
        self._append(line)
        for other in self._path.parent.glob(f"{self._path.stem}-observed-*.npz"):
            if observed is None or other != observed:
                other.unlink()

    def _append(self, line: dict[str, Any]) -> None:
        self._lines += self._journal.append([line])


def empty_maps(path: Path) -> Counter[str]:
    """Return how many maps of a store are 0 everywhere, by label, from the journal beside it.

    Parameters
    ----------
    path : pathlib.Path
        The store.
    """
    latest = _latest(Journal(path.with_suffix(".jsonl")).read())
    return Counter(chain.from_iterable(entry.get("empty", ()) for entry in latest.values()))


def logits_so_far(path: Path) -> dict[int, list[float]]:
    """Return the logits of the images whose maps a store holds, by row, from the journal beside it.

    Parameters
    ----------
    path : pathlib.Path
        The store, which may be written to meanwhile.
    """
    latest = _latest(Journal(path.with_suffix(".jsonl")).read())
    # What was forgotten has no source.
    return {row: entry["logits"] for row, entry in latest.items() if entry.get("source")}


def _latest(lines: Iterable[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the latest entry of each row, which counts."""
    found = {}
    for line in lines:
        images = line.get("images")
        for entry in images if isinstance(images, list) else ():
            if _is_whole(entry):
                found[entry["row"]] = entry
    return found


def _is_whole(entry: Any) -> bool:
    """Return whether an entry is as we write it; one that is not counts as none."""
    if not isinstance(entry, dict) or type(entry.get("row")) is not int or entry["row"] < 0:
        return False
    logits, empty = entry.get("logits", []), entry.get("empty", [])
    return (
        isinstance(entry.get("source"), str)
        and isinstance(logits, list)
        and all(isinstance(each, int | float) for each in logits)
        and isinstance(empty, list)
        and all(isinstance(each, str) for each in empty)
    )
