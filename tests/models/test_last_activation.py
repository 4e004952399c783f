"""The last sigmoid or softmax is taken off: confident models have the maps of their logits."""

import warnings

import numpy as np
import pytest
import stand_ins
import torch
from architectures import HEIGHT, WIDTH
from captum.attr import Saliency
from scipy.special import expit, softmax
from torch import nn
from torch.nn import functional

from napari_globalxai.attribution.batches import Batches
from napari_globalxai.attribution.engine import attribute_stack
from napari_globalxai.attribution.explained_rows import empty_maps
from napari_globalxai.attribution.method import make_method
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.files.weights import read_weights
from napari_globalxai.models.files.weights_file import WeightsFile

# Logits of some thousands: a sigmoid is 0 or 1 even in double precision.
GAIN = 30_000.0


class Logits(nn.Module):
    """A small network; a sigmoid inside it must stay."""

    def __init__(self, gain=GAIN, labels=2):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(2, 6, 4, 4)
        self.gate = nn.Sigmoid()
        self.stage = nn.Conv2d(6, 8, 3, 1, 1)
        self.head = nn.Linear(8, labels)
        self.gain = gain

    def forward(self, images):
        maps = self.stem(images)
        maps = self.stage(maps * self.gate(maps)).relu()
        return self.gain * self.head(maps.mean(dim=(2, 3)))


class Ended(nn.Module):
    def __init__(self, end, **settings):
        super().__init__()
        self.logits = Logits(**settings)
        self.end = end

    def forward(self, images):
        return self.end(self.logits(images))


class Flattened(nn.Module):
    """A softmax over maps of one cell, then a change of shape."""

    def forward(self, logits):
        return functional.softmax(logits[:, :, None, None], dim=1).flatten(1)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, logits):
        return self.function(logits)


ENDS = {
    "sigmoid module": (nn.Sigmoid(), "sigmoid"),
    "torch.sigmoid": (Function(torch.sigmoid), "sigmoid"),
    "method": (Function(lambda logits: logits.sigmoid()), "sigmoid"),
    "in place": (Function(lambda logits: logits.clone().sigmoid_()), "sigmoid"),
    "clamped": (Function(lambda logits: logits.sigmoid().clamp(1e-6, 1 - 1e-6)), "sigmoid"),
    "a head a label": (
        Function(lambda logits: torch.cat([logits[:, :1].sigmoid(), logits[:, 1:].sigmoid()], 1)),
        "sigmoid",
    ),
    "softmax module": (nn.Softmax(dim=1), "softmax"),
    "softmax function": (Function(lambda logits: functional.softmax(logits, dim=-1)), "softmax"),
    "flattened": (Flattened(), "softmax"),
}


def classifier(network, activation="none", labels=("a", "b")):
    card = ModelCard(
        weights="",
        labels=labels,
        input=InputCard(channels=2, height=HEIGHT, width=WIDTH, mean=(0.5,), std=(0.3,)),
        activation=activation,
    )
    return Classifier(network, card, device="cpu")


def inputs(count=4):
    return torch.randn(count, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))


def in_format(network, kind, folder):
    if kind == "trace":
        return torch.jit.trace(network, inputs())
    if kind == "export":
        shapes = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(network, (inputs(),), dynamic_shapes=shapes)
        torch.export.save(program, folder / "network.pt2")
        return read_weights(WeightsFile(folder / "network.pt2"), trust=True)
    return network


def captum_maps(label):
    """Saliency of the logits themselves."""
    leaf = inputs().requires_grad_()
    return Saliency(Logits().eval()).attribute(leaf, target=label).sum(dim=1)


@pytest.mark.parametrize("kind", ["eager", "trace", "export"])
@pytest.mark.parametrize("name", ENDS)
def test_maps_of_a_confident_model_are_those_of_its_logits(name, kind, tmp_path):
    end, activation = ENDS[name]
    network = Ended(end).eval()
    model = classifier(in_format(network, kind, tmp_path))
    assert model.activation == activation
    assert model.card.activation == "none"
    found = make_method("saliency").attribute(model, inputs(), (0, 1))
    with torch.no_grad():
        logits = Logits().eval()(inputs())
    assert float(logits.abs().max()) > 1000
    torch.testing.assert_close(found.logits, logits, rtol=1e-4, atol=1e-1)
    for label in (0, 1):
        torch.testing.assert_close(found.maps[:, label], captum_maps(label), rtol=1e-3, atol=1e-3)
    values = logits.double().numpy()
    expected = expit(values) if activation == "sigmoid" else softmax(values, axis=1)
    np.testing.assert_allclose(model.probabilities(values), expected, atol=1e-6)
    assert not found.empty.any()
    # The user's own network still gives probabilities.
    with torch.no_grad():
        assert float(network(inputs()).max()) <= 1


@pytest.mark.parametrize("method", ["grad-cam", "occlusion", "integrated-gradients"])
def test_other_methods_work_on_the_logits_too(method):
    plain = classifier(Ended(nn.Identity()).eval(), "sigmoid")
    model = classifier(Ended(nn.Sigmoid()).eval())
    expected, found = (
        make_method(method).attribute(each, inputs(2), (0, 1)).maps for each in (plain, model)
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-2)


class Branched(nn.Module):
    """Written so that TorchScript keeps a condition, and its own functions."""

    def __init__(self, soft: bool):
        super().__init__()
        torch.manual_seed(0)
        self.soft = soft
        self.stem = nn.Conv2d(2, 6, 4, 4)
        self.head = nn.Linear(6, 2)

    def forward(self, images):
        logits = 30000.0 * self.head(self.stem(images).relu().mean(dim=[2, 3]))
        if self.soft:
            return functional.softmax(logits, dim=1)
        return functional.softmax(2.0 * logits, dim=1)


@pytest.mark.parametrize("soft", [True, False])
def test_a_scripted_network(soft, tmp_path):
    network = Branched(soft).eval()
    torch.jit.save(torch.jit.script(network), str(tmp_path / "network.pt"))
    loaded = torch.jit.load(str(tmp_path / "network.pt"))
    before = loaded(inputs())
    model = classifier(loaded)
    assert model.activation == "softmax"
    maps = make_method("saliency").attribute(model, inputs(), (0,)).maps
    assert maps.flatten(2).amax(dim=2).min() > 0
    assert torch.equal(loaded(inputs()), before)


def test_a_chain_that_ends_in_a_sigmoid_is_split():
    torch.manual_seed(0)
    body = [nn.Conv2d(2, 6, 4, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    last = nn.Linear(6, 2)
    with torch.no_grad():
        last.weight.mul_(GAIN)
    plain = classifier(nn.Sequential(*body, last).eval(), "sigmoid")
    ended = nn.Sequential(*body, last, nn.Sigmoid()).eval()
    model = classifier(torch.jit.trace(ended, inputs()))
    expected, found = (
        make_method("grad-cam").attribute(each, inputs(), (0, 1)).maps for each in (plain, model)
    )
    assert found.flatten(2).any(dim=2).all()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_onnx(tmp_path):
    pytest.importorskip("onnx")
    with stand_ins.torchvision():
        pytest.importorskip("onnx2pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Ended(nn.Sigmoid()).eval(), (inputs(2),), tmp_path / "n.onnx", dynamo=False,
            input_names=["images"], dynamic_axes={"images": {0: "batch"}},
        )  # fmt: skip
    model = classifier(read_weights(WeightsFile(tmp_path / "n.onnx"), trust=False))
    assert model.activation == "sigmoid"
    maps = make_method("saliency").attribute(model, inputs(), (0,)).maps
    torch.testing.assert_close(maps[:, 0], captum_maps(0), rtol=1e-3, atol=1e-3)


class Averaged(nn.Module):
    """The mean of two members' probabilities, which is the sigmoid of nothing."""

    def __init__(self, gain):
        super().__init__()
        self.first, self.second = Logits(gain), Logits(1.2 * gain)

    def forward(self, images):
        both = [self.first(images).sigmoid(), self.second(images).sigmoid()]
        return torch.stack(both).mean(0)


def test_averages_of_probabilities_are_taken_in_double_precision():
    gain = 250.0
    network = Averaged(gain).eval()
    model = classifier(network)
    assert model.activation == "none"
    found = make_method("saliency").attribute(model, inputs(), (0, 1))
    double = Averaged(gain).double().eval()
    leaf = inputs().double().requires_grad_()
    probability = double(leaf)
    # In float32 logits of these are clamped, and have no gradient.
    assert float(probability.detach().max()) < 1e-7
    logits = torch.logit(probability)
    torch.testing.assert_close(found.logits.double(), logits.detach(), rtol=1e-3, atol=1e-3)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), leaf)
    expected = gradient.abs().sum(dim=1)
    torch.testing.assert_close(found.maps[:, 0].double(), expected, rtol=1e-2, atol=1e-4)


def test_an_ordinary_card_is_not_touched():
    network = Ended(nn.Identity(), gain=1.0).eval()
    model = classifier(network, "softmax")
    assert model.activation == "softmax"
    with torch.no_grad():
        torch.testing.assert_close(model.logits(inputs()), network(inputs()))


class Saturated(nn.Module):
    """An activation that cannot be taken off."""

    def forward(self, logits):
        return functional.hardsigmoid(logits)


def hidden():
    return classifier(Ended(Saturated(), gain=GAIN).eval())


def test_maps_that_stay_empty_are_counted_and_said_from_the_first_on():
    model = hidden()
    assert not any("0 everywhere" in sentence for sentence in model.warnings)
    batches = Batches(model.working_with(images_a_forward=2), make_method("saliency"), (0, 1))
    explained = batches.explain(range(4), lambda rows: inputs()[list(rows)])
    part, result = next(explained)
    assert result.empty.all()
    assert batches.empty == {row: ["a", "b"] for row in part}
    assert any("saturates" in sentence for sentence in model.warnings)
    list(explained)
    assert len(batches.empty) == 4


def test_empty_maps_are_counted_over_a_stack_also_when_it_goes_on(tmp_path):
    import tiny

    model = hidden()
    images = np.random.default_rng(0).integers(0, 256, (5, 2, HEIGHT, WIDTH), dtype=np.uint8)
    stack = tiny.make_stack(tmp_path / "stack", images)
    for rows in (range(2), range(5)):
        attribute_stack(
            stack, rows, model, make_method("saliency"), ("a", "b"), tmp_path / "a.zarr", "x"
        )
    assert empty_maps(tmp_path / "a.zarr") == {"a": 5, "b": 5}
    said = [sentence for sentence in model.warnings if "0 everywhere" in sentence]
    assert said[-1].startswith("Maps are 0 everywhere for some of 5 images (a 5, b 5): the model's")


def test_dead_features_are_not_called_saturated():
    network = Ended(nn.Identity()).eval()
    with torch.no_grad():
        network.logits.stage.bias.fill_(-1e6)
    model = classifier(network, "sigmoid")
    batches = Batches(model, make_method("saliency"), (0,))
    list(batches.explain(range(2), lambda rows: inputs()[list(rows)]))
    assert batches.empty == {0: ["a"], 1: ["a"]}
    assert any("nothing of what is explained" in sentence for sentence in model.warnings)
