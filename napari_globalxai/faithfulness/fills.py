"""What erased pixels are filled with, defined in raw image space, 0–255."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from napari_globalxai.catalogue import FILLS
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.model_and_images import Images, Rows
from napari_globalxai.faithfulness.offered import offered_class

_PARTS = ("name", "per_image", "of")
_IMAGES_A_READ = 64


class Fill(Protocol):
    """A fill, fitted to images.

    Parameters
    ----------
    images : Images
        The images.
    rows : sequence of int
        Those that it is fitted to.

    Attributes
    ----------
    name : str
        Lower case with hyphens.
    per_image : bool
        Whether it differs by image. Where it does not, an image of which nothing is left is
        predicted once for all.
    """

    name: ClassVar[str]
    per_image: ClassVar[bool]

    def __init__(self, images: Images, rows: Rows) -> None: ...

    def of(self, rows: Rows, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return what is shown where images are erased.

        Parameters
        ----------
        rows : sequence of int
            The images.
        pixels : numpy.ndarray
            The same, uint8 (image, channel, *spatial).

        Returns
        -------
        numpy.ndarray
            float32 (image, channel, *spatial) in 0–255; one image where it is the same for all.
        """


class SharedFill:
    """One fill for all images.

    Attributes
    ----------
    image : numpy.ndarray
        float32 (channel, *spatial) in 0–255.
    """

    name: ClassVar[str] = "shared"
    per_image: ClassVar[bool] = False

    def __init__(self, image: npt.NDArray[np.float32]) -> None:
        self.image = image

    def of(self, rows: Rows, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the fill, whatever the images, float32 (1, channel, *spatial)."""
        return self.image[None]


class MeanImage(SharedFill):
    """The mean of the images."""

    name: ClassVar[str] = "mean-image"

    def __init__(self, images: Images, rows: Rows) -> None:
        super().__init__(images.mean_image(rows))


class MeanColour(SharedFill):
    """The mean of the images and of the frame: one colour."""

    name: ClassVar[str] = "mean-colour"

    def __init__(self, images: Images, rows: Rows) -> None:
        mean = images.mean_image(rows)
        colour = mean.mean(axis=tuple(range(1, mean.ndim)), keepdims=True)
        super().__init__(np.broadcast_to(colour, mean.shape).astype(np.float32))


class Black(SharedFill):
    """Black."""

    name: ClassVar[str] = "black"

    def __init__(self, images: Images, rows: Rows) -> None:
        super().__init__(np.zeros(images.read(rows[:1]).shape[1:], np.float32))


def fit_fill(name: str, images: Images, rows: Rows) -> Fill:
    """Return a fill by name, fitted to images; one that is the same for all is made here, once.

    Raises
    ------
    InputError
        When there is no such fill, or the package that offers it cannot be imported or does not
        keep to `Fill`.
    """
    fill: Fill = offered_class(FILLS, name, _PARTS)(images, rows)
    if fill.per_image:
        return fill
    first = rows[:1]
    return SharedFill(filled(fill, first, images.read(first))[0])


def filled(fill: Fill, rows: Rows, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return what a fill gives for images, refused where it is not of their shape.

    Raises
    ------
    InputError
        When another package's fill does not keep to `Fill`.
    """
    given = np.asarray(fill.of(rows, pixels), np.float32)
    due = (len(pixels) if fill.per_image else 1, *pixels.shape[1:])
    if given.shape != due:
        raise InputError(
            f"The fill {fill.name!r} gave shape {given.shape} where {due} is due; choose another "
            "fill, or mend the package that offers it."
        )
    return given


def fill_key(fill: Fill, images: Images, rows: Rows) -> Any:
    """Return what tells a fill from any other, as JSON-like values."""
    if isinstance(fill, SharedFill):
        return fill.image.tobytes().hex()
    digest = hashlib.sha256()
    for start in range(0, len(rows), _IMAGES_A_READ):
        part = rows[start : start + _IMAGES_A_READ]
        digest.update(filled(fill, part, images.read(part)).tobytes())
    return {"fill": fill.name, "sha256": digest.hexdigest()}
