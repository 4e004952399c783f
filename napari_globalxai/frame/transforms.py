"""MONAI dictionary transforms that bring one image file into the frame.

Arrays are channel first, (channel, height, width), in 0–255. The frame has the
orientation of left sides.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
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
    ResizeWithPadOrCrop,
)
from monai.transforms.utils import convert_applied_interp_mode
from monai.utils import ImageMetaKey, MetaKeys, TraceKeys

from napari_globalxai.frame.geometry import swap_axes
from napari_globalxai.frame.registrar import NO_REGISTRATION, Atlas, FramedImage, Steps
from napari_globalxai.frame.resampling import plain_array, resample, with_affine
from napari_globalxai.images.readers import FundusReader
from napari_globalxai.settings.fit import STRETCH, Fit

__all__ = [
    "FieldOfViewd",
    "FitToFramed",
    "LateralityFromImaged",
    "LoadWithd",
    "MirrorRightSided",
    "ResizeToFramed",
    "SelectChannelsd",
    "frame_transforms",
]

CHANNELS = {"red": 0, "green": 1, "blue": 2}
# A pixel this bright (0-255) in any channel may belong to the field of view. JPEG ringing beside
# the field's rim stays below it.
FIELD_THRESHOLD = 14.0


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
            item[key] = with_affine(moved, np.eye(3))
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


class FitToFramed(MapTransform, InvertibleTransform):
    """Resize images as a fit says, and cut or fill them around their middle to the frame.

    Parameters
    ----------
    keys : str or sequence of str
        Images, channel first.
    spatial_size : tuple of int
        Height and width of the frame.
    fit : Fit
        How they fill it.
    inside_key : str
        Where the boolean mask (1, height, width) of what shows the image goes.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_size: tuple[int, int],
        fit: Fit,
        inside_key: str = "inside",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size, self.fit, self.inside_key = spatial_size, fit, inside_key
        self.place = ResizeWithPadOrCrop(spatial_size, value=fit.level)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to one item."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = item[key]
            height, width = (int(side) for side in image.shape[-2:])
            size = self.fit.size_of((height, width), self.size)
            resize = Resize(size, mode="area")
            # The trace is this transform's own, whose inverse knows what was cut off.
            with resize.trace_transform(False), self.place.trace_transform(False):
                moved: Any = self.place(resize(image))
                shown = self.place(torch.full((1, *size), self.fit.level - 1))
            step = torch.linalg.inv(image.affine) @ moved.affine
            stored = {"matrix": swap_axes(step.numpy()).tolist(), "shape": [height, width]}
            item[key] = self.push_transform(  # type: ignore[no-untyped-call]
                moved, extra_info=stored
            )
            item[self.inside_key] = torch.as_tensor(shown) != self.fit.level
        return item

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Bring maps under the keys back to the size before; what was cut off is 0."""
        item = dict(data)
        for key in self.key_iterator(item):
            stored = self.pop_transform(item[key])[TraceKeys.EXTRA_INFO]
            back = np.linalg.inv(np.asarray(stored["matrix"]))
            moved = resample(item[key], back, stored["shape"], "bilinear")
            step = torch.as_tensor(swap_axes(back))
            item[key] = with_affine(moved, (item[key].affine @ step).numpy())
        return item


class MirrorRightSided(MapTransform, InvertibleTransform):
    """Mirror images of right sides left to right, so that all lie as left ones do.

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
    inside_key : str
        Where a mask may lie of what shows the image at all, as `FitToFramed` leaves it.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask_key: str = "field_of_view",
        threshold: float = FIELD_THRESHOLD,
        inside_key: str = "inside",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mask_key = mask_key
        self.threshold = threshold
        self.inside_key = inside_key
        self.largest = KeepLargestConnectedComponent(is_onehot=False)
        self.fill = FillHoles()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to one item."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = torch.as_tensor(item[key])
            bright = (image.amax(dim=0, keepdim=True) > self.threshold).to(torch.uint8)
            if self.inside_key in item:
                bright = bright * item[self.inside_key]
            if bright.any():
                bright = torch.as_tensor(self.fill(self.largest(bright)))
            item[self.mask_key] = bright.bool()
        return item


class LateralityFromImaged(MapTransform):
    """Find the side of an image that the cohort's table does not tell.

    A DICOM file may say it; it goes before a file's name. Else the atlas tells it, if it can.

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
    mask_key : str
        Where the field of view lies.
    sides_key : str
        Where the atlas' comparison of both sides goes, for the image in left orientation.
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
            field = plain_array(item[self.mask_key])[0].astype(bool)
            sides = self.atlas.compare_sides(FramedImage(plain_array(image), field))
            if not item[self.laterality_key] and self.estimate and self.atlas.tells_sides:
                item[self.source_key] = "image"
                item[self.laterality_key] = "L" if sides.margin >= 0 else "R"
            right = item[self.laterality_key] == "R"
            item[self.sides_key] = sides.turned() if right else sides
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
    registration: str = NO_REGISTRATION,
    estimate_sides: bool = True,
    stored_bits: int | None = None,
    fit: str = STRETCH,
) -> Compose:
    """Return the MONAI pipeline from an image file to the frame.

    Every step that moves pixels is invertible, and the image's ``affine`` takes (row, column) of
    the frame to those of the file: MONAI's `Invertd` brings a map in the frame to native pixels.

    Parameters
    ----------
    height, width : int
        Size of the frame in pixels.
    channels : sequence of str
        Channels the model reads, see `SelectChannelsd`.
    atlas : Atlas, optional
        The cohort's atlas, for registration and for sides that are not known.
    registration : str, optional
        ``none``, or a name in `napari_globalxai.catalogue.REGISTRATIONS` that the atlas was learnt
        for.
    estimate_sides : bool, optional
        Whether the atlas tells sides that nothing else tells.
    stored_bits : int, optional
        As for `FundusReader`.
    fit : str, optional
        How images fill the frame, as `Fit.read` takes it; stretched, if left out.

    Returns
    -------
    monai.transforms.Compose
        Takes ``{"image": path, "laterality": "L" | "R" | ""}``; gives ``image``, float32
        (channel, height, width) in 0–255, and ``field_of_view``, boolean (1, height, width).
    """
    both = ("image", "field_of_view")
    registering = Steps()
    if atlas is not None and registration != NO_REGISTRATION:
        registering = atlas.steps(registration, both, (height, width))
    size, how = (height, width), Fit.read(fit)
    steps: list[Any] = [
        LoadWithd("image", FundusReader(at_least=how.needed(size), stored_bits=stored_bits)),
        *registering.before_resizing,
        ResizeToFramed("image", size) if how.kind == STRETCH else FitToFramed("image", size, how),
        FieldOfViewd("image"),
        LateralityFromImaged("image", atlas, estimate_sides),
        MirrorRightSided(both),
        *registering.after_mirroring,
        SelectChannelsd("image", channels),
    ]
    return Compose(steps)
