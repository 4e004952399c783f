"""What moves the images of a cohort onto each other and tells their sides: the registrar.

One registrar knows one kind of image. It is found by the registration's name in the catalogue, and
nothing else in the package knows of its room.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from napari_globalxai.catalogue import REGISTRATIONS
from napari_globalxai.frame.geometry import Matrix
from napari_globalxai.frame.local_detail import Mask

NO_REGISTRATION = "none"
# Sides can be told, and compared, where images are not registered.
_TELLS_SIDES = "landmarks"


@dataclass(frozen=True)
class FramedImage:
    """An image of the cohort at the frame's size.

    Attributes
    ----------
    image : numpy.ndarray
        (channel, height, width) in 0–255.
    field : numpy.ndarray
        Field of view, bool (height, width).
    channels : tuple of str
        Names of the channels.
    side : str
        ``"L"`` where it lies as left ones do, ``"R"`` as right ones do, or ``""`` where unknown.
    aspect : float
        Height of a pixel of the frame over its width, in the image's own pixels.
    """

    image: npt.NDArray[Any]
    field: Mask
    channels: tuple[str, ...] = ("red", "green", "blue")
    side: str = ""
    aspect: float = 1.0


class SideComparison(Protocol):
    """How well an image fits the cohort as it is and mirrored."""

    @property
    def margin(self) -> float:
        """Above 0 where the image lies as left ones do, below 0 as right ones."""

    @property
    def confidence(self) -> float:
        """How sure the better orientation is, 0.5 to 1."""

    def turned(self) -> SideComparison:
        """Return the comparison of the mirrored image."""


class Registration(Protocol):
    """How one image is moved, an item's ``registration`` after the steps of `Atlas.steps`."""

    @property
    def matrix(self) -> Matrix:
        """From pixels (x, y) of the frame to those before registration."""

    @property
    def kept(self) -> bool:
        """Whether the image is moved."""

    @property
    def reason(self) -> str:
        """Why not."""

    @property
    def before(self) -> float:
        """Likeness to the atlas as the image was, -1 to 1."""

    @property
    def after(self) -> float:
        """Likeness to the atlas as registration would have it."""

    @property
    def landmarks(self) -> npt.NDArray[np.float64]:
        """Landmarks before registration, (landmark, 2) of (x, y) in pixels of the frame."""


@dataclass(frozen=True)
class Steps:
    """MONAI dictionary transforms that register an image.

    Attributes
    ----------
    before_resizing : list
        On the image as it was read; they move nothing.
    after_mirroring : list
        On image and field of view at the frame's size, mirrored if need be, with all colours;
        invertible where they move pixels. The item's ``sides`` hold its `SideComparison`, its
        ``registration`` becomes a `Registration`.
    """

    before_resizing: list[Any] = field(default_factory=list)
    after_mirroring: list[Any] = field(default_factory=list)


class Atlas(Protocol):
    """What a registrar has learnt of a cohort."""

    @property
    def tells_sides(self) -> bool:
        """Whether it may tell the side of an image that nothing else tells."""

    def compare_sides(self, image: FramedImage) -> SideComparison:
        """Compare an image as it lies, whatever its side is said to be, with its mirror image."""

    def onto(self, image: FramedImage) -> Atlas | None:
        """Return an atlas onto which images are moved to lie as this one; None if it is unlike."""

    def steps(self, registration: str, keys: Sequence[str], size: tuple[int, int]) -> Steps:
        """Return what moves images.

        Parameters
        ----------
        registration : str
            One of the registrar's names in the catalogue.
        keys : sequence of str
            The image, and what is moved with it: the field of view.
        size : tuple of int
            Height and width of the frame.
        """

    def save(self, path: Path) -> None:
        """Write it to one file, atomically."""


@runtime_checkable
class KnowsZones(Protocol):
    """An atlas that can name zones of what its images show; one need not."""

    def zones(self, field: Mask, aspect: float) -> dict[str, Mask]:
        """Return zones of the frame by name, bool (height, width).

        Parameters
        ----------
        field : numpy.ndarray
            Field of view of the cohort, bool (height, width).
        aspect : float
            Height of a pixel of the frame over its width, in the images' own pixels.
        """


class Registrar(Protocol):
    """Learns what the images of a cohort have in common. It is made without arguments."""

    @property
    def images_to_learn_from(self) -> int:
        """Images, spread over the cohort, that are enough to learn from."""

    def learn(self, images: Iterable[FramedImage]) -> Atlas | None:
        """Learn from images as they were taken; None where they have too little in common."""

    def load(self, path: Path) -> Atlas:
        """Read what `Atlas.save` wrote."""


def registrar_for(registration: str) -> Registrar:
    """Return the registrar of a registration; for ``none``, the one that tells sides.

    Raises
    ------
    InputError
        When there is no such registration.
    """
    name = _TELLS_SIDES if registration == NO_REGISTRATION else registration
    registrar: Registrar = REGISTRATIONS.load(name)()
    return registrar
