"""Questions to a store of 13 000 images × 8 labels × 12 × 16 cells, beside loose files.

What most scripts do is `np.load` of a file an image and label, and a mean in NumPy. Figures are
processor time of one core, the best of several runs, and the ratio of the two: read the ratio.

    OMP_NUM_THREADS=1 python benchmarks/store_questions.py [--images 13000] [--labels 8]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import Averaging
from napari_globalxai.statistics.image_against_map import (
    SIMILARITY,
    Reference,
    compare_images,
    nearest_images,
)
from napari_globalxai.statistics.patient_groups import PatientGroups, patient_codes
from napari_globalxai.statistics.prepared_cells import CellReader
from napari_globalxai.statistics.stability import PatientMaps, bootstrap_bands, measure_stability

CELLS, FRAME = (12, 16), (384, 512)
PATIENTS = 0.41  # of the images, as in the cohort of the paper


def processor_time(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least processor time of some runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def write(folder: Path, images: int, labels: int) -> AttributionStore:
    """Write one synthetic cohort as a store, and one label of it as loose files."""
    generator = np.random.default_rng(0)
    names = [f"label-{number}" for number in range(labels)]
    grid = CellGrid.tiling(CELLS, FRAME)
    store = AttributionStore.create(folder / "store.zarr", images, names, grid, "synthetic")
    patterns = generator.normal(0, 1, (labels, *CELLS))
    (folder / "loose").mkdir()
    for start in range(0, images, store.images_per_chunk):
        count = min(store.images_per_chunk, images - start)
        maps = patterns + generator.normal(0, 1, (count, labels, *CELLS))
        maps = maps.astype(np.float32)
        store.write(start, maps)
        for place, image in enumerate(maps[:, 0]):
            np.save(folder / "loose" / f"{start + place}.npy", image)
    return store


def loose_matrix(folder: Path, images: int) -> np.ndarray:
    return np.array([np.load(folder / "loose" / f"{row}.npy") for row in range(images)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=13_000)
    parser.add_argument("--labels", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, images = Path(place), options.images
        store = write(folder, images, options.labels)
        ask(folder, store, images)


def ask(folder: Path, store: AttributionStore, images: int) -> None:
    generator = np.random.default_rng(1)
    patients = [f"P{number}" for number in generator.integers(0, int(PATIENTS * images), images)]
    codes, settings, label = patient_codes(patients), AggregationSettings(), store.labels[0]
    rows, third = np.arange(images), np.arange(0, images, 3)
    valid = np.ones(FRAME, bool)
    reader = CellReader(store, settings, valid)

    def loose(chosen: np.ndarray) -> None:
        maps = np.array([np.load(folder / "loose" / f"{row}.npy") for row in chosen]).clip(0)
        maps.mean(axis=0), maps.std(axis=0, ddof=1)

    def averaged(statistic: str, chosen: np.ndarray) -> Callable[[], object]:
        averaging = Averaging(store, patients, settings, 0, valid, statistic=statistic)
        return lambda: averaging.label_map(label, chosen)

    whole, some = processor_time(lambda: loose(rows)), processor_time(lambda: loose(third))
    print("| question, one label | ms | loose files, ms | ratio |")
    print("|---|---|---|---|")

    def line(name: str, work: Callable[[], object], beside: float, repeats: int = 3) -> float:
        seconds = processor_time(work, repeats)
        print(f"| {name} | {1000 * seconds:.0f} | {1000 * beside:.0f} | {beside / seconds:.1f} |")
        return seconds

    line(f"matrix of {images} images", lambda: reader.cells(label, rows), whole)
    line(f"maps of {images} images", averaged("mean", rows), whole)
    line(f"maps of every third, {len(third)}", averaged("mean", third), some)
    for statistic in ("median", "trimmed-mean", "standard-error", "positive-share"):
        line(f"{statistic} of {images}", averaged(statistic, rows), whole)

    def rank(measures: tuple[str, ...] | None, likes: int = 0) -> None:
        # As `outliers` does: a label is read once.
        kept = reader.keeping(rows)
        reference = Reference.of(kept, label, rows)
        chosen = {} if measures is None else {"measures": measures}
        compare_images(kept, label, rows, reference, **chosen)
        if likes:
            nearest_images(kept, label, rows[:likes], rows, 5)

    line("images ranked by similarity", lambda: rank((SIMILARITY,)), whole)
    line("the same with all measures", lambda: rank(None), whole)
    line("and five likes of the first 20", lambda: rank(None, 20), whole)

    found = reader.cells(label, rows)
    groups = PatientGroups(codes[found.rows])
    maker = PatientMaps(groups.sums(found.values), groups.sizes)
    inside = np.ones(found.values.shape[1], bool)
    bands = line(
        "1 000 bootstraps over patients",
        lambda: bootstrap_bands(maker, len(groups), 1000),
        whole,
        1,
    )
    line(
        "split halves and growth, 200 draws",
        lambda: measure_stability(maker, len(groups), inside),
        whole,
        1,
    )
    print(f"\n1 000 bootstraps of {len(store.labels)} labels: {len(store.labels) * bands:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"most memory of this process: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
