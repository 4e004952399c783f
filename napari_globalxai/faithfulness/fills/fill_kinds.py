"""What erased pixels are filled with, defined in raw image space, 0–255."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from napari_globalxai.catalogue import FILLS, IMAGE_FILL, IMAGE_FILL_PREFIX
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.model_and_images import Images, Rows
from napari_globalxai.faithfulness.offered import offered_class
from napari_globalxai.faithfulness.orders.map_orders import Mask

Pixels = npt.NDArray[np.uint8]
FloatPixels = npt.NDArray[np.float32]

_PARTS = ("name", "per_image", "of")
_IMAGES_A_READ = 64


class Fill(Protocol):
    """A fill, fitted to images.

    That is all that a fill must have. What else it may have: a class method ``fitted``, see
    `FittedFill`; what `MaskedFill` adds where it depends on what is erased; ``key()``, JSON-like,
    that tells it from any other without predicting; ``facts``, a dictionary that the result tells.

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
        Whether it differs by image where nothing of an image is left. Where it does not, such an
        image is predicted once for all.
    """

    name: ClassVar[str]
    per_image: ClassVar[bool]

    def __init__(self, images: Images, rows: Rows) -> None: ...

    def of(self, rows: Rows, pixels: Pixels) -> FloatPixels:
        """Return what is shown where images are erased; of a `MaskedFill`, where nothing is left.

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


@dataclass(frozen=True)
class Fitting:
    """What a fill may be fitted to.

    Attributes
    ----------
    images : Images
        The images.
    rows : sequence of int
        Those that are evaluated.
    valid : numpy.ndarray or None
        Pixels that are ranked, bool (*spatial); None for all.
    truth : numpy.ndarray or None
        (image, label) of those rows: 1, 0 or NaN.
    patients : sequence of str
        Of those rows.
    judged : sequence of int
        Columns of `truth` of the labels that the map is judged by.
    seed : int
        Of all that is random.
    """

    images: Images
    rows: Rows
    valid: Mask | None = None
    truth: npt.NDArray[np.float64] | None = None
    patients: Sequence[str] = ()
    judged: Sequence[int] = ()
    seed: int = 0

    def mean_colour(self) -> npt.NDArray[np.float32]:
        """Return the mean of the images over the valid area, float32 (channel,)."""
        mean = self.images.mean_image(self.rows)
        valid = np.ones(mean.shape[1:], bool) if self.valid is None else self.valid
        return np.asarray(mean[:, valid].mean(axis=1, dtype=np.float64), np.float32)


class FittedFill(Fill, Protocol):
    """A fill that is fitted to more than images."""

    @classmethod
    def fitted(cls, fitting: Fitting, /) -> Fill:
        """Return the fill; called instead of the class where it is there."""


class MaskedFill(Fill, Protocol):
    """A fill that depends on what is left of an image.

    Attributes
    ----------
    per_mask : bool
        True.
    """

    per_mask: ClassVar[bool]

    def under(self, rows: Rows, pixels: Pixels, kept: Mask, /) -> FloatPixels:
        """Return what is shown where images are erased, float32 (image, channel, *spatial).

        It must not look at what is erased. Called for all images under one mask, then for the next
        mask; never where nothing is kept.
        """

    def key(self) -> Any:
        """Return what tells the fill from any other, JSON-like."""


class SharedFill:
    """One fill for all images.

    Attributes
    ----------
    image : numpy.ndarray
        float32 (channel, *spatial) in 0–255.
    """

    name: ClassVar[str] = "shared"
    per_image: ClassVar[bool] = False

    def __init__(self, image: FloatPixels) -> None:
        self.image = image

    def of(self, rows: Rows, pixels: Pixels) -> FloatPixels:
        """Return the fill, whatever the images, float32 (1, channel, *spatial)."""
        return self.image[None]


class MeanImage(SharedFill):
    """The mean of the images."""

    name: ClassVar[str] = "mean-image"

    def __init__(self, images: Images, rows: Rows) -> None:
        super().__init__(images.mean_image(rows))


class MeanColour(SharedFill):
    """The mean of the images and of the valid area: one colour."""

    name: ClassVar[str] = "mean-colour"

    def __init__(self, images: Images, rows: Rows, fitting: Fitting | None = None) -> None:
        colour = (fitting or Fitting(images, rows)).mean_colour()
        super().__init__(one_colour(colour, images.shape))

    @classmethod
    def fitted(cls, fitting: Fitting) -> MeanColour:
        """Return the fill; the dark rim around the field of view has no part in it."""
        return cls(fitting.images, fitting.rows, fitting)


class Black(SharedFill):
    """Black."""

    name: ClassVar[str] = "black"

    def __init__(self, images: Images, rows: Rows) -> None:
        super().__init__(np.zeros(images.read(rows[:1]).shape[1:], np.float32))


def one_colour(colour: npt.NDArray[np.float32], shape: tuple[int, ...]) -> FloatPixels:
    """Return an image of one colour, float32 (channel, *spatial)."""
    flat = colour.reshape(-1, *(1 for _ in shape))
    return np.array(np.broadcast_to(flat, (len(colour), *shape)), np.float32)


def fit_fill(name: str, images: Images, rows: Rows, fitting: Fitting | None = None) -> Fill:
    """Return a fill by name, fitted to images; one that is the same for all is made here, once.

    Parameters
    ----------
    name : str
        A name of the catalogue, or ``image:`` and a file.
    images : Images
        The images.
    rows : sequence of int
        Those that it is fitted to.
    fitting : Fitting, optional
        What else is known; some fills need it.

    Raises
    ------
    InputError
        When there is no such fill, it cannot be fitted, or the package that offers it cannot be
        imported or does not keep to `Fill`.
    """
    known = fitting or Fitting(images, rows)
    fill = _make(name, known)
    if fill.per_image or depends_on_mask(fill):
        return fill
    first = rows[:1]
    return SharedFill(filled(fill, first, images.read(first))[0])


def _make(name: str, fitting: Fitting) -> Fill:
    if name.startswith(IMAGE_FILL_PREFIX):
        module, _, attribute = IMAGE_FILL.target.partition(":")
        fill: Fill = getattr(import_module(module), attribute)(
            name.removeprefix(IMAGE_FILL_PREFIX), fitting
        )
        return fill
    found = offered_class(FILLS, name, _PARTS)
    if hasattr(found, "fitted"):
        fill = found.fitted(fitting)
    else:
        fill = found(fitting.images, fitting.rows)
    if depends_on_mask(fill) and not (hasattr(fill, "under") and hasattr(fill, "key")):
        raise InputError(
            f"The fill {name!r} depends on the mask, but has no under or no key; mend the package "
            "that offers it."
        )
    return fill


def depends_on_mask(fill: Fill) -> bool:
    """Return whether what a fill shows depends on what is left of an image."""
    return bool(getattr(fill, "per_mask", False))


def filled(fill: Fill, rows: Rows, pixels: Pixels) -> FloatPixels:
    """Return what a fill gives for images, refused where it is not of their shape.

    Raises
    ------
    InputError
        When another package's fill does not keep to `Fill`.
    """
    due = (len(pixels) if fill.per_image else 1, *pixels.shape[1:])
    return _checked(fill, fill.of(rows, pixels), due)


def filled_under(fill: Fill, rows: Rows, pixels: Pixels, kept: Mask) -> FloatPixels:
    """Return what is shown where images are erased, given what is left of them.

    Parameters
    ----------
    fill : Fill
        The fill.
    rows : sequence of int
        The images.
    pixels : numpy.ndarray
        The same, uint8 (image, channel, *spatial).
    kept : numpy.ndarray
        What is left, bool (*spatial).

    Raises
    ------
    InputError
        When another package's fill does not keep to `Fill`.
    """
    if not depends_on_mask(fill) or not kept.any():
        return filled(fill, rows, pixels)
    return _checked(fill, fill.under(rows, pixels, kept), pixels.shape)  # type: ignore[attr-defined]


def _checked(fill: Fill, values: Any, due: tuple[int, ...]) -> FloatPixels:
    given = np.asarray(values, np.float32)
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
    if hasattr(fill, "key"):
        return {"fill": fill.name, "key": fill.key()}
    digest = hashlib.sha256()
    for start in range(0, len(rows), _IMAGES_A_READ):
        part = rows[start : start + _IMAGES_A_READ]
        digest.update(filled(fill, part, images.read(part)).tobytes())
    return {"fill": fill.name, "sha256": digest.hexdigest()}


def fill_facts(fill: Fill) -> dict[str, Any]:
    """Return what a fill tells of itself for the record."""
    return dict(getattr(fill, "facts", {}))
