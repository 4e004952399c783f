"""MONAI dictionary transforms that bring one image file into the frame.

Arrays are channel first, (channel, height, width), in 0–255. The frame has left-eye orientation.
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
    KeepLargestConnectedComponent,
    MapTransform,
    Resized,
)
from monai.utils import ImageMetaKey

from napari_globalxai.images.readers import FundusReader

CHANNELS = {"red": 0, "green": 1, "blue": 2}
# A pixel this bright (0-255) in any channel may belong to the field of view. JPEG ringing beside
# the field's rim stays below it.
FIELD_THRESHOLD = 14.0


class LoadWithd(MapTransform):
    """Load image files with one reader and no other.

    MONAI's `LoadImaged` falls back on all of its readers where the chosen one fails: those
    transpose, and some releases unpickle whatever is not an image. It also makes one of each
    beforehand, which warns of what is not installed.

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
            item[key] = MetaTensor(
                torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)), meta=meta
            )
        return item


class MirrorRightEyed(MapTransform):
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
        if item[self.laterality_key] == "R":
            for key in self.key_iterator(item):
                item[key] = self.flip(item[key])
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


def frame_transforms(height: int, width: int, channels: Sequence[str]) -> Compose:
    """Return the MONAI pipeline from an image file to the frame.

    Parameters
    ----------
    height, width : int
        Size of the frame in pixels. Images are stretched to it, as classifiers are trained.
    channels : sequence of str
        Channels the model reads, see `SelectChannelsd`.

    Returns
    -------
    monai.transforms.Compose
        Takes ``{"image": path, "laterality": "L" | "R" | ""}``; gives ``image``, float32
        (channel, height, width) in 0–255, and ``field_of_view``, boolean (1, height, width).
    """
    return Compose(
        [
            LoadWithd("image", FundusReader(at_least=(height, width))),
            MirrorRightEyed("image"),
            Resized("image", spatial_size=(height, width), mode="area"),
            FieldOfViewd("image"),
            SelectChannelsd("image", channels),
        ]
    )


def plain_array(image: MetaTensor | torch.Tensor) -> np.ndarray[Any, Any]:
    """Return a transform's result as a NumPy array without MONAI's metadata."""
    tensor = image.as_tensor() if isinstance(image, MetaTensor) else image
    return tensor.numpy()
