"""An image of the user's as the fill."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from napari_globalxai.addresses import local_file
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.fills.fill_kinds import Fitting, SharedFill
from napari_globalxai.images.readers import FundusReader

_COLOURS = ("red", "green", "blue")


class ImageFill(SharedFill):
    """A picture of the frame's size, such as a healthy template.

    Parameters
    ----------
    file : str
        The picture, or its address; anything that images are read from.
    fitting : Fitting
        The images, which it must fit.

    Raises
    ------
    InputError
        When it cannot be read or does not fit the frame.
    """

    name: ClassVar[str] = "image"

    def __init__(self, file: str, fitting: Fitting) -> None:
        shape = tuple(fitting.images.shape)
        with local_file(file) as path:
            pixels = _read(path, shape)
        channels = getattr(fitting.images, "channels", ())
        if not channels:
            channels = _COLOURS[: fitting.images.read(fitting.rows[:1]).shape[1]]
        colours = {**dict(zip(_COLOURS, pixels, strict=True)), "grey": pixels.mean(axis=0)}
        super().__init__(np.stack([colours[name] for name in channels]).astype(np.float32))


def _read(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture of the frame's size, (channel, *frame)."""
    if not path.is_file():
        raise InputError(f"{path}: does not exist; fill with another picture.")
    reader = FundusReader()
    pixels, _ = reader.get_data(reader.read(path))
    if pixels.shape[1:] != shape:
        own, due = (" × ".join(map(str, each)) for each in (pixels.shape[1:], shape))
        raise InputError(
            f"{path}: has {own} pixels, but the frame has {due}; give an image of that size."
        )
    return np.asarray(pixels)
