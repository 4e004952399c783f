"""How the values of a layer's output make up a map: which are channels, and which cell is which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# Positions in pixels that are nearer than this are the same.
_SAME = 0.01


@dataclass(frozen=True)
class Layout:
    """How to turn a layer's output into a map, (n, channel, row, column), and back.

    Attributes
    ----------
    channel : int
        Dimension of the channels.
    cells : torch.Tensor or None
        Of the other dimensions as one, the places of the map's cells, row by row; None where the
        output is a map already.
    rows, columns : int
        Size of the map.
    y, x : numpy.ndarray or None
        Centres of rows and columns in input pixels, where they could be derived.
    """

    channel: int
    cells: Tensor | None
    rows: int
    columns: int
    y: npt.NDArray[np.float64] | None = None
    x: npt.NDArray[np.float64] | None = None

    def to_map(self, output: Tensor) -> Tensor:
        """Return the map in a layer's output; class and register tokens are left out."""
        if self.cells is None:
            return output
        flat = output.movedim(self.channel, 1).flatten(2)
        cells = flat.index_select(2, self.cells.to(output.device))
        return cells.reshape(*cells.shape[:2], self.rows, self.columns)

    def from_map(self, values: Tensor, output: Tensor) -> Tensor:
        """Return a layer's output with the values of its map exchanged."""
        if self.cells is None:
            # A copy, because the next layer may work in place, which a leaf does not allow.
            return values.clone()
        moved = output.detach().movedim(self.channel, 1)
        flat = moved.flatten(2).index_copy(2, self.cells.to(output.device), values.flatten(2))
        return flat.reshape(moved.shape).movedim(1, self.channel).contiguous()


def find_layout(output: object, positions: Tensor | None) -> Layout | None:
    """Find the map in a layer's output for one image by where its values lie.

    Parameters
    ----------
    output : object
        What the layer gave for one image.
    positions : torch.Tensor or None
        Where its values lie on the image, as complex y + i·x; None where not known.

    Returns
    -------
    Layout or None
        None where the output is no map of two cells or more: where its values do not lie on a
        grid, one cell a place. An output whose positions are not known is taken for a map, without
        centres, if it has four dimensions; tokens without positions are not.
    """
    if not isinstance(output, Tensor) or output.ndim not in (3, 4) or len(output) != 1:
        return None
    found = None
    if positions is not None and not bool(positions.isnan().all()):
        found = _from_positions(positions)
    elif output.ndim == 4:
        rows, columns = int(output.shape[2]), int(output.shape[3])
        found = Layout(1, None, rows, columns)
    return found if found is not None and found.rows * found.columns > 1 else None


def _from_positions(positions: Tensor) -> Layout | None:
    # Where several dimensions would do, as in a map of one row, the first in this order.
    order = (1, 3, 2) if positions.ndim == 4 else (2, 1)
    channel = min(order, key=lambda dim: _spread(positions, dim))
    places = positions.movedim(channel, 1).flatten(2)[0]
    known = ~places.isnan()
    count = known.sum(dim=0)
    if not bool(count.any()):
        return None
    centres = torch.where(known, places, 0).sum(dim=0) / count
    cells = torch.nonzero(count)[:, 0]
    y, row = _levels(centres.real[cells].numpy())
    x, column = _levels(centres.imag[cells].numpy())
    index = row * len(x) + column
    if not np.array_equal(np.sort(index), np.arange(len(y) * len(x))):
        return None
    cells = cells[torch.as_tensor(np.argsort(index))]
    in_order = torch.equal(cells, torch.arange(places.shape[1]))
    shape = [size for dim, size in enumerate(positions.shape[1:], 1) if dim != channel]
    is_map = channel == 1 and in_order and shape == [len(y), len(x)]
    return Layout(channel, None if is_map else cells, len(y), len(x), y, x)


def _spread(positions: Tensor, dim: int) -> float:
    """Return by how much positions change along a dimension; channels share theirs."""
    if positions.shape[dim] == 1 or positions.stride(dim) == 0:
        return 0.0
    spread = 0.0
    for part in (positions.real, positions.imag):
        high = torch.where(part.isnan(), -torch.inf, part).amax(dim)
        low = torch.where(part.isnan(), torch.inf, part).amin(dim)
        difference = (high - low)[high >= low]
        spread = max(spread, float(difference.max()) if difference.numel() else 0.0)
    return round(spread / _SAME) * _SAME


def _levels(
    values: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Return the distinct values, ascending, and which of them each value is."""
    ordered = np.sort(values)
    levels = ordered[np.insert(np.diff(ordered) > _SAME, 0, True)]
    return levels, np.searchsorted(levels - _SAME / 2, values, side="right") - 1
