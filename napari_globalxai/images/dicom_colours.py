"""In which colours a DICOM file's samples really are, whatever it says."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_globalxai.images.jpeg_stream import JpegHeader
from napari_globalxai.images.pixels import Array

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

YBR_NAMES = ("YBR_FULL", "YBR_FULL_422")
# What is nearly black or white has no colour, so that both differences are near their middle; and
# most samples of RGB that hold black or white lie outside of what YBR can be.
_DARK, _BRIGHT, _MIDDLE, _NEAR = 24, 232, 128, 24
_ENOUGH = 0.01
# Beyond 0–255 by more than rounding and JPEG's ringing.
_OUTSIDE = 12
# A pixel in so many is looked at.
_LOOKED_AT = 200_000
NOT_SURE = "its JPEG stream does not tell whether it is RGB or YBR; taken as RGB, as the file says"
TOLD_WRONG = "the file says RGB, but its samples are YBR, as which they were taken"
LOOKS_LIKE_YBR = "the file says RGB, but its samples look like YBR"


def decode_jpeg(frame: bytes, header: JpegHeader | None, told: str) -> tuple[Array, str]:
    """Decode a JPEG of 8 bit with three samples a pixel.

    Parameters
    ----------
    frame : bytes
        The stream.
    header : JpegHeader or None
        What it tells; None where it could not be read.
    told : str
        The file's photometric interpretation.

    Returns
    -------
    samples : numpy.ndarray
        RGB.
    note : str
        What was decided against the file, or without it.
    """
    from pydicom.pixels import convert_color_space

    colours = "" if header is None else header.colours
    image = Image.open(io.BytesIO(frame), formats=("JPEG",))
    if image.mode != "RGB":
        raise ValueError("its JPEG stream has not the colours that it tells")
    # libjpeg follows Adobe's marker, and names of components that say RGB.
    if header is None or not header.settled:
        # Keeps the samples as they are stored.
        image.draft("YCbCr", image.size)
    samples = np.array(image)
    if image.mode == "RGB":
        return samples, ""
    note = ""
    if not colours:
        colours, note = _likely(samples, told)
    if colours == "RGB":
        return samples, note
    return convert_color_space(samples, "YBR_FULL", "RGB"), note


def _likely(samples: Array, told: str) -> tuple[str, str]:
    if told in YBR_NAMES:
        return "YBR", ""
    verdict = looks_like(samples)
    if verdict == "YBR":
        return "YBR", TOLD_WRONG
    return "RGB", "" if verdict == "RGB" else NOT_SURE


def looks_like(samples: Array) -> str:
    """Return whether three 8-bit samples a pixel look like ``RGB`` or ``YBR``; empty if either.

    Parameters
    ----------
    samples : numpy.ndarray
        uint8, (row, column, 3).
    """
    flat = samples.reshape(-1, 3)
    some = flat[:: max(1, len(flat) // _LOOKED_AT)].astype(np.float32)
    first, blue, red = some[:, 0], some[:, 1] - _MIDDLE, some[:, 2] - _MIDDLE
    as_rgb = np.stack(
        [first + 1.402 * red, first - 0.344 * blue - 0.714 * red, first + 1.772 * blue]
    )
    outside = ((as_rgb < -_OUTSIDE) | (as_rgb > 255 + _OUTSIDE)).any(axis=0)
    if outside.mean() > _ENOUGH:
        return "RGB"
    extreme = (first < _DARK) | (first > _BRIGHT)
    grey = extreme & (np.abs(blue) < _NEAR) & (np.abs(red) < _NEAR)
    return "YBR" if grey.mean() > _ENOUGH else ""


def note_on_colours(samples: Array, colours: str, dataset: FileDataset) -> str:
    """Return what looks wrong with the colours of samples that nothing was decided for."""
    if colours != "RGB" or samples.dtype != np.uint8 or samples.shape[2:] != (3,):
        return ""
    if str(dataset.PhotometricInterpretation) != "RGB":
        return ""
    return LOOKS_LIKE_YBR if looks_like(samples) == "YBR" else ""
