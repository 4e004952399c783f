"""Ensembles, several views and features that are run twice: no part is shown as the whole."""

import architectures
import numpy as np
import pytest
import torch
from architectures import HEIGHT, WIDTH
from captum.attr import LayerGradCam
from torch import nn
from torch.nn import functional

from napari_globalxai.attribution.method import make_method
from napari_globalxai.errors import InputError
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.models.files.weights import read_weights
from napari_globalxai.models.files.weights_file import WeightsFile

# Those whose maps halve where gradients do; Grad-CAM++ divides by powers of them.
CAMS = ("grad-cam", "layer-cam")


class Body(nn.Module):
    """Cells of `stride` pixels; with an even kernel they tile the image, as flips need."""

    def __init__(self, seed=0, stride=4, kernel=4, padding=0):
        super().__init__()
        torch.manual_seed(seed)
        self.stem = nn.Conv2d(2, 6, kernel, stride, padding)
        self.stage = nn.Conv2d(6, 8, 3, 1, 1)
        self.head = nn.Linear(8, 2)

    def forward(self, images):
        maps = self.stage(self.stem(images).relu()).relu()
        return self.head(maps.mean(dim=(2, 3)))


def flip_equivariant(seed=0):
    body = Body(seed)
    with torch.no_grad():
        for layer in (body.stem, body.stage):
            layer.weight.add_(layer.weight.flip(3).clone())
    return body


class Made(nn.Module):
    """Some bodies and what is made of them."""

    def __init__(self, make, *bodies):
        super().__init__()
        self.bodies = nn.ModuleList(bodies)
        self.make = make

    def forward(self, images):
        return self.make(self.bodies, images)


def inputs(count=3):
    return torch.randn(count, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))


def pixels(model, maps):
    return upsample(maps.numpy(), model.cell_grid)


def by_hand(body, view, label):
    """Grad-CAM of one view of the images by captum, at the view's own cells."""
    oracle = LayerGradCam(body, body.stage)
    leaf = view.clone().requires_grad_()
    return oracle.attribute(leaf, target=label, relu_attributions=False)[:, 0].detach()


def on_pixels(cells, y, x):
    """Interpolate cells (n, row, column) with centres in any order to the pixels of the frame."""
    y, x = np.asarray(y), np.asarray(x)
    result = np.empty((len(cells), HEIGHT, WIDTH))
    for index, each in enumerate(cells.numpy()):
        rows = np.stack(
            [np.interp(np.arange(HEIGHT), np.sort(y), column[np.argsort(y)]) for column in each.T]
        )
        result[index] = np.stack(
            [np.interp(np.arange(WIDTH), np.sort(x), row[np.argsort(x)]) for row in rows.T]
        )
    return result


ENSEMBLES = {
    "stacked": lambda bodies, images: torch.stack([body(images) for body in bodies]).mean(0),
    "weighted": lambda bodies, images: 0.2 * bodies[0](images) + 0.8 * bodies[1](images),
}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_all_members_of_an_ensemble(name):
    bodies = Body(0), Body(1)
    model = architectures.classifier(Made(ENSEMBLES[name], *bodies).eval())
    maps = make_method("grad-cam").attribute(model, inputs(), (0, 1)).maps
    shares = (0.5, 0.5) if name == "stacked" else (0.2, 0.8)
    for label in (0, 1):
        expected = sum(
            share * by_hand(body, inputs(), label)
            for share, body in zip(shares, bodies, strict=True)
        )
        torch.testing.assert_close(maps[:, label], expected, rtol=1e-4, atol=1e-6)
    assert any("bodies.0.stage, bodies.1.stage" in sentence for sentence in model.warnings)


def test_members_with_cells_of_their_own():
    bodies = Body(0, 4, 4, 0), Body(1, 8, 3, 1)
    network = Made(ENSEMBLES["stacked"], *bodies).eval()
    model = architectures.classifier(network)
    maps = make_method("grad-cam").attribute(model, inputs(), (1,)).maps
    first, second = (by_hand(body, inputs(), 1) / 2 for body in bodies)
    expected = on_pixels(first, 4 * np.arange(16) + 1.5, 4 * np.arange(24) + 1.5)
    expected += on_pixels(second, 8 * np.arange(8), 8 * np.arange(12))
    np.testing.assert_allclose(pixels(model, maps)[:, 0], expected, rtol=1e-3, atol=1e-6)


FLIPS = {
    "one after another": lambda bodies, images: (bodies[0](images) + bodies[0](images.flip(3))) / 2,
    "in one batch": lambda bodies, images: (
        bodies[0](torch.cat([images, images.flip(3)])).view(2, len(images), -1).mean(0)
    ),
    "image by image": lambda bodies, images: (
        bodies[0](torch.stack([images, images.flip(3)], 1).flatten(0, 1))
        .view(len(images), 2, -1)
        .mean(1)
    ),
}


@pytest.mark.parametrize("method", CAMS)
@pytest.mark.parametrize("name", FLIPS)
def test_the_average_of_an_equivariant_network_over_flips_is_its_own_map(name, method):
    body = flip_equivariant()
    plain = architectures.classifier(body.eval(), "stage")
    expected = make_method(method).attribute(plain, inputs(), (0, 1))
    model = architectures.classifier(Made(FLIPS[name], body).eval())
    found = make_method(method).attribute(model, inputs(), (0, 1))
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.maps, expected.maps, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", FLIPS)
def test_flipped_views_are_turned_back(name):
    """Of a network that is not equivariant: each view's own map, by captum, at its own places."""
    body = Body(2, 8, 3, 1)
    model = architectures.classifier(Made(FLIPS[name], body).eval())
    maps = make_method("grad-cam").attribute(model, inputs(), (0,)).maps
    y, x = 8 * np.arange(8), 8 * np.arange(12)
    expected = on_pixels(by_hand(body, inputs(), 0) / 2, y, x)
    expected += on_pixels(by_hand(body, inputs().flip(3), 0) / 2, y, WIDTH - 1 - x)
    np.testing.assert_allclose(pixels(model, maps)[:, 0], expected, rtol=1e-3, atol=1e-6)


def test_views_that_are_rotated_and_scaled():
    body = Body(0)

    def make(bodies, images):
        small = functional.interpolate(images, scale_factor=0.5, mode="bilinear")
        return bodies[0](images.transpose(2, 3).flip(2)) + bodies[0](small)

    model = architectures.classifier(Made(make, body).eval())
    maps = make_method("grad-cam").attribute(model, inputs(), (1,)).maps
    turned = by_hand(body, inputs().transpose(2, 3).flip(2), 1)
    small = by_hand(body, functional.interpolate(inputs(), scale_factor=0.5, mode="bilinear"), 1)
    places = 4 * np.arange(24) + 1.5
    expected = on_pixels(turned.mT, places[:16], WIDTH - 1 - places)
    # A pixel of half the size lies between two: 2·(4i + 1½) + ½.
    expected += on_pixels(small, 2 * places[:8] + 0.5, 2 * places[:12] + 0.5)
    np.testing.assert_allclose(pixels(model, maps)[:, 0], expected, rtol=1e-3, atol=1e-6)


def test_crops_add_nothing_beyond_their_edges():
    body = Body(0)

    def make(bodies, images):
        return bodies[0](images[:, :, :32, :48]) + bodies[0](images[:, :, 32:, 48:])

    model = architectures.classifier(Made(make, body).eval())
    maps = make_method("grad-cam").attribute(model, inputs(), (0,)).maps
    expected = np.zeros((3, HEIGHT, WIDTH))
    places = 4 * np.arange(24) + 1.5
    for top, left in ((0, 0), (32, 48)):
        part = (slice(None), slice(top, top + 32), slice(left, left + 48))
        cells = by_hand(body, inputs()[:, :, top : top + 32, left : left + 48], 0)
        expected[part] += on_pixels(cells, top + places[:8], left + places[:12])[part]
    np.testing.assert_allclose(pixels(model, maps)[:, 0], expected, rtol=1e-3, atol=1e-6)


class Siamese(nn.Module):
    """The same features of two halves of the channels."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.ReLU(), nn.Conv2d(4, 5, 1))
        self.head = nn.Linear(10, 2)

    def forward(self, images):
        both = [self.features(images[:, channel : channel + 1]) for channel in (0, 1)]
        return self.head(torch.cat([maps.mean(dim=(2, 3)) for maps in both], dim=1))


@pytest.mark.parametrize("layer", [None, "features", "features.2"])
def test_features_that_are_run_twice(layer):
    network = Siamese().eval()
    model = architectures.classifier(network, layer)
    maps = make_method("grad-cam").attribute(model, inputs(), (0, 1)).maps
    for label in (0, 1):
        expected = torch.zeros_like(maps[:, label])
        for channel in (0, 1):
            values = network.features(inputs()[:, channel : channel + 1]).detach()
            # Means of cells, then weights: the gradient is the weight over the number of cells.
            weights = network.head.weight[label, 5 * channel : 5 * channel + 5].detach()
            expected += torch.einsum("nkhw,k->nhw", values, weights) / values[0, 0].numel()
        torch.testing.assert_close(maps[:, label], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", [*ENSEMBLES, "one after another"])
def test_programs_of_torch_export(name, tmp_path):
    make = {**ENSEMBLES, **FLIPS}[name]
    bodies = [Body(0), Body(1)][: 1 if name in FLIPS else 2]
    network = Made(make, *bodies).eval()
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(network, (inputs(),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "network.pt2")
    model = architectures.classifier(read_weights(WeightsFile(tmp_path / "network.pt2"), True))
    plain = architectures.classifier(network)
    expected, found = (
        make_method("grad-cam").attribute(each, inputs(), (0, 1)).maps for each in (plain, model)
    )
    assert len(model.split.calls) == 2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["stacked", "one after another"])
def test_torchscript_that_is_made_of_several_is_refused(name):
    network = Made({**ENSEMBLES, **FLIPS}[name], Body(0), Body(1)).eval()
    model = architectures.classifier(torch.jit.trace(network, inputs()))
    with pytest.raises(InputError, match=r"cannot be split.*methods that need no split: saliency"):
        make_method("grad-cam").grid(model)


def test_of_calls_one_after_another_the_last_is_the_whole():
    """As of an activation that a network shares; nothing is added up."""
    torch.manual_seed(0)
    shared = nn.Conv2d(2, 2, 3, 1, 1)
    network = nn.Sequential(nn.Conv2d(2, 2, 4, 4), shared, nn.ReLU(), shared)
    network = nn.Sequential(network, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    model = architectures.classifier(network.eval(), "0.1")
    assert [call.number for call in model.split.calls] == [1]


def test_score_cam_hides_by_the_channels_of_all_members():
    bodies = Body(0), Body(1)
    model = architectures.classifier(Made(ENSEMBLES["stacked"], *bodies).eval())
    found = make_method("score-cam").attribute(model, inputs(1), (0, 1))
    assert found.maps.shape[2:] == model.cell_grid.shape
    assert found.maps.any()


class Beside(nn.Module):
    """What is made of the images past all layers."""

    def __init__(self):
        super().__init__()
        self.body = Body(0)

    def forward(self, images):
        return self.body(images) + 0.1 * images.mean(dim=(2, 3))


@pytest.mark.parametrize("layer", [None, "body.stage"])
def test_a_part_is_named_as_a_part(layer):
    model = architectures.classifier(Beside().eval(), layer)
    assert model.split.layer == "body.stage"
    assert any("does not pass through 'body.stage'" in sentence for sentence in model.warnings)


def test_one_member_that_was_asked_for_is_named_as_a_part():
    network = Made(ENSEMBLES["stacked"], Body(0), Body(1)).eval()
    model = architectures.classifier(network, "bodies.1.stage")
    assert [call.layer for call in model.split.calls] == ["bodies.1.stage"]
    assert any("CAM maps show a part" in sentence for sentence in model.warnings)


def test_an_ordinary_network_has_one_call_and_no_warning():
    model = architectures.classifier(Body(0).eval())
    assert len(model.split.calls) == 1
    assert model.cell_places.weights == ()
    assert model.warnings == []


def test_views_whose_places_are_not_known_are_refused():
    def make(bodies, images):
        # No operation of which positions know.
        mirrored = torch.linalg.solve(torch.eye(WIDTH).flip(0), images.mT).mT
        return bodies[0](images) + bodies[0](mirrored)

    model = architectures.classifier(Made(make, Body(0)).eval())
    with pytest.raises(InputError, match=r"several maps, .*methods that need no split: saliency"):
        make_method("grad-cam").grid(model)


@pytest.mark.parametrize("count", [2, 3])
def test_views_of_an_ensemble_of_transformers(count):
    """Their outputs read a class token alone, so the last block but one of each counts."""

    class Blocks(architectures.VisionTransformer):
        def forward(self, images):
            tokens = self.patches(images).flatten(2).transpose(1, 2) + self.places
            special = self.special.expand(images.shape[0], -1, -1)
            return self.head(self.norm(self.blocks(torch.cat([special, tokens], dim=1)))[:, 0])

    torch.manual_seed(0)
    network = Made(ENSEMBLES["stacked"], *[Blocks() for _ in range(count)]).eval()
    model = architectures.classifier(network)
    _ = model.split
    assert [call.layer for call in model.split.calls] == [
        f"bodies.{member}.blocks.1" for member in range(count)
    ]
