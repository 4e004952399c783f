"""The further methods against captum, MONAI, closed forms and slow loops."""

import numpy as np
import pytest
import tiny
import torch
from captum.attr import DeepLift as CaptumDeepLift
from captum.attr import GuidedBackprop as CaptumGuidedBackprop
from captum.attr import InputXGradient as CaptumInputXGradient
from captum.attr import Occlusion as CaptumOcclusion
from monai.visualize import GradCAMpp
from torch import nn
from torch.nn import functional

from napari_globalxai.attribution.method import make_method
from napari_globalxai.catalogue import METHODS
from napari_globalxai.errors import InputError
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier

# Small enough for a test where a method is slow.
QUICK = {
    "smooth-grad": {"samples": 4},
    "gradient-shap": {"samples": 4},
    "integrated-gradients": {"steps": 4},
    "rise": {"masks": 40},
    "occlusion": {"window": 8},
    "score-cam": {"channels": 4},
}
ALL = list(METHODS.entries)
# test_captum.py asks the same of those of captum.
OWN = [name for name in ALL if not name.startswith("captum:")]


def card(**changes):
    return ModelCard(
        **{"weights": "", "labels": tiny.LABELS, "input": tiny.input_card(), **changes}
    )


def resnet_classifier():
    return Classifier(tiny.resnet(), card(cam_layer="layer4"), device="cpu")


class Plain(nn.Module):
    """No module is used twice and no windows overlap: captum's hooks are right here."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.relu1, self.relu2, self.pool = nn.ReLU(), nn.ReLU(), nn.MaxPool2d(2)
        self.head = nn.Linear(5, 2)

    def forward(self, images):
        features = self.pool(self.relu1(self.first(images)))
        return self.head(self.relu2(self.second(features)).mean(dim=(2, 3)))


def plain_classifier():
    return Classifier(Plain(), card(cam_layer="relu2"), device="cpu")


def some_inputs(classifier, count=4, seed=0):
    rng = np.random.default_rng(seed)
    return classifier.to_input(rng.integers(0, 256, (count, 2, 32, 48), dtype=np.uint8))


def attribute(classifier, inputs, name, labels=(0, 1), **settings):
    return make_method(name, **settings).attribute(classifier, inputs, labels).maps


def assert_close(given, expected, bound=1e-5):
    assert given.shape == expected.shape
    assert float(expected.abs().max()) > 0
    assert float((given - expected).abs().max() / expected.abs().max()) < bound


# ---------------------------------------------------------------- what all methods promise


@pytest.mark.parametrize("name", OWN)
def test_labels_batches_and_logits(name):
    classifier = resnet_classifier()
    inputs = some_inputs(classifier, 5)
    method = make_method(name, **QUICK.get(name, {}))
    result = method.attribute(classifier, inputs, [0, 1])
    assert result.maps.shape == (5, 2, *method.grid(classifier).shape)
    assert result.maps.dtype == torch.float32
    assert not result.maps.requires_grad
    with torch.no_grad():
        assert_close(result.logits, classifier.logits(inputs))
    assert_close(method.attribute(classifier, inputs, [1]).maps, result.maps[:, 1:])
    single = torch.cat([method.attribute(classifier, each[None], [0, 1]).maps for each in inputs])
    assert_close(single, result.maps, 1e-4)
    if not method.signed:
        assert float(result.maps.min()) >= 0


@pytest.mark.parametrize("name", ALL)
def test_settings_are_one_model_and_refuse_what_they_do_not_know(name):
    method = make_method(name)
    assert type(method.settings).model_validate(method.settings.model_dump()) == method.settings
    with pytest.raises(InputError, match=f"{name} does not take these settings"):
        make_method(name, colour="red")


@pytest.mark.parametrize("name", [name for name in OWN if not make_method(name).needs_split])
def test_methods_that_need_no_split_work_on_torchscript_or_say_why_not(name):
    network = torch.jit.trace(tiny.resnet(), torch.rand(2, 2, tiny.HEIGHT, tiny.WIDTH))
    scripted = Classifier(network, card(), device="cpu")
    inputs = some_inputs(scripted, 2)
    settings = QUICK.get(name, {})
    if name in ("deep-lift", "guided-backprop"):
        with pytest.raises(InputError, match="TorchScript"):
            attribute(scripted, inputs, name, **settings)
    else:
        expected = attribute(resnet_classifier(), inputs, name, **settings)
        assert_close(attribute(scripted, inputs, name, **settings), expected, 1e-4)


# ---------------------------------------------------------------- CAMs


def test_grad_cam_plus_plus_equals_monai_up_to_scale():
    """MONAI multiplies by the exponential of the logit and takes one image at a time."""
    network = tiny.resnet()
    with torch.no_grad():
        # Gradients large enough for the 1e-7 that MONAI adds to its denominator not to count.
        network.fc.weight.mul_(10)
    classifier = Classifier(network, card(cam_layer="layer4"), device="cpu")
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "grad-cam-plus-plus").relu()
    oracle = GradCAMpp(nn_module=network, target_layers="layer4", upsampler=lambda x, **_: x)
    oracle.postprocessing = lambda raw, given: raw
    for row, image in enumerate(inputs):
        for label in (0, 1):
            given = image[None].clone().requires_grad_()
            raw = oracle.compute_map(given, class_idx=label).detach().relu()[0, 0]
            assert_close(maps[row, label] / maps[row, label].sum(), raw / raw.sum(), 1e-4)


def test_layer_cam_by_a_slow_loop():
    classifier = plain_classifier()
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "layer-cam")
    network = Plain()
    for row, image in enumerate(inputs):
        features = network.pool(network.relu1(network.first(image[None])))
        activation = network.relu2(network.second(features)).detach().requires_grad_()
        for label in (0, 1):
            logit = network.head(activation.mean(dim=(2, 3)))[0, label]
            (gradient,) = torch.autograd.grad(logit, activation)
            expected = (gradient.clamp(min=0) * activation).sum(dim=1).detach()
            assert_close(maps[row, label][None], expected)


def test_score_cam_by_a_slow_loop():
    classifier = plain_classifier()
    inputs = some_inputs(classifier, 2)
    maps = attribute(classifier, inputs, "score-cam")
    with torch.no_grad():
        blank = classifier.logits(torch.zeros_like(inputs[:1]))[0]
        for row, image in enumerate(inputs):
            activation, _ = classifier.split(image[None])
            channels = activation[0].detach()
            gains = []
            for channel in channels:
                stretched = (channel - channel.min()) / (channel.max() - channel.min())
                mask = torch.tensor(upsample(stretched.numpy(), classifier.cell_grid))
                gains.append(classifier.logits((image * mask)[None])[0] - blank)
            weights = torch.softmax(torch.stack(gains), dim=0)
            expected = torch.einsum("khw,kl->lhw", channels, weights)
            assert_close(maps[row], expected, 1e-4)


# ---------------------------------------------------------------- gradients


def test_input_x_gradient_equals_captum():
    classifier = resnet_classifier()
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "input-x-gradient")
    oracle = CaptumInputXGradient(tiny.resnet())
    for label in (0, 1):
        leaf = inputs.clone().requires_grad_()
        assert_close(maps[:, label], oracle.attribute(leaf, target=label).sum(dim=1).detach())


def test_averaged_gradients_of_a_linear_model_in_closed_form():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(2, 2, tiny.HEIGHT, tiny.WIDTH, generator=generator)
    classifier = tiny.linear_classifier(weight.clone())
    inputs = some_inputs(classifier)
    expected = weight.abs().sum(dim=1).expand(len(inputs), -1, -1, -1)
    assert_close(attribute(classifier, inputs, "smooth-grad", samples=3), expected)
    maps = attribute(classifier, inputs, "gradient-shap", samples=400, noise=0.05)
    expected = (weight[None] * inputs[:, None]).sum(dim=2)
    # The noise on the image has mean 0 and SD 0.5 here; 400 draws leave a twentieth of that.
    assert_close(maps, expected, 0.05)
    exact = attribute(classifier, inputs, "gradient-shap", samples=2, noise=0)
    assert_close(exact, expected)


def test_gradient_shap_tends_to_integrated_gradients():
    classifier = resnet_classifier()
    inputs = some_inputs(classifier, 2)
    maps = attribute(classifier, inputs, "gradient-shap", samples=200, noise=0)
    assert_close(maps, attribute(classifier, inputs, "integrated-gradients", steps=100), 0.05)


def test_smooth_grad_by_a_slow_loop():
    """The noise is the same for every image; black to white is 10 after normalisation."""
    classifier = resnet_classifier()
    inputs = some_inputs(classifier, 2)
    maps = attribute(classifier, inputs, "smooth-grad", samples=3, noise=0.1, seed=5)
    generator = torch.Generator().manual_seed(5)
    noises = [torch.randn(2, 32, 48, generator=generator) for _ in range(3)]
    network = tiny.resnet()
    for row, image in enumerate(inputs):
        for label in (0, 1):
            total = 0
            for noise in noises:
                leaf = (image + noise * 0.1 * 10)[None].requires_grad_()
                total = total + torch.autograd.grad(network(leaf)[0, label], leaf)[0]
            assert_close(maps[row, label], (total / 3).abs().sum(dim=1)[0], 1e-4)


# ---------------------------------------------------------------- changed backward passes


def test_guided_backprop_equals_captum():
    classifier = plain_classifier()
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "guided-backprop")
    oracle = CaptumGuidedBackprop(Plain())
    for label in (0, 1):
        leaf = inputs.clone().requires_grad_()
        with pytest.warns(UserWarning, match="backward hooks"):
            expected = oracle.attribute(leaf, target=label)
        assert_close(maps[:, label], expected.sum(dim=1).detach())


class Functional(Plain):
    """The same network, its functions called directly: no hook would see them."""

    def forward(self, images):
        features = functional.max_pool2d(torch.relu(self.first(images)), 2)
        return self.head(functional.relu(self.second(features)).mean(dim=(2, 3)))


@pytest.mark.parametrize("name", ["guided-backprop", "deep-lift"])
def test_functions_are_treated_like_modules(name):
    inputs = some_inputs(plain_classifier())
    functions = Classifier(Functional(), card(cam_layer="second"), device="cpu")
    expected = attribute(plain_classifier(), inputs, name)
    assert_close(attribute(functions, inputs, name), expected)


class WithoutPool(Plain):
    """captum drops its rule for pooling where a ReLU stands before it."""

    def forward(self, images):
        features = self.relu1(self.first(images))
        return self.head(self.relu2(self.second(features)).mean(dim=(2, 3)))


@pytest.mark.parametrize("baseline", ["mean-colour", "black"])
def test_deep_lift_equals_captum(baseline):
    classifier = Classifier(WithoutPool(), card(cam_layer="relu2"), device="cpu")
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "deep-lift", baseline=baseline)
    start = torch.zeros_like(inputs) - (3.0 if baseline == "black" else 0.0)
    oracle = CaptumDeepLift(WithoutPool())
    for label in (0, 1):
        leaf = inputs.clone().requires_grad_()
        with pytest.warns(UserWarning, match="hooks"):
            expected = oracle.attribute(leaf, start, target=label)
        assert_close(maps[:, label], expected.sum(dim=1).detach(), 1e-4)


class OneWindow(nn.Module):
    """The larger of two pixels in each row of two, above 1."""

    def forward(self, images):
        pooled = functional.max_pool2d(functional.relu(images[:, :1] - 1), (1, 2))
        return pooled[:, 0, 0, :2]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ([3.0, 1.5], [2.0, 0.0]),  # the maximum has it all
        ([1.5, 3.0], [0.0, 2.0]),
        ([-1.0, 0.5], [0.0, 0.0]),  # neither gets through the ReLU
        ([4.0, 4.0], [3.0, 0.0]),  # a tie in the image goes to its first place
    ],
)
def test_deep_lift_of_one_pooling_window(image, expected):
    classifier = Classifier(OneWindow(), card(), device="cpu")
    inputs = torch.zeros(1, 2, tiny.HEIGHT, tiny.WIDTH)
    inputs[0, 0, 0, :2] = torch.tensor(image)
    maps = attribute(classifier, inputs, "deep-lift", [0])
    assert maps[0, 0, 0, :2].tolist() == pytest.approx(expected)


def test_deep_lift_of_a_window_darker_than_the_baseline():
    """All places of the baseline tie, so what is lost is lost where the image is brightest."""
    network = OneWindow()
    network.forward = lambda images: functional.max_pool2d(images[:, :1], (1, 2))[:, 0, 0, :2]
    classifier = Classifier(network, card(), device="cpu")
    inputs = torch.zeros(1, 2, tiny.HEIGHT, tiny.WIDTH)
    inputs[0, 0, 0, :2] = torch.tensor([-2.0, -0.5])
    maps = attribute(classifier, inputs, "deep-lift", [0])
    assert maps[0, 0, 0, :2].tolist() == pytest.approx([0.0, -0.5])


class Overlapping(Plain):
    """Windows of the pooling overlap, and one ReLU is used twice."""

    def forward(self, images):
        features = functional.max_pool2d(self.relu1(self.first(images)), 3, 2, 1)
        return self.head(self.relu1(self.second(features)).mean(dim=(2, 3)))


@pytest.mark.parametrize("network", [Overlapping, tiny.resnet])
def test_deep_lift_is_complete(network):
    """Maps sum to the difference of the logits; captum's do not on these networks."""
    classifier = Classifier(network(), card(cam_layer=None), device="cpu")
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "deep-lift")
    with torch.no_grad():
        blank = classifier.logits(torch.zeros_like(inputs[:1]))
        assert_close(maps.sum(dim=(2, 3)), classifier.logits(inputs) - blank, 1e-4)


class Product(Plain):
    def forward(self, images):
        features = self.relu1(self.first(images))
        gate = torch.sigmoid(features.mean(dim=(2, 3), keepdim=True)) * 5
        return self.head(self.relu2(self.second(features * gate * gate)).mean(dim=(2, 3)))


def test_deep_lift_refuses_products():
    classifier = Classifier(Product(), card(cam_layer="relu2"), device="cpu")
    with pytest.raises(InputError, match="does not add up on this model"):
        attribute(classifier, some_inputs(classifier), "deep-lift")


def test_guided_backprop_needs_a_relu():
    classifier = tiny.linear_classifier()
    with pytest.raises(InputError, match="has no ReLU"):
        attribute(classifier, some_inputs(classifier), "guided-backprop")


# ---------------------------------------------------------------- perturbation


@pytest.mark.parametrize("baseline", ["mean-colour", "black"])
def test_occlusion_equals_captum(baseline):
    """Where squares tile the frame, captum's map is constant on each."""
    classifier = resnet_classifier()
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "occlusion", window=8, stride=8, baseline=baseline)
    oracle = CaptumOcclusion(tiny.resnet())
    fill = -3.0 if baseline == "black" else 0.0
    for label in (0, 1):
        expected = oracle.attribute(
            inputs, (2, 8, 8), strides=(2, 8, 8), target=label, baselines=fill
        )
        assert_close(maps[:, label], expected[:, 0, 4::8, 4::8], 1e-4)


def test_squares_of_occlusion_reach_every_border():
    classifier = resnet_classifier()
    grid = make_method("occlusion", window=10, stride=7).grid(classifier)
    np.testing.assert_allclose(grid.y, np.array([0, 7, 14, 21, 22]) + 4.5)
    np.testing.assert_allclose(grid.x, np.array([0, 7, 14, 21, 28, 35, 38]) + 4.5)


def test_rise_finds_the_signs_of_a_linear_model():
    """Its expectation there is the weights, smoothed by the masks."""
    classifier = tiny.linear_classifier()
    inputs = torch.full((1, 2, tiny.HEIGHT, tiny.WIDTH), 3.0)
    maps = attribute(classifier, inputs, "rise", masks=800, score="logit")
    for index, (rows, columns) in enumerate(tiny.SIGNS.values()):
        own = maps[0, index]
        # The sign is 4 % of the frame, but the masks blur it over its neighbourhood.
        assert float(own[rows, columns].mean()) > 5 * float(own.abs().mean())
        peak = divmod(int(own.argmax()), tiny.WIDTH)
        assert rows.start - 2 <= peak[0] < rows.stop + 2
        assert columns.start - 2 <= peak[1] < columns.stop + 2


def test_rise_by_a_slow_loop():
    classifier = resnet_classifier()
    inputs = some_inputs(classifier, 2)
    method = make_method("rise", masks=30)
    maps = method.attribute(classifier, inputs, [0, 1]).maps
    masks = torch.cat(list(method._masks(inputs, 7)))
    assert masks.shape == (30, tiny.HEIGHT, tiny.WIDTH)
    assert 0 <= float(masks.min()) < 0.1 < 0.9 < float(masks.max()) <= 1
    with torch.no_grad():
        for row, image in enumerate(inputs):
            scores = torch.stack(
                [torch.sigmoid(classifier.logits((mask * image)[None]))[0] for mask in masks]
            )
            for label in (0, 1):
                weighted = sum(
                    mask * score[label] for mask, score in zip(masks, scores, strict=True)
                )
                expected = weighted / masks.sum(dim=0) - scores[:, label].mean()
                assert_close(maps[row, label], expected, 1e-3)
