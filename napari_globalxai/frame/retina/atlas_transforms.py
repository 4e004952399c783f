"""MONAI dictionary transforms that move retinas onto the atlas of their cohort.

Arrays are channel first, (channel, height, width), in 0–255. The frame has left-eye orientation.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform, Resize
from monai.utils import TraceKeys

from napari_globalxai.frame.geometry import Matrix, pixel_aspect, swap_axes
from napari_globalxai.frame.resampling import (
    frame_to_native,
    plain_array,
    resample,
    with_affine,
)
from napari_globalxai.frame.retina.atlas import Atlas
from napari_globalxai.frame.retina.landmarks import Picture
from napari_globalxai.frame.retina.registration import register

FINER_KEY = "finer"
_SAMPLES = 2  # samples of a pixel of the frame each way, where a finer copy is resampled


class KeepFinerd(MapTransform):
    """Keep a finer copy of images that are about to be resized to the frame.

    An image that is resized and then moved is interpolated twice, and loses its finest details.
    `RegisterToAtlasd` takes them from the copy.

    Parameters
    ----------
    keys : str
        The image, channel first.
    spatial_size : tuple of int
        Height and width of the frame; the copy has twice of both, or the image's own size if that
        is less.
    finer_key : str
        Where the copy goes.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_size: Sequence[int],
        finer_key: str = FINER_KEY,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size = tuple(_SAMPLES * side for side in spatial_size)
        self.resize, self.finer_key = Resize(self.size, mode="area"), finer_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to one item."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = item[key]
            larger = all(own > side for own, side in zip(image.shape[-2:], self.size, strict=True))
            item[self.finer_key] = self.resize(image) if larger else image
        return item


class RegisterToAtlasd(MapTransform, InvertibleTransform):
    """Move images onto the atlas of their cohort, where that makes them more like the others.

    Parameters
    ----------
    keys : str or sequence of str
        Image, RGB in left-eye orientation, and whatever is to be moved with it.
    atlas : Atlas
        The cohort's atlas.
    method : str
        See `napari_globalxai.frame.retina.registration.register`.
    mask_key : str
        Where the field of view lies; the item's ``sides`` are those of `Atlas.sides`.
    finer_key : str
        Where `KeepFinerd` may have put a finer copy of the image, which is removed. Without it,
        the image itself is resampled.
    """

    def __init__(
        self,
        keys: KeysCollection,
        atlas: Atlas,
        method: str = "landmarks",
        mask_key: str = "field_of_view",
        finer_key: str = FINER_KEY,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.atlas, self.method = atlas, method
        self.mask_key, self.finer_key = mask_key, finer_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to one item; ``registration`` tells what was done."""
        item = dict(data)
        image_key = self.first_key(item)
        image, finer = item[image_key], item.pop(self.finer_key, None)
        picture = picture_of(image, item[self.mask_key])
        found = register(
            picture,
            self.atlas,
            item["sides"],
            method=self.method,
            aspect=pixel_aspect(frame_to_native(image)),
        )
        item["registration"] = found
        for key in self.key_iterator(item):
            shape = tuple(item[key].shape[-2:])
            if not found.kept:
                moved = item[key].clone()
            elif item[key].dtype == torch.bool:
                moved = resample(item[key].float(), found.matrix, shape, "nearest") > 0.5
            elif key == image_key and finer is not None and finer.shape[-1] > 1.5 * shape[1]:
                moved = _from_finer(finer, image, found.matrix)
            else:
                moved = resample(item[key], found.matrix, shape, "bicubic").clamp(0, 255)
            item[key] = self.push_transform(  # type: ignore[no-untyped-call]
                moved,
                affine=torch.as_tensor(swap_axes(found.matrix)),
                extra_info={"matrix": found.matrix.tolist()},
            )
        return item

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Move maps under the keys to where the image was."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = item[key]
            matrix = np.asarray(self.pop_transform(image)[TraceKeys.EXTRA_INFO]["matrix"])
            if not np.array_equal(matrix, np.eye(3)):
                back = np.linalg.inv(matrix)
                affine = np.asarray(image.affine) @ swap_axes(back)
                image = resample(image, back, tuple(image.shape[-2:]), "bilinear")
                image = with_affine(image, affine)
            item[key] = image
        return item


def picture_of(image: torch.Tensor, field: torch.Tensor) -> Picture:
    """Return what is searched for landmarks: the green channel of an RGB image of the frame."""
    return Picture(plain_array(image)[1], plain_array(field)[0].astype(bool))


def _from_finer(finer: MetaTensor, image: MetaTensor, matrix: Matrix) -> torch.Tensor:
    """Resample an image of the frame from its finer copy; it keeps the image's own history."""
    to_finer = np.linalg.inv(frame_to_native(finer)) @ frame_to_native(image) @ matrix
    moved = resample(
        finer.as_tensor(), to_finer, tuple(image.shape[-2:]), "bilinear", samples=_SAMPLES
    )
    return MetaTensor(
        moved, meta=dict(image.meta), applied_operations=list(image.applied_operations)
    )
