"""Where the cells of a CAM lie on the image.

A strided convolution with an odd kernel centres its cell ``i`` on pixel ``stride * i``; resizing
the map as if the cells tiled the image shifts it by up to half a cell. The centres are therefore
measured on the network itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_globalxai.models.copying import copy_network
from napari_globalxai.models.splitting import ChainSplit, HookSplit, Split

_PROBE_LENGTH = 768
_PROBE_WIDTH = 64
# Share of the receptive field's weight that may fall outside the probe's inner half.
_LOST_WEIGHT = 1e-3


@dataclass(frozen=True)
class CellGrid:
    """Positions of a map's cells in frame pixels; pixel (0, 0) has its centre at (0, 0).

    Attributes
    ----------
    y, x : numpy.ndarray
        Centres of rows and columns, float64, ascending.
    height, width : int
        Size of the frame.
    measured : bool
        Whether the centres were measured on the network or assumed to tile the image evenly.
    """

    y: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    height: int
    width: int
    measured: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns of cells."""
        return len(self.y), len(self.x)

    @property
    def is_frame(self) -> bool:
        """Whether each cell is a pixel of the frame."""
        return self.shape == (self.height, self.width)

    @classmethod
    def pixels(cls, height: int, width: int) -> CellGrid:
        """Return the grid of a pixel-level method."""
        return cls(np.arange(height, dtype=float), np.arange(width, dtype=float), height, width)

    @classmethod
    def tiling(cls, shape: tuple[int, int], height: int, width: int) -> CellGrid:
        """Return the grid whose cells tile the frame evenly, as patch embeddings do."""
        rows, columns = shape
        y = (np.arange(rows) + 0.5) * height / rows - 0.5
        x = (np.arange(columns) + 0.5) * width / columns - 0.5
        return cls(y, x, height, width, measured=False)

    def pooled(self, side: int) -> CellGrid:
        """Return the grid of squares of `side` × `side` cells; the last ones may be smaller."""
        y, x = (
            np.array(
                [centres[start : start + side].mean() for start in range(0, len(centres), side)]
            )
            for centres in (self.y, self.x)
        )
        return CellGrid(y, x, self.height, self.width, self.measured)

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as JSON-like values."""
        return {
            "y": self.y.tolist(),
            "x": self.x.tolist(),
            "height": self.height,
            "width": self.width,
            "measured": self.measured,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> CellGrid:
        """Rebuild a grid from `to_dict`."""
        return cls(
            np.asarray(value["y"], dtype=float),
            np.asarray(value["x"], dtype=float),
            value["height"],
            value["width"],
            value["measured"],
        )


def measure_cell_grid(split: Split, shape: tuple[int, int], probe: Tensor) -> CellGrid:
    """Measure where the cells of the CAM layer are centred.

    A copy of the network gets equal positive weights, so that the gradient of one cell with respect
    to the input is its receptive field, whose centroid is the centre of the cell.

    Parameters
    ----------
    split : Split
        The split network.
    shape : tuple of int
        Rows and columns of cells at the model's input size.
    probe : torch.Tensor
        An input of the model, for its number of channels and its size: (n, channel, height, width).

    Returns
    -------
    CellGrid
        Falls back on `CellGrid.tiling` where the network does not take other input sizes or its
        receptive fields are not local.
    """
    channels, height, width = (int(size) for size in probe.shape[1:])
    fallback = CellGrid.tiling(shape, height, width)
    try:
        even = _with_even_weights(split)
        axes = [_stride_and_offset(even, channels, axis) for axis in (2, 3)]
    # Networks refuse a foreign input size in many ways; the fallback says that it is one.
    except (RuntimeError, ValueError, AssertionError, TypeError):
        return fallback
    if any(axis is None for axis in axes):
        return fallback
    centres: list[npt.NDArray[np.float64]] = []
    for axis, count, length in zip(axes, shape, (height, width), strict=True):
        assert axis is not None
        stride, offset, probe_count = axis
        positions = offset + stride * np.arange(count, dtype=np.float64)
        # The probe has a cell more a stride, or the measurement is not about this input size.
        if abs((probe_count - count) - (_PROBE_LENGTH - length) / stride) > 1:
            return fallback
        if positions[0] < -stride or positions[-1] > length - 1 + stride:
            return fallback
        centres.append(positions)
    return CellGrid(centres[0], centres[1], height, width)


def _with_even_weights(split: Split) -> Split:
    """Copy a split network and give it weights under which gradients show geometry alone."""
    if isinstance(split, HookSplit):
        network = copy_network(split.network)
        _even(network)
        return HookSplit(network, split.layer)
    assert isinstance(split, ChainSplit)
    chain = type(split.children)(
        (name, copy_network(child)) for name, child in split.children.items()
    )
    for name, child in chain.items():
        holder = nn.Module()
        holder.add_module("child", child)
        _even(holder)
        chain[name] = holder.get_submodule("child")
    return ChainSplit(chain, split.layer)


def _even(network: nn.Module) -> None:
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            # The maximum of near-equal values picks one at random; the average has the same centre.
            network.set_submodule(
                name, nn.AvgPool2d(module.kernel_size, module.stride, module.padding)
            )
        elif isinstance(module, nn.GroupNorm | nn.LayerNorm | nn.InstanceNorm2d):
            # Normalising over space would make every pixel part of every receptive field.
            network.set_submodule(name, nn.Identity())
    for name, value in network.state_dict().items():
        kind = name.rpartition(".")[2]
        if value.ndim >= 3:
            value.fill_(1.0 / value[0].numel())
        elif kind == "running_var" or (kind == "weight" and value.ndim == 1):
            value.fill_(1.0)
        elif kind in ("running_mean", "bias"):
            value.fill_(0.0)


class _Found(Exception):  # noqa: N818 - carries the activation out of the network
    def __init__(self, activation: Tensor) -> None:
        self.activation = activation


def _activation(split: Split, images: Tensor) -> Tensor:
    """Return the CAM activation with its graph back to the input."""
    if isinstance(split, ChainSplit):
        value = images
        for name, child in split.children.items():
            value = child(value)
            if name == split.layer:
                break
        return value
    assert isinstance(split, HookSplit)

    def stop(module: nn.Module, inputs: object, output: Tensor) -> None:
        # The rest of the network may not take this input size.
        raise _Found(output)

    handle = split.module.register_forward_hook(stop)
    try:
        split.network(images)
    except _Found as found:
        return found.activation
    finally:
        handle.remove()
    raise RuntimeError(f"the layer {split.layer!r} was not reached")


def _stride_and_offset(split: Split, channels: int, axis: int) -> tuple[float, float, int] | None:
    """Measure stride and offset along one axis on a strip that is long in that direction.

    The third number is how many cells lie along the strip.
    """
    size = [1, channels, _PROBE_WIDTH, _PROBE_WIDTH]
    size[axis] = _PROBE_LENGTH
    generator = torch.Generator().manual_seed(0)
    # Slight noise, so that a maximum pooling that could not be replaced picks at random.
    images = 1.0 + 0.01 * torch.rand(size, generator=generator)
    images.requires_grad_()
    with torch.enable_grad():
        activation = _activation(split, images)
    count = activation.shape[axis]
    first = count // 2 - 2
    centroids = []
    for index in (first, first + 4):
        cells = activation.select(axis, index).sum()
        (gradient,) = torch.autograd.grad(cells, images, retain_graph=True)
        other = 3 if axis == 2 else 2
        weights = gradient.abs().double().sum(dim=(0, 1, other))
        positions = torch.arange(_PROBE_LENGTH, dtype=weights.dtype)
        total = weights.sum()
        if total <= 0:
            return None
        margin = _PROBE_LENGTH // 16
        if (weights[:margin].sum() + weights[-margin:].sum()) / total > _LOST_WEIGHT:
            return None
        centroids.append(float((weights * positions).sum() / total))
    stride = (centroids[1] - centroids[0]) / 4
    if stride <= 0:
        return None
    if abs(stride - round(stride)) < 0.1:
        # Strides are whole; what is left is the noise of the probe.
        stride = float(round(stride))
    offset = float(np.mean(centroids)) - stride * (first + 2)
    return stride, round(offset, 2), count
