"""Where CAM cells lie: against centres worked out by hand from strides, kernels and paddings."""

import numpy as np
import pytest
import tiny
import torch
from monai.networks.nets import DenseNet121, ResNet
from torch import nn

from napari_globalxai.attribution.cam import GradCam
from napari_globalxai.errors import InputError
from napari_globalxai.maps.upsampling import (
    cells_inside,
    interpolation_weights,
    smooth,
    upsample,
)
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.split.cell_centres import CellGrid


def classifier(network, layer, height=64, width=96, channels=("red", "green")):
    card = ModelCard(
        weights="",
        labels=tiny.LABELS,
        input=InputCard(channels=channels, height=height, width=width),
        cam_layer=layer,
    )
    return Classifier(network, card, device="cpu")


def head(channels):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 2)]


def stack_of(*layers):
    return nn.Sequential(nn.Sequential(*layers), *head(3))


def monai_resnet(**changes):
    torch.manual_seed(0)
    arguments = {**tiny.RESNET, "conv1_t_size": 7, "conv1_t_stride": 2, "no_max_pool": False}
    return ResNet(**{**arguments, **changes})


# Name: network, layer, stride and offset. A convolution with kernel k, stride s and padding p puts
# its cell i on input pixel s·i + (k − 1)/2 − p; layers after one another compose.
NETWORKS = {
    "odd kernel": (stack_of(nn.Conv2d(2, 3, 3, 4, 1)), "0", 4, 0),
    "odd kernel without padding": (stack_of(nn.Conv2d(2, 3, 5, 2)), "0", 2, 2),
    "even kernel": (stack_of(nn.Conv2d(2, 3, 4, 2, 1)), "0", 2, 0.5),
    "patches": (stack_of(nn.Conv2d(2, 3, 8, 8)), "0", 8, 3.5),
    "pooling of two": (
        stack_of(nn.Conv2d(2, 3, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 3, 3, 1, 1)),
        "0",
        2,
        0.5,
    ),
    "even after odd": (
        stack_of(nn.Conv2d(2, 3, 7, 2, 3), nn.GELU(), nn.AvgPool2d(2), nn.Conv2d(3, 3, 2, 2)),
        "0",
        8,
        # 2·(2·(2i + ½) + ½)
        3,
    ),
    "dilated": (stack_of(nn.Conv2d(2, 3, 3, 4, 2, dilation=2)), "0", 4, 0),
    "group norm": (
        stack_of(nn.Conv2d(2, 3, 3, 2, 1), nn.GroupNorm(1, 3), nn.Conv2d(3, 3, 3, 2, 1)),
        "0",
        4,
        0,
    ),
    "ResNet, stage 4": (monai_resnet(), "layer4", 32, 0),
    "ResNet, stage 3": (monai_resnet(), "layer3", 16, 0),
    "ResNet without pooling, stage 4": (monai_resnet(no_max_pool=True), "layer4", 16, 0),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_centres_worked_out_by_hand(name):
    network, layer, stride, offset = NETWORKS[name]
    model = classifier(network, layer)
    grid = model.cell_grid
    activation, _ = model.split(torch.zeros(1, 2, 64, 96))
    assert grid.measured
    assert grid.shape == tuple(activation.shape[2:])
    np.testing.assert_allclose(grid.y, stride * np.arange(grid.shape[0]) + offset, atol=0.1)
    np.testing.assert_allclose(grid.x, stride * np.arange(grid.shape[1]) + offset, atol=0.1)


def test_densenet():
    torch.manual_seed(0)
    network = DenseNet121(spatial_dims=2, in_channels=2, out_channels=2)
    grid = classifier(network, "features.norm5", 64, 96).cell_grid
    # 7×7 and pooling with odd kernels: 4i. Three transitions average pairs: ½·(4 + 8 + 16) = 14.
    assert grid.measured
    np.testing.assert_allclose(grid.y, 32 * np.arange(2) + 14, atol=0.3)
    np.testing.assert_allclose(grid.x, 32 * np.arange(3) + 14, atol=0.3)


def test_strides_that_differ_by_axis():
    grid = classifier(stack_of(nn.Conv2d(2, 3, (3, 4), (2, 4), (1, 0))), "0").cell_grid
    np.testing.assert_allclose(grid.y, 2 * np.arange(32), atol=0.1)
    np.testing.assert_allclose(grid.x, 4 * np.arange(24) + 1.5, atol=0.1)


@pytest.mark.parametrize("kind", ["trace", "script"])
@pytest.mark.parametrize("name", ["odd kernel", "even kernel", "patches", "pooling of two"])
def test_torchscript_has_the_same_centres(name, kind, tmp_path):
    network, _, stride, offset = NETWORKS[name]
    network = network.eval()
    probe = torch.rand(2, 2, 64, 96)
    module = torch.jit.trace(network, probe) if kind == "trace" else torch.jit.script(network)
    torch.jit.save(module, str(tmp_path / "model.pt"))
    loaded = torch.jit.load(str(tmp_path / "model.pt"))
    before = loaded(probe)
    grid = classifier(loaded, "0").cell_grid
    assert grid.measured
    np.testing.assert_allclose(grid.y, stride * np.arange(grid.shape[0]) + offset, atol=0.3)
    np.testing.assert_allclose(grid.x, stride * np.arange(grid.shape[1]) + offset, atol=0.3)
    assert torch.equal(loaded(probe), before)  # measured on a copy


def test_measuring_leaves_the_network_alone():
    network = monai_resnet(no_max_pool=True)
    probe = torch.rand(2, 2, 64, 96)
    model = classifier(network, "layer4")
    before = network(probe)
    assert model.cell_grid.measured
    assert torch.equal(network(probe), before)


def test_network_of_one_input_size_is_measured_all_the_same():
    network = nn.Sequential(nn.Conv2d(2, 3, 4, 4, 0), nn.Flatten(), nn.Linear(3 * 16 * 24, 2))
    grid = classifier(network, "0").cell_grid
    assert grid.measured
    np.testing.assert_allclose(grid.y, 4 * np.arange(16) + 1.5, atol=0.1)


class Absolute(nn.Module):
    """Adds a fixed grid of positions, and so takes one input size only."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 8, 8)
        self.position = nn.Parameter(torch.randn(1, 3, 8, 12))

    def forward(self, images):
        return self.conv(images) + self.position


class Everywhere(nn.Module):
    """Every cell sees the whole image, most of all its own place."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 8, 8)

    def forward(self, images):
        cells = self.conv(images)
        return cells + cells.mean(dim=(2, 3), keepdim=True).expand_as(cells)


class Averaged(nn.Module):
    """As many cells at any size."""

    def forward(self, images):
        return nn.functional.adaptive_avg_pool2d(images, (8, 12)).repeat(1, 2, 1, 1)[:, :3]


class Mixed(nn.Module):
    """Mixes the cells by weights of their own, beside a connection that leaves them in place."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 8, 8)
        self.mix = nn.Linear(96, 96)

    def forward(self, images):
        cells = self.conv(images)
        return cells + 0.1 * self.mix(cells.flatten(2)).view_as(cells)


@pytest.mark.parametrize("stage", [Absolute, Everywhere, Averaged, Mixed])
def test_centres_of_networks_that_look_everywhere_or_take_one_size(stage):
    torch.manual_seed(0)
    grid = classifier(nn.Sequential(stage(), *head(3)), "0").cell_grid
    assert grid.measured
    np.testing.assert_allclose(grid.y, 8 * np.arange(8) + 3.5)
    np.testing.assert_allclose(grid.x, 8 * np.arange(12) + 3.5)


class Spectrum(nn.Module):
    """What it gives lies nowhere on the image."""

    def forward(self, images):
        cells = torch.fft.fft2(images[:, :, ::8, ::8]).abs()
        return torch.cat([cells, cells], dim=1)[:, :3]


class Shuffled(nn.Module):
    """Changes places by an operation of which positions cannot know: cells lie elsewhere."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 8, 8)

    def forward(self, images):
        cells = self.conv(images)
        return 0.001 * cells + torch.linalg.solve(torch.eye(12).flip(0), cells.mT).mT


class Dense(nn.Module):
    """Every cell mixes all others alike."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(2 * 64 * 96, 8 * 12 * 3)

    def forward(self, images):
        return self.mix(images.flatten(1)).view(-1, 3, 8, 12)


class Elsewhere(nn.Module):
    """Makes the middle larger by an operation of which positions cannot know."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 8, 8)

    def forward(self, images):
        larger = nn.functional.interpolate(images[:, :, 16:48, 24:72], scale_factor=2)
        return self.conv(torch.linalg.solve(torch.eye(64), larger))


class Smaller(Elsewhere):
    def forward(self, images):
        smaller = nn.functional.pad(nn.functional.avg_pool2d(images, 2), (48, 0, 32, 0))
        return self.conv(torch.linalg.solve(torch.eye(64), smaller))


@pytest.mark.parametrize("stage", [Spectrum, Shuffled, Dense, Elsewhere, Smaller])
def test_cells_that_do_not_answer_where_they_would_lie_are_refused(stage):
    torch.manual_seed(0)
    model = classifier(nn.Sequential(stage(), *head(3)), "0")
    with pytest.raises(InputError, match=r"do not answer .* need no split: saliency") as why:
        GradCam().grid(model)
    assert "\n" not in str(why.value)


@pytest.mark.parametrize("weight", [3e-8, 3e-2])
def test_rounding_is_no_answer(weight):
    """A cell sees what lies 40 pixels beside it: more than rounding, and it is refused."""
    layer = nn.Conv2d(2, 3, (1, 2), 8, (0, 40), dilation=(1, 80))
    with torch.no_grad():
        layer.weight[..., 0], layer.weight[..., 1], layer.bias[:] = weight, 0, 1
    model = classifier(stack_of(layer), "0")
    if weight > 1e-6:
        with pytest.raises(InputError, match="do not answer"):
            GradCam().grid(model)
    else:
        assert model.cell_grid.measured


class Unknown(nn.Module):
    """Leaves cells in their places by an operation of which positions cannot know."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 8, 8)

    def forward(self, images):
        return torch.linalg.solve(torch.eye(8), self.conv(images))


class UnknownBefore(Unknown):
    def forward(self, images):
        return self.conv(torch.linalg.solve(torch.eye(64), images))


@pytest.mark.parametrize("stage", [Unknown, UnknownBefore])
def test_tiling_where_nothing_can_be_found_and_it_says_so(stage):
    torch.manual_seed(0)
    grid = classifier(nn.Sequential(stage(), *head(3)), "0").cell_grid
    assert not grid.measured
    np.testing.assert_allclose(grid.y, 8 * np.arange(8) + 3.5)
    np.testing.assert_allclose(grid.x, 8 * np.arange(12) + 3.5)


def middle_larger(images):
    return nn.functional.interpolate(images[:, :, 16:48, 24:72], size=(64, 96), mode="bilinear")


def sampled(images):
    half = torch.tensor([[0.5, 0, 0], [0, 0.5, 0]]).expand(len(images), 2, 3)
    grid = nn.functional.affine_grid(half, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def nearest(images):
    return nn.functional.interpolate(images[:, :, 16:48, 24:72], scale_factor=2)


class Looking(nn.Module):
    """Looks at a part of the image, then makes cells of eight pixels of what it sees."""

    def __init__(self, look):
        super().__init__()
        self.look = look
        self.conv = nn.Conv2d(2, 3, 8, 8)

    def forward(self, images):
        return self.conv(self.look(images))


@pytest.mark.parametrize("look", [middle_larger, sampled, nearest])
def test_a_lesion_lies_where_it_is_in_a_network_that_enlarges_the_middle(look):
    torch.manual_seed(0)
    network = nn.Sequential(Looking(look), *head(3))
    model = classifier(network, "0")
    # Cells of eight pixels of what is seen are of four in the image, from the part's edge on.
    y, x = 16 + 4 * np.arange(8) + 1.5, 24 + 4 * np.arange(12) + 1.5
    assert model.cell_grid.measured
    for centres, found in ((y, model.cell_grid.y), (x, model.cell_grid.x)):
        assert np.abs(found[:, None] - centres).min(axis=0).max() < 0.3
    images = torch.zeros(2, 2, 64, 96)
    images[1, :, 20:24, 52:56] = 1.0
    activation, _ = model.split(images)
    change = (activation[1] - activation[0]).detach().abs().sum(dim=0, keepdim=True)
    map_ = upsample(model.cell_places.joined([change]).numpy()[0], model.cell_grid)
    row, column = np.unravel_index(map_.argmax(), map_.shape)
    assert abs(row - 21.5) <= 1
    assert abs(column - 53.5) <= 1
    # What is not looked at has no part in the map.
    assert not map_[:14].any()
    assert not map_[:, 74:].any()


def where_it_is_bright(images):
    shift = torch.zeros(len(images), 2, 3)
    shift[:, [0, 1], [0, 1]] = 0.5
    shift[:, 0, 2] = 0.4 * torch.tanh(images.mean(dim=(1, 2, 3)))
    grid = nn.functional.affine_grid(shift, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def turned(images):
    angle = torch.tensor([[0.8, -0.6, 0], [0.6, 0.8, 0]]).expand(len(images), 2, 3)
    grid = nn.functional.affine_grid(angle, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


@pytest.mark.parametrize("look", [where_it_is_bright, turned])
def test_windows_that_move_or_turn_have_no_rows_and_columns(look):
    torch.manual_seed(0)
    model = classifier(nn.Sequential(Looking(look), *head(3)), None)
    with pytest.raises(InputError, match=r"on no rows and columns .* need no split: saliency"):
        GradCam().grid(model)


def test_grid_survives_json():
    for grid in (CellGrid.pixels((3, 5)), CellGrid.tiling((2, 3), (10, 20))):
        again = CellGrid.from_dict(grid.to_dict())
        assert again.to_dict() == grid.to_dict()
        assert again.is_frame == grid.is_frame
    assert CellGrid.pixels((3, 5)).is_frame
    assert not CellGrid.tiling((2, 3), (10, 20)).is_frame


# ---------------------------------------------------------------- from cells to pixels

GRIDS = {
    "odd kernel": CellGrid((16.0 * np.arange(4), 16.0 * np.arange(6)), (64, 96)),
    "patches": CellGrid.tiling((4, 6), (64, 96)),
    "densenet": CellGrid((32.0 * np.arange(2) + 14, 32.0 * np.arange(3) + 14), (64, 96)),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_single_cell_peaks_at_its_centre(grid):
    rows, columns = grid.shape
    for row in range(rows):
        for column in range(columns):
            cells = np.zeros(grid.shape, np.float32)
            cells[row, column] = 1
            image = upsample(cells, grid)
            assert image.dtype == np.float32
            assert image.shape == (64, 96)
            top = np.argwhere(image == image.max())
            # Beyond the outermost cells the value stays, so only the nearest top counts.
            distance = np.abs(top - [grid.y[row], grid.x[column]]).max(axis=1)
            assert distance.min() <= 0.5
            assert image[tuple(top[distance.argmin()])] >= 0.9


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_weights_sum_to_one_and_constants_stay(grid):
    weights = interpolation_weights(grid.y, 64)
    assert weights.shape == (64, len(grid.y))
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(upsample(np.full((2, *grid.shape), 3.5), grid), 3.5, rtol=1e-6)


def test_upsampling_is_bilinear_between_centres():
    grid = CellGrid((np.array([0.0, 10.0]), np.array([5.0, 15.0])), (11, 21))
    image = upsample(np.array([[0.0, 10.0], [100.0, 110.0]]), grid)
    for y in range(11):
        for x in range(21):
            across = np.clip((x - 5) / 10, 0, 1)
            assert image[y, x] == pytest.approx(100 * y / 10 + 10 * across, abs=1e-4)


def test_upsampling_matches_torch_where_cells_tile_the_frame():
    """The one geometry that PyTorch's own bilinear upsampling is right about."""
    cells = np.random.default_rng(0).random((4, 6))
    expected = nn.functional.interpolate(
        torch.tensor(cells)[None, None], size=(64, 96), mode="bilinear", align_corners=False
    )[0, 0]
    np.testing.assert_allclose(upsample(cells, GRIDS["patches"]), expected, rtol=1e-5, atol=1e-6)


def test_frame_maps_pass_unchanged():
    image = np.random.default_rng(0).random((64, 96)).astype(np.float32)
    assert np.array_equal(upsample(image, CellGrid.pixels((64, 96))), image)
    assert np.array_equal(smooth(image, 0), image)


def test_smoothing_keeps_constants_and_place():
    assert smooth(np.full((20, 30), 2.0), 3) == pytest.approx(2.0)
    point = np.zeros((21, 31))
    point[8, 20] = 1
    smoothed = smooth(point, 2)
    assert np.unravel_index(smoothed.argmax(), smoothed.shape) == (8, 20)
    assert smoothed.sum() == pytest.approx(1, abs=1e-4)


def test_cells_inside_a_mask_are_those_with_their_centre_in_it():
    grid = GRIDS["odd kernel"]
    mask = np.zeros((64, 96), bool)
    mask[16:49, 31:33] = True
    expected = np.zeros((4, 6), bool)
    expected[1:4, 2] = True
    assert np.array_equal(cells_inside(mask, grid), expected)


def test_grad_cam_points_at_the_pixels_that_matter():
    """A bright spot far from cell borders must peak where it is, not half a cell beside."""
    network = nn.Sequential(nn.Conv2d(2, 1, 3, 8, 1, bias=False), *head(1))
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[3].weight.fill_(1.0)
    model = classifier(network, "0")
    image = torch.zeros(1, 2, 64, 96)
    image[:, :, 24, 48] = 1.0
    activation, _ = model.split(image)
    placed = upsample(activation.detach().numpy()[0, 0], model.cell_grid)
    assert np.unravel_index(placed.argmax(), placed.shape) == (24, 48)
