"""Methods that change what the backward pass does at nonlinear functions.

captum puts hooks on modules for this, and so misses functions that are called directly and cannot
tell apart two uses of one module, as in residual blocks that share their ReLU. Here each call of
such a function is replaced while the forward runs, wherever it stands; no hook is ever set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.export.unflatten import UnflattenedModule
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from napari_globalxai.attribution.base import (
    Baseline,
    PixelBase,
    Settings,
    baseline_input,
    label_gradients,
)
from napari_globalxai.attribution.method import Attribution
from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier

_RELU = (functional.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
_ELEMENTWISE = (
    *_RELU,
    *(functional.relu6, functional.leaky_relu, functional.elu, functional.selu, functional.celu),
    *(functional.gelu, functional.silu, functional.mish, functional.softplus),
    *(functional.hardswish, functional.hardsigmoid, functional.hardtanh, functional.logsigmoid),
    *(functional.sigmoid, torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_),
    *(functional.tanh, torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_),
)
_MAX_POOL = (functional.max_pool2d, torch.max_pool2d)


class _Replaced(TorchFunctionMode):
    """While active, calls of some functions go to others."""

    def __init__(self, rules: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self._rules = rules
        self.used = False

    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        rule = self._rules.get(func)
        if rule is None:
            return func(*args, **(kwargs or {}))
        self.used = True
        return rule(func, *args, **(kwargs or {}))


class _GuidedRelu(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, inputs: Tensor) -> Tensor:
        output = inputs.clamp(min=0)
        context.save_for_backward(output)
        return output

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        output: Tensor
        (output,) = context.saved_tensors
        return gradient.clamp(min=0) * (output > 0)


def _guided_relu(function: Any, inputs: Tensor, *_: Any, **__: Any) -> Any:
    return _GuidedRelu.apply(inputs)  # type: ignore[no-untyped-call]


class GuidedBackprop(PixelBase[Settings]):
    """Guided backpropagation (Springenberg et al., 2014, arXiv 1412.6806), channels summed.

    It shows what the image holds more than what the model makes of it: it stays much the same when
    the weights of the last layers are random (Adebayo et al., 2018, arXiv 1810.03292).
    """

    name: ClassVar[str] = "guided-backprop"
    changes_backward: ClassVar[bool] = True

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        refuse_compiled(classifier, self.name)
        leaf = inputs.detach().requires_grad_()
        with torch.enable_grad(), _Replaced(dict.fromkeys(_RELU, _guided_relu)) as replaced:
            logits = classifier.logits(leaf)
        if not replaced.used:
            raise InputError("The model has no ReLU, so guided-backprop is not defined for it.")
        maps = [gradient.sum(dim=1) for gradient in label_gradients(logits, leaf, labels)]
        return Attribution(torch.stack(maps, dim=1).float(), logits.detach())


class DeepLiftSettings(Settings):
    """Parameters of DeepLIFT."""

    baseline: Baseline = Field(default="mean-colour", description="What images are compared with")
    tolerance: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="How far maps may miss the logit before the model is refused, as a share of it",
    )


class DeepLift(PixelBase[DeepLiftSettings]):
    """DeepLIFT with the rescale rule (Shrikumar et al., 2017, arXiv 1704.02685).

    Images and baselines go through the model as one batch; at each nonlinear function the gradient
    becomes the ratio of the differences behind and before it. Products of two activations, as in
    attention or squeeze-and-excitation, have no such rule: where they make a map miss the logit's
    difference, the model is refused.
    """

    name: ClassVar[str] = "deep-lift"
    changes_backward: ClassVar[bool] = True
    settings_type = DeepLiftSettings

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        refuse_compiled(classifier, self.name)
        baseline = baseline_input(classifier, inputs, self.settings.baseline).expand_as(inputs)
        pair = torch.cat([inputs, baseline]).detach().requires_grad_()
        rules: dict[Any, Callable[..., Any]] = {
            **dict.fromkeys(_ELEMENTWISE, _rescaled),
            **dict.fromkeys(_MAX_POOL, _rescaled_max_pool),
        }
        # Differences of float32 numbers are small enough; bfloat16 would leave nothing of them.
        with torch.enable_grad(), torch.autocast(inputs.device.type, enabled=False):
            with _Replaced(rules):
                outputs = classifier.network(pair)
            logits = classifier.outputs_to_logits(outputs)
            own, of_baseline = logits.chunk(2)
            gradients = label_gradients(own, pair, labels)
        difference = (inputs - baseline).detach()
        maps = [(gradient[: len(inputs)] * difference).sum(dim=1) for gradient in gradients]
        stacked = torch.stack(maps, dim=1).float()
        self._check_completeness(stacked, (own - of_baseline)[:, list(labels)].detach())
        return Attribution(stacked, own.detach())

    def _check_completeness(self, maps: Tensor, differences: Tensor) -> None:
        missed = float((maps.sum(dim=(2, 3)) - differences).abs().max())
        if missed > self.settings.tolerance * max(float(differences.abs().max()), 1e-3):
            raise InputError(
                f"deep-lift does not add up on this model (it misses the logit by {missed:.3g}): "
                "it multiplies or normalises activations; integrated-gradients needs no such rule."
            )


class _Rescale(torch.autograd.Function):
    """An elementwise function of images and baselines in one batch, with the rescale rule."""

    @staticmethod
    def forward(context: Any, pair: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        output = function(pair)
        with torch.enable_grad():
            # Where image and baseline are the same, the ratio becomes the gradient.
            point = pair.detach()[: len(pair) // 2].requires_grad_()
            (slope,) = torch.autograd.grad(function(point).sum(), point)
        step, rise = _difference(pair), _difference(output)
        context.save_for_backward(torch.where(step.abs() > _SAME, rise / step, slope))
        return output

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (ratio,) = context.saved_tensors
        return gradient * torch.cat([ratio, ratio]), None


class _RescaleMaxPool(torch.autograd.Function):
    """Maximum pooling of images and baselines in one batch, with the rescale rule.

    What a window's maximum rises by is shared out between the place of the image's maximum and
    that of the baseline's. Windows may overlap: shares add up. In a baseline of one colour all
    places of a window tie; the image's own maximum is then taken for both, rather than the first
    place, which would shift maps towards the top left.
    """

    @staticmethod
    def forward(context: Any, pair: Tensor, arguments: dict[str, Any]) -> Tensor:
        output, places = functional.max_pool2d(pair, **arguments, return_indices=True)
        context.save_for_backward(pair, output, places)
        return output

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        pair, output, places = context.saved_tensors
        own, of_baseline = output.chunk(2)
        own_place, baseline_place = (each.flatten(2) for each in places.chunk(2))
        there = pair.chunk(2)[1].flatten(2).gather(2, own_place)
        baseline_place = torch.where(there == of_baseline.flatten(2), own_place, baseline_place)
        top = torch.maximum(own, of_baseline)
        upstream = gradient.chunk(2)[0]
        shared = torch.zeros_like(pair[: len(own)]).flatten(2)
        shared.scatter_add_(2, own_place, (upstream * (top - of_baseline)).flatten(2))
        shared.scatter_add_(2, baseline_place, (upstream * (own - top)).flatten(2))
        step = _difference(pair)
        ratio = torch.where(step.abs() > _SAME, shared.view_as(step) / step, 0.0)
        return torch.cat([ratio, torch.zeros_like(ratio)]), None


_SAME = 1e-6


def _difference(pair: Tensor) -> Tensor:
    own, of_baseline = pair.chunk(2)
    return own - of_baseline


def _rescaled(function: Any, inputs: Tensor, *args: Any, **kwargs: Any) -> Any:
    kwargs.pop("inplace", None)
    if function in (functional.relu, functional.selu, functional.relu6, functional.hardswish):
        # Their only other argument is whether to work in place.
        args = ()

    def plain(values: Tensor) -> Any:
        # A copy: some of these functions work in place.
        return function(values.clone(), *args, **kwargs)

    return _Rescale.apply(inputs, plain)  # type: ignore[no-untyped-call]


def _rescaled_max_pool(function: Any, inputs: Tensor, *args: Any, **kwargs: Any) -> Any:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    arguments = {**dict(zip(names, args, strict=False)), **kwargs}
    arguments.pop("return_indices", None)
    return _RescaleMaxPool.apply(inputs, arguments)  # type: ignore[no-untyped-call]


def refuse_compiled(classifier: Classifier, name: str) -> None:
    """Refuse networks whose functions are called where Python does not see it."""
    if isinstance(classifier.network, torch.jit.ScriptModule | UnflattenedModule):
        raise InputError(
            f"A TorchScript or torch.export model does not let {name} change its backward pass; "
            "saliency, smooth-grad and integrated-gradients need no such change."
        )
