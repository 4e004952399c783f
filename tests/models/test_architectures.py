"""Every kind of network is split by itself, with its cells where they must lie."""

import copy

import architectures
import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, HEIGHT, WIDTH
from captum.attr import LayerGradCam
from hooks import hooks_of
from torch import nn

from napari_globalxai.attribution.method import make_method
from napari_globalxai.errors import InputError
from napari_globalxai.models.split.positions import PositionTrace
from napari_globalxai.models.split.splitting import cam_layers, split_network

CONVOLUTIONAL = ("ResNet", "DenseNet", "EfficientNet", "SEResNet")


@pytest.fixture(scope="module")
def networks():
    return {name: architectures.make(name) for name in ARCHITECTURES}


@pytest.fixture(scope="module")
def classifiers(networks):
    return {name: architectures.classifier(network) for name, network in networks.items()}


def some_inputs(count=3):
    return torch.randn(count, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))


# ---------------------------------------------------------------- where the cells lie


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_layer_and_centres_are_found(name, classifiers):
    expected = ARCHITECTURES[name]
    split, grid = classifiers[name].split, classifiers[name].cell_grid
    assert split.layer == expected.layer
    assert grid.measured
    assert grid.shape == (HEIGHT // expected.stride, WIDTH // expected.stride)
    rows, columns = map(np.arange, grid.shape)
    np.testing.assert_allclose(grid.y, expected.stride * rows + expected.offset, atol=1e-6)
    np.testing.assert_allclose(grid.x, expected.stride * columns + expected.offset, atol=1e-6)


def linear_copy(network):
    """Replace all that is not a positive linear map, so that gradients are receptive fields."""
    network = copy.deepcopy(network)
    for name, module in list(network.named_modules()):
        kind = type(module).__name__
        if kind in ("MemoryEfficientSwish", "BatchNorm2d", "ReLU"):
            network.set_submodule(name, nn.Identity())
        elif kind == "MaxPool2d":
            sizes = module.kernel_size, module.stride, module.padding, module.ceil_mode
            network.set_submodule(name, nn.AvgPool2d(*sizes))
        elif kind == "Sigmoid":
            network.set_submodule(name, nn.Identity())
    with torch.no_grad():
        for name, value in network.named_parameters():
            if value.ndim == 4:
                value.fill_(1 / value[0].numel())
            if "_se_expand" in name or ".se_layer.fc.2" in name:
                # Gates are one: a sigmoid of much, or what stands in its place.
                value.fill_(50.0 if name.endswith("bias") and "_se" in name else 0.0)
            if ".se_layer.fc.2.bias" in name:
                value.fill_(1.0)
    return network


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_centres_against_the_centroid_of_the_receptive_field(name, axis, networks):
    expected = ARCHITECTURES[name]
    network = linear_copy(networks[name])
    shape = [1, 2, 64, 64]
    shape[axis] = 1536
    images = torch.ones(shape, requires_grad=True)
    caught = []
    handle = network.get_submodule(expected.layer).register_forward_hook(
        lambda module, inputs, output: caught.append(output)
    )
    network(images)
    handle.remove()
    cells = caught[-1].sum(dim=(0, 1, 5 - axis))
    middle = len(cells) // 2
    (gradient,) = torch.autograd.grad(cells[middle], images)
    weights = gradient.double().sum(dim=(0, 1, 5 - axis))
    centroid = float(weights @ torch.arange(1536, dtype=torch.float64) / weights.sum())
    assert centroid == pytest.approx(expected.stride * middle + expected.offset, abs=0.5)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_a_spot_that_moves_by_a_stride_moves_the_response_by_a_cell(name, networks):
    """With even weights the response is centred on the spot; random ones see the whole image."""
    expected = ARCHITECTURES[name]
    network = linear_copy(networks[name])
    caught = []
    network.get_submodule(expected.layer).register_forward_hook(
        lambda module, inputs, output: caught.append(output)
    )

    def cells(row, column):
        images = torch.zeros(1, 2, 320, 384)
        images[:, :, int(row * expected.stride + expected.offset)] = 1.0
        images[:, :, :, int(column * expected.stride + expected.offset)] += 1.0
        with torch.no_grad():
            network(images)
            network(torch.zeros_like(images))
        lit, dark = caught[-3 if expected.layer == "_swish" else -2], caught[-1]
        return (lit - dark).sum(dim=(0, 1))

    for row, column in ((4, 5), (5, 5), (4, 6)):
        response = cells(row, column)
        profiles = (response.sum(dim=1), response.sum(dim=0))
        assert [int(profile.argmax()) for profile in profiles] == [row, column]


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in CONVOLUTIONAL])
def test_what_moves_by_a_stride_moves_by_a_cell(name, classifiers):
    """Noise on one cell's place is answered there most, wherever that is."""
    split, grid = classifiers[name].split, classifiers[name].cell_grid
    stride = ARCHITECTURES[name].stride
    generator = torch.Generator().manual_seed(0)
    images = some_inputs(1).expand(8, -1, -1, -1)
    noise = 0.5 * torch.randn(8, 2, stride, stride, generator=generator)
    before, _ = split(images)
    misses = []
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            top = int(np.clip(round(grid.y[row] - (stride - 1) / 2), 0, HEIGHT - stride))
            left = int(np.clip(round(grid.x[column] - (stride - 1) / 2), 0, WIDTH - stride))
            spotted = images.clone()
            spotted[:, :, top : top + stride, left : left + stride] += noise
            after, _ = split(spotted)
            answer = (after - before).detach().square().sum(dim=(0, 1))
            misses.append(np.subtract(divmod(int(answer.argmax()), grid.shape[1]), (row, column)))
    assert (np.abs(np.mean(misses, axis=0)) <= 0.5).all(), misses
    assert np.mean(np.abs(misses).max(axis=1) == 0) >= 0.6, misses


# ---------------------------------------------------------------- Grad-CAM


def slow_token_cam(network, layer, image, label, cells):
    """Grad-CAM of tokens, cell by cell; `cells` is how many tokens, the last ones, are cells."""
    caught = []

    def keep(module, inputs, output):
        output.requires_grad_()
        output.retain_grad()
        caught.append(output)

    handle = network.get_submodule(layer).register_forward_hook(keep)
    with torch.enable_grad():
        network(image)[0, label].backward()
    handle.remove()
    channels = caught[0].shape[-1]
    values = caught[0].detach().reshape(-1, channels)[-cells:]
    slopes = caught[0].grad.reshape(-1, channels)[-cells:]
    weights = [sum(float(slope[k]) for slope in slopes) / cells for k in range(channels)]
    return torch.tensor(
        [sum(weights[k] * float(value[k]) for k in range(channels)) for value in values]
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_grad_cam_against_an_independent_one(name, networks, classifiers):
    architecture, model = ARCHITECTURES[name], classifiers[name]
    network = copy.deepcopy(networks[name])
    inputs = some_inputs(2)
    maps = make_method("grad-cam").attribute(model, inputs, (0, 1)).maps
    assert maps.shape[2:] == model.cell_grid.shape
    for label in (0, 1):
        if architecture.tokens:
            cells = maps[0, 0].numel()
            expected = torch.stack(
                [
                    slow_token_cam(network, architecture.layer, inputs[i : i + 1], label, cells)
                    for i in range(2)
                ]
            ).view_as(maps[:, label])
        else:
            # Several uses of one module, as of EfficientNet's activation: captum takes the first.
            layer = "_bn1" if architecture.layer == "_swish" else architecture.layer
            if layer == "_bn1":
                model = architectures.classifier(networks[name], layer)
                maps = make_method("grad-cam").attribute(model, inputs, (0, 1)).maps
            oracle = LayerGradCam(network, network.get_submodule(layer))
            leaf = inputs.clone().requires_grad_()
            expected = oracle.attribute(leaf, target=label, relu_attributions=False)[:, 0].detach()
        assert float(expected.abs().max()) > 0
        assert float((maps[:, label] - expected).abs().max() / expected.abs().max()) < 1e-3


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_splitting_leaves_the_network_alone(name, networks):
    network = copy.deepcopy(networks[name])
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    inputs = some_inputs(2)
    expected = network(inputs)
    split = split_network(network, None, inputs)
    activation, outputs = split(inputs)
    assert activation.is_leaf
    assert activation.ndim == 4
    torch.testing.assert_close(outputs.detach(), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(Exception, match=r"."):
        split(inputs[:, :1])
    assert hooks_of(network) == []
    assert not network.training
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_bfloat16(name, networks, classifiers):
    reduced = architectures.classifier(networks[name], precision="bfloat16")
    inputs = some_inputs(2)
    expected = make_method("grad-cam").attribute(classifiers[name], inputs, (0, 1)).maps
    maps = make_method("grad-cam").attribute(reduced, inputs, (0, 1)).maps
    assert maps.dtype == torch.float32
    pair = torch.stack([maps.flatten(), expected.flatten()])
    assert float(torch.corrcoef(pair)[0, 1]) > 0.9


# ---------------------------------------------------------------- TorchScript


@pytest.mark.parametrize("kind", ["trace", "script"])
@pytest.mark.parametrize("name", ["ResNet", "DenseNet", "SEResNet"])
def test_torchscript_of_convolutional_networks(name, kind, networks, classifiers):
    inputs = some_inputs(2)
    network = networks[name]
    module = torch.jit.trace(network, inputs) if kind == "trace" else torch.jit.script(network)
    model = architectures.classifier(module)
    assert model.split.layer == ARCHITECTURES[name].layer
    np.testing.assert_allclose(model.cell_grid.y, classifiers[name].cell_grid.y)
    np.testing.assert_allclose(model.cell_grid.x, classifiers[name].cell_grid.x)
    expected = make_method("grad-cam").attribute(classifiers[name], inputs, (0, 1)).maps
    maps = make_method("grad-cam").attribute(model, inputs, (0, 1)).maps
    assert float((maps - expected).abs().max() / expected.abs().max()) < 1e-3


@pytest.mark.parametrize("name", ["EfficientNet", "ConvNeXt", "ViT", "Swin"])
def test_torchscript_that_is_no_chain(name, networks):
    model = architectures.classifier(torch.jit.trace(networks[name], some_inputs(2)))
    with pytest.raises(InputError, match=r"cannot be split.*need no split: saliency, ") as why:
        make_method("grad-cam").grid(model)
    listed = str(why.value).partition("need no split: ")[2].rstrip(".").split(", ")
    assert {"occlusion", "rise", "integrated-gradients"} <= set(listed)
    for method in listed:
        assert not make_method(method).needs_split
    assert not {"deep-lift", "guided-backprop", "grad-cam"} & set(listed)


def test_a_layer_inside_a_torchscript_child(networks):
    inputs = some_inputs(2)
    plain = architectures.classifier(networks["ResNet"], "layer4.0")
    traced = torch.jit.trace(networks["ResNet"], inputs)
    model = architectures.classifier(traced, "layer4.0")
    assert "layer4.0" in [layer.name for layer in model.cam_layers]
    expected, maps = (
        make_method("grad-cam").attribute(each, inputs, (0,)).maps for each in (plain, model)
    )
    assert float((maps - expected).abs().max() / expected.abs().max()) < 1e-3
    with pytest.raises(InputError, match=r"'layer4\.0\.conv2' lies in a part of TorchScript"):
        split_network(model.network, "layer4.0.conv2", inputs)


# ---------------------------------------------------------------- choosing a layer


def test_the_layers_are_listed_in_the_order_they_run(networks):
    listed = cam_layers(networks["ViT"], some_inputs(1))
    names = [layer.name for layer in listed]
    assert names.index("patches") < names.index("blocks.0") < names.index("norm")
    chosen = listed[names.index("blocks.1")]
    assert str(chosen) == "blocks.1 (16 × 4 × 6)"


class BlocksAtOnce(architectures.VisionTransformer):
    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.places
        special = self.special.expand(images.shape[0], -1, -1)
        return self.head(self.norm(self.blocks(torch.cat([special, tokens], dim=1)))[:, 0])


def test_blocks_in_a_row_that_run_as_one(networks):
    """As in timm: of the row's output the head reads the class token alone."""
    network = BlocksAtOnce().eval()
    network.load_state_dict(networks["ViT"].state_dict())
    assert split_network(network, None, some_inputs(2)).layer == "blocks.1"


class RolledAround(nn.Module):
    """The left of a map goes to its right, as windows are shifted; all parts are modules."""

    def __init__(self, after):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 8, 8)
        self.body = nn.Conv2d(4, 6, 3, padding=1)
        self.left, self.right = nn.Identity(), nn.Identity()
        self.whole = nn.Identity() if after else None
        self.head = nn.Linear(6, 2)

    def forward(self, images):
        maps = self.body(self.stem(images).relu())
        maps = torch.cat([self.right(maps[..., 2:]), self.left(maps[..., :2])], dim=3)
        if self.whole is not None:
            maps = self.whole(maps)
        return self.head(maps.square().mean(dim=(2, 3)))


@pytest.mark.parametrize("after", [False, True])
def test_a_part_of_a_map_is_no_cam_layer(after):
    torch.manual_seed(0)
    split = split_network(RolledAround(after).eval(), None, some_inputs(2))
    assert split.layer == ("whole" if after else "body")


class TwoStreams(nn.Module):
    """Branches that meet in no module, behind a stem of finer cells."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 4, 4)
        self.first, self.second = nn.Conv2d(4, 6, 2, 2), nn.Conv2d(4, 6, 2, 2)
        self.head = nn.Linear(6, 2)

    def forward(self, images):
        maps = self.stem(images).relu()
        return self.head((self.first(maps) * self.second(maps)).mean(dim=(2, 3)))


def test_the_last_branch_is_taken_before_a_finer_stem():
    torch.manual_seed(0)
    assert split_network(TwoStreams().eval(), None, some_inputs(2)).layer == "second"


def test_a_layer_of_which_the_head_reads_the_class_token_alone(networks):
    with pytest.raises(InputError, match=r"class token beside it; .* such as 'blocks\.1'"):
        split_network(networks["ViT"], "norm", some_inputs(2))


def test_positions_of_tokens_are_their_patches(networks):
    image = some_inputs(1)
    with torch.no_grad(), PositionTrace(image) as trace:
        patches = networks["ViT"].patches(image)
        tokens = patches.flatten(2).transpose(1, 2)
        mixed = networks["ViT"].blocks(torch.cat([networks["ViT"].special, tokens], dim=1))
    places = trace.of(mixed)[0, :, 0]
    assert places[0].isnan()
    expected = [
        complex(16 * row + 7.5, 16 * column + 7.5) for row in range(4) for column in range(6)
    ]
    torch.testing.assert_close(places[1:], torch.tensor(expected, dtype=torch.complex128))
