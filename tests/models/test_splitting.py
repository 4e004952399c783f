"""Splitting a network at its CAM layer changes nothing, and says so where it cannot be done."""

import pytest
import tiny
import torch
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.split.splitting import split_network

PROBE = torch.rand(2, 2, 32, 48, generator=torch.Generator().manual_seed(0))


def ready(*layers):
    network = nn.Sequential(*layers).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network


def convolutional(inplace):
    torch.manual_seed(0)
    return ready(
        nn.Conv2d(2, 4, 3, 2, 1),
        nn.ReLU(inplace=inplace),
        nn.Conv2d(4, 4, 3, 2, 1),
        nn.ReLU(inplace=inplace),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def torchscript(network, kind, folder):
    module = torch.jit.trace(network, PROBE) if kind == "trace" else torch.jit.script(network)
    torch.jit.save(module, str(folder / "model.pt"))
    return torch.jit.load(str(folder / "model.pt"))


def gradient_of(split, label):
    activation, outputs = split(PROBE)
    (gradient,) = torch.autograd.grad(outputs[:, label].sum(), activation)
    return activation.detach(), gradient


@pytest.mark.parametrize("kind", ["eager", "trace", "script"])
@pytest.mark.parametrize("layer", ["0", "2"])
def test_an_in_place_layer_after_the_split_does_no_harm(layer, kind, tmp_path):
    """A ReLU in place would overwrite the activation, and autograd refuses it on a leaf."""
    plain = split_network(convolutional(inplace=False), layer, PROBE)
    network = convolutional(inplace=True)
    if kind != "eager":
        network = torchscript(network, kind, tmp_path)
    split = split_network(network, layer, PROBE)
    for label in (0, 1):
        activation, gradient = gradient_of(split, label)
        expected_activation, expected_gradient = gradient_of(plain, label)
        assert float(expected_activation.min()) < 0  # not yet through the ReLU
        torch.testing.assert_close(activation, expected_activation)
        torch.testing.assert_close(gradient, expected_gradient)


class Branching(nn.Module):
    """Adds in place to the output of its CAM layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 3, 2, 1)
        self.head = nn.Linear(3, 2)

    def forward(self, images):
        features = self.stem(images)
        features += 1
        features.clamp_(min=0)
        return self.head(features.mean(dim=(2, 3)))


def test_in_place_arithmetic_after_the_split():
    network = ready(Branching())
    activation, outputs = split_network(network, "0.stem", PROBE)(PROBE)
    torch.testing.assert_close(outputs, network(PROBE))
    torch.testing.assert_close(activation, network[0].stem(PROBE))
    (gradient,) = torch.autograd.grad(outputs[:, 0].sum(), activation)
    cells = activation[0, 0].numel()
    expected = network[0].head.weight[0].view(1, 3, 1, 1) / cells * (activation > -1)
    torch.testing.assert_close(gradient, expected)


def test_the_last_spatial_layer_is_the_default():
    assert split_network(tiny.resnet(), None, PROBE).layer == "layer4"
    assert split_network(convolutional(False), None, PROBE).layer == "3"


def test_nothing_before_the_split_is_recorded():
    activation, _ = split_network(convolutional(False), "2", PROBE)(PROBE)
    assert activation.is_leaf
    assert activation.requires_grad


def stages_that_end_in_one_cell():
    torch.manual_seed(0)
    halving = [nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU()) for _ in range(5)]
    last = [nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)]
    # 32 × 48 pixels: 16 × 24 cells behind the stem, 2 × 3 after three stages, one after five.
    return ready(nn.Conv2d(2, 4, 3, 2, 1), nn.Sequential(*halving), *last)


def test_the_deepest_stage_that_has_cells_is_taken_and_called_coarse():
    told = []
    split = split_network(stages_that_end_in_one_cell(), None, PROBE, told.append)
    assert split.layer == "1.3"
    assert (split.layout.rows, split.layout.columns) == (1, 2)
    assert len(told) == 1
    assert "'1.3' has 1 × 2 cells on an image of 32 × 48 pixels, so its maps are coarse" in told[0]


def test_a_pooled_head_does_not_hide_the_trunk():
    """Whose map is as fine as the trunk's: nothing before a pooling to one cell is coarser."""
    torch.manual_seed(0)
    pooled = nn.Sequential(nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1))
    told = []
    network = ready(nn.Conv2d(2, 4, 3, 4, 1), pooled, nn.Flatten(), nn.Linear(6, 2))
    assert split_network(network, None, PROBE, told.append).layer == "0"
    assert told == []


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, 2)
        self.spare = nn.Conv2d(2, 2, 3, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2, 2)

    def forward(self, images):
        return self.head(self.pool(self.conv(images)).flatten(1))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, 2)

    def forward(self, images):
        return self.conv(images), images


class Paired(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = Pair()

    def forward(self, images):
        return self.pair(images)[0].mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("network", "layer", "message"),
    [
        (convolutional(False), "9", r"no layer '9'; layers with a map are 0 \(4 × 16 × 24\)"),
        (convolutional(False), "4", "layer '4' has no spatial output"),
        (convolutional(False), "6", "layer '6' has no spatial output"),
        (ready(Unused()), "0.spare", "layer '0.spare' is not used"),
        (ready(Paired()), "0.pair", "layer '0.pair' has no spatial output"),
        (tiny.linear_classifier().network, None, "No layer with a spatial output was found"),
    ],
)
def test_layers_that_cannot_be_used(network, layer, message):
    with pytest.raises(InputError, match=message) as why:
        split_network(network, layer, PROBE)
    assert "\n" not in str(why.value)


def test_torchscript_with_a_child_that_is_not_used(tmp_path):
    torch.manual_seed(0)
    network = Unused().eval()
    split = split_network(torchscript(network, "script", tmp_path), None, PROBE)
    assert split.layer == "conv"
    torch.testing.assert_close(split(PROBE)[1], network(PROBE))


def test_torchscript_layers_are_named_when_one_is_not_there(tmp_path):
    network = torchscript(convolutional(False), "script", tmp_path)
    with pytest.raises(InputError, match=r"no layer 'features'; layers with a map are 0 .*, 3 "):
        split_network(network, "features", PROBE)
