"""Time how long a process takes to look at the maps of a run, beside numpy and pandas alone.

Each is the median of several processes, from their start to their end; the processor's time tells
more where others use the machine too. `python -X importtime -c …` tells which import takes it.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import run

ROOT = Path(__file__).resolve().parents[1]
CODES = {
    "python alone": "pass",
    "numpy and pandas": "import numpy, pandas",
    "open_run(…).maps": (
        "import sys, napari_globalxai as gx; run = gx.open_run(sys.argv[1]); "
        "run.maps['overall']; run.statistics"
    ),
    "… and image_map": (
        "import sys, napari_globalxai as gx; run = gx.open_run(sys.argv[1]); "
        "run.maps['overall']; run.image_map(0, run.labels[0])"
    ),
    "… and maps_of": (
        "import sys, napari_globalxai as gx; run = gx.open_run(sys.argv[1]); run.maps_of(range(8))"
    ),
}


def time_process(code: str, folder: Path) -> tuple[float, float]:
    """Return seconds on the clock and of the processor."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run([sys.executable, "-c", code, str(folder)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, busy


@contextmanager
def any_run(given: Path | None) -> Iterator[Path]:
    """Give the run that was named, or a tiny one."""
    if given is not None:
        yield given
        return
    sys.path.insert(0, str(ROOT / "tests"))
    import tiny

    import napari_globalxai as gx

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = tiny.write_cohort(folder / "cohort")
        gx.explain(table, tiny.write_resnet(folder / "model"), folder / "run")
        yield folder / "run"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run; by default a tiny one is made")
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    with any_run(options.run) as folder:
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in CODES}
        for _ in range(options.repeat + 1):
            # In turn, so that what else the machine does meets all alike.
            for name, code in CODES.items():
                times[name].append(time_process(code, folder))
    print("| | clock, s | processor, s |\n|---|---|---|")
    for name, taken in times.items():
        # The first reads files that the others find in memory.
        clock, busy = (statistics.median(each) for each in zip(*taken[1:], strict=True))
        print(f"| {name} | {clock:.2f} | {busy:.2f} |")


if __name__ == "__main__":
    main()
