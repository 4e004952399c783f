"""Time an audit of a large run without its model, in a process of its own: CPU seconds and memory.

    OMP_NUM_THREADS=1 python benchmarks/large_audit.py --images 13000 --labels 8

The maps are drawn, with a shortcut in the first label. Beside it stands the time to read the same
maps from one .npy file an image and label, without doing anything with them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import napari_globalxai as gx  # noqa: E402


def write(folder: Path, images: int, labels: int) -> None:
    from stored_run import Plan, write_run

    write_run(
        folder,
        Plan(images, labels, cells=(12, 16), frame=(384, 512), shortcut=True, prevalence=0.4),
    )


def loose_files(folder: Path, run: gx.Run, images: int) -> float:
    """CPU seconds to read the members' maps of all labels from loose files, by a sample."""
    folder.mkdir()
    sample = min(images, 500)
    for row in range(sample):
        np.save(folder / f"{row}.npy", run.store.read(row, 0))
    began = time.process_time()
    for row in range(sample):
        np.load(folder / f"{row}.npy")
    members = sum(len(run.members(label)) for label in run.labels)
    return (time.process_time() - began) / sample * members


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=13_000)
    parser.add_argument("--labels", type=int, default=8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        write(path, asked.images, asked.labels)
        began = time.process_time()
        result = gx.audit(path, erase="none")
        seconds = time.process_time() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        loose = loose_files(Path(folder) / "loose", gx.open_run(path), asked.images)
    print("| images | labels | audit, CPU s | peak, MiB | reading loose files alone, CPU s |")
    print("|---|---|---|---|---|")
    print(f"| {asked.images} | {asked.labels} | {seconds:.1f} | {memory:.0f} | {loose:.1f} |")
    print(f"findings: {[(each.label, each.kind) for each in result.findings]}")


if __name__ == "__main__":
    main()
