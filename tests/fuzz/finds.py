"""Files that once escaped a reader: what was changed in a whole one, and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def with_bytes(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Put some bytes in place of others, at their first place."""

    def change(whole: bytes) -> bytes:
        assert old in whole
        return whole.replace(old, new, 1)

    return change


def with_values(**values: Any) -> Callable[[bytes], bytes]:
    """Put values into a JSON file."""

    def change(whole: bytes) -> bytes:
        return json.dumps({**json.loads(whole), **values}).encode()

    return change


def with_line(line: bytes) -> Callable[[bytes], bytes]:
    """Add a line."""

    def change(whole: bytes) -> bytes:
        return whole + line + b"\n"

    return change


def directory_further_on(whole: bytes) -> bytes:
    """Let an archive say that its directory lies later: what it names begins before the file."""
    place = int.from_bytes(whole[-6:-2], "little") + 100_000
    return whole[:-6] + place.to_bytes(4, "little") + whole[-2:]


LISTED = {"consolidated_metadata": {"metadata": {}}}
# Reader, name of the file, change.
FINDS = [
    ("weights", "linear.pt", with_bytes(b"PK\x01\x02", b"PK\x01\xff")),
    ("weights", "linear.pt", with_bytes(b"PK\x01\x02\x00", b"PK\x01\x02\xff")),
    ("archive", "b.zip", with_bytes(b"PK\x01\x02\x14", b"PK\x01\x02\xff")),
    ("archive", "b.zip", with_bytes(b"PK\x01\x02", b"PK\xff\x02")),
    ("run", "aligned.zarr/rows.jsonl", with_bytes(b'"row"', b'\xff"row"')),
    ("run", "aligned.zarr/rows.jsonl", with_line(b'{"row": {}}')),
    ("run", "aligned.zarr/rows.jsonl", with_line(b'{"row": 3}')),
    ("run", "aligned.zarr/rows.jsonl", with_line(b"[1, 2]")),
    ("run", "aligned.zarr/rows.jsonl", with_line(b"[" * 100_000)),
    ("run", "aligned.zarr/rows.jsonl", with_bytes(b'"matrix": [[', b'"matrix": [["x", ')),
    ("run", "aligned.zarr/rows.jsonl", with_bytes(b'"native_shape": [', b'"native_shape": [-')),
    ("run", "aligned.zarr/zarr.json", with_values(attributes={"channels": 5})),
    ("run", "aligned.zarr/zarr.json", with_values(**LISTED)),
    ("run", "aligned.zarr/0/zarr.json", with_values(**{"0": 0})),
    ("run", "aligned.zarr/0/zarr.json", with_values(dimension_names=[1, 2, 3, 4])),
    ("run", "attributions.zarr/zarr.json", with_values(dimension_names=["a", {}])),
    ("run", "attributions.zarr/zarr.json", with_values(attributes=[])),
    ("run", "peppr/left.json", lambda whole: b"{}"),
    ("run", "peppr/left.json", with_values(settings=1)),
    ("run", "peppr/left.npz", with_bytes(b"PK\x01\x02", b"PK\x01\xff")),
    ("run", "peppr/left.npz", directory_further_on),
    ("run", "peppr/left.csv", lambda whole: b"\xff"),
    ("run", "images.csv", with_bytes(b",P0,0,", b",P0,P0,")),
    ("run", "performance.csv", with_bytes(b",roc_auc,", b",cin,roc_auc,")),
    ("answers", "audit/clusters.csv", with_bytes(b"\n1,", b"\n-131,")),
    ("answers", "outliers/outliers.json", with_values(labels={"x": {}})),
    ("answers", "selections/some/maps.csv", with_bytes(b"map", b"mop")),
    ("answers", "selections/some/maps.csv", with_bytes(b"overall", b"../overall")),
    ("answers", "slices/calibration.csv", with_bytes(b"L0,", b"L0,six")),
    ("answers", "stability/stability.json", with_values(settings=[1])),
]
