"""The classifier as the rest of the package sees it: pixels of the frame in, logits out."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import Tensor, nn

from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.models.card.input_steps import INNER, Turn, scale_each_image
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.files.transform_chain import TransformChain
from napari_globalxai.models.files.weights_file import hash_weights
from napari_globalxai.models.prepared import KnownNetwork, PreparedNetwork
from napari_globalxai.models.running.copying import copy_network
from napari_globalxai.models.running.rough_gradients import RoughGradients
from napari_globalxai.models.split.calls import Split
from napari_globalxai.models.split.cell_places import CellPlaces
from napari_globalxai.models.split.last_activation import Activation
from napari_globalxai.models.split.splitting import cam_layers
from napari_globalxai.models.split.tracing import CamLayer

# Probabilities this close to 0 or 1 have no finite logit in float32.
_LEAST_PROBABILITY = 1e-7
ROUGH_GRADIENTS = "bfloat16-gradients"
TF32 = "tf32"
_HALF_SIZE = ("bfloat16", "float16")
PRECISIONS = ("auto", "float32", TF32, ROUGH_GRADIENTS, *_HALF_SIZE)
_IMAGES_A_FORWARD = 16


class Classifier:
    """A network with its card, checked against each other, ready to run.

    Parameters
    ----------
    network : torch.nn.Module
        Takes (n, channel, height, width), gives (n, labels), alone or, unless it is TorchScript,
        in a tuple or mapping with other things. It is left as it is: the classifier works with a
        copy, in evaluation mode, without gradients of parameters, and with batch normalisations
        folded into the convolutions before them.
    card : ModelCard
        The facts about it.
    source, weights : pathlib.Path, optional
        Where it came from, for provenance.
    device : str, optional
        ``auto`` or a torch device. On CUDA, TF32 is turned off for the process, and cuDNN's
        deterministic algorithms are taken.
    precision : str, optional
        ``float32``; ``bfloat16`` or ``float16`` for autocast; ``bfloat16-gradients`` for
        `RoughGradients` alone; ``tf32``, on CUDA, for factors of ten bits, elsewhere float32;
        ``auto`` lets `explain` find out by a trial, and is float32 elsewhere.
    trusted : bool, optional
        Whether code from the model's files was allowed to run, for provenance.
    known : KnownNetwork, optional
        What trying this network has shown, or one that differs in its weights alone; it is not
        tried again.

    Attributes
    ----------
    activation : str
        What turns logits into probabilities: the card's, or, where that is ``none``, the network's
        own sigmoid or softmax, which is then taken off its end; logits are what went into it.
        ``none`` where it was not found: logits are those of the probabilities one by one.
    given : torch.nn.Module or None
        The network as it was given, where it came from no file.
    turn : Turn
        What the network does to the places of its images before anything else, as the card says.
    warnings : list of str
        What is odd about the model, a sentence each. What concerns the CAM layer is added when the
        network is split.

    Raises
    ------
    InputError
        When the network does not take the card's input or give the card's labels.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        *,
        source: Path | None = None,
        weights: Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        trusted: bool = False,
        known: KnownNetwork | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"The precision {precision!r} is none of {', '.join(PRECISIONS)}.")
        self.card = card
        self.source = source
        self.weights = weights
        self.trusted = trusted
        self.warnings: list[str] = []
        self.device = choose_device(device)
        if self.device.type == "cuda":
            round_factors(False)
            # Otherwise cuDNN adds up gradients in any order, and a run that was stopped would go on
            # with other bits.
            torch.backends.cudnn.deterministic = True
        elif precision == TF32:
            # Not refused: what was explained on CUDA may be tested elsewhere.
            self.warn(f"{TF32} is for CUDA devices; on {self.device} it is full float32.")
        self.precision = precision
        self.images_a_forward = _IMAGES_A_FORWARD
        # What came from a file can be read again, and need not be held twice.
        self.given = network if weights is None else None
        self.digest = hash_weights(weights) if weights else _hash_state(network)
        copied = copy_network(network).eval().to(self.device)
        for parameter in copied.parameters():
            # One by one, because TorchScript modules lack requires_grad_.
            parameter.requires_grad_(False)
        self._chain = TransformChain(card.input, source, trusted) if card.input.transforms else None
        self.turn = self._chain.turn if self._chain else Turn(transposed=card.input.transposed)
        copied = self.turn.before(copied)
        shape = (card.input.height, card.input.width)
        low, high = card.input.range
        # One fused multiply-add takes 0-255 to the model's input.
        mean, std = np.array(card.input.mean), np.array(card.input.std)
        self._scale = self._per_channel((high - low) / 255 / std)
        self._shift = self._per_channel((low - mean) / std)
        self._probe = self._make_probe(len(card.input.channels), *shape)
        self._prepared = PreparedNetwork(
            copied, card, self._probe, self._name, self.warn, self._layer_of(copied), known
        )
        self.network = self._prepared.network
        self.activation: Activation = self._prepared.activation
        self._running = self._cast_network()

    def _per_channel(self, values: npt.NDArray[np.float64]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device).view(1, -1, 1, 1)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the outputs."""
        return self.card.labels

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.card.input.height, self.card.input.width

    def is_on(self, device: str) -> bool:
        """Whether the model is where a name asks for it: ``auto`` is content with any device."""
        if device == "auto":
            return True
        asked = choose_device(device)
        return asked.type == self.device.type and asked.index in (None, self.device.index)

    @property
    def scales_each_image(self) -> bool:
        """Whether an image's input depends on all of its pixels, so that inputs cannot be mixed."""
        return self.card.input.per_image is not None or self._chain is not None

    @property
    def running(self) -> nn.Module:
        """The network as it runs at the chosen precision."""
        return self._running

    @property
    def probe(self) -> Tensor:
        """Inputs of noise, (2, channel, height, width)."""
        return self._probe

    @property
    def split(self) -> Split:
        """The network split at the CAM layer, which runs at the chosen precision."""
        with _factors(rounded=False):
            # Proved exactly, also where what follows is quick and rough.
            split = self._prepared.split
        return split.of(self._running, self.autocast)

    @property
    def known(self) -> KnownNetwork:
        """What trying the network has shown by now, for who loads the same one."""
        return self._prepared.known

    @property
    def answer(self) -> npt.NDArray[np.float32]:
        """What the network itself gives for the first of the probes, by which it is known again."""
        values: npt.NDArray[np.float32] = self._prepared.answer.float().cpu().numpy().ravel()
        return values

    def _layer_of(self, network: nn.Module) -> str | None:
        """Return the name that the card's CAM layer has behind the turn."""
        layer = self.card.cam_layer
        if (
            layer is not None
            and not self.turn.is_none
            and isinstance(network, torch.jit.ScriptModule)
            and not layer.startswith(f"{INNER}.")
        ):
            return f"{INNER}.{layer}"
        return layer

    def warn(self, sentence: str) -> None:
        """Add a sentence to the warnings, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _cast_network(self) -> nn.Module:
        """Return the network with its weights in the format of `autocast`."""
        if self.precision not in _HALF_SIZE:
            return self.network
        return self._prepared.cast(self.precision)

    def weight_tensors(self) -> list[Tensor]:
        """Return the tensors that the network keeps, in the formats that it runs with."""
        return [*self._running.parameters(), *self._running.buffers()]

    @property
    def cell_grid(self) -> CellGrid:
        """Where the cells of CAM maps lie in the frame."""
        return self.cell_places.grid

    @property
    def cell_places(self) -> CellPlaces:
        """Where the cells of the CAM layer's calls lie, and those of the maps made of them."""
        with _factors(rounded=False):
            return self._prepared.cell_places

    @cached_property
    def cam_layers(self) -> list[CamLayer]:
        """The layers that the network can be split at, in the order in which they run."""
        return cam_layers(self.network, self._probe)

    def to_input(self, images: npt.NDArray[Any] | Tensor) -> Tensor:
        """Normalise images of the frame.

        Parameters
        ----------
        images : numpy.ndarray or torch.Tensor
            (n, channel, height, width) in 0–255.

        Returns
        -------
        torch.Tensor
            float32, channels last, on the model's device.
        """
        tensor = torch.as_tensor(images).to(self.device)
        tensor = tensor.contiguous(memory_format=torch.channels_last)
        if self._chain is not None:
            inputs = self._chain(tensor.float())
            return inputs.contiguous(memory_format=torch.channels_last)
        if self.card.input.per_image is not None:
            return scale_each_image(tensor.float(), self.card.input, self.card.input.per_image)
        return tensor.float() * self._scale + self._shift

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which the network runs at the chosen precision."""
        if self.precision == ROUGH_GRADIENTS:
            return RoughGradients()
        if self.precision == TF32:
            return _factors(rounded=True)
        if self.precision in _HALF_SIZE:
            return torch.autocast(self.device.type, dtype=getattr(torch, self.precision))
        return contextlib.nullcontext()

    def rounding(self) -> AbstractContextManager[Any]:
        """Return the context in which whole attributions are as quick as the precision allows.

        Within `autocast` only forwards are: gradients are computed after it.
        """
        return _factors(rounded=True) if self.precision == TF32 else contextlib.nullcontext()

    def working_with(
        self, *, precision: str | None = None, images_a_forward: int | None = None
    ) -> Classifier:
        """Return this classifier, sharing its network, with other ways of working.

        Parameters
        ----------
        precision : str, optional
            As for the class.
        images_a_forward : int, optional
            How many images, or altered copies of images, methods may put into one forward.

        Raises
        ------
        InputError
            When that is no number of images.
        """
        if images_a_forward is not None and images_a_forward < 1:
            raise InputError(f"The batch size {images_a_forward} is not 1 or more.")
        other = copy.copy(self)
        if precision is not None:
            other.precision = precision
            other._running = other._cast_network()
        if images_a_forward is not None:
            other.images_a_forward = images_a_forward
        return other

    def logits(self, inputs: Tensor) -> Tensor:
        """Return float32 logits (n, labels) of normalised inputs, with their graph if any."""
        if isinstance(self._running, torch.jit.ScriptModule):
            # It takes no hook that would keep it from working in place on what it is given.
            inputs = inputs.clone()
        with self.autocast():
            outputs = self._running(inputs)
        return self.outputs_to_logits(outputs)

    def outputs_to_logits(self, outputs: Tensor) -> Tensor:
        """Return the network's outputs as float32 logits, or refuse what is not finite."""
        if outputs.dtype != torch.float64:
            outputs = outputs.float()
        if not bool(torch.isfinite(outputs).all()):
            raise InputError(f"{self._name}: the network gives values that are not finite.")
        if self.activation == "none":
            outputs = _logit(outputs)
        # Where a network has one label only, TorchScript may give a number an image.
        return outputs.float().reshape(-1, len(self.labels))

    def predict(self, images: npt.NDArray[Any] | Tensor) -> npt.NDArray[np.float32]:
        """Return logits (n, labels) of images in 0–255, without gradients."""
        with torch.inference_mode():
            result: npt.NDArray[np.float32] = self.logits(self.to_input(images)).cpu().numpy()
        return result

    def probabilities(self, logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return probabilities of logits along the last axis."""
        values = np.asarray(logits, dtype=np.float64)
        if self.activation == "softmax":
            shifted = np.exp(values - values.max(axis=-1, keepdims=True))
            return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
        # NaN (an image without a prediction) stays NaN.
        return np.asarray(expit(values))

    def _make_probe(self, channels: int, height: int, width: int) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand((2, channels, height, width), generator=generator) * 255
        return self.to_input(noise)

    @property
    def _name(self) -> str:
        return str(self.source or self.card.name or "The model")


def _logit(probabilities: Tensor) -> Tensor:
    if probabilities.dtype != torch.float64:
        return torch.logit(probabilities, eps=_LEAST_PROBABILITY)
    # There are far smaller numbers than what is left of 1.
    inside = probabilities.clamp(1e-300, 1 - 2**-53)
    return inside.log() - torch.log1p(-inside)


def _hash_state(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def round_factors(rounded: bool) -> None:
    """Let factors of convolutions and products be rounded to ten bits on CUDA, or not.

    As torch comes, it rounds those of convolutions, also where float32 is asked for: it is several
    times quicker. The setting is one for the whole process.
    """
    torch.backends.cudnn.allow_tf32 = rounded
    torch.backends.cuda.matmul.allow_tf32 = rounded


@contextlib.contextmanager
def _factors(*, rounded: bool) -> Iterator[None]:
    # As torch comes, they differ, and other code of the process may rely on that.
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    round_factors(rounded)
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def choose_device(name: str) -> torch.device:
    """Return a torch device; ``auto`` takes CUDA, then MPS, then the CPU."""
    if name == "auto":
        with warnings.catch_warnings():
            # Old drivers warn here; that is no news to somebody who did not ask for a GPU.
            warnings.simplefilter("ignore")
            if torch.cuda.is_available():
                return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as why:
        raise InputError(f"The device {name!r} cannot be used here.") from why
    return device
