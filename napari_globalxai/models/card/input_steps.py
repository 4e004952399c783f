"""What a card says that a model does to each image before its network: its own scale, its turn.

Both follow MONAI, through which most such models are trained: `NormalizeIntensity` and
`ScaleIntensity` take their numbers from the image itself, and `LoadImage` gives columns before
rows. The scale is taken before gradients are, as everywhere in the field: a network's attributions
are those of its input. The turn is part of the network, so that positions and maps flow back
through it and lie on the image as people see it.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from napari_globalxai.models.card.input_card import InputCard, PerImageCard

# What TorchScript calls the modules of `TurnedScript`.
TURN = "ScriptTurn"
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


class Turn:
    """A turn of images by right angles, a mirroring, or both.

    Parameters
    ----------
    transposed : bool, optional
        Whether rows and columns are exchanged.
    flipped : tuple of int, optional
        Dimensions of (n, channel, row, column) that are then turned round, of 2 and 3.
    """

    def __init__(self, transposed: bool = False, flipped: tuple[int, ...] = ()) -> None:
        self.transposed, self.flipped = transposed, flipped

    @classmethod
    def of(cls, shape: tuple[int, int], places: Tensor) -> Turn | None:
        """Return the turn that leaves pixels of an image, numbered row by row, in these places."""
        numbers = torch.arange(shape[0] * shape[1], dtype=places.dtype).reshape(1, 1, *shape)
        turns = (cls(*each) for each in itertools.product((False, True), ((), (2,), (3,), (2, 3))))
        return next((turn for turn in turns if torch.equal(turn(numbers)[0, 0], places)), None)

    @property
    def is_none(self) -> bool:
        """Whether nothing is turned."""
        return not self.transposed and not self.flipped

    def __call__(self, images: Tensor) -> Tensor:
        """Return images (n, channel, row, column) turned."""
        turned = images.transpose(2, 3) if self.transposed else images
        return turned.flip(self.flipped) if self.flipped else turned

    def back(self, images: Tensor) -> Tensor:
        """Return images as they were before they were turned."""
        turned = images.flip(self.flipped) if self.flipped else images
        return turned.transpose(2, 3) if self.transposed else turned

    def before(self, network: nn.Module) -> nn.Module:
        """Make a network, which is changed, turn its images; names of its modules stay.

        Those of TorchScript stand behind ``network.`` then.
        """
        if self.is_none:
            return network
        if isinstance(network, torch.jit.ScriptModule):
            parts: list[nn.Module] = [Transpose()] if self.transposed else []
            parts += [Flip(list(self.flipped))] if self.flipped else []
            whole = TurnedScript(network, ScriptTurn(*parts))
            scripted: nn.Module = torch.jit.script(whole.eval())
            return scripted
        network.register_forward_pre_hook(self._hook)
        return network

    def _hook(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return self(inputs[0]), *inputs[1:]


class Transpose(nn.Module):
    """Exchanges rows and columns."""

    def forward(self, images: Tensor) -> Tensor:
        """Return images as (n, channel, width, height)."""
        return images.transpose(2, 3)


class Flip(nn.Module):
    """Turns dimensions round."""

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, images: Tensor) -> Tensor:
        """Return images in the order from their ends."""
        return images.flip(self.dims)


class ScriptTurn(nn.Sequential):
    """A turn that TorchScript can run."""


class TurnedScript(nn.Module):
    """A TorchScript network, which takes no hooks, behind the turn of its images."""

    def __init__(self, network: nn.Module, turn: ScriptTurn) -> None:
        super().__init__()
        self.turn = turn
        self.network = network

    # TorchScript finds out by itself what the network gives.
    def forward(self, images: Tensor):  # type: ignore[no-untyped-def]
        """Return what the network gives for turned images."""
        return self.network(self.turn(images))
