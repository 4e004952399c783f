"""Folding batch normalisation changes the speed and nothing else."""

import copy

import pytest
import tiny
import torch
from hooks import hooks_of
from monai.networks.nets import DenseNet121, EfficientNetBN, resnet18
from torch import nn

from napari_globalxai.models.running.folding import fold, fold_batch_norms


def norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def used(network):
    """Give batch norms the statistics of training, not the identity."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def probe(size=64):
    return torch.randn(2, 2, size, size, generator=torch.Generator().manual_seed(0))


def folded_of(network, images, keep=()):
    with torch.no_grad():
        found = fold_batch_norms(network, images, network(images), keep)
        assert torch.equal(found.outputs, found.network(images))
    # Who knows the pairs gets the same network.
    again = fold(network, found.pairs).state_dict()
    assert all(torch.equal(again[key], value) for key, value in found.network.state_dict().items())
    return found.network


def check(network, folded, images):
    with torch.no_grad():
        expected, given = network(images), folded(images)
    assert float((given - expected).abs().max()) < 1e-4 * float(expected.abs().max())


@pytest.mark.parametrize(
    ("make", "left"),
    [
        (lambda: resnet18(spatial_dims=2, n_input_channels=2, num_classes=3), 0),
        # DenseNet normalises before its convolutions: only those behind one can go.
        (lambda: DenseNet121(spatial_dims=2, in_channels=2, out_channels=3), 62),
        (lambda: EfficientNetBN("efficientnet-b0", False, in_channels=2, num_classes=3), 0),
    ],
)
def test_networks_give_the_same_answers(make, left):
    torch.manual_seed(1)
    network = used(make())
    before = copy.deepcopy(network.state_dict())
    folded = folded_of(network, probe())
    assert norms(folded) == left < norms(network)
    check(network, folded, probe(96))
    assert [name for name, _ in folded.named_modules()] == [n for n, _ in network.named_modules()]
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert hooks_of(folded) == []


def test_a_module_that_must_stay_is_kept():
    network = tiny.resnet()
    folded = folded_of(network, probe(), keep=["layer2.0.conv2"])
    assert norms(folded) == 1
    weights = [net.layer2[0].conv2.weight for net in (network, folded)]
    assert torch.equal(*weights)
    check(network, folded, probe())


class Shared(nn.Module):
    """One normalisation behind two convolutions, and one convolution used on its own as well."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 2, 3)
        self.second = nn.Conv2d(2, 2, 3)
        self.third = nn.Conv2d(2, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.other = nn.BatchNorm2d(2)

    def forward(self, images):
        both = self.norm(self.first(images)) + self.norm(self.second(images))
        kept = self.third(images)
        return (both + kept * self.other(kept)).mean(dim=(2, 3))


def test_what_is_used_twice_is_left_alone():
    torch.manual_seed(0)
    network = used(Shared())
    folded = folded_of(network, probe())
    assert norms(folded) == 2
    check(network, folded, probe(32))
