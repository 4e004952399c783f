"""Images of different patients that are nearly the same picture.

They make patients dependent that are taken for independent, and a test set part of a training set.
Small copies are compared, so that another compression, size or brightness hides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.progress import Progress
from napari_globalxai.runs import tables

if TYPE_CHECKING:
    from napari_globalxai.progress import ProgressCallback
    from napari_globalxai.runs.run import Run

COLUMNS = ("row", "other_row", "file", "other_file", "patient", "other_patient", "correlation")
# Correlation of small copies less the mean of all. Of phantom eyes it stays below 0.91 between
# different ones and lies near 0.99 between copies of other size, brightness and compression.
LEAST_CORRELATION = 0.95
MOST_PAIRS = 1000
_WIDTH = 32
_AT_ONCE, _BLOCK = 32, 1024


def near_duplicates(run: Run, progress: ProgressCallback) -> pd.DataFrame:
    """Return pairs of images of different patients, the most alike first.

    Memory grows with the number of images, not with that of pairs; at most `MOST_PAIRS` are told.
    """
    rows = run.finished_rows
    copies = _standardised(_small_copies(run, rows, progress))
    patients = pd.factorize(run.images[tables.PATIENT].to_numpy(dtype=object)[rows])[0]
    first, second, value = alike(copies, patients, LEAST_CORRELATION)
    order = np.argsort(-value, kind="stable")[:MOST_PAIRS]
    pairs = rows[first[order]], rows[second[order]]
    files, names = (run.images[name].to_numpy() for name in (tables.FILE, tables.PATIENT))
    return pd.DataFrame(
        dict(
            zip(
                COLUMNS,
                (*pairs, *(each[side] for each in (files, names) for side in pairs), value[order]),
                strict=True,
            )
        )
    )


def alike(
    copies: npt.NDArray[np.float32], patients: npt.NDArray[np.intp], least: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return pairs of different patients whose copies have at least a correlation.

    Parameters
    ----------
    copies : numpy.ndarray
        (image, pixel), each with mean 0 and norm 1; all 0 for images that show nothing.
    patients : numpy.ndarray
        Number of each image's patient.
    least : float
        The correlation.
    """
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]] = []
    total = 0
    for start in range(0, len(copies), _BLOCK):
        block = copies[start : start + _BLOCK] @ copies[start:].T
        above = block >= least
        above &= patients[start : start + _BLOCK, None] != patients[None, start:]
        first, second = np.nonzero(np.triu(above, 1))
        found.append((first + start, second + start, block[first, second].astype(np.float64)))
        total += len(first)
        if total > 50 * MOST_PAIRS:
            break
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    one, other, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return one, other, value


def _small_copies(
    run: Run, rows: npt.NDArray[np.int64], progress: ProgressCallback
) -> npt.NDArray[np.float32]:
    """Return all images at a small size, mean of their channels, (image, pixel)."""
    from PIL import Image

    height, width = run.stack.shape
    size = (min(width, _WIDTH), min(height, max(1, round(_WIDTH * height / width))))
    copies = np.zeros((len(rows), size[0] * size[1]), np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        progress(Progress("Comparing images", start, len(rows)))
        images = run.stack.read(rows[start : start + _AT_ONCE]).mean(axis=1, dtype=np.float32)
        for offset, image in enumerate(images):
            small = Image.fromarray(image).resize(size, Image.Resampling.BOX)
            copies[start + offset] = np.asarray(small).ravel()
    progress(Progress("Comparing images", len(rows), len(rows)))
    return copies


def _standardised(copies: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Take away what all images share, then mean and norm of each."""
    own = copies - copies.mean(axis=1, keepdims=True)
    size = np.linalg.norm(own, axis=1, keepdims=True)
    own = own / np.where(size > 1e-3, size, np.inf)
    own = own - own.mean(axis=0)
    own -= own.mean(axis=1, keepdims=True)
    rest = np.linalg.norm(own, axis=1, keepdims=True)
    return np.asarray(own / np.where((rest > 1e-3) & (size > 1e-3), rest, np.inf), np.float32)
