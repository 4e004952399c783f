"""Networks as captum's hooks need them, and what its hooks would miss in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_globalxai.attribution.base import split_of
from napari_globalxai.attribution.modified_backward import refuse_compiled
from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.running.copying import copy_network

# They change the shape of what is there, or ask for it.
_HARMLESS = {
    "__get__",
    "contiguous",
    "dim",
    "flatten",
    "numel",
    "reshape",
    "size",
    "squeeze",
    "view",
}


class LogitsModule(nn.Module):
    """A copy of a classifier's network that captum may do anything to; it gives logits.

    Parameters
    ----------
    classifier : Classifier
        The model; its network stays as it is, whatever becomes of the copy.
    name : str
        The method, for messages.

    Raises
    ------
    InputError
        When captum cannot put hooks on the network.
    """

    def __init__(self, classifier: Classifier, name: str) -> None:
        super().__init__()
        refuse_compiled(classifier, name)
        self.network = copy_network(classifier.network)
        self._to_logits: Callable[[Tensor], Tensor] = classifier.outputs_to_logits
        for module in self.network.modules():
            # Hooks that change gradients and functions that work in place exclude each other.
            if getattr(module, "inplace", False) is True:
                setattr(module, "inplace", False)  # noqa: B010 - no type knows of it

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of normalised images."""
        # Hooks work with differences, of which half-size formats leave nothing.
        with torch.autocast(images.device.type, enabled=False):
            return self._to_logits(self.network(images))


class _LooseCalls(TorchFunctionMode):
    """Notes the functions that are called while no layer of torch is running."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.names: set[str] = set()
        self._depth = 0
        for module in network.modules():
            is_of_torch = type(module).__module__.startswith("torch.nn.")
            if is_of_torch and next(module.children(), None) is None:
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave)

    def _enter(self, *_: object) -> None:
        self._depth += 1

    def _leave(self, *_: object) -> None:
        self._depth -= 1

    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if self._depth == 0:
            self.names.add(str(getattr(func, "__name__", func)))
        return func(*args, **(kwargs or {}))


def loose_functions(classifier: Classifier, image: Tensor) -> set[str]:
    """Return the names of the functions that a network calls itself, not through torch's layers.

    Hooks on layers do not see those; what only changes the shape is left out.
    """
    network = copy_network(classifier.network)
    calls = _LooseCalls(network)
    with torch.no_grad(), calls:
        network(image)
    return calls.names - _HARMLESS


def refuse_unseen_relus(classifier: Classifier, image: Tensor, name: str, ours: str) -> None:
    """Refuse a network whose ReLUs captum's hooks do not see, or that has none."""
    if any(each.startswith("relu") for each in loose_functions(classifier, image)):
        raise InputError(f"The model calls ReLU as a function, which {name} does not see; {ours}.")
    if not any(isinstance(module, nn.ReLU) for module in classifier.network.modules()):
        raise InputError(f"The model has no ReLU, so {name} is not defined for it.")


def refuse_unruled_functions(classifier: Classifier, image: Tensor, name: str) -> None:
    """Refuse a network that does more than call layers one after another."""
    if classifier.card.activation == "none":
        raise InputError(
            f"{name} starts from logits, but the model gives probabilities (activation: none)."
        )
    unruled = sorted(loose_functions(classifier, image))
    if unruled:
        raise InputError(
            f"{name} only knows networks that are made of layers; this one calls "
            f"{unruled[0].strip('_')} between them, for which there is no rule."
        )


def cam_module(classifier: Classifier, module: LogitsModule, image: Tensor, name: str) -> nn.Module:
    """Return the CAM layer in a copy of the network.

    Raises
    ------
    InputError
        When its output is no map, or it runs more than once: captum would take a part for all.
    """
    split = split_of(classifier)
    if split.layout.cells is not None:
        raise InputError(
            f"{name} takes layers that give maps, channels first; {split.layer} gives tokens or "
            "channels last; grad-cam can do with them."
        )
    layer: nn.Module = module.network.get_submodule(split.layer)
    (runs,) = _runs(module, [layer], image)
    if runs != 1:
        raise InputError(
            f"{name} sees one call of a layer, but {split.layer} runs {runs} times; choose "
            "another CAM layer."
        )
    return layer


def refuse_reused_layers(
    module: LogitsModule, kinds: tuple[type[nn.Module], ...], image: Tensor, name: str
) -> None:
    """Refuse a network in which a layer of some kinds runs more than once."""
    layers = {
        own: layer for own, layer in module.network.named_modules() if isinstance(layer, kinds)
    }
    for own, runs in zip(layers, _runs(module, list(layers.values()), image), strict=True):
        if runs > 1:
            raise InputError(
                f"{name} takes networks whose activations run once each, but {own} runs {runs} "
                "times; deep-lift takes any."
            )


def _runs(module: LogitsModule, layers: Sequence[nn.Module], image: Tensor) -> list[int]:
    """Return how often layers run in one forward."""
    runs = [0] * len(layers)

    def count(place: int) -> Callable[..., None]:
        def hook(*_: object) -> None:
            runs[place] += 1

        return hook

    handles = [layer.register_forward_hook(count(at)) for at, layer in enumerate(layers)]
    with torch.no_grad():
        module(image)
    for handle in handles:
        handle.remove()
    return runs
