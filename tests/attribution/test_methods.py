"""Every attribution against an independent answer: captum, a closed form, a slow loop."""

import copy
import sys

import numpy as np
import pytest
import tiny
import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import LayerGradCam
from captum.attr import Saliency as CaptumSaliency
from hooks import hooks_of
from torch import nn

from napari_globalxai.attribution.base import label_gradients
from napari_globalxai.attribution.method import make_method, method_class
from napari_globalxai.catalogue import METHODS
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier

SOME = ("grad-cam", "saliency", "integrated-gradients")


def card(**changes):
    return ModelCard(
        **{"weights": "", "labels": tiny.LABELS, "input": tiny.input_card(), **changes}
    )


def resnet_classifier(layer="layer4", seed=0):
    return Classifier(tiny.resnet(seed), card(cam_layer=layer), device="cpu")


def some_inputs(classifier, count=5, seed=0):
    rng = np.random.default_rng(seed)
    shape = (count, len(classifier.card.input.channels), *classifier.frame_shape)
    return classifier.to_input(rng.integers(0, 256, shape, dtype=np.uint8))


def attribute(classifier, inputs, name, labels=(0, 1), **settings):
    return make_method(name, **settings).attribute(classifier, inputs, labels).maps


def largest_difference(first, second):
    """Relative to the size of what is compared, so that small maps are not trivially equal."""
    assert first.shape == second.shape
    assert float(second.abs().max()) > 0
    return float((first - second).abs().max() / second.abs().max())


# ---------------------------------------------------------------- captum


@pytest.mark.parametrize("layer", ["layer4", "layer3", "layer1", "layer2.0.conv2", "bn1"])
def test_grad_cam_equals_captum(layer):
    classifier = resnet_classifier(layer)
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "grad-cam")
    network = tiny.resnet()
    oracle = LayerGradCam(network, network.get_submodule(layer))
    for label in (0, 1):
        leaf = inputs.clone().requires_grad_()
        expected = oracle.attribute(leaf, target=label, relu_attributions=False).detach()[:, 0]
        assert largest_difference(maps[:, label], expected) < 1e-5


@pytest.mark.parametrize("reduction", ["sum", "max"])
def test_saliency_equals_captum(reduction):
    classifier = resnet_classifier()
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "saliency", channel_reduction=reduction)
    for label in (0, 1):
        leaf = inputs.clone().requires_grad_()
        gradient = CaptumSaliency(tiny.resnet()).attribute(leaf, target=label)
        expected = gradient.sum(dim=1) if reduction == "sum" else gradient.amax(dim=1)
        assert largest_difference(maps[:, label], expected) < 1e-5


@pytest.mark.parametrize("baseline", ["mean-colour", "black"])
def test_integrated_gradients_equal_captum(baseline):
    classifier = resnet_classifier()
    inputs = some_inputs(classifier, 3)
    maps = attribute(classifier, inputs, "integrated-gradients", steps=24, baseline=baseline)
    start = torch.zeros_like(inputs)
    if baseline == "black":
        start -= 3.0  # mean 0.3, SD 0.1
    oracle = CaptumIntegratedGradients(tiny.resnet())
    for label in (0, 1):
        expected = oracle.attribute(
            inputs, start, target=label, n_steps=24, method="gausslegendre"
        ).sum(dim=1)
        assert largest_difference(maps[:, label], expected.float()) < 1e-4


def test_integrated_gradients_are_complete():
    classifier = resnet_classifier()
    inputs = some_inputs(classifier, 2)
    maps = attribute(classifier, inputs, "integrated-gradients", steps=128)
    with torch.no_grad():
        difference = classifier.logits(inputs) - classifier.logits(torch.zeros_like(inputs[:1]))
    assert largest_difference(maps.sum(dim=(2, 3)), difference) < 5e-3


# ---------------------------------------------------------------- closed form


def test_linear_model_in_closed_form():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(2, 2, tiny.HEIGHT, tiny.WIDTH, generator=generator)
    classifier = tiny.linear_classifier(weight.clone())
    inputs = some_inputs(classifier)
    saliency = attribute(classifier, inputs, "saliency")
    expected = weight.abs().sum(dim=1).expand_as(saliency)
    assert largest_difference(saliency, expected) < 1e-6
    for baseline, start in (("mean-colour", 0.0), ("black", -3.0)):
        maps = attribute(classifier, inputs, "integrated-gradients", baseline=baseline)
        expected = (weight[None] * (inputs[:, None] - start)).sum(dim=2)
        assert largest_difference(maps, expected) < 1e-5


def test_grad_cam_by_hand():
    """One convolution, global mean, linear: the map is the weighted sum of channels."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=4, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 2),
    )
    classifier = Classifier(network, card(cam_layer="0"), device="cpu")
    inputs = some_inputs(classifier)
    with torch.no_grad():
        activation = network[0](inputs)
        cells = activation[0, 0].numel()
        expected = torch.einsum("nkhw,lk->nlhw", activation, network[3].weight) / cells
    assert largest_difference(attribute(classifier, inputs, "grad-cam"), expected) < 1e-5


def test_only_the_labels_asked_for_in_the_order_asked():
    classifier = resnet_classifier()
    inputs = some_inputs(classifier)
    for name in SOME:
        both = attribute(classifier, inputs, name)
        assert torch.equal(attribute(classifier, inputs, name, (1, 0)), both.flip(1))
        assert torch.equal(attribute(classifier, inputs, name, (1,)), both[:, 1:])


# ---------------------------------------------------------------- batches, precision, logits


@pytest.mark.parametrize("name", SOME)
def test_a_slow_loop_over_images_equals_batches_of_any_size(name):
    classifier = resnet_classifier()
    inputs = some_inputs(classifier, 7)
    slow = torch.cat([attribute(classifier, image[None], name) for image in inputs])
    for size in (2, 3, 7):
        fast = torch.cat([attribute(classifier, part, name) for part in inputs.split(size)])
        assert largest_difference(fast, slow) < 1e-5


@pytest.mark.parametrize("name", SOME)
def test_logits_come_along_and_equal_predictions(name):
    classifier = resnet_classifier()
    images = np.random.default_rng(0).integers(0, 256, (4, 2, 32, 48), dtype=np.uint8)
    result = make_method(name).attribute(classifier, classifier.to_input(images), [0])
    assert result.logits.shape == (4, 2)
    np.testing.assert_allclose(result.logits.numpy(), classifier.predict(images), rtol=1e-5)


def test_bfloat16_stays_close():
    exact = resnet_classifier()
    rough = Classifier(tiny.resnet(), card(cam_layer="layer4"), device="cpu", precision="bfloat16")
    inputs = some_inputs(exact)
    expected, maps = (attribute(model, inputs, "grad-cam") for model in (exact, rough))
    assert maps.dtype == torch.float32
    assert 0 < largest_difference(maps, expected) < 0.1  # 0 would mean full precision


# ---------------------------------------------------------------- what must not be left behind


class Fragile(nn.Module):
    """Breaks behind its CAM layer when told to."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, stride=2)
        self.broken = False

    def forward(self, images):
        features = self.conv(images)
        if self.broken:
            raise RuntimeError("out of memory")
        return features.mean(dim=(2, 3))


@pytest.mark.parametrize("name", SOME)
def test_no_hook_and_no_state_is_left(name):
    classifier = resnet_classifier()
    before = copy.deepcopy(classifier.network.state_dict())
    inputs = some_inputs(classifier)
    kept = inputs.clone()
    method = make_method(name)
    method.grid(classifier)
    method.attribute(classifier, inputs, [0, 1])
    assert hooks_of(classifier.network) == []
    assert not any(module.training for module in classifier.network.modules())
    assert all(parameter.grad is None for parameter in classifier.network.parameters())
    after = classifier.network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert torch.equal(inputs, kept)
    assert not inputs.requires_grad


@pytest.mark.parametrize("name", SOME)
def test_no_hook_is_left_after_an_error_inside_the_forward(name):
    classifier = Classifier(Fragile(), card(), device="cpu")
    network = classifier.network
    inputs = some_inputs(classifier)
    attribute(classifier, inputs, name)
    network.broken = True
    with pytest.raises(RuntimeError, match="out of memory"):
        attribute(classifier, inputs, name)
    assert hooks_of(network) == []
    network.broken = False
    attribute(classifier, inputs, name)


# ---------------------------------------------------------------- TorchScript


@pytest.mark.parametrize(
    ("kind", "layer"), [("trace", "layer4"), ("trace", "layer2"), ("script", None)]
)
def test_grad_cam_of_torchscript_equals_the_eager_model(kind, layer, tmp_path):
    eager = resnet_classifier(layer)
    inputs = some_inputs(eager)
    network = tiny.resnet()
    module = torch.jit.trace(network, inputs[:2]) if kind == "trace" else torch.jit.script(network)
    torch.jit.save(module, str(tmp_path / "model.pt"))
    loaded = torch.jit.load(str(tmp_path / "model.pt"))
    scripted = Classifier(loaded, card(cam_layer=layer), device="cpu")
    assert scripted.split.layer == eager.split.layer
    expected = attribute(eager, inputs, "grad-cam")
    assert largest_difference(attribute(scripted, inputs, "grad-cam"), expected) < 1e-5
    assert scripted.cell_grid.measured
    np.testing.assert_allclose(scripted.cell_grid.y, eager.cell_grid.y, atol=0.5)
    np.testing.assert_allclose(scripted.cell_grid.x, eager.cell_grid.x, atol=0.5)


class Tangled(nn.Module):
    """Its children, run one after another, do not give its output."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 2, 3, stride=2)
        self.second = nn.Conv2d(2, 2, 3, stride=2)

    def forward(self, images):
        return (self.first(images) * self.second(images)).mean(dim=(2, 3))


@pytest.mark.parametrize("frozen", [False, True])
def test_torchscript_that_cannot_be_chained(frozen):
    torch.manual_seed(0)
    network = torch.jit.script(Tangled().eval())
    if frozen:
        network = torch.jit.freeze(network)
    classifier = Classifier(network, card(), device="cpu")
    inputs = some_inputs(classifier)
    with pytest.raises(InputError, match=r"cannot be split.*need no split: saliency, .*rise"):
        attribute(classifier, inputs, "grad-cam")
    for name in ("saliency", "integrated-gradients"):
        assert float(attribute(classifier, inputs, name).abs().max()) > 0


# ---------------------------------------------------------------- activations


class Sigmoided(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return torch.sigmoid(self.network(images))


@pytest.mark.parametrize("name", SOME)
def test_model_with_its_sigmoid_inside(name):
    plain = resnet_classifier()
    inside = Classifier(
        Sigmoided(tiny.resnet()), card(activation="none", cam_layer="network.layer4"), device="cpu"
    )
    inputs = some_inputs(plain)
    with torch.no_grad():
        torch.testing.assert_close(
            inside.logits(inputs), plain.logits(inputs), rtol=1e-4, atol=1e-4
        )
    expected = attribute(plain, inputs, name)
    assert largest_difference(attribute(inside, inputs, name), expected) < 1e-3


# ---------------------------------------------------------------- names and settings


def test_methods_by_name():
    assert set(SOME) <= set(METHODS.entries)
    with pytest.raises(
        InputError, match=r"no attribution method 'gradcam'; the nearest .* are .*grad-cam"
    ):
        make_method("gradcam")


def test_a_method_of_another_package(tmp_path, monkeypatch):
    """Installed as pip does it: a module, and beside it what is known of it."""
    (tmp_path / "their_package.py").write_text(
        "from napari_globalxai.attribution.cam import GradCam\n"
        "class Theirs(GradCam):\n"
        "    name = 'theirs'\n"
    )
    known = tmp_path / "their_package-1.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (known / "entry_points.txt").write_text(
        "[napari_globalxai.methods]\ntheirs = their_package:Theirs\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    entry = METHODS.entries["theirs"]
    assert entry.summary == "From their_package"
    # It is not imported to find out.
    assert entry.needs_split is None
    assert "their_package" not in sys.modules
    assert list(METHODS.entries)[-1] == "theirs"
    assert make_method("theirs").name == "theirs"


@pytest.mark.parametrize(("name", "entry"), METHODS.own.items())
def test_the_catalogue_says_what_the_method_does(name, entry):
    assert method_class(name).needs_split == entry.needs_split


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("grad-cam", {"layer": "x"}),
        ("saliency", {"channel_reduction": "median"}),
        ("integrated-gradients", {"steps": 1}),
        ("integrated-gradients", {"baseline": "white"}),
    ],
)
def test_settings_that_a_method_does_not_take(name, settings):
    with pytest.raises(InputError, match=f"The method {name} does not take these settings") as why:
        make_method(name, **settings)
    assert "\n" not in str(why.value)


def test_label_gradients_keep_images_apart():
    source = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    logits = torch.stack([source[:, 0] ** 2, source[:, 0] * source[:, 1]], dim=1)
    first, second = label_gradients(logits, source, [0, 1])
    assert first.tolist() == [[2, 0], [6, 0]]
    assert second.tolist() == [[2, 1], [4, 3]]
