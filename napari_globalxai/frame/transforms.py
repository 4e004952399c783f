"""MONAI dictionary transforms that bring one image file into the frame.

Arrays are channel first, (channel, height, width), in 0–255. The frame has left-eye orientation.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.image_reader import ImageReader
from monai.transforms import (
    Compose,
    FillHoles,
    Flip,
    InvertibleTransform,
    KeepLargestConnectedComponent,
    MapTransform,
    Resize,
    Resized,
)
from monai.transforms.utils import convert_applied_interp_mode
from monai.utils import ImageMetaKey, MetaKeys, TraceKeys
from torch.nn.functional import avg_pool2d, grid_sample

from napari_globalxai.frame.atlas import Atlas
from napari_globalxai.frame.geometry import Matrix, pixel_aspect, swap_axes
from napari_globalxai.frame.landmarks import Picture
from napari_globalxai.frame.registration import register
from napari_globalxai.images.readers import FundusReader

CHANNELS = {"red": 0, "green": 1, "blue": 2}
# A pixel this bright (0-255) in any channel may belong to the field of view. JPEG ringing beside
# the field's rim stays below it.
FIELD_THRESHOLD = 14.0
FINER_KEY = "finer"
_SAMPLES = 2  # samples of a pixel of the frame each way, where a finer copy is resampled


class LoadWithd(MapTransform, InvertibleTransform):
    """Load image files with one reader and no other.

    MONAI's `LoadImaged` falls back on all of its readers where the chosen one fails: those
    transpose, and some releases unpickle whatever is not an image. It also makes one of each
    beforehand, which warns of what is not installed.

    The inverse brings a map to the pixels that the file stores, at full size, though the file may
    have been decoded at reduced scale or turned upright.

    Parameters
    ----------
    keys : str or sequence of str
        Files.
    reader : monai.data.ImageReader
        The reader.
    """

    def __init__(
        self, keys: KeysCollection, reader: ImageReader, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reader = reader

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the paths under the keys with float32 (channel, height, width) arrays."""
        item = dict(data)
        for key in self.key_iterator(item):
            path = str(item[key])
            values, meta = self.reader.get_data(self.reader.read(path))
            meta = {**meta, ImageMetaKey.FILENAME_OR_OBJ: path}
            image = MetaTensor(
                torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)), meta=meta
            )
            stored = {
                "matrix": swap_axes(np.asarray(meta[MetaKeys.AFFINE])).tolist(),
                "shape": [int(side) for side in meta["native_shape"]],
            }
            item[key] = self.push_transform(  # type: ignore[no-untyped-call]
                image, extra_info=stored
            )
        return item

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Bring maps under the keys to the pixels of the file."""
        item = dict(data)
        for key in self.key_iterator(item):
            stored = self.pop_transform(item[key])[TraceKeys.EXTRA_INFO]
            back = np.linalg.inv(np.asarray(stored["matrix"]))
            moved = resample(item[key], back, stored["shape"], "bilinear", beyond="border")
            item[key] = _with_affine(moved, np.eye(3))
        return item


class ResizeToFramed(Resized):
    """Stretch images to the frame by area averages; a map comes back by linear interpolation.

    Parameters
    ----------
    keys : str or sequence of str
        Images, channel first.
    spatial_size : tuple of int
        Height and width of the frame.
    """

    def __init__(
        self, keys: KeysCollection, spatial_size: Sequence[int], allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, spatial_size, mode="area", allow_missing_keys=allow_missing_keys)

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Bring maps under the keys back to the size before."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = item[key].clone()
            # Area averages of what is larger are blocks.
            if image.applied_operations[-1][TraceKeys.EXTRA_INFO]["mode"] == "area":
                image.applied_operations[-1] = convert_applied_interp_mode(
                    image.applied_operations[-1], "bilinear", align_corners=False
                )
            item[key] = image
        result: dict[Hashable, Any] = super().inverse(item)
        return result


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


class MirrorRightEyed(MapTransform, InvertibleTransform):
    """Mirror right eyes left to right, so that every image has left-eye orientation.

    Parameters
    ----------
    keys : str or sequence of str
        Images, channel first.
    laterality_key : str
        Where the item holds ``"L"``, ``"R"`` or ``""``; only ``"R"`` is mirrored.
    """

    def __init__(
        self,
        keys: KeysCollection,
        laterality_key: str = "laterality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.laterality_key = laterality_key
        self.flip = Flip(spatial_axis=1)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to one item."""
        item = dict(data)
        mirrored = item[self.laterality_key] == "R"
        for key in self.key_iterator(item):
            image = self._flip(item[key]) if mirrored else item[key].clone()
            item[key] = self.push_transform(  # type: ignore[no-untyped-call]
                image, extra_info={"mirrored": mirrored}
            )
        return item

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Mirror back what was mirrored."""
        item = dict(data)
        for key in self.key_iterator(item):
            if self.pop_transform(item[key])[TraceKeys.EXTRA_INFO]["mirrored"]:
                item[key] = self._flip(item[key])
        return item

    def _flip(self, image: torch.Tensor) -> Any:
        # The trace is this transform's own, which knows of images that were not mirrored, too.
        with self.flip.trace_transform(False):
            return self.flip(image)


class LateralityFromImaged(MapTransform):
    """Find the side of an eye that the cohort's table does not tell.

    A DICOM file may say it; it goes before a file's name. Else the atlas tells it from where disc
    and macula lie, if it can.

    Parameters
    ----------
    keys : str
        RGB image as it was taken, of the frame's size.
    atlas : Atlas, optional
        The cohort's atlas.
    estimate : bool, optional
        Whether the atlas is asked where nothing else tells the side; it is compared with the other
        side in any case.
    laterality_key, source_key : str
        Where the item holds the side, and where it comes from: ``table``, ``file name`` or nothing;
        then also ``DICOM`` or ``image``.
    sides_key : str
        Where the atlas' comparison of both sides goes, for the picture in left-eye orientation.
    """

    def __init__(
        self,
        keys: KeysCollection,
        atlas: Atlas | None = None,
        estimate: bool = True,
        laterality_key: str = "laterality",
        source_key: str = "laterality_source",
        mask_key: str = "field_of_view",
        sides_key: str = "sides",
    ) -> None:
        super().__init__(keys)
        self.atlas, self.estimate = atlas, estimate
        self.laterality_key, self.source_key = laterality_key, source_key
        self.mask_key, self.sides_key = mask_key, sides_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to one item."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = item[key]
            told = getattr(image, "meta", {}).get("laterality", "")
            if told and item.get(self.source_key, "table") in ("", "file name"):
                item[self.laterality_key], item[self.source_key] = told, "DICOM"
            if self.atlas is None:
                continue
            picture = picture_of(image, item[self.mask_key])
            side = item[self.laterality_key]
            sides = self.atlas.sides(picture.mirrored() if side == "R" else picture)
            if not side and self.estimate and self.atlas.tells_sides:
                item[self.source_key] = "image"
                item[self.laterality_key] = "L" if sides.margin >= 0 else "R"
                if sides.margin < 0:
                    sides = self.atlas.sides(picture.mirrored())
            item[self.sides_key] = sides
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
        See `napari_globalxai.frame.registration.register`.
    mask_key : str
        Where the field of view lies; the item's ``sides`` are those of `LateralityFromImaged`.
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
                image = _with_affine(image, affine)
            item[key] = image
        return item


class FieldOfViewd(MapTransform):
    """Add a mask of the field of view: the largest bright component, without holes.

    A mark burnt into a dark corner is a component of its own and so stays outside.

    Parameters
    ----------
    keys : str or sequence of str
        Images, channel first, 0–255.
    mask_key : str
        Where the boolean mask (1, height, width) goes.
    threshold : float
        Brightness above which a pixel may belong to the field.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask_key: str = "field_of_view",
        threshold: float = FIELD_THRESHOLD,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mask_key = mask_key
        self.threshold = threshold
        self.largest = KeepLargestConnectedComponent(is_onehot=False)
        self.fill = FillHoles()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to one item."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = torch.as_tensor(item[key])
            bright = (image.amax(dim=0, keepdim=True) > self.threshold).to(torch.uint8)
            if bright.any():
                bright = torch.as_tensor(self.fill(self.largest(bright)))
            item[self.mask_key] = bright.bool()
        return item


class SelectChannelsd(MapTransform):
    """Keep the named colour channels, in the given order.

    Parameters
    ----------
    keys : str or sequence of str
        RGB images, channel first.
    channels : sequence of str
        Out of ``red``, ``green``, ``blue``, or ``grey`` for their mean.
    """

    def __init__(
        self, keys: KeysCollection, channels: Sequence[str], allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.channels = tuple(channels)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to one item."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = item[key]
            item[key] = torch.stack(
                [
                    image.mean(dim=0) if name == "grey" else image[CHANNELS[name]]
                    for name in self.channels
                ]
            )
        return item


def frame_transforms(
    height: int,
    width: int,
    channels: Sequence[str],
    *,
    atlas: Atlas | None = None,
    registration: str = "none",
    estimate_sides: bool = True,
) -> Compose:
    """Return the MONAI pipeline from an image file to the frame.

    Every step that moves pixels is invertible, and the image's ``affine`` takes (row, column) of
    the frame to those of the file: MONAI's `Invertd` brings a map in the frame to native pixels.

    Parameters
    ----------
    height, width : int
        Size of the frame in pixels. Images are stretched to it, as classifiers are trained.
    channels : sequence of str
        Channels the model reads, see `SelectChannelsd`.
    atlas : Atlas, optional
        The cohort's atlas, for registration and for sides that are not known.
    registration : str, optional
        ``none``, or a method of `RegisterToAtlasd`.
    estimate_sides : bool, optional
        Whether the atlas tells sides that nothing else tells.

    Returns
    -------
    monai.transforms.Compose
        Takes ``{"image": path, "laterality": "L" | "R" | ""}``; gives ``image``, float32
        (channel, height, width) in 0–255, and ``field_of_view``, boolean (1, height, width).
    """
    both = ("image", "field_of_view")
    finer: list[Any] = []
    registered: list[Any] = []
    if atlas is not None and registration != "none":
        finer = [KeepFinerd("image", (height, width))]
        registered = [RegisterToAtlasd(both, atlas, registration)]
    steps: list[Any] = [
        LoadWithd("image", FundusReader(at_least=(height, width))),
        *finer,
        ResizeToFramed("image", (height, width)),
        FieldOfViewd("image"),
        LateralityFromImaged("image", atlas, estimate_sides),
        MirrorRightEyed(both),
        *registered,
        SelectChannelsd("image", channels),
    ]
    return Compose(steps)


def frame_to_native(image: MetaTensor) -> Matrix:
    """Return the matrix from pixels (x, y) of the frame to those of the file."""
    return swap_axes(np.asarray(image.affine))


def picture_of(image: torch.Tensor, field: torch.Tensor) -> Picture:
    """Return what is searched for landmarks: the green channel of an RGB image of the frame."""
    return Picture(plain_array(image)[1], plain_array(field)[0].astype(bool))


def resample(
    image: torch.Tensor,
    matrix: Matrix,
    shape: Sequence[int],
    mode: str,
    beyond: str = "zeros",
    samples: int = 1,
) -> torch.Tensor:
    """Resample a tensor (channel, height, width).

    Parameters
    ----------
    image : torch.Tensor
        Image or map.
    matrix : numpy.ndarray
        From pixels (x, y) of the result to those of `image`.
    shape : sequence of int
        Height and width of the result.
    mode, beyond : str
        Interpolation, and what lies outside, as `torch.nn.functional.grid_sample` names them.
    samples : int
        A pixel is the mean of this many samples each way.
    """
    height, width = image.shape[-2:]
    rows, columns = torch.meshgrid(
        *((torch.arange(side * samples) + 0.5).double() / samples - 0.5 for side in shape),
        indexing="ij",
    )
    x, y = (row[0] * columns + row[1] * rows + row[2] for row in np.asarray(matrix)[:2])
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    plain = image.as_tensor() if isinstance(image, MetaTensor) else image
    moved = grid_sample(
        plain[None].float(), grid[None].float(), mode, padding_mode=beyond, align_corners=False
    )[0]
    if samples > 1:
        moved = avg_pool2d(moved, samples)
    if isinstance(image, MetaTensor):
        return MetaTensor(
            moved, meta=dict(image.meta), applied_operations=list(image.applied_operations)
        )
    return moved


def _from_finer(finer: MetaTensor, image: MetaTensor, matrix: Matrix) -> torch.Tensor:
    """Resample an image of the frame from its finer copy; it keeps the image's own history."""
    to_finer = np.linalg.inv(frame_to_native(finer)) @ frame_to_native(image) @ matrix
    moved = resample(
        finer.as_tensor(), to_finer, tuple(image.shape[-2:]), "bilinear", samples=_SAMPLES
    )
    return MetaTensor(
        moved, meta=dict(image.meta), applied_operations=list(image.applied_operations)
    )


def _with_affine(image: torch.Tensor, affine: npt.NDArray[np.float64]) -> torch.Tensor:
    if isinstance(image, MetaTensor):
        image.affine = torch.as_tensor(affine)
    return image


def plain_array(image: MetaTensor | torch.Tensor) -> np.ndarray[Any, Any]:
    """Return a transform's result as a NumPy array without MONAI's metadata."""
    tensor = image.as_tensor() if isinstance(image, MetaTensor) else image
    return tensor.numpy()
