"""Weights brought into a half-size format once answer as autocast does, bit by bit."""

from functools import cache

import architectures
import pytest
import torch
from torch import nn

from napari_globalxai.attribution.cam import GradCam
from napari_globalxai.attribution.gradients import Saliency
from napari_globalxai.attribution.method import make_method
from napari_globalxai.catalogue import METHODS
from napari_globalxai.errors import InputError
from napari_globalxai.models.running.cast_weights import cast_weights


def images(count=2):
    shape = (count, 2, architectures.HEIGHT, architectures.WIDTH)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_same_bits_for_every_kind_of_network(name):
    network = architectures.make(name)
    cast = cast_weights(network, torch.bfloat16, images())
    other = images(3).flip(0)
    with torch.no_grad(), autocast():
        assert torch.equal(cast(other), network(other))
    assert cast is not network
    assert any(value.dtype == torch.bfloat16 for value in cast.parameters())
    assert all(value.dtype == torch.float32 for value in network.parameters())


class Shared(nn.Module):
    """Uses a weight of a layer outside of it, in full precision."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, inputs):
        return self.layer(inputs.mean(dim=(2, 3))) + self.layer.weight.square().sum()


class Strict(nn.Module):
    """Takes one format only."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, inputs):
        return torch.linalg.inv(self.layer.weight) + self.layer(inputs.mean(dim=(2, 3)))


@pytest.mark.parametrize("network", [Shared().eval(), Strict().eval()])
def test_a_network_that_answers_otherwise_is_left_as_it_is(network):
    with torch.no_grad():
        network.layer.weight.copy_(torch.tensor([[1.001, 2.003], [3.007, 4.001]]))
    assert cast_weights(network, torch.bfloat16, images()) is network


def test_a_classifier_works_with_them_and_keeps_its_own():
    network = architectures.make("ResNet")
    plain = architectures.classifier(network)
    half = plain.working_with(precision="bfloat16")
    with torch.no_grad(), autocast():
        expected = plain.network(images()).float()
    with torch.no_grad():
        assert torch.equal(half.logits(images()), expected)
    assert half.network is plain.network
    assert half.split.network is not plain.network
    assert half.working_with(precision="float32").split.network is plain.network
    # Made once.
    assert half.working_with(images_a_forward=2).split.network is half.split.network
    maps = GradCam().attribute(half, images(), [0, 1]).maps
    oracle = GradCam().attribute(plain, images(), [0, 1]).maps
    assert float((maps - oracle).norm() / oracle.norm()) < 0.05
    # Outside of autocast, as another's method may call it, the network is as it was.
    torch.testing.assert_close(half.network(images()), plain.logits(images()))
    assert Saliency().attribute(half, images(), [1]).maps.abs().max() > 0


CAM_METHODS = [name for name, entry in METHODS.own.items() if entry.needs_split]


@pytest.fixture(scope="module")
def tried():
    """The classifier that all methods are tried on: TorchScript takes seconds to get going."""

    # One a format: TorchScript keeps to that which it ran in first.
    @cache
    def make(kind, precision):
        network = architectures.make("ResNet")
        traced = kind == "TorchScript"
        return architectures.classifier(torch.jit.trace(network, images()) if traced else network)

    return make


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["plain", "TorchScript"])
@pytest.mark.parametrize("name", CAM_METHODS)
def test_every_method_runs_the_split_at_the_chosen_precision(name, kind, precision, tried):
    plain = tried(kind, precision)
    if kind == "TorchScript" and name.startswith("captum:"):
        # It takes no hooks, which captum works by.
        with pytest.raises(InputError, match="TorchScript"):
            make_method(name).attribute(plain, images(), [0, 1])
        return
    # A forward for each of all its channels takes minutes in float16 on a processor.
    method = make_method(name, **({"channels": 2} if name == "score-cam" else {}))
    exact = method.attribute(plain, images(), [0, 1])
    rough = method.attribute(plain.working_with(precision=precision), images(), [0, 1])
    assert rough.maps.dtype == rough.logits.dtype == torch.float32
    assert float((rough.maps - exact.maps).norm() / exact.maps.norm()) < 0.1
    assert not torch.equal(rough.logits, exact.logits)
