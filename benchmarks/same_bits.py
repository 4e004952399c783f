"""Hold two run folders against each other, bit by bit: before and after a change of the code.

    python benchmarks/same_bits.py BEFORE AFTER

compares global maps, image-wise maps, aligned images, tables and results of PEPPR. Columns and
files that only one of them has are named; whatever both have must be equal. Exit status 1 where
something differs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import zarr

# When and with which code a run was made differs, and that is all that may.
CIRCUMSTANCES = ("started", "finished", "code_sha256", "format", "kind", "version")


def arrays(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Give all arrays of a run by name."""
    for path in sorted(folder.glob("maps/*.tif")) + sorted(folder.glob("*.tif")):
        yield path.relative_to(folder).as_posix(), tifffile.imread(path)
    yield "attributions", zarr.open_array(folder / "attributions.zarr", mode="r")[:]
    group = zarr.open_group(folder / "aligned.zarr", mode="r")
    for name in ("0", "field_of_view"):
        yield f"aligned/{name}", group[name][:]
    for path in sorted(folder.glob("peppr/*.npz")):
        with np.load(path) as stored:
            for name in stored.files:
                yield f"{path.relative_to(folder).as_posix()}:{name}", stored[name]


def tables(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give all tables of a run by name."""
    for path in [folder / "images.csv", folder / "maps" / "maps.csv", *folder.glob("peppr/*.csv")]:
        yield path.relative_to(folder).as_posix(), pd.read_csv(path, dtype=str)


def differences(before: object, after: object, place: str) -> Iterator[str]:
    """Give the places in which two values of JSON differ; what was added since is none."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before:
            if name not in after:
                yield f"{place}.{name}: is gone"
            elif name not in CIRCUMSTANCES:
                yield from differences(before[name], after[name], f"{place}.{name}")
    elif before != after:
        yield f"{place}: {before} became {after}"


def compare(before: Path, after: Path) -> list[str]:
    """Return what differs, a line each."""
    found, equal = [], 0
    others = dict(arrays(after))
    for name, array in arrays(before):
        if name not in others:
            found.append(f"{name}: is gone")
        elif array.dtype.kind == "f" and not np.array_equal(array, others[name], equal_nan=True):
            gap = float(np.nanmax(np.abs(array.astype(float) - others[name])))
            found.append(f"{name}: differs by up to {gap:.3g}")
        elif array.dtype.kind != "f" and not np.array_equal(array, others[name]):
            found.append(f"{name}: differs")
        else:
            equal += 1
    others = dict(tables(after))
    for name, table in tables(before):
        for column in table:
            if name not in others or column not in others[name]:
                found.append(f"{name}:{column}: is gone")
            elif not table[column].equals(others[name][column]):
                found.append(f"{name}:{column}: differs")
            else:
                equal += 1
    for path in [before / "run.json", *sorted(before.glob("peppr/*.json"))]:
        name = path.relative_to(before)
        if not (after / name).is_file():
            found.append(f"{name}: is gone")
            continue
        values = (json.loads((folder / name).read_text()) for folder in (before, after))
        found += differences(*values, name.as_posix())
    print(f"{equal} arrays and columns are equal, {len(found)} things differ")
    return found


if __name__ == "__main__":
    lines = compare(*(Path(name) for name in sys.argv[1:3]))
    print("\n".join(lines))
    sys.exit(bool(lines))
