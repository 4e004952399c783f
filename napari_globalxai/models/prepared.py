"""A network made ready for work: tried on a probe, or after what a trial elsewhere has shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.checks import NetworkChecks
from napari_globalxai.models.running.cast_weights import cast_weights
from napari_globalxai.models.running.folding import Pairs, fold, fold_batch_norms
from napari_globalxai.models.running.shaping import Shaping
from napari_globalxai.models.split.calls import Call, ChainSplit, HookSplit, Split
from napari_globalxai.models.split.cell_centres import MeasuredCells, measure_cells
from napari_globalxai.models.split.cell_places import CellPlaces
from napari_globalxai.models.split.chaining import Step
from napari_globalxai.models.split.last_activation import (
    Activation,
    LastActivation,
    find_last_activation,
)
from napari_globalxai.models.split.splitting import split_network


@dataclass(frozen=True)
class KnownNetwork:
    """What trying a network has shown: who has one like it need not try it again.

    Attributes
    ----------
    shaping : Shaping
        What is put around it.
    last : LastActivation
        The activation that is taken off its end.
    folded : tuple of tuple of str
        Convolutions and the batch normalisations that go into them.
    harmless : dict of str to bool
        By number format: whether weights in it give the answers of autocast.
    calls : tuple of Call
        What it is split at; nothing where it was not split yet.
    steps : tuple of tuple of str
        Of TorchScript: names and places of the steps that it is split into.
    cells : MeasuredCells or None
        Where the cells of these calls lie, where that was measured.
    """

    shaping: Shaping
    last: LastActivation
    folded: Pairs
    harmless: Mapping[str, bool] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()
    cells: MeasuredCells | None = None


class PreparedNetwork:
    """A network in evaluation mode, made ready for work.

    Parameters
    ----------
    network : torch.nn.Module
        A copy that belongs to the caller.
    card : ModelCard
        What it is held against.
    probe : torch.Tensor
        Two different inputs.
    name : str
        Names the model in messages.
    warn : callable
        Called with a sentence on what is odd.
    layer : str, optional
        Where it is to be split; found if not given.
    known : KnownNetwork, optional
        What is known of this network, or of one that differs in its weights alone. It is believed.

    Attributes
    ----------
    network : torch.nn.Module
        With batch normalisations folded and its last activation taken off.
    activation : str
        What turns its outputs into probabilities.

    Raises
    ------
    InputError
        When it does not fit its card.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        probe: Tensor,
        name: str,
        warn: Callable[[str], object],
        layer: str | None = None,
        known: KnownNetwork | None = None,
    ) -> None:
        self._probe, self._warn, self._layer, self._known = probe, warn, layer, known
        self._cast: dict[str, nn.Module] = {}
        if known is None:
            self._try(network, card, name)
        else:
            self._follow(known, network, card)
        kind = self._last.kind
        self.activation: Activation = kind if card.activation == "none" else card.activation

    def _try(self, network: nn.Module, card: ModelCard, name: str) -> None:
        keep = () if card.cam_layer is None else (card.cam_layer,)
        checks = NetworkChecks(network, card, self._probe, name, self._warn)
        self._shaping, outputs = checks.run()
        self._last = LastActivation("none")
        self._folded: Pairs = ()
        if card.activation == "none":
            self._last, network, outputs = find_last_activation(network, self._probe, outputs)
        if not isinstance(network, torch.jit.ScriptModule):
            found = fold_batch_norms(network, self._probe, outputs, keep)
            network, self._folded, outputs = found.network, found.pairs, found.outputs
        self.network, self.outputs = network, outputs

    def _follow(self, known: KnownNetwork, network: nn.Module, card: ModelCard) -> None:
        self._shaping, self._last, self._folded = known.shaping, known.last, known.folded
        self._shaping.put_on(network, len(card.labels))
        network = self._last.taken_off(network, self._probe.device)
        is_script = isinstance(network, torch.jit.ScriptModule)
        self.network = network if is_script else fold(network, self._folded)

    @cached_property
    def outputs(self) -> Tensor:
        """What the network gives for the probe."""
        with torch.no_grad():
            outputs: Tensor = self.network(self._probe.clone())
        return outputs

    @property
    def answer(self) -> Tensor:
        """What the network gives for the first of the probe."""
        if "outputs" in self.__dict__:
            return self.outputs[:1]
        with torch.no_grad():
            outputs: Tensor = self.network(self._probe[:1].clone())
        return outputs

    @property
    def known(self) -> KnownNetwork:
        """What is known of the network by now."""
        split = self.__dict__.get("split")
        return KnownNetwork(
            self._shaping,
            self._last,
            self._folded,
            {name: cast is not self.network for name, cast in self._cast.items()},
            () if split is None else split.calls,
            () if split is None else tuple((step.name, step.path) for step in split.steps),
            self.__dict__.get("cells"),
        )

    def cast(self, precision: str) -> nn.Module:
        """Return the network with its weights in a half-size number format."""
        if isinstance(self.network, torch.jit.ScriptModule):
            return self.network
        if precision not in self._cast:
            harmless = None if self._known is None else self._known.harmless.get(precision)
            dtype = getattr(torch, precision)
            self._cast[precision] = cast_weights(self.network, dtype, self._probe, harmless)
        return self._cast[precision]

    @cached_property
    def split(self) -> Split:
        """The network split at the CAM layer."""
        known = self._known
        if known is None or not known.calls:
            return split_network(self.network, self._layer, self._probe, self._warn, self.outputs)
        if not known.steps:
            return HookSplit(self.network, known.calls)
        steps = [Step.at(self.network, name, path) for name, path in known.steps]
        return ChainSplit(steps, known.calls[0].layer, known.calls[0].layout)

    @cached_property
    def cells(self) -> MeasuredCells:
        """Where the cells of the CAM layer's calls lie."""
        if self._known is not None and self._known.cells is not None:
            return self._known.cells
        return measure_cells(self.split, self._probe)

    @cached_property
    def cell_places(self) -> CellPlaces:
        """The cells of the maps that the calls make up together."""
        return self.cells.places
