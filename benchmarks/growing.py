"""What grows with a cohort: time and peak memory at 1 300, 13 000 and 130 000 images.

    OMP_NUM_THREADS=1 python benchmarks/growing.py [--sizes 1300 13000 130000] [--explained 1300]

Each figure is of a process of its own: processor time of the work alone, and the peak of the whole
process less what it had before. Stores and journals are synthetic, of the form that `explain`
writes, with 8 labels × 12 × 16 cells, as a ResNet gives them at 384 × 512. The scheduler is
Dask's own, with workers that do nothing but answer as `explain`'s do; what it is told is counted
in bytes. At the end the figures are carried to 10 million images.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LABELS, CELLS, FRAME, CHUNK = 8, (12, 16), (384, 512), 32
MILLIONS = 10_000_000


def written_run(folder: Path, size: int) -> Path:
    """Write a finished run of drawn maps, once."""
    sys.path.insert(0, str(ROOT / "tests"))
    from stored_run import Plan, write_run

    run = folder / f"run-{size}"
    if not run.exists():
        write_run(run, Plan(images=size, labels=LABELS, cells=CELLS, frame=(96, 128)))
    return run


def subgroup(folder: Path, size: int) -> Callable[[], object]:
    """The maps of all labels of a third of the images."""
    from napari_globalxai.runs.run import open_run

    run = written_run(folder, size)
    return lambda: open_run(run).maps_of(where="camera == 'x'")


def table(folder: Path, size: int) -> Callable[[], object]:
    """Opening a run and reading its table of images."""
    from napari_globalxai.runs.run import open_run

    run = written_run(folder, size)
    return lambda: open_run(run).images


def ranking(folder: Path, size: int) -> Callable[[], object]:
    """The similarity of every image's map of a label to the global one."""
    from napari_globalxai.maps.upsampling import cells_inside
    from napari_globalxai.runs.run import open_run
    from napari_globalxai.statistics.similarity import spearman_to_global

    run = open_run(written_run(folder, size))
    inside = cells_inside(run.valid, run.store.grid)
    rows = np.arange(size)
    return lambda: spearman_to_global(run.store, "L0", rows, rows, inside, run.aggregation)


def journal(folder: Path, size: int) -> Callable[[], object]:
    """Reading what is noted of aligned images, as every stage does when it begins."""
    from napari_globalxai.frame.stack import AlignedStack
    from napari_globalxai.settings.frame_settings import FrameSettings

    place = folder / f"stack-{size}.zarr"
    if not place.exists():
        AlignedStack.create(place, size, FrameSettings(size=FRAME, channels=("red", "green")))
        entry = {
            "error": "",
            "source": "0" * 32,
            "content": "0" * 64,
            "state": [123456789, 1234567, 1700000000000000000, 1700000000000000000],
            "facts": {
                "matrix": np.linspace(0.1, 1.7, 9).reshape(3, 3).tolist(),
                "native_shape": [3072, 3900],
                "laterality": "L",
                "laterality_source": "table",
            },
        }
        lines = (json.dumps({"row": row, **entry}) for row in range(size))
        (place / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines))
    stack = AlignedStack(place)
    return lambda: stack.sources()


def scheduler(folder: Path, size: int) -> Callable[[], object]:
    """Giving out all chunks to workers that answer at once."""
    from distributed import Client, LocalCluster

    from napari_globalxai.execution.dask_workers import Workers

    cluster = LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
    )
    client = Client(cluster, set_as_default=False)

    # The first one imports what the others find.
    list(Workers(client).run(answer, [chunk_task(0)]))

    def work() -> None:
        tasks = (chunk_task(start) for start in range(0, size, CHUNK))
        for _ in Workers(client).run(answer, tasks):
            pass

    return work


def chunk_task(start: int) -> object:
    from napari_globalxai.attribution.chunks import ChunkTask, ExplainingJob
    from napari_globalxai.models.elsewhere import ModelElsewhere

    loading = {"device": "cpu", "precision": "float32", "trust": False, "cam_layer": "layer4"}
    model = ModelElsewhere("/data/model/model.yaml", "0" * 64, "1" * 64, loading, 16)
    labels = tuple(f"label-{number}" for number in range(LABELS))
    places = (Path("/data/run/aligned.zarr"), Path("/data/run/attributions.zarr"))
    job = ExplainingJob(model, "grad-cam", {}, labels, *places)
    return ChunkTask(job, start, tuple(range(start, start + CHUNK)))


def answer(task: object) -> object:
    from napari_globalxai.attribution.chunks import ExplainedChunk

    rows = task.rows  # type: ignore[attr-defined]
    return ExplainedChunk(rows, np.zeros((len(rows), LABELS), np.float32), {})


def explaining(folder: Path, size: int) -> Callable[[], object]:
    """A whole run of images so small that what is not the model's counts."""
    sys.path.insert(0, str(ROOT / "tests"))
    import tiny

    import napari_globalxai as gx

    few = tiny.write_cohort(folder / f"few-{size}", size=40)
    table = tiny.write_cohort(folder / f"cohort-{size}", size=size)
    model = tiny.write_linear(folder / f"model-{size}")
    gx.explain(few, model, folder / f"warm-{size}", "saliency", pooling=4)
    return lambda: gx.explain(table, model, folder / f"explained-{size}", "saliency", pooling=4)


WORK = {each.__name__: each for each in (table, subgroup, ranking, journal, scheduler, explaining)}


def measure(name: str, folder: Path, size: int) -> dict[str, float]:
    """Do one work in this process."""
    work = WORK[name](folder, size)
    # The peak of the preparation stays in what the system tells, so it is sampled anew.
    before, peak = resident(), [0]
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(0.01):
            peak[0] = max(peak[0], resident())

    sampler = threading.Thread(target=sample)
    sampler.start()
    start, wall = time.process_time(), time.perf_counter()
    work()
    seconds = time.process_time() - start
    elapsed = time.perf_counter() - wall
    stop.set()
    sampler.join()
    most = max(peak[0], resident())
    return {"seconds": seconds, "elapsed": elapsed, "bytes": max(0, most - before)}


def resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def main() -> None:
    """Measure everything, and print it as tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1300, 13_000, 130_000])
    parser.add_argument("--explained", type=int, nargs="+", default=[1300])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, folder, size = options.one
        print(json.dumps(measure(name, Path(folder), int(size))))
        return
    found: dict[str, dict[int, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in WORK:
            for size in options.explained if name == "explaining" else options.sizes:
                command = [sys.executable, __file__, "--one", name, folder, str(size)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found.setdefault(name, {})[size] = json.loads(done.stdout.splitlines()[-1])
    print("| work | images | processor time, s | µs an image | memory, MB | bytes an image |")
    print("|---|---|---|---|---|---|")
    for name, by_size in found.items():
        for size, each in by_size.items():
            print(
                f"| {name} | {size} | {each['seconds']:.2f} | {each['seconds'] / size * 1e6:.0f} | "
                f"{each['bytes'] / 1e6:.0f} | {each['bytes'] / size:.0f} |"
            )
    task = chunk_task(0)
    sent, back = len(pickle.dumps(task)), len(pickle.dumps(answer(task)))
    chunks = -(-MILLIONS // CHUNK)
    print(f"\na task {sent} bytes, its answer {back}, for {CHUNK} images")
    print(f"10 million images: {chunks} tasks, {(sent + back) * chunks / 1e9:.2f} GB told")
    print(f"maps {MILLIONS * LABELS * np.prod(CELLS) * 4 / 1e9:.0f} GB before compression")


if __name__ == "__main__":
    main()
