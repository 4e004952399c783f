"""Where on the image every value of a network lies, found by letting positions flow with values.

While a network runs, each operation is also done to the positions, in input pixels, of what it
takes: a convolution puts its output at the centre of its kernel, what only moves values about
(permuting, cutting into windows, rolling) moves their positions, attention leaves each token where
its query lies. This needs no copy of the network, sees through TorchScript, and runs at the true
input size, on which paddings may depend.

A position is a complex number, y + i·x, so that any operation that moves values moves both parts.
NaN is no position: a class token, or a mean of the whole image. An operation that is not known here
loses the positions of what it takes; elsewhere nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakIdKeyDictionary

from napari_globalxai.models.running.watched_operators import OperatorWatch

_NOWHERE = complex("nan")
# What is averaged over more than this share of the image lies nowhere in it.
_LARGEST_SHARE = 0.5

_RESHAPES = frozenset(("view", "_unsafe_view", "_reshape_alias", "reshape"))
_MOVES = frozenset(
    (
        *("permute", "transpose", "t", "expand", "slice", "select", "split", "split_with_sizes"),
        *("unbind", "unsqueeze", "squeeze", "roll", "flip", "index", "index_select", "repeat"),
        *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "unfold"),
    )
)
_JOINS = frozenset(("cat", "stack"))
# The first output lies where the first input lies.
_KEEPS = frozenset(
    (
        *("clone", "_to_copy", "detach", "alias", "lift_fresh", "contiguous"),
        *("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"),
        *("native_layer_norm", "native_group_norm", "_softmax", "_log_softmax", "native_dropout"),
        *("_transformer_encoder_layer_fwd", "_native_multi_head_attention"),
    )
)
# Sums of products over the last dimension of one input, by the place of that input.
_PRODUCTS = {"mm": 0, "bmm": 0, "linear": 0, "addmm": 1, "baddbmm": 1}
_CONVOLUTIONS = frozenset(("convolution", "_convolution"))
_POOLS = frozenset(("max_pool2d_with_indices", "max_pool2d", "avg_pool2d"))
_ADAPTIVE_POOLS = frozenset(("_adaptive_avg_pool2d", "adaptive_max_pool2d"))
_REDUCTIONS = frozenset(("mean", "sum", "amax", "amin", "max", "std", "var", "linalg_vector_norm"))
_PADS = frozenset(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"))
_RESAMPLINGS = ("upsample_", "_upsample_")


class PositionTrace(OperatorWatch):
    """While active, remembers the positions of what is computed from an image.

    Parameters
    ----------
    images : torch.Tensor
        (n, channel, height, width), the tensor that the network is given.

    Attributes
    ----------
    depends_on_values : bool
        Whether something was sampled at places that may have been computed from the image.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        height, width = images.shape[-2:]
        y = torch.arange(height, dtype=torch.float64)
        x = torch.arange(width, dtype=torch.float64)
        # Repeated dimensions are views, here and below: positions cost little memory.
        self._positions: Any = WeakIdKeyDictionary()
        self._positions[images] = torch.complex(*torch.meshgrid(y, x, indexing="ij")).expand(
            images.shape
        )
        self._size = (height, width)
        self.depends_on_values = False

    def of(self, tensor: Tensor) -> Tensor | None:
        """Return the positions of a tensor's values, in its shape, or None where not known."""
        found: Tensor | None = self._positions.get(tensor)
        return found

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        flat = [each for arg in args for each in (arg if isinstance(arg, list | tuple) else [arg])]
        if any(isinstance(each, Tensor) and self.of(each) is not None for each in flat):
            outputs = list(result) if isinstance(result, list | tuple) else [result]
            placed = self._place(func, args, kwargs or {}, outputs)
            for output, positions in zip(outputs, placed, strict=False):
                if positions is not None and positions.shape == output.shape:
                    self._positions[output] = positions
        return result

    def _place(
        self, func: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Any]
    ) -> Sequence[Tensor | None]:
        """Return positions of the outputs of an operation, as far as known."""
        name = func.overloadpacket.__name__
        output = outputs[0]
        first = self.of(args[0]) if isinstance(args[0], Tensor) else None
        if name in _JOINS:
            return [
                _joined(func, [self._or_nowhere(part) for part in args[0]], args, kwargs, output)
            ]
        if name in _PRODUCTS:
            rows = self.of(args[_PRODUCTS[name]])
            return [None if rows is None else self._mean(rows, [-1]).expand(output.shape)]
        if torch.Tag.pointwise in func.tags:
            return [self._combined(args, output.shape)]
        if name == "copy_":
            source = self.of(args[1])
            return [None if source is None else source.expand(output.shape)]
        if first is None:
            return []
        if name in _RESHAPES:
            return [first.reshape(output.shape)]
        if name in _MOVES:
            moved = func(first, *map(_on_cpu, args[1:]), **kwargs)
            return moved if isinstance(moved, list | tuple) else [moved]
        if name in _KEEPS:
            return [first]
        if name.startswith("_scaled_dot_product"):
            return [self._mean(first, [-1]).expand(output.shape)]
        transposed = name in _CONVOLUTIONS and args[6]
        if name in _CONVOLUTIONS and output.ndim == 4 and not transposed:
            sizes = [tuple(args[1].shape[2:]), *(_pair(args[place]) for place in (3, 4, 5))]
            return [self._windowed(first, output.shape, *sizes)]
        if name in _POOLS and output.ndim == 4:
            return [self._windowed(first, output.shape, *_pool_sizes(name, args))]
        if name in _ADAPTIVE_POOLS:
            return [self._adaptively_pooled(first, output.shape)]
        if name in _REDUCTIONS:
            return [self._reduced(first, args, kwargs, output)]
        if name in _PADS:
            return [_padded(first, args[1])]
        if name.startswith(_RESAMPLINGS) and output.ndim == 4:
            plane = self._mean(first, [1])
            return [_resampled(func, plane, args, kwargs, output.shape)]
        if name == "grid_sampler_2d":
            self.depends_on_values = True
            return [self._sampled(first, args, output.shape)]
        return []

    def _sampled(self, positions: Tensor, args: Sequence[Any], shape: torch.Size) -> Tensor:
        """Return positions where a grid takes its samples; outside the image there are none."""
        align = bool(args[4])
        grid = args[1].detach().cpu().double()
        plane = self._mean(positions, [1]).expand(len(grid), 1, *positions.shape[-2:])
        parts = [
            # At the border, where zeros would be taken for places.
            functional.grid_sample(
                part.contiguous(), grid, "bilinear", "border", align_corners=align
            )
            for part in (plane.real, plane.imag)
        ]
        outside = (grid.abs() > 1).any(dim=-1)[:, None]
        return torch.where(outside, _NOWHERE, torch.complex(*parts)).expand(shape)

    def _or_nowhere(self, tensor: Tensor) -> Tensor:
        found = self.of(tensor)
        nowhere = torch.tensor(_NOWHERE, dtype=torch.complex128)
        return nowhere.expand(tensor.shape) if found is None else found

    def _combined(self, args: Sequence[Any], shape: torch.Size) -> Tensor | None:
        """Return the mean position of the tensors that an elementwise operation takes."""
        known = [self.of(arg) for arg in args if isinstance(arg, Tensor)]
        placed = [each for each in known if each is not None]
        # What is spread over the others, like the gate of squeeze-and-excitation, has no place.
        full = [each for each in placed if each.shape == shape]
        if not full:
            return self._mean_of(placed, shape)
        return full[0] if len(full) == 1 else self._mean_of(full, shape)

    def _mean_of(self, placed: list[Tensor], shape: torch.Size) -> Tensor:
        stacked = torch.stack([*torch.broadcast_tensors(*map(_compact, placed))])
        return _nan_mean(stacked, [0])[0].expand(shape)

    def _mean(self, positions: Tensor, dims: list[int]) -> Tensor:
        """Return the mean over dimensions, which stay; NaN where too much is averaged."""
        positions = _compact(positions)
        means = _nan_mean(positions, dims)
        spans = [
            torch.where(part.isnan(), -torch.inf, part).amax(dims, keepdim=True)
            - torch.where(part.isnan(), torch.inf, part).amin(dims, keepdim=True)
            for part in (positions.real, positions.imag)
        ]
        limits = [_LARGEST_SHARE * length for length in self._size]
        everywhere = (spans[0] > limits[0]) | (spans[1] > limits[1])
        return torch.where(everywhere, _NOWHERE, means)

    def _windowed(
        self,
        positions: Tensor,
        shape: torch.Size,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
    ) -> Tensor:
        """Return the centres of sliding windows, also of those that reach over the edge."""
        plane = self._mean(positions, [1])
        for axis in (0, 1):
            start = dilation[axis] * (kernel[axis] - 1) / 2 - padding[axis]
            steps = torch.arange(shape[axis + 2], dtype=torch.float64)
            plane = _along(plane, axis - 2, start + stride[axis] * steps)
        return plane.expand(shape)

    def _adaptively_pooled(self, positions: Tensor, shape: torch.Size) -> Tensor:
        plane = self._mean(positions, [1])
        if shape[-2:] == (1, 1):
            return self._mean(plane, [-2, -1]).expand(shape)
        parts = [
            functional.adaptive_avg_pool2d(part.contiguous(), (shape[-2], shape[-1]))
            for part in (plane.real, plane.imag)
        ]
        return torch.complex(*parts).expand(shape)

    def _reduced(
        self, positions: Tensor, args: Sequence[Any], kwargs: dict[str, Any], output: Tensor
    ) -> Tensor | None:
        # A norm has its order before the dimensions.
        dims = next((arg for arg in args[1:] if isinstance(arg, list)), kwargs.get("dim"))
        dims = [args[1]] if dims is None and len(args) > 1 and isinstance(args[1], int) else dims
        if not dims:
            return None
        mean = self._mean(positions, dims)
        if mean.ndim != output.ndim:
            mean = mean.squeeze(tuple(dims))
        return mean.expand(output.shape)


def _joined(
    func: Any, parts: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any], output: Tensor
) -> Tensor:
    compact = [_compact(part) for part in parts]
    channels_only = output.ndim == 4 and len(args) > 1 and args[1] in (1, -3)
    if channels_only and all(torch.equal(part, compact[0]) for part in compact):
        # Channels that lie on the same places, as in dense blocks: no need to write them out.
        return compact[0].expand(output.shape)
    joined: Tensor = func(parts, *args[1:], **kwargs)
    return joined


def _on_cpu(value: Any) -> Any:
    """Return an argument with its index tensors where the positions are."""
    if isinstance(value, list | tuple):
        return [_on_cpu(each) for each in value]
    return value.cpu() if isinstance(value, Tensor) else value


def _pair(value: Sequence[int]) -> tuple[int, int]:
    """Return a value for each axis; one number stands for both."""
    return (value[0], value[-1])


def _pool_sizes(name: str, args: Sequence[Any]) -> list[tuple[int, int]]:
    kernel = _pair(args[1])
    stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
    padding = _pair(args[3]) if len(args) > 3 else (0, 0)
    # The averaging pool has no dilation; its next argument is another.
    dilation = _pair(args[4]) if name != "avg_pool2d" and len(args) > 4 else (1, 1)
    return [kernel, stride, padding, dilation]


def _compact(positions: Tensor) -> Tensor:
    """Cut dimensions that only repeat to one; broadcasting brings them back."""
    for dim, step in enumerate(positions.stride()):
        if step == 0 and positions.shape[dim] > 1:
            positions = positions.narrow(dim, 0, 1)
    return positions


def _nan_mean(positions: Tensor, dims: list[int]) -> Tensor:
    known = ~positions.isnan()
    total = torch.where(known, positions, 0).sum(dims, keepdim=True)
    # 0 / 0 is NaN: nothing known is nowhere.
    return total / known.sum(dims, keepdim=True)


def _along(positions: Tensor, dim: int, indices: Tensor) -> Tensor:
    """Return positions at fractional indices along a dimension, also beyond its ends."""
    length = positions.shape[dim]
    if length < 2:
        return positions.index_select(dim, torch.zeros(len(indices), dtype=torch.int64))
    lower = indices.floor().clamp(0, length - 2).to(torch.int64)
    share = (indices - lower).view(-1, *[1] * (-dim - 1))
    before, after = (positions.index_select(dim, index) for index in (lower, lower + 1))
    return before * (1 - share) + after * share


def _resampled(
    func: Any, plane: Tensor, args: Sequence[Any], kwargs: dict[str, Any], shape: torch.Size
) -> Tensor:
    """Return positions of a map that is made larger or smaller, (n, 1, row, column) before."""
    parts = [func(part.contiguous(), *args[1:], **kwargs) for part in (plane.real, plane.imag)]
    return torch.complex(*parts).expand(shape)


def _padded(positions: Tensor, amounts: Sequence[int]) -> Tensor:
    """Go on beyond the edges with the steps found inside; `amounts` counts from the last axis."""
    for place in range(len(amounts) // 2):
        before, after = amounts[2 * place], amounts[2 * place + 1]
        if before or after:
            dim = -1 - place
            indices = torch.arange(-before, positions.shape[dim] + after, dtype=torch.float64)
            positions = _along(positions, dim, indices)
    return positions
