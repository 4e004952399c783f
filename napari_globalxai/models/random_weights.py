"""The same network with weights that have learnt nothing: all of them, or those nearest the answer.

A map that such a network gives, too, shows the images and not the model (Adebayo et al., 2018,
arXiv 1810.03292).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.files.weights_file import hash_weights
from napari_globalxai.models.loaders import load_network
from napari_globalxai.models.running.copying import copy_network

Buffers = Literal["fitted", "reset", "kept"]
BUFFERS: dict[str, str] = {
    "fitted": "Running means and variances of some of the images under the new weights: without "
    "them a deep network answers the same whatever it is shown",
    "reset": "Running means 0 and variances 1, as before any training",
    "kept": "Running means and variances of the trained model",
}
# Running statistics by the name that every batch normalisation gives them.
_RUNNING = {"running_mean": 0.0, "running_var": 1.0}
_SCALED = re.compile(r"Linear|Conv(Transpose)?[123]d")
_NORMS = re.compile(r"(Batch|Instance)Norm[123]d|SyncBatchNorm|(Layer|Group)Norm")


class RandomWeights:
    """Makes classifiers with random weights out of a trained one, which is left as it is.

    Parameters
    ----------
    classifier : Classifier
        The trained model.
    images : numpy.ndarray, optional
        Some images in 0–255, (n, channel, height, width), to which running statistics are fitted.

    Attributes
    ----------
    layers : tuple of str
        Names of the modules that own weights or running statistics, from the image to the answer;
        the network itself, where it owns some, is the empty text.

    Raises
    ------
    InputError
        When the network has no weights that could be changed, or its file is another one by now.
    """

    def __init__(self, classifier: Classifier, images: npt.NDArray[np.uint8] | None = None) -> None:
        self._trained = classifier
        self._images = images
        self._network = _unfolded(classifier)
        weighty = {
            name
            for name, module in self._network.named_modules()
            if any(each.numel() for each in module.parameters(recurse=False))
        }
        owners = [
            name
            for name, module in self._network.named_modules()
            if name in weighty or _running(module)
        ]
        if not weighty:
            name = classifier.source or classifier.card.name or "The model"
            raise InputError(
                f"{name}: its weights are built into its operations and cannot be drawn anew; save "
                "it without freezing them."
            )
        order = _as_they_run(self._network, owners, self._input(_blank(classifier)), classifier)
        self.layers: tuple[str, ...] = tuple(order)

    def classifier(
        self,
        seed: int,
        *,
        share: float = 1.0,
        batch_norm: Buffers = "fitted",
        cam_layer: str | None = None,
    ) -> Classifier:
        """Return the classifier with new weights.

        Parameters
        ----------
        seed : int
            Of the weights; a layer gets the same ones whatever the share.
        share : float, optional
            Of the layers, those nearest the answer, rounded up; 1 is all.
        batch_norm : str, optional
            What becomes of the running statistics of the batch normalisations among them; see
            `BUFFERS`. Where they cannot be fitted, in a program of `torch.export`, or there are no
            images, they are reset.
        cam_layer : str, optional
            In place of the card's.
        """
        count = math.ceil(round(share * len(self.layers), 6))
        network = randomise(self._network, self.layers, count, seed, batch_norm)
        trained = self._trained
        if batch_norm == "fitted" and self._images is not None:
            names = self.layers[len(self.layers) - count :]
            _fit_running(network.to(trained.device), names, self._input(self._images))
        card = trained.card
        if cam_layer is not None:
            card = card.model_copy(update={"cam_layer": cam_layer})
        return Classifier(
            network,
            card,
            source=trained.source,
            device=str(trained.device),
            precision=trained.precision,
            trusted=trained.trusted,
            known=trained.known,
        ).working_with(images_a_forward=trained.images_a_forward)

    def _input(self, images: npt.NDArray[Any]) -> Tensor:
        """Return images as the network took them when it was read."""
        return self._trained.turn(self._trained.to_input(images))


def randomise(
    network: nn.Module, layers: Sequence[str], count: int, seed: int, batch_norm: Buffers
) -> nn.Module:
    """Return a copy of a network whose last `count` of the layers have new weights.

    A module that knows how it begins does so again (`reset_parameters`). Convolutions, linear
    layers and normalisations of TorchScript, which do not, get what PyTorch would give them. All
    other weights are shuffled within their tensor, which keeps their size whatever they mean.

    Parameters
    ----------
    network : torch.nn.Module
        The trained network.
    layers : sequence of str
        Its modules that own weights, from the image to the answer.
    count : int
        How many of them are drawn anew, from the end.
    seed : int
        Of the weights.
    batch_norm : str
        As for `RandomWeights.classifier`.
    """
    copy = copy_network(network).cpu()
    modules = dict(copy.named_modules())
    first = len(layers) - count
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for place, name in enumerate(layers[first:], start=first):
            (own,) = np.random.SeedSequence([seed, place]).generate_state(1)
            torch.manual_seed(int(own))
            _begin_again(modules[name], batch_norm)
    return copy


def _begin_again(module: nn.Module, batch_norm: Buffers) -> None:
    """Give a module's own parameters new values in place."""
    running = _running(module)
    kept = {name: value.clone() for name, value in running.items()}
    before = {name: value.clone() for name, value in module.named_parameters(recurse=False)}
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if callable(reset) and not isinstance(module, torch.jit.ScriptModule):
        reset()
    else:
        _as_pytorch_begins(module)
    for name, weights in module.named_parameters(recurse=False):
        # What stays as it is was not reached.
        if torch.equal(weights, before[name]):
            _shuffle(weights)
    for name, value in running.items():
        value.copy_(kept[name] if batch_norm == "kept" else torch.full_like(value, _RUNNING[name]))


def _as_pytorch_begins(module: nn.Module) -> None:
    kind = str(getattr(module, "original_name", type(module).__name__))
    own = dict(module.named_parameters(recurse=False))
    weight, bias = own.get("weight"), own.get("bias")
    if weight is not None and _SCALED.fullmatch(kind):
        bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
        weight.uniform_(-bound, bound)
        if bias is not None:
            bias.uniform_(-bound, bound)
    elif weight is not None and _NORMS.fullmatch(kind):
        weight.fill_(1)
        if bias is not None:
            bias.zero_()


def _running(module: nn.Module) -> dict[str, Tensor]:
    buffers = module.named_buffers(recurse=False)
    return {name: value for name, value in buffers if name in _RUNNING}


def _fit_running(network: nn.Module, names: Sequence[str], inputs: Tensor) -> None:
    """Let the running statistics of some modules be those of the inputs."""
    modules = dict(network.named_modules())
    norms = [modules[name] for name in names if _running(modules[name])]
    network.eval()
    for module in norms:
        module.train()
        for buffer in module.buffers(recurse=False):
            buffer.zero_()
    # A single image would have no variance behind a global pooling.
    batch = inputs if len(inputs) > 1 else inputs.repeat(2, 1, 1, 1)
    with _one_thread(), torch.no_grad():
        network(batch.clone())
        first = [{name: value.clone() for name, value in _running(each).items()} for each in norms]
        network(batch.clone())
    network.eval()
    for module, once in zip(norms, first, strict=True):
        running = _running(module)
        size = float(once["running_var"].sum())
        # From 0, a forward goes the same share of the way each time: TorchScript hides which.
        share = 2 - float(running["running_var"].sum()) / size if size > 0 else 0.0
        for name, value in running.items():
            value.copy_(once[name] / share if share > 0 else torch.full_like(value, _RUNNING[name]))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sum over a batch as one thread does: several round it otherwise, and not all machines alike.

    So a worker with one thread gets the bits of a process with many.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _shuffle(value: Tensor) -> None:
    order = torch.randperm(value.numel())
    value.copy_(value.flatten()[order].view_as(value))


def _unfolded(classifier: Classifier) -> nn.Module:
    """Return the network as it was before batch normalisations were folded away."""
    if classifier.weights is None or classifier.source is None:
        assert classifier.given is not None
        return classifier.given
    if hash_weights(classifier.weights) != classifier.digest:
        raise InputError(
            f"{classifier.weights}: has changed since the model was loaded; load it again."
        )
    return load_network(classifier.source, trust=classifier.trusted).module


def _blank(classifier: Classifier) -> npt.NDArray[np.float32]:
    channels = len(classifier.card.input.channels)
    return np.zeros((1, channels, *classifier.frame_shape), np.float32)


def _as_they_run(
    network: nn.Module, owners: list[str], probe: Tensor, classifier: Classifier
) -> list[str]:
    """Return modules in the order in which they first run; those that never do come first."""
    if isinstance(network, torch.jit.ScriptModule):
        # TorchScript takes no hooks; its modules stand in the order in which they were made.
        return owners
    copy = copy_network(network).eval().to(classifier.device)
    called: dict[str, None] = {}
    for name, module in copy.named_modules():
        if name in owners:
            module.register_forward_pre_hook(lambda *_, name=name: called.setdefault(name))
    with torch.inference_mode():
        copy(probe)
    # A module may hand its weights to a function, as attention does, and never be called.
    return [*(name for name in owners if name not in called), *called]
