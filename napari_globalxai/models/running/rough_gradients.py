"""Gradients through convolutions in bfloat16, with a forward in float32.

A half-size forward changes which ReLUs of a network are open, and gradients with them. With the
forward in float32 the gradient is a product of fixed matrices, and rounding those does as little as
rounding does in a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode


class RoughGradients(TorchFunctionMode):
    """Context in which 2D convolutions give gradients for their input in bfloat16.

    What is convolved in it is left as it is; the gradient is computed later, wherever the backward
    pass is run. Weights get no gradient. TorchScript and exported programs are not reached.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.conv2d:
            return _convolve(*args, **kwargs)
        return func(*args, **kwargs)


def _convolve(
    given: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    needs_gradient = torch.is_grad_enabled() and given.requires_grad
    plain = given.dtype == weight.dtype == torch.float32 and not isinstance(padding, str)
    if not (needs_gradient and plain) or weight.requires_grad:
        return torch.conv2d(given, weight, bias, stride, padding, dilation, groups)
    result: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
        given, weight, bias, _pair(stride), _pair(padding), _pair(dilation), groups
    )
    return result


class _Convolution(torch.autograd.Function):
    """A convolution whose gradient for its input is computed in bfloat16."""

    @staticmethod
    def forward(
        ctx: Any,
        given: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(weight.to(torch.bfloat16))
        ctx.shape, ctx.how = given.shape, (stride, padding, dilation, False, [0, 0], groups)
        return torch.convolution(given, weight, bias, *ctx.how)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        # The input's values make the gradient of the weights alone; here it stands for its shape.
        given = torch.empty(
            ctx.shape,
            dtype=weight.dtype,
            device=weight.device,
            memory_format=torch.channels_last,
        )
        rough = torch.ops.aten.convolution_backward(
            gradient.to(weight.dtype), given, weight, None, *ctx.how, [True, False, False]
        )[0]
        return rough.to(gradient.dtype), None, None, None, None, None, None


def _pair(value: int | Sequence[int]) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * 2 if len(values) == 1 else values
