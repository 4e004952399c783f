"""Gradients in bfloat16: the forward keeps its bits, the gradient is close, weights are left."""

import pytest
import tiny
import torch
from torch import nn

from napari_globalxai.models.running.rough_gradients import RoughGradients

CONVOLUTIONS = {
    "plain": nn.Conv2d(4, 6, 3),
    "strided": nn.Conv2d(4, 6, 5, stride=2, padding=2),
    "uneven": nn.Conv2d(4, 6, (3, 1), stride=(2, 1), padding=(1, 0), bias=False),
    "dilated": nn.Conv2d(4, 6, 3, dilation=2, padding=2),
    "depthwise": nn.Conv2d(4, 8, 3, groups=4),
    "named padding": nn.Conv2d(4, 6, 3, padding="same"),
    "circular": nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
    "transposed": nn.ConvTranspose2d(4, 6, 3),
}


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def gradient(network, given, rough):
    leaf = given.clone().requires_grad_()
    if rough:
        with RoughGradients():
            outputs = network(leaf)
    else:
        outputs = network(leaf)
    weights = torch.linspace(-1, 2, outputs.numel()).view_as(outputs)
    (found,) = torch.autograd.grad((outputs * weights).sum(), leaf)
    return outputs.detach(), found


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_every_convolution(name):
    network, given = CONVOLUTIONS[name].requires_grad_(False), noise(2, 4, 13, 17)
    outputs, exact = gradient(network, given, rough=False)
    same, rough = gradient(network, given, rough=True)
    assert torch.equal(same, outputs)
    assert rough.dtype == torch.float32
    assert float((rough - exact).norm() / exact.norm()) < 0.01
    is_reached = name not in ("named padding", "transposed")
    assert torch.equal(rough, exact) != is_reached


def test_a_whole_network_and_only_within_the_context():
    network, given = tiny.resnet().eval().requires_grad_(False), noise(2, 2, 32, 48)
    outputs, exact = gradient(network, given, rough=False)
    same, rough = gradient(network, given, rough=True)
    assert torch.equal(same, outputs)
    assert 0 < float((rough - exact).norm() / exact.norm()) < 0.02
    with pytest.raises(RuntimeError), RoughGradients():
        network(given[:, :1])
    assert torch.equal(gradient(network, given, rough=False)[1], exact)


def test_weights_that_are_trained_get_their_exact_gradients():
    network, given = nn.Conv2d(4, 6, 3), noise(2, 4, 9, 9)
    network(given).square().sum().backward()
    exact = network.weight.grad.clone()
    network.weight.grad = None
    with RoughGradients():
        network(given.requires_grad_()).square().sum().backward()
    assert torch.equal(network.weight.grad, exact)
