"""What changes with the order of rows, the size of batches and the number of threads.

    python benchmarks/same_inputs.py [--images N] [--precision FORMAT]

Explains the bundled cohort again and again, each time in a process of its own, and compares maps
and predictions image by image with those of the first; prints a table for the docs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

from napari_globalxai.samples import sample_folder

VARIANTS = {
    "again": {},
    "rows shuffled": {"shuffle": 1},
    "batch 1": {"batch": 1},
    "batch 3": {"batch": 3},
    "batch 7": {"batch": 7},
    "2 threads": {"threads": 2},
}


def explain(folder: Path, count: int, name: str, precision: str, **how: int) -> pd.DataFrame:
    """Explain the cohort in a process of its own; return its images with their row of the store."""
    sample = sample_folder()
    table = pd.read_csv(sample / "cohort" / "cohort.csv", dtype=str).iloc[:count]
    table["filename"] = [str(sample / "cohort" / file) for file in table["filename"]]
    if "shuffle" in how:
        table = table.sample(frac=1, random_state=how["shuffle"])
    table.to_csv(folder / f"{name}.csv", index=False)
    threads = str(how.get("threads", 1))
    subprocess.run(
        [sys.executable, "-c",
         f"import torch; torch.set_num_threads({threads})\n"
         "import sys; from napari_globalxai.cli import main\n"
         "sys.argv = ['x', *sys.argv[1:]]; main()",
         "explain", str(folder / f"{name}.csv"), "--model", str(sample / "models" / "honest.yaml"),
         "--out", str(folder / name), "--precision", precision, "--device", "cpu",
         "--batch-size", str(how.get("batch", 8))],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return pd.read_csv(folder / name / "images.csv").set_index("file")


def compare(folder: Path, name: str, one: pd.DataFrame, other: pd.DataFrame) -> str:
    """Return a row of the table: by how much a variant differs from the first run."""
    first, second = (
        zarr.open_array(folder / each / "attributions.zarr", mode="r")[:]
        for each in ("first", name)
    )
    order = other.loc[one.index, "row"].to_numpy()
    maps = np.linalg.norm(first - second[order]) / np.linalg.norm(first)
    columns = [each for each in one if each.startswith("probability_")]
    change = np.abs(one[columns].to_numpy() - other.loc[one.index, columns].to_numpy()).max()
    same = "yes" if np.array_equal(first, second[order]) and change == 0 else "no"
    return f"| {name} | {same} | {maps:.1e} | {change:.1e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--precision", default="float32")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = explain(folder, asked.images, "first", asked.precision)
        print(f"{asked.images} images, {asked.precision}\n")
        print("| variant | same bits | maps differ by | probabilities by at most |")
        print("| --- | --- | --- | --- |")
        for variant, how in VARIANTS.items():
            place = variant.replace(" ", "-")
            found = explain(folder, asked.images, place, asked.precision, **how)
            print(compare(folder, place, first, found), flush=True)


if __name__ == "__main__":
    main()
