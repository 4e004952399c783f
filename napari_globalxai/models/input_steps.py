"""What a card says that a model does to each image before its network: its own scale, its turn.

Both follow MONAI, through which most such models are trained: `NormalizeIntensity` and
`ScaleIntensity` take their numbers from the image itself, and `LoadImage` gives columns before
rows. The scale is taken before gradients are, as everywhere in the field: a network's attributions
are those of its input. The turn is part of the network, so that positions and maps flow back
through it and lie on the image as people see it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_globalxai.models.card import InputCard, PerImageCard

# What TorchScript calls the modules of `TransposedScript`.
TURN = "Transpose"
INNER = "network"


def scale_each_image(pixels: Tensor, card: InputCard, how: PerImageCard) -> Tensor:
    """Scale images by their own values.

    Parameters
    ----------
    pixels : torch.Tensor
        float32 (n, channel, height, width) in 0–255.
    card : InputCard
        For ``min-max``, its range is what each image's least and greatest value become, before its
        mean and SD.
    how : PerImageCard
        How they are scaled.

    Returns
    -------
    torch.Tensor
        In the form of the network's input. An image of a single value has no scale of its own: it
        is all 0 by ``z-score``, and scaled from 0–255 to the range by ``min-max``.
    """
    over = (2, 3) if how.channel_wise else (1, 2, 3)
    if how.scaling == "z-score":
        counted = pixels != 0 if how.nonzero else torch.ones_like(pixels, dtype=torch.bool)
        count = counted.sum(over, keepdim=True).clamp(min=1)
        mean = torch.where(counted, pixels, 0).sum(over, keepdim=True) / count
        centred = torch.where(counted, pixels - mean, 0)
        variance = centred.square().sum(over, keepdim=True) / count
        return centred / torch.where(variance > 0, variance, 1).sqrt()
    least, greatest = pixels.amin(over, keepdim=True), pixels.amax(over, keepdim=True)
    flat = greatest == least
    span = torch.where(flat, 255, greatest - least)
    share = (pixels - torch.where(flat, 0, least)) / span
    low, high = card.range
    mean, std = (pixels.new_tensor(each).view(1, -1, 1, 1) for each in (card.mean, card.std))
    return (low + share * (high - low) - mean) / std


class Transpose(nn.Module):
    """Exchanges rows and columns."""

    def forward(self, images: Tensor) -> Tensor:
        """Return images as (n, channel, width, height)."""
        return images.transpose(2, 3)


class TransposedScript(nn.Module):
    """A TorchScript network, which takes no hooks, behind the turn of its images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.turn = Transpose()
        self.network = network

    # TorchScript finds out by itself what the network gives.
    def forward(self, images: Tensor):  # type: ignore[no-untyped-def]
        """Return what the network gives for turned images."""
        return self.network(self.turn(images))


def transpose_input(network: nn.Module) -> nn.Module:
    """Make a network, which is changed, turn its images; names of its modules stay.

    Those of TorchScript stand behind ``network.`` then.
    """
    if isinstance(network, torch.jit.ScriptModule):
        scripted: nn.Module = torch.jit.script(TransposedScript(network).eval())
        return scripted
    network.register_forward_pre_hook(_turn)
    return network


def _turn(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return inputs[0].transpose(2, 3), *inputs[1:]
