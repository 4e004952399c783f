"""Image-wise maps made coarser before they are stored, along any number of axes."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool1d, avg_pool2d


def pool_cells(maps: Tensor, side: int) -> Tensor:
    """Average blocks of cells of maps, (image, label, *cells).

    Parameters
    ----------
    maps : torch.Tensor
        Of any number of axes.
    side : int
        Cells of a block along each axis; those cut off by the border average what is left of them.
    """
    if side == 1:
        return maps
    axes = range(2, maps.ndim)
    if len(axes) >= 2:
        # Both at once, as most maps have two.
        flat = avg_pool2d(maps.flatten(0, -3), side, ceil_mode=True)
        maps = flat.reshape(*maps.shape[:-2], *flat.shape[-2:])
        axes = axes[:-2]
    for axis in axes:
        moved = maps.movedim(axis, -1)
        lines = avg_pool1d(moved.reshape(-1, 1, moved.shape[-1]), side, ceil_mode=True)
        maps = lines.reshape(*moved.shape[:-1], lines.shape[-1]).movedim(-1, axis)
    return maps
