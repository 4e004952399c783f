"""Find what of a network gives a map: which layers, in which of their calls, and where it lies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.running.views import Views
from napari_globalxai.models.split.calls import Call
from napari_globalxai.models.split.chaining import Step, chain_children, walk_chain
from napari_globalxai.models.split.layout import Layout, find_layout
from napari_globalxai.models.split.positions import PositionTrace


class NoSplitError(InputError):
    """The network cannot be split at any layer; methods that need no split still work."""


@dataclass(frozen=True)
class CamLayer:
    """A layer whose output is a map, as that of a CAM layer has to be.

    Attributes
    ----------
    name : str
        Dotted name of the module.
    channels : int
        Number of maps.
    layout : Layout
        How the maps lie in the layer's output, with their rows, columns and centres.
    """

    name: str
    channels: int
    layout: Layout

    def __str__(self) -> str:
        return f"{self.name} ({self.channels} × {self.layout.rows} × {self.layout.columns})"


@dataclass
class Trace:
    """What was seen of a network's layers while it ran.

    Attributes
    ----------
    layers : dict
        Layers that give a map, by name, in the order in which they run; of a layer that runs
        several times, the last time.
    calls : dict
        All calls of each layer that give a map, one for each view.
    ran : set of str
        Names of all layers that ran.
    single_cells : set of str
        Those that gave a map of a single cell.
    off_grid : bool
        Whether a layer gives a map whose cells lie on no rows and columns of the image, or on
        others for another image.
    """

    layers: dict[str, CamLayer] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    ran: set[str] = field(default_factory=set)
    single_cells: set[str] = field(default_factory=set)
    off_grid: bool = False


def trace_layers(network: nn.Module, probe: Tensor) -> Trace:
    """Run a network on an image and note where what its layers give lies on it.

    Parameters
    ----------
    network : torch.nn.Module
        A plain or TorchScript network in eval mode.
    probe : torch.Tensor
        Two different inputs, (2, channel, height, width).
    """
    found, depends = _trace(network, probe[:1], None)
    if depends and len(probe) > 1:
        # Another in brightness and contrast, too, by which some networks find where to look.
        other, _ = _trace(network, 0.5 * probe[1:2] + 1, None)
        _drop_what_moves(found, other)
    if (
        not found.layers
        and not found.off_grid
        and len(probe) > 1
        and not isinstance(network, torch.jit.ScriptModule)
    ):
        # Views of an image may have been put into one batch.
        orders = _orders(network, probe)
        found, _ = _trace(network, probe[:1], orders)
    return found


def unfused() -> AbstractContextManager[None]:
    """Keep TorchScript's optimiser from joining operations into ones without positions."""
    context: AbstractContextManager[None] = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
    return context


def chain_of(network: nn.Module, probe: Tensor) -> list[Step]:
    """Return a TorchScript network as a chain of its children, or raise `NoSplitError`."""
    chain = chain_children(network, probe)
    if chain is None:
        raise NoSplitError(
            "This TorchScript model cannot be split: its children, run one after another, do not "
            "give its output."
        )
    return chain


_Orders = dict[tuple[str, int], Views]


def _trace(network: nn.Module, image: Tensor, orders: _Orders | None) -> tuple[Trace, bool]:
    """Trace one image; return also whether positions depend on what is computed from it."""
    image = image.clone()
    found = Trace()
    numbers: dict[str, int] = defaultdict(int)
    with torch.no_grad(), unfused(), PositionTrace(image) as trace:

        def note(name: str, output: object) -> None:
            found.ran.add(name)
            # Of a module that runs several times, the last time counts.
            found.layers.pop(name, None)
            number = numbers[name]
            numbers[name] += 1
            if not isinstance(output, Tensor):
                return
            if output.ndim == 4 and output.shape[2:] == (1, 1):
                found.single_cells.add(name)
            positions = trace.of(output)
            layouts = [find_layout(output, positions)]
            views = Views()
            if orders is not None and (name, number) in orders:
                views = orders[name, number]
                layouts = _layouts_of_views(output, positions)
            for view, layout in enumerate(layouts):
                if layout is None:
                    found.off_grid |= _lies_off_grid(output, positions)
                    return
                found.calls[name].append(Call(name, layout, number, view, views))
            layout = layouts[-1]
            assert layout is not None
            found.layers[name] = CamLayer(name, int(output.shape[layout.channel]), layout)

        if isinstance(network, torch.jit.ScriptModule):
            walk_chain(chain_of(network, image), image, note)
        else:
            _run(network, image, note)
    return found, trace.depends_on_values


def _layouts_of_views(output: Tensor, positions: Tensor | None) -> list[Layout | None]:
    if positions is None:
        # Which view lies where must be known before they can be added up.
        return [None]
    return [
        find_layout(output[row : row + 1], positions[row : row + 1]) for row in range(len(output))
    ]


def _lies_off_grid(output: Tensor, positions: Tensor | None) -> bool:
    is_map = output.ndim == 4 and len(output) == 1 and min(output.shape[2:]) > 1
    return is_map and positions is not None


def _drop_what_moves(found: Trace, other: Trace) -> None:
    """Forget the layers whose cells lie elsewhere for another image."""
    for name in list(found.layers):
        mine, theirs = found.calls[name], other.calls.get(name, [])
        same = len(mine) == len(theirs) and all(
            _same(one.layout.y, two.layout.y) and _same(one.layout.x, two.layout.x)
            for one, two in zip(mine, theirs, strict=True)
        )
        if not same:
            del found.layers[name], found.calls[name]
            found.off_grid = True


def _same(one: npt.NDArray[np.float64] | None, two: npt.NDArray[np.float64] | None) -> bool:
    if one is None or two is None:
        return one is two
    return one.shape == two.shape and bool(np.allclose(one, two, atol=0.01))


def _orders(network: nn.Module, probe: Tensor) -> _Orders:
    """Find out for each call how the views of images lie in its batch, if there are several.

    What the first image gives stays where the second one is exchanged for it.
    """
    one, both, same = (
        _row_prints(network, images)
        for images in (probe[:1], probe, probe[:1].expand(2, *probe.shape[1:]))
    )
    orders = {}
    for place, alone in one.items():
        count = len(alone)
        pair, twice = both.get(place), same.get(place)
        if count == 1 or pair is None or twice is None or not len(pair) == len(twice) == 2 * count:
            continue
        stays = torch.isclose(pair, twice, rtol=1e-4, atol=1e-6).all(dim=1)
        images_first = torch.arange(2 * count) < count
        images_last = torch.arange(2 * count) % 2 == 0
        for order, expected in ((True, images_first), (False, images_last)):
            if torch.equal(stays, expected):
                orders[place] = Views(count, order)
    return orders


def _row_prints(network: nn.Module, images: Tensor) -> dict[tuple[str, int], Tensor]:
    """Return two numbers for each row of each call's batch, by which rows are known again."""
    prints: dict[tuple[str, int], Tensor] = {}
    numbers: dict[str, int] = defaultdict(int)

    def note(name: str, output: object) -> None:
        number = numbers[name]
        numbers[name] += 1
        if isinstance(output, Tensor) and output.ndim in (3, 4):
            rows = output.double().flatten(1)
            prints[name, number] = torch.stack([rows.mean(dim=1), rows.norm(dim=1)], dim=1).cpu()

    with torch.no_grad():
        _run(network, images.clone(), note)
    return prints


def _run(network: nn.Module, image: Tensor, note: Callable[[str, object], None]) -> None:
    """Run a plain network and note the output of each of its modules."""
    handles = []
    for name, module in network.named_modules():
        if name:

            def look(module: nn.Module, inputs: object, output: object, name: str = name) -> None:
                note(name, output)

            handles.append(module.register_forward_hook(look))
    try:
        network(image)
    finally:
        for handle in handles:
            handle.remove()
