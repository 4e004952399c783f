"""Pixels in, logits out: normalisation, activations, and models that do not fit their card."""

import copy

import numpy as np
import pytest
import tiny
import torch
from scipy.special import expit, softmax
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier, choose_device


class Fixed(nn.Module):
    """Gives what it is told to, one row an image."""

    def __init__(self, row):
        super().__init__()
        self.row = row

    def forward(self, images):
        return torch.tensor(self.row, dtype=torch.float32).expand(len(images), -1)


class Raising(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, images):
        raise self.error


class Shaped(nn.Module):
    def forward(self, images):
        return images


class Many(nn.Module):
    def forward(self, images):
        return images[:, :, 0, 0], images


def card(**changes):
    return ModelCard(
        **{"weights": "", "labels": tiny.LABELS, "input": tiny.input_card(), **changes}
    )


@pytest.mark.parametrize(
    ("limits", "mean", "std"),
    [((0, 1), (0.3, 0.2), (0.1, 0.4)), ((0, 255), (100, 80), (50, 40)), ((-1, 1), (0, 0), (1, 1))],
)
def test_normalisation_by_hand(limits, mean, std):
    inputs = InputCard(
        channels=2, height=tiny.HEIGHT, width=tiny.WIDTH, range=limits, mean=mean, std=std
    )
    model = Classifier(tiny.resnet(), card(input=inputs), device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 32, 48), dtype=np.uint8)
    scaled = images / 255 * (limits[1] - limits[0]) + limits[0]
    expected = (scaled - np.reshape(mean, (1, 2, 1, 1))) / np.reshape(std, (1, 2, 1, 1))
    for given in (images, torch.tensor(images), images.astype(np.float32)):
        np.testing.assert_allclose(model.to_input(given), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_probabilities(activation):
    model = Classifier(tiny.resnet(), card(activation=activation), device="cpu")
    logits = np.array([[[-800.0, 3.0], [0.0, 800.0]], [[1.0, 2.0], [np.nan, np.nan]]])
    expected = expit(logits) if activation == "sigmoid" else softmax(logits, axis=-1)
    np.testing.assert_allclose(model.probabilities(logits), expected, rtol=1e-12)


def test_probabilities_of_a_model_with_its_sigmoid_inside():
    model = Classifier(Fixed([0.0, 0.75]), card(activation="none"), device="cpu")
    logits = model.predict(np.zeros((1, 2, 32, 48)))
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(model.probabilities(logits), [[0, 0.75]], atol=1e-6)


def test_the_classifier_works_with_a_copy_in_eval_mode():
    network = tiny.resnet().train()
    before = copy.deepcopy(network.state_dict())
    model = Classifier(network, card(), device="cpu")
    assert not any(module.training for module in model.network.modules())
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("network", "changes", "message"),
    [
        (Fixed([1.0]), {}, "1 outputs but the card names 2 labels"),
        (Fixed([1.0, float("nan")]), {}, "values that are not finite"),
        (Fixed([1.0, -0.2]), {"activation": "none"}, "outputs are not probabilities"),
        (Shaped(), {}, "does not give one row of outputs an image"),
        (Many(), {}, "does not give one row of outputs an image"),
        (Raising(RuntimeError("first\nsizes differ")), {}, r"card's input .*\(sizes differ\)"),
        (Raising(AssertionError()), {}, r"card's input .*\(AssertionError\)"),
    ],
)
def test_networks_that_do_not_fit_their_card(network, changes, message):
    with pytest.raises(InputError, match=message) as why:
        Classifier(network, card(name="Net", **changes), device="cpu")
    assert str(why.value).startswith("Net: ")
    assert "\n" not in str(why.value)


class Overflowing(nn.Module):
    """Infinite for a white image, finite for the probe's noise."""

    def forward(self, images):
        brightness = images.mean(dim=(2, 3))
        return brightness / (brightness < 0.9)


def test_values_that_are_not_finite_are_never_passed_on():
    """They would rank above everything in an AUC."""
    inputs = InputCard(channels=2, height=tiny.HEIGHT, width=tiny.WIDTH)
    model = Classifier(Overflowing(), card(input=inputs), device="cpu")
    images = np.full((2, 2, tiny.HEIGHT, tiny.WIDTH), 100, np.uint8)
    assert np.isfinite(model.predict(images)).all()
    images[1] = 255
    with pytest.raises(InputError, match="values that are not finite"):
        model.predict(images)


def test_devices_and_precisions():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(InputError, match="device 'toaster' cannot be used"):
        choose_device("toaster")
    with pytest.raises(InputError, match="'float8' is none of auto, float32, bfloat16"):
        Classifier(tiny.resnet(), card(), device="cpu", precision="float8")
