"""Where the cells of a CAM lie on the image, found on the network.

A strided convolution with an odd kernel centres its cell ``i`` on pixel ``stride * i``; resizing
the map as if the cells tiled the image shifts it by up to half a cell. The centres are therefore
derived from the network itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.models.calls import Split
from napari_globalxai.models.cell_places import CellPlaces
from napari_globalxai.models.tracing import NoSplitError

# The check: spots along each axis, their contrast in SDs of the probe, and by how many pixels
# answers may miss them where a cell is smaller than that.
_SPOTS_AN_AXIS = 3
_CONTRAST = 3.0
_SLACK = 4.0


class UnplacedError(NoSplitError):
    """The cells of a CAM layer do not lie where they would have to."""


def measure_cells(split: Split, probe: Tensor) -> CellPlaces:
    """Say where the cells of the CAM layer are centred, and check it on the network.

    The centres are those that the split derived from the network's operations; see
    `napari_globalxai.models.positions`. Where none could be derived, cells are taken to tile the
    image. What is put on the place of a cell must then be answered there.

    Parameters
    ----------
    split : Split
        The split network.
    probe : torch.Tensor
        An input of the model, (n, channel, height, width).

    Raises
    ------
    UnplacedError
        When the check fails.
    """
    grids = [_measure(split, place, probe) for place in range(len(split.calls))]
    return CellPlaces.of(grids)


def _measure(split: Split, place: int, probe: Tensor) -> CellGrid:
    frame = int(probe.shape[2]), int(probe.shape[3])
    call = split.calls[place]
    layout = call.layout
    grids = [CellGrid.tiling((layout.rows, layout.columns), frame)]
    if layout.y is not None and layout.x is not None:
        grids.insert(0, CellGrid((layout.y, layout.x), frame))
    elif len(split.calls) > 1:
        raise UnplacedError(
            f"The layer {call.layer!r} gives several maps, and where the cells of each lie on the "
            "image could not be found, so they cannot be added up."
        )
    for grid in grids:
        if _answers_where_it_lies(split, place, grid, probe[:1]):
            return grid
    raise UnplacedError(
        f"The cells of the layer {call.layer!r} do not answer to what lies on their places of the "
        "image, so its maps would point elsewhere."
    )


def _answers_where_it_lies(split: Split, place: int, grid: CellGrid, image: Tensor) -> bool:
    """Put noise on some cells' places and look where the answers lie."""
    (y, x), frame = grid.centres, grid.frame
    spots = [
        (row, column) for row in _some_inside(y, frame[0]) for column in _some_inside(x, frame[1])
    ]
    height, width = _side(y, frame[0]), _side(x, frame[1])
    generator = torch.Generator().manual_seed(0)
    images = image.repeat(len(spots) + 1, 1, 1, 1)
    for spotted, (row, column) in zip(images[1:], spots, strict=True):
        noise = torch.randn((len(spotted), height, width), generator=generator)
        rows = _window(y[row], height, frame[0])
        columns = _window(x[column], width, frame[1])
        # Noise, because the weights that see an even spot may cancel.
        spotted[:, rows, columns] += _CONTRAST * image.std() * noise.to(image.device)
    with torch.no_grad():
        activations, _ = split.activations(images)
    values = activations[place].detach().float()
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
