"""Where the cells of a CAM lie on the image, found on the network.

A strided convolution with an odd kernel centres its cell ``i`` on pixel ``stride * i``; resizing
the map as if the cells tiled the image shifts it by up to half a cell. The centres are therefore
derived from the network itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_globalxai.errors import is_out_of_memory
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.models.split.calls import Split
from napari_globalxai.models.split.cell_places import CellPlaces
from napari_globalxai.models.split.tracing import NoSplitError

# The check: spots along each axis, their contrast in SDs of the probe, and by how many pixels
# answers may miss them where a cell is smaller than that.
_SPOTS_AN_AXIS = 3
_SPOTS_WHERE_ASSUMED = 5
_LEAST_ANSWERED = 2 / 3
_CONTRAST = 3.0
_SLACK = 4.0
# How many times its rounding a cell must change by to have answered.
_ABOVE_ROUNDING = 8


class UnplacedError(NoSplitError):
    """The cells of a CAM layer do not lie where they would have to."""


@dataclass(frozen=True)
class MeasuredCells:
    """Where the cells of the calls of a CAM layer lie.

    Attributes
    ----------
    grids : tuple of CellGrid
        Their centres, of each call.
    seen : tuple of tuple of slice
        What each call sees of the image, along each axis.
    """

    grids: tuple[CellGrid, ...]
    seen: tuple[tuple[slice, ...], ...]

    @property
    def places(self) -> CellPlaces:
        """The cells of the map that they make up together."""
        return CellPlaces.of(self.grids, self.seen)


def measure_cells(split: Split, probe: Tensor) -> MeasuredCells:
    """Say where the cells of the CAM layer are centred, and check it on the network.

    The centres are those that the split derived from the network's operations; see `positions`.
    Where none could be derived, cells are taken to tile the image. What is put on the place of a
    cell must then be answered there.

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
    grids = tuple(_measure(split, place, probe) for place in range(len(split.calls)))
    return MeasuredCells(grids, tuple(_seen(split, probe[:1])))


def _seen(split: Split, image: Tensor) -> list[tuple[slice, slice]]:
    """Return the rows and columns of the image that each call sees anything of."""
    everything = slice(0, int(image.shape[2])), slice(0, int(image.shape[3]))
    leaf = image.detach().clone().requires_grad_()
    generator = torch.Generator().manual_seed(0)
    seen = []
    try:
        for activation in split.watched(leaf.clone()):
            noise = torch.randn(activation.shape, generator=generator).to(activation)
            (gradient,) = torch.autograd.grad(
                (activation * noise).sum(), leaf, retain_graph=True, materialize_grads=True
            )
            touched = gradient != 0
            rows, columns = touched.any(3).any(1)[0], touched.any(2).any(1)[0]
            seen.append((_span(rows), _span(columns)) if bool(rows.any()) else everything)
    # Some operations let no gradient through; what stands before them is not known.
    except RuntimeError as why:
        if is_out_of_memory(why):
            raise
        return [everything] * len(split.calls)
    return seen


def _span(present: Tensor) -> slice:
    places = torch.nonzero(present)[:, 0]
    return slice(int(places[0]), int(places[-1]) + 1)


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
    count = _SPOTS_AN_AXIS if grid.measured else _SPOTS_WHERE_ASSUMED
    spots = [
        (row, column)
        for row in _some_inside(y, frame[0], count)
        for column in _some_inside(x, frame[1], count)
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
    values = activations[place].detach()
    rounding = _ABOVE_ROUNDING * torch.finfo(values.dtype).eps
    values = values.float()
    answers = (values[1:] - values[:1]).square().sum(dim=1)
    least = (rounding * values[:1]).square().sum(dim=1).max()
    answered = {
        spot: np.subtract(divmod(int(answer.argmax()), grid.shape[1]), spot)
        for answer, spot in zip(answers, spots, strict=True)
        # Cells that are dead there, behind a ReLU, tell nothing, and neither does rounding: of a
        # network that hardly sees the image it is another one on each processor.
        if bool(answer.max() > least)
    }
    if not answered:
        return True
    misses = np.array(list(answered.values()))
    # A neighbour may answer more than the cell itself where receptive fields are wide or uneven.
    limits = [max(1.0, _SLACK / height), max(1.0, _SLACK / width)]
    shift = np.abs(np.mean(misses, axis=0))
    typical = np.median(np.abs(misses), axis=0)
    fits = bool((shift <= limits).all() and (typical <= limits).all())
    if grid.measured:
        return fits
    # Where a part of the image is made larger, spots beside it are not answered; where all of it is
    # made smaller, those on one side are missed to the other.
    few = len(answered) < _LEAST_ANSWERED * len(spots)
    drift = [
        _drift(np.array([spot[axis] for spot in answered]), misses[:, axis]) for axis in (0, 1)
    ]
    return fits and not few and bool((np.abs(drift) <= limits).all())


def _drift(spots: npt.NDArray[np.int64], misses: npt.NDArray[np.int64]) -> float:
    """Return by how much misses change from the middle of the spots to their ends, in cells."""
    centred = spots - spots.mean()
    spread = float((centred**2).sum())
    return 0.0 if spread == 0 else float((centred * misses).sum() / spread * np.ptp(spots) / 2)


def _some_inside(centres: npt.NDArray[np.float64], length: int, count: int) -> list[int]:
    """Return the first, the last and some between of the cells whose centre lies on the image."""
    inside = np.flatnonzero((centres > -0.5) & (centres < length - 0.5))
    picked = np.linspace(0, len(inside) - 1, count).round().astype(int)
    return [int(cell) for cell in np.unique(inside[picked])] if len(inside) else []


def _side(centres: npt.NDArray[np.float64], length: int) -> int:
    """Return a cell's size in pixels."""
    stride = float(np.diff(centres).mean()) if len(centres) > 1 else float(length)
    return max(1, min(round(stride), length))


def _window(centre: float, side: int, length: int) -> slice:
    start = min(max(round(centre - (side - 1) / 2), 0), length - side)
    return slice(start, start + side)
