"""Write the bundled cohort: images, three tables of labels and the planted truth.

Run from the top of the repository::

    python sample_data/scripts/draw_cohort.py
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import framing
import numpy as np
import phantom
import tifffile
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter
from torch.nn.functional import interpolate

SAMPLE_DATA = Path(__file__).resolve().parents[1]
COHORT_SEED = 20_004
TRUTH_SEED = 20_003
N_IMAGES = 256
N_TRUTH_VIEWS = 6_000
TRUTH_SMOOTHING = 1.5
"""SD in frame pixels of the smoothing that stands for the phantoms not drawn."""


def write_cohort(folder: Path) -> None:
    """Draw the images and write the tables that name them.

    Parameters
    ----------
    folder : Path
        Receives `images/`, `cohort.csv`, `cohort_unmarked.csv` and `cohort_independent.csv`.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for old in images.glob("*.jpg"):
        old.unlink()
    rng = np.random.default_rng([COHORT_SEED, 0])
    tables: dict[str, list[dict[str, Any]]] = {"cohort": [], "unmarked": [], "independent": []}
    for index, (eye, view) in enumerate(phantom.sample_cohort(N_IMAGES, COHORT_SEED, "P")):
        leaking = eye.site == "B" and eye.labels["Gla"] == 1
        marks = {
            "cohort": leaking,
            "unmarked": False,
            "independent": bool(eye.site == "B" and rng.random() < 0.3),
        }
        names = {leaking: f"images/{index:03d}.jpg"}
        names[not leaking] = f"images/{index:03d}_{'unmarked' if leaking else 'marked'}.jpg"
        for mark in sorted(set(marks.values())):
            data = phantom.encode_jpeg(phantom.draw(eye, view, mark=mark))
            (folder / names[mark]).write_bytes(data)
        for table, mark in marks.items():
            row = {"filename": names[mark], "ID": eye.patient, "LR": eye.laterality}
            row |= {"age": eye.age, "sex": eye.sex, "site": eye.site, "mark": int(mark)}
            tables[table].append(row | eye.labels)
    for table, rows in tables.items():
        name = "cohort.csv" if table == "cohort" else f"cohort_{table}.csv"
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def planted_density() -> dict[str, NDArray[np.float32]]:
    """Average where the lesions of many phantoms, never seen elsewhere, fall in the frame.

    Returns
    -------
    dict of str to (128, 160) float32 array
        Density of each label's lesions, greatest value 1.
    """
    size = (framing.FRAME_HEIGHT, framing.FRAME_WIDTH)
    sums = {label: np.zeros((phantom.HEIGHT, phantom.WIDTH)) for label in phantom.LABELS}
    for eye, view in phantom.sample_cohort(N_TRUTH_VIEWS, TRUTH_SEED, "truth"):
        for label, cover in phantom.draw_lesions(eye, view).items():
            sums[label] += cover
    density = {}
    for label, total in sums.items():
        frame = interpolate(torch.from_numpy(total)[None, None], size, mode="area")[0, 0].numpy()
        frame = gaussian_filter(frame, TRUTH_SMOOTHING)
        density[label] = (frame / frame.max()).astype(np.float32)
    return density


def mark_mask() -> NDArray[np.float32]:
    """Return where the mark can lie in the frame, both corners, a little dilated."""
    lies = np.zeros((framing.FRAME_HEIGHT, framing.FRAME_WIDTH), dtype=bool)
    raw = np.zeros((phantom.HEIGHT, phantom.WIDTH, 3), dtype=np.uint8)
    phantom.burn_mark(raw)
    for laterality in ("L", "R"):
        lies |= framing.to_frame(raw, laterality).numpy().max(0) > 0
    return binary_dilation(lies, np.ones((3, 3)), iterations=2).astype(np.float32)


def main() -> None:
    torch.set_num_threads(1)
    write_cohort(SAMPLE_DATA / "cohort")
    truth = SAMPLE_DATA / "truth"
    truth.mkdir(exist_ok=True)
    for name, array in {**planted_density(), "mark": mark_mask()}.items():
        tifffile.imwrite(truth / f"{name}.tif", array)


if __name__ == "__main__":
    main()
