"""Networks that do not fit their card are refused with the real reason, or read right."""

import warnings

import pytest
import torch
from architectures import HEIGHT, WIDTH
from captum.attr import Saliency
from torch import nn
from torch.nn import functional

from napari_globalxai.attribution.method import make_method
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier


def classifier(network, labels=("a", "b"), activation="sigmoid"):
    card = ModelCard(
        weights="",
        labels=labels,
        input=InputCard(channels=2, height=HEIGHT, width=WIDTH, mean=(0.5,), std=(0.3,)),
        activation=activation,
    )
    return Classifier(network, card, device="cpu")


def inputs(count=3):
    return torch.randn(count, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))


class Net(nn.Module):
    def __init__(self, before=None, after=None, labels=2, **norm):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(2, 6, 4, 4)
        self.norm = nn.BatchNorm2d(6, **norm)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, labels)
        self.before, self.after = before, after

    def forward(self, images):
        if self.before is not None:
            images = self.before(images)
        maps = self.norm(self.stem(images)).relu()
        logits = self.head(self.drop(maps.mean(dim=(2, 3))))
        return logits if self.after is None else self.after(logits)


def traced_in_training(network):
    with warnings.catch_warnings():
        # The tracer's, of what PyTorch's own batch normalisation checks.
        warnings.simplefilter("ignore")
        return torch.jit.trace(network.train(), inputs(), check_trace=False)


class OnlyDrops(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.drop = Net().eval(), nn.Dropout(0.5)

    def forward(self, images):
        return self.drop(self.body.head(self.body.stem(images).mean(dim=(2, 3))))


class OnlyNorms(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm = nn.Conv2d(2, 6, 4, 4), nn.BatchNorm2d(6, **settings)
        self.head = nn.Linear(6, 2)

    def forward(self, images):
        return self.head(self.norm(self.stem(images)).relu().mean(dim=(2, 3)))


class Always(nn.Dropout):
    """Monte Carlo dropout: on whatever the mode."""

    def forward(self, values):
        return functional.dropout(values, self.p, training=True)


REFUSED = {
    "Monte Carlo dropout": (lambda: Net(after=Always(0.5)), "answers differently each time"),
    "noise": (
        lambda: Net(before=lambda images: images + torch.randn_like(images)),
        "answers differently each time",
    ),
    "dropout, traced in training": (
        lambda: traced_in_training(OnlyDrops()),
        r"traced or exported in training mode \(dropout stays on\); call its eval\(\)",
    ),
    "normalisation, traced in training": (
        lambda: traced_in_training(OnlyNorms()),
        r"traced or exported in training mode \(batch normalisation takes the statistics",
    ),
    "no running statistics": (
        lambda: OnlyNorms(track_running_stats=False),
        r"batch normalisation without running statistics \(norm\)",
    ),
    "no running statistics, scripted": (
        lambda: torch.jit.script(OnlyNorms(track_running_stats=False).eval()),
        "batch normalisation without running statistics makes",
    ),
    "scaled by the batch": (
        lambda: Net(before=lambda images: images / images.abs().max()),
        "answer for an image depends on the others in its batch",
    ),
    "centred by the batch": (
        lambda: Net(after=lambda logits: logits - logits.mean(dim=0)),
        "answer for an image depends on the others in its batch",
    ),
    "measured by the first of the batch": (
        lambda: Net(after=lambda logits: logits - logits[:1].detach()),
        "answer for an image depends on the others in its batch",
    ),
    "by the place in the batch": (
        lambda: Net(after=lambda logits: logits + torch.arange(len(logits))[:, None]),
        "answer for an image depends on the others in its batch",
    ),
    "faint noise": (
        lambda: Net(after=lambda logits: logits + 1e-5 * torch.randn_like(logits)),
        "answers differently each time",
    ),
    "one batch size": (
        lambda: Net(after=lambda logits: logits.view(2, 2)),
        "does not take a batch of any size; export it with an example of two images",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_real_reason_is_said(name):
    make, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as why:
        classifier(make().eval())
    assert "\n" not in str(why.value)
    assert name == "one batch size" or "of any size" not in str(why.value)


def subtracted(images):
    return images.sub_(0.5)


def multiplied(images):
    images *= 2
    return images


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Net().eval()

    def forward(self, images):
        images.sub_(0.5)
        return self.body.head(self.body.stem(images).mean(dim=(2, 3)))


@pytest.mark.parametrize("method", ["saliency", "occlusion", "grad-cam"])
@pytest.mark.parametrize("change", [subtracted, multiplied])
def test_networks_that_work_in_place_on_their_input(change, method):
    given = inputs()
    model = classifier(Net(before=change).eval())
    found = make_method(method).attribute(model, given, (0, 1))
    assert torch.equal(given, inputs())
    plain = classifier(Net(before=lambda images: change(images.clone())).eval())
    expected = make_method(method).attribute(plain, inputs(), (0, 1))
    torch.testing.assert_close(found.maps, expected.maps)
    torch.testing.assert_close(found.logits, expected.logits)


@pytest.mark.parametrize("kind", ["trace", "script"])
def test_torchscript_that_works_in_place_on_its_input(kind):
    network = InPlace().eval()
    module = torch.jit.trace(network, inputs()) if kind == "trace" else torch.jit.script(network)
    given = inputs()
    found = make_method("saliency").attribute(classifier(module), given, (0,))
    assert torch.equal(given, inputs())
    with torch.no_grad():
        torch.testing.assert_close(found.logits, network(inputs()), rtol=1e-4, atol=1e-5)


def first(logits):
    return logits[:, 0]


def squeezed(logits):
    return logits.squeeze()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", ["eager", "trace"])
@pytest.mark.parametrize("after", [first, squeezed])
def test_one_number_an_image_is_one_label(after, kind, count):
    network = Net(after=after, labels=1).eval()
    module = torch.jit.trace(network, inputs()) if kind == "trace" else network
    model = classifier(module, ("a",))
    found = make_method("saliency").attribute(model, inputs(count), (0,))
    assert found.logits.shape == (count, 1)
    oracle = Saliency(Net(labels=1).eval())
    expected = oracle.attribute(inputs(count).requires_grad_(), target=0).sum(dim=1)
    torch.testing.assert_close(found.maps[:, 0], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_rows_that_lose_a_dimension_with_one_image(count):
    model = classifier(Net(after=squeezed).eval())
    assert model.logits(inputs(count)).shape == (count, 2)
    maps = make_method("grad-cam").attribute(model, inputs(count), (0, 1)).maps
    assert maps.shape[:2] == (count, 2)


def test_one_number_an_image_among_other_outputs():
    model = classifier(Net(after=lambda logits: (logits[:, 0], logits), labels=1).eval(), ("a",))
    assert model.logits(inputs()).shape == (3, 1)


def test_one_number_an_image_is_not_two_labels():
    with pytest.raises(InputError, match="does not give one row of 2 outputs an image"):
        classifier(Net(after=first).eval())


def test_a_probability_an_image():
    model = classifier(
        Net(after=lambda logits: torch.sigmoid(1e5 * logits[:, 0])).eval(), ("a",), "none"
    )
    assert model.activation == "sigmoid"
    assert make_method("saliency").attribute(model, inputs(), (0,)).maps.any()
