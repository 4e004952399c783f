"""From a raw file to the model's input: the frame that every image is brought into."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

FRAME_HEIGHT, FRAME_WIDTH = 128, 160

# Mean and standard deviation of the training images over the whole frame, on a scale of 0 to 1.
# `train.py` prints them; the model cards carry them.
MEAN = (0.385, 0.224)
STD = (0.236, 0.136)

NETWORK = "ResNet"
NETWORK_ARGUMENTS: dict[str, Any] = {
    "block": "basic",
    "layers": [1, 1, 1, 1],
    "block_inplanes": [8, 16, 32, 96],
    "spatial_dims": 2,
    "n_input_channels": 2,
    "num_classes": 4,
    "conv1_t_size": 7,
    "conv1_t_stride": 2,
    "no_max_pool": True,
}
"""Arguments of `monai.networks.nets.ResNet`. Its last stage has 8 x 10 cells of stride 16."""


def decode(data: bytes) -> NDArray[np.uint8]:
    """Decode the bytes of an image file to height x width x RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def to_frame(raw: NDArray[np.uint8], laterality: str) -> torch.Tensor:
    """Bring one raw image into the frame.

    Parameters
    ----------
    raw : (height, width, 3) uint8 array
    laterality : {"L", "R"}
        Right eyes are mirrored, so that the frame is in left-eye orientation.

    Returns
    -------
    (2, 128, 160) uint8 tensor
        Red and green.
    """
    channels = torch.from_numpy(raw[..., :2].copy()).permute(2, 0, 1)
    if laterality == "R":
        channels = channels.flip(-1)
    resized = interpolate(channels[None].float(), (FRAME_HEIGHT, FRAME_WIDTH), mode="area")
    return resized[0].round().to(torch.uint8)


def normalise(frames: torch.Tensor) -> torch.Tensor:
    """Scale uint8 (or uint8-valued) frames to the range of the model's input."""
    mean = torch.tensor(MEAN).view(1, 2, 1, 1)
    std = torch.tensor(STD).view(1, 2, 1, 1)
    return (frames.float() / 255 - mean) / std


def build_network() -> torch.nn.Module:
    """Build the untrained classifier."""
    from monai.networks import nets

    return getattr(nets, NETWORK)(**NETWORK_ARGUMENTS)  # type: ignore[no-any-return]
