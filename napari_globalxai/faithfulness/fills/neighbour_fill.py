"""Replacement by other images of the cohort that do not carry the label.

Aligned images make this meaningful: a place is replaced by the same place of another eye, lung or
print. Which one is chosen by what is left of the image alone; otherwise the choice would tell the
model what was erased.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.fills.fill_kinds import Fitting, FloatPixels, Pixels
from napari_globalxai.faithfulness.model_and_images import Images, Rows
from napari_globalxai.faithfulness.orders.map_orders import Mask

# Enough to tell images apart, few enough to hold those of a whole cohort.
SAMPLED_PIXELS = 4096
TILES_A_SIDE = 8
_IMAGES_A_READ = 64


class Neighbour:
    """The nearest image, of another patient, without the labels that the map is judged by.

    Near is by the sum of squared differences over the pixels that are left, of at most
    `SAMPLED_PIXELS` places. Where nothing is left, all images are the mean of those without the
    labels.
    """

    name: ClassVar[str] = "neighbour"
    per_image: ClassVar[bool] = False
    per_mask: ClassVar[bool] = True

    def __init__(self, images: Images, rows: Rows) -> None:
        self._fit(Fitting(images, rows))

    @classmethod
    def fitted(cls, fitting: Fitting) -> Neighbour:
        """Return the fill, with the images that may stand in for others."""
        self = cls.__new__(cls)
        self._fit(fitting)
        return self

    def _fit(self, fitting: Fitting) -> None:
        if fitting.truth is None:
            raise InputError(
                f"The fill {self.name!r} needs the truth of the images; choose another fill."
            )
        rows = np.asarray(fitting.rows, np.int64)
        judged = list(fitting.judged) or list(range(fitting.truth.shape[1]))
        free = (fitting.truth[:, judged] == 0).all(axis=1)
        patients = np.asarray(fitting.patients if len(fitting.patients) else rows.astype(str))
        if len(set(patients[free])) < 2:
            raise InputError(
                f"The fill {self.name!r} needs images of at least two patients that carry none of "
                "the labels that the map is judged by; choose another fill."
            )
        self._images = fitting.images
        self._donors = rows[free]
        self._owners = patients[free]
        self._owner_of = dict(zip(rows.tolist(), patients.tolist(), strict=True))
        size = int(np.prod(fitting.images.shape))
        places = np.random.default_rng([fitting.seed, 4]).permutation(size)[:SAMPLED_PIXELS]
        self._places = np.sort(places)
        self._samples = np.concatenate(
            [
                self._sample(fitting.images.read(self._donors[start : start + _IMAGES_A_READ]))
                for start in range(0, len(self._donors), _IMAGES_A_READ)
            ]
        )
        self._blank = fitting.images.mean_image(self._donors)[None]

    @property
    def facts(self) -> dict[str, Any]:
        """How many images may stand in for others."""
        return {"donors": len(self._donors)}

    def key(self) -> Any:
        """Return what tells it from another one."""
        return [self._donors.tolist(), list(self._owners), self._places.tolist()]

    def of(self, rows: Rows, pixels: Pixels) -> FloatPixels:
        """Return what all images are where nothing of them is left."""
        return np.asarray(self._blank, np.float32)

    def under(self, rows: Rows, pixels: Pixels, kept: Mask) -> FloatPixels:
        """Return, for each image, the pixels of those that stand in for it."""
        left = kept.ravel()[self._places]
        result = np.broadcast_to(self._blank, pixels.shape).astype(np.float32)
        samples, allowed = self._sample(pixels), self._allowed(rows)
        users: dict[int, list[tuple[int, tuple[slice, ...]]]] = {}
        if not left.any():
            # Too little is left to compare.
            return result
        # Which places compare to which donors: many parts have nothing left in or around them.
        found: dict[bytes, npt.NDArray[np.int64]] = {}
        for area, near in self._parts(kept.shape):
            known = left & near if (left & near).any() else left
            token = np.packbits(known).tobytes()
            if token not in found:
                found[token] = self._nearest(
                    samples[:, :, known], self._samples[:, :, known], allowed
                )
            donors = found[token]
            for user, donor in enumerate(donors.tolist()):
                users.setdefault(donor, []).append((user, area))
        # Each is read once, however many parts of however many images it stands in for.
        needed = sorted(users)
        for start in range(0, len(needed), _IMAGES_A_READ):
            part = needed[start : start + _IMAGES_A_READ]
            for donor, image in zip(part, self._images.read(self._donors[part]), strict=True):
                for user, area in users[donor]:
                    result[user][(slice(None), *area)] = image[(slice(None), *area)]
        return result

    def _parts(self, shape: tuple[int, ...]) -> Iterator[tuple[tuple[slice, ...], Any]]:
        """Give the areas that are replaced as one, and which sampled pixels they are chosen by."""
        yield tuple(slice(None) for _ in shape), np.ones(len(self._places), bool)

    def _sample(self, pixels: Pixels) -> Pixels:
        return pixels.reshape(*pixels.shape[:2], -1)[:, :, self._places]

    def _allowed(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Return which donors are of another patient, bool (image, donor)."""
        own = np.array([self._owner_of.get(int(row), "") for row in rows])
        return np.asarray(own[:, None] != self._owners[None])

    @staticmethod
    def _nearest(
        images: Pixels, donors: Pixels, allowed: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int64]:
        """Return the donor whose squared difference to each image is least."""
        one, other = (each.reshape(len(each), -1).astype(np.float64) for each in (images, donors))
        # What an image has of its own is the same for all donors.
        distance = (other**2).sum(axis=1)[None] - 2 * one @ other.T
        return np.asarray(np.where(allowed, distance, np.inf).argmin(axis=1))


class LocalNeighbour(Neighbour):
    """The same, chosen anew for each of 8 × 8 tiles by what is left in and around it."""

    name: ClassVar[str] = "local-neighbour"

    def _parts(self, shape: tuple[int, ...]) -> Iterator[tuple[tuple[slice, ...], Any]]:
        at = np.unravel_index(self._places, shape)
        edges = [np.unique(np.linspace(0, side, TILES_A_SIDE + 1).astype(int)) for side in shape]
        for tile in product(*(range(len(each) - 1) for each in edges)):
            near = np.ones(len(self._places), bool)
            for place, number, each in zip(at, tile, edges, strict=True):
                low, high = each[max(number - 1, 0)], each[min(number + 2, len(each) - 1)]
                near &= (place >= low) & (place < high)
            yield (
                tuple(
                    slice(int(each[number]), int(each[number + 1]))
                    for number, each in zip(tile, edges, strict=True)
                ),
                near,
            )
