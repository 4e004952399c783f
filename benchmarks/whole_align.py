"""Time `align` of large JPEGs, again from its cache, and with 100 images more; watch its memory.

The pictures are the sample cohort's phantoms in random pose, enlarged to 3900 × 3072 as
ultra-widefield cameras write them. A hundred are drawn and written many times, each file with bytes
of its own after the picture, so that no two have the same content. What is timed is a whole call in
a process of its own, with its imports.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from subprocess import run

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DRAWN = 100
MORE = 100
COLUMNS, ROWS = 3900, 3072


def draw(count: int) -> list[tuple[bytes, str]]:
    """Return JPEG files and sides."""
    sys.path.insert(0, str(ROOT / "tests"))
    import posed

    cohort = posed.draw(count, seed=11)
    files = []
    for image, side in zip(cohort.images, cohort.sides, strict=True):
        buffer = io.BytesIO()
        large = Image.fromarray(image).resize((COLUMNS, ROWS), Image.Resampling.BICUBIC)
        large.save(buffer, "JPEG", quality=90)
        files.append((buffer.getvalue(), side))
    return files


def add_images(folder: Path, files: list[tuple[bytes, str]], first: int, last: int) -> Path:
    """Write images and add them to the table; a new table gets its head first."""
    table = folder / "cohort.csv"
    lines = [] if table.exists() else ["filename,LR,A"]
    for number in range(first, last):
        data, side = files[number % len(files)]
        (folder / f"{number:05}.jpg").write_bytes(data + str(number).encode())
        lines.append(f"{number:05}.jpg,{side},{number % 2}")
    with table.open("a") as stream:
        stream.write("\n".join(lines) + "\n")
    return table


def align_once(table: str, out: str, registration: str) -> None:
    """Align in this process and print its peak of memory in MiB."""
    import napari_globalxai as gx

    gx.align(table, out, height=384, width=512, registration=registration)
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def align_in_process(table: Path, out: Path, registration: str) -> tuple[float, float]:
    """Return seconds and peak of memory in MiB."""
    command = [sys.executable, __file__, "--align", str(table), str(out), registration]
    start = time.perf_counter()
    done = run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--registration", default="none")
    parser.add_argument("--align", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.align:
        align_once(*options.align)
        return
    files = draw(DRAWN)
    print(f"{COLUMNS} × {ROWS}, {np.mean([len(data) for data, _ in files]) / 2**20:.1f} MiB each, "
          f"registration {options.registration}")  # fmt: skip
    print("| images | first, s | again, s | ratio | 100 more, s | peak, MiB | again | with more |")
    print("|" + "---|" * 8)
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "images"
            folder.mkdir()
            table, out = add_images(folder, files, 0, size), Path(name) / "out"
            calls = [align_in_process(table, out, options.registration) for _ in range(2)]
            add_images(folder, files, size, size + MORE)
            calls.append(align_in_process(table, out, options.registration))
        times, peaks = zip(*calls, strict=True)
        cells = [f"{size}", f"{times[0]:.1f}", f"{times[1]:.1f}", f"{times[0] / times[1]:.0f}",
                 f"{times[2]:.1f}", *(f"{peak:.0f}" for peak in peaks)]  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
