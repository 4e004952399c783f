"""Where the cells of a CAM lie on the image.

A strided convolution with an odd kernel centres its cell ``i`` on pixel ``stride * i``; resizing
the map as if the cells tiled the image shifts it by up to half a cell. The centres are therefore
derived from the network itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_globalxai.models.splitting import Split

# The check: spots along each axis, their contrast in SDs of the probe, and by how many pixels
# answers may miss them where a cell is smaller than that.
_SPOTS_AN_AXIS = 3
_CONTRAST = 3.0
_SLACK = 4.0


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
        Whether the centres were found on the network or assumed to tile the image evenly.
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


def measure_cell_grid(split: Split, probe: Tensor) -> CellGrid:
    """Say where the cells of the CAM layer are centred, and check it on the network.

    The centres are those that the split derived from the network's operations; see
    `napari_globalxai.models.positions`. What is put on the place of
    a cell must then be answered there.

    Parameters
    ----------
    split : Split
        The split network.
    probe : torch.Tensor
        An input of the model, (n, channel, height, width).

    Returns
    -------
    CellGrid
        `CellGrid.tiling` where the centres could not be derived or the check fails.
    """
    height, width = int(probe.shape[2]), int(probe.shape[3])
    layout = split.layout
    if layout.y is not None and layout.x is not None:
        grid = CellGrid(layout.y, layout.x, height, width)
        if _answers_where_it_lies(split, grid, probe[:1]):
            return grid
    return CellGrid.tiling((layout.rows, layout.columns), height, width)


def _answers_where_it_lies(split: Split, grid: CellGrid, image: Tensor) -> bool:
    """Put noise on some cells' places and look where the answers lie."""
    spots = [
        (row, column)
        for row in _some_inside(grid.y, grid.height)
        for column in _some_inside(grid.x, grid.width)
    ]
    height, width = _side(grid.y, grid.height), _side(grid.x, grid.width)
    generator = torch.Generator().manual_seed(0)
    images = image.repeat(len(spots) + 1, 1, 1, 1)
    for spotted, (row, column) in zip(images[1:], spots, strict=True):
        noise = torch.randn((len(spotted), height, width), generator=generator)
        rows = _window(grid.y[row], height, grid.height)
        columns = _window(grid.x[column], width, grid.width)
        # Noise, because the weights that see an even spot may cancel.
        spotted[:, rows, columns] += _CONTRAST * image.std() * noise.to(image.device)
    with torch.no_grad():
        activation, _ = split(images)
    values = activation.detach().float()
    answers = (values[1:] - values[:1]).square().sum(dim=1)
    misses = [
        np.subtract(divmod(int(answer.argmax()), grid.shape[1]), spot)
        for answer, spot in zip(answers, spots, strict=True)
        # Cells that are dead there, behind a ReLU, tell nothing.
        if float(answer.max()) > 0
    ]
    if not misses:
        return True
    # A neighbour may answer more than the cell itself where receptive fields are wide or uneven.
    limits = [max(1.0, _SLACK / height), max(1.0, _SLACK / width)]
    shift = np.abs(np.mean(misses, axis=0))
    typical = np.median(np.abs(misses), axis=0)
    return bool((shift <= limits).all() and (typical <= limits).all())


def _some_inside(centres: npt.NDArray[np.float64], length: int) -> list[int]:
    """Return first, middle and last of the cells whose centre lies on the image."""
    inside = np.flatnonzero((centres > -0.5) & (centres < length - 0.5))
    picked = np.linspace(0, len(inside) - 1, _SPOTS_AN_AXIS).round().astype(int)
    return [int(cell) for cell in np.unique(inside[picked])] if len(inside) else []


def _side(centres: npt.NDArray[np.float64], length: int) -> int:
    """Return a cell's size in pixels."""
    stride = float(np.diff(centres).mean()) if len(centres) > 1 else float(length)
    return max(1, min(round(stride), length))


def _window(centre: float, side: int, length: int) -> slice:
    start = min(max(round(centre - (side - 1) / 2), 0), length - side)
    return slice(start, start + side)
