"""Which number format and how many images a forward: found on a trial, not asked of the user."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import torch
from torch import Tensor

from napari_globalxai.attribution.method import Attribution, Method
from napari_globalxai.errors import InputError, is_out_of_memory
from napari_globalxai.models.classifier import ROUGH_GRADIENTS, TF32, Classifier
from napari_globalxai.models.running.watched_operators import OperatorWatch

# A smaller format is taken where it changes probabilities and maps by at most this.
HALF_SIZE = ("bfloat16", "float16")
PROBABILITY_TOLERANCE = 0.01
MAP_TOLERANCE = 0.02
# Maps cost far more than predictions, and differ less from image to image.
TRIED_MAPS, TRIED_PREDICTIONS = 4, 64
# With fewer images the trial costs more than it saves.
_FEWEST_IMAGES = 100
# Larger batches gain nothing more: processors are busy by then.
_MOST_ON_CPU, _MOST_ON_GPU = 16, 128
# On a processor the largest activation should not outgrow its caches: beyond that every layer reads
# the one before from memory, and a forward takes up to a third longer an image.
_CACHE = 24 << 20
_SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True)
class Precision:
    """A number format, and why it was taken.

    Attributes
    ----------
    name : str
        One of `napari_globalxai.models.classifier.PRECISIONS` but ``auto``.
    reason : str
        For people.
    """

    name: str
    reason: str


def choose_precision(
    classifier: Classifier,
    method: Method,
    images: npt.NDArray[np.uint8],
    labels: Sequence[int],
    cohort_size: int,
    more: Iterable[npt.NDArray[np.uint8]] = (),
) -> Precision:
    """Try the formats that the device is fastest with, and take the first that does no harm.

    Parameters
    ----------
    classifier : Classifier
        The model; its own precision does not matter here.
    method : Method
        The attribution method.
    images : numpy.ndarray
        Some images of the cohort, (n, channel, height, width) in 0–255.
    labels : sequence of int
        Indices of the labels that are explained.
    cohort_size : int
        How many images are to be explained.
    more : iterable of numpy.ndarray, optional
        More images of the cohort, (1, channel, height, width), for probabilities alone; read only
        where they are needed.

    Returns
    -------
    Precision
        A smaller format, for everything or for gradients alone, if, on the trial, no probability
        differs by more than `PROBABILITY_TOLERANCE` and the maps, all together, by at most
        `MAP_TOLERANCE` of their norm; else ``float32``.

    Notes
    -----
    Where none of `TRIED_PREDICTIONS` images changes a probability by more, fewer than 5 in 100 of
    the cohort do, with a confidence of 95 % (0.05 ** (1 / 64) = 0.954).
    """
    candidates = candidate_formats(classifier.device, method)
    if not candidates:
        return Precision("float32", "the device has no faster format")
    if cohort_size < _FEWEST_IMAGES:
        return Precision("float32", "for so few images a trial of a faster format does not pay")

    def explain(precision: str) -> Attribution:
        model = classifier.working_with(precision=precision)
        # One by one: how many the memory holds is not known yet.
        with model.rounding():
            each = [
                method.attribute(model, model.to_input(image[None]), labels) for image in images
            ]
        return Attribution(
            torch.cat([one.maps for one in each]), torch.cat([one.logits for one in each])
        )

    exact = explain("float32")
    others: list[npt.NDArray[np.uint8]] = []
    reasons = []
    for candidate in candidates:
        try:
            rough = explain(candidate)
        # Values that are not finite, or operations that do not know the format.
        except (InputError, RuntimeError) as why:
            if is_out_of_memory(why):
                raise
            reasons.append(f"{candidate} fails with this model")
            continue
        is_harmless, reason = _compare(classifier, candidate, exact, rough)
        if is_harmless:
            others = others or list(more)
            most = _most_change(classifier, candidate, others)
            if most <= PROBABILITY_TOLERANCE:
                return Precision(candidate, reason)
            reason = f"not {candidate}: it changed a probability of {len(others)} by {most:.4f}"
        reasons.append(reason)
    return Precision("float32", "; ".join(reasons))


def _most_change(
    classifier: Classifier, candidate: str, images: Sequence[npt.NDArray[np.uint8]]
) -> float:
    """Return by how much a format changes a probability at most; infinite where it fails."""
    if candidate == ROUGH_GRADIENTS:
        return 0.0
    exact, rough = (classifier.working_with(precision=name) for name in ("float32", candidate))
    try:
        changes = [
            np.abs(
                classifier.probabilities(exact.predict(image))
                - classifier.probabilities(rough.predict(image))
            ).max()
            for image in images
        ]
    except (InputError, RuntimeError) as why:
        if is_out_of_memory(why):
            raise
        return float("inf")
    return float(max(changes, default=0.0))


def _compare(
    classifier: Classifier, candidate: str, exact: Attribution, rough: Attribution
) -> tuple[bool, str]:
    """Return whether a format does no harm and pays, and a reason for people."""
    probability = float(
        np.abs(
            classifier.probabilities(exact.logits.cpu().numpy())
            - classifier.probabilities(rough.logits.cpu().numpy())
        ).max()
    )
    size = float(exact.maps.norm())
    maps = float((exact.maps - rough.maps).norm()) / size if size > 0 else 0.0
    found = f"on a trial it changed maps by {maps:.2%} and probabilities by {probability:.4f}"
    if maps == 0 and probability == 0:
        return False, f"{candidate} changes nothing with this method"
    # NaN, which float16 can give, is not within any tolerance.
    if maps <= MAP_TOLERANCE and probability <= PROBABILITY_TOLERANCE:
        return True, found
    return False, f"not {candidate}: {found}"


def candidate_formats(device: torch.device, method: Method) -> list[str]:
    """Return the formats to try, the fastest first."""
    fastest = fastest_format(device)
    if fastest == "float32":
        return []
    if device.type == "cuda" and fastest == "bfloat16":
        return [fastest, TF32]
    # Measured on processors alone. Behind the CAM layer there is hardly a convolution.
    backward = method.needs_gradients and not method.needs_split
    rough = backward and device.type == "cpu" and fastest == "bfloat16"
    return [fastest, ROUGH_GRADIENTS] if rough else [fastest]


def fastest_format(device: torch.device) -> str:
    """Return the number format in which a device multiplies fastest."""
    if device.type == "cuda":
        # Older cards only emulate bfloat16.
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        return "bfloat16" if native else "float16"
    if device.type == "cpu":
        features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        if any(features.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")):
            return "bfloat16"
    return "float32"


def choose_batch_size(classifier: Classifier) -> int:
    """Return with how many images a forward is fastest, of those that the free memory holds.

    The outputs of all operations on one image are added up, as a backward pass needs them, and
    memory is given a margin.

    Parameters
    ----------
    classifier : Classifier
        The model, at the precision that it will work in.
    """
    image = torch.zeros((1, len(classifier.card.input.channels), *classifier.frame_shape))
    inputs = classifier.to_input(image)
    with torch.no_grad(), _Sizes(classifier.weight_tensors()) as sizes:
        classifier.logits(inputs)
    fitting = int(_SHARE_OF_MEMORY * free_memory(classifier.device) / max(sizes.total, 1))
    if classifier.device.type != "cpu":
        return max(1, min(_MOST_ON_GPU, fitting))
    cached = int(_CACHE // max(sizes.largest, 1))
    return max(1, min(_MOST_ON_CPU, cached, fitting))


def free_memory(device: torch.device) -> int:
    """Return the memory in bytes that is free on a device; a container's limit counts."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    # Without a container there is no such file; without a limit it reads "max".
    with contextlib.suppress(OSError, ValueError):
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return max(free, 0)


class _Sizes(OperatorWatch):
    """Adds up the sizes in bytes of what operations give; views count once.

    Weights do not count, nor copies of them in another format: there is one for all images.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes: dict[int, int] = {}
        # Held, so that no address is given out twice.
        self._held: list[Tensor] = []
        self._weights = {weight.untyped_storage().data_ptr() for weight in weights}

    @property
    def total(self) -> int:
        return sum(self._sizes.values())

    @property
    def largest(self) -> int:
        return max(self._sizes.values(), default=0)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        is_weight = func is torch.ops.aten._to_copy.default and self._address(args[0]) in (
            self._weights
        )
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, Tensor):
                address = self._address(value)
                if is_weight:
                    self._weights.add(address)
                if address not in self._weights:
                    self._sizes[address] = value.untyped_storage().nbytes()
                self._held.append(value)
        return result

    @staticmethod
    def _address(value: Any) -> int:
        return int(value.untyped_storage().data_ptr())
