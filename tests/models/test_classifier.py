"""Pixels in, logits out: normalisation, activations, and models that do not fit their card."""

import contextlib
import copy
from collections import OrderedDict

import numpy as np
import pytest
import tiny
import torch
from scipy.special import expit, softmax
from torch import nn

from napari_globalxai.attribution.cam import GradCam
from napari_globalxai.attribution.gradients import Saliency
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier, choose_device, round_factors


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
        return images[:, 0, 0, 0], images


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
        (Shaped(), {}, "one row of 2 outputs an image but a tensor of 2 × 2 × 32 × 48"),
        (Many(), {}, "one row of 2 outputs an image but tensors of 2, 2 × 2 × 32 × 48"),
        (Raising(RuntimeError("first\nsizes differ")), {}, r"card's input .*\(sizes differ\)"),
        (Raising(AssertionError()), {}, r"card's input .*\(AssertionError\)"),
        (Raising(KeyError("age")), {}, r"card's input .*\('age'\)"),
    ],
)
def test_networks_that_do_not_fit_their_card(network, changes, message):
    with pytest.raises(InputError, match=message) as why:
        Classifier(network, card(name="Net", **changes), device="cpu")
    assert str(why.value).startswith("Net: ")
    assert "\n" not in str(why.value)


class Answers(nn.Module):
    """A network that gives more than logits, in a form of its own."""

    def __init__(self, form):
        super().__init__()
        self.inner = tiny.resnet()
        self.form = form

    def forward(self, images):
        return self.form(self.inner(images))


@pytest.mark.parametrize(
    ("form", "warned"),
    [
        (lambda logits: (logits, logits.new_zeros(5)), False),
        (lambda logits: [logits.new_zeros(len(logits), 3), logits], False),
        (lambda logits: {"hidden": [logits + 1], "logits": logits}, False),
        (lambda logits: {"first": logits, "second": logits + 1}, True),
        (lambda logits: OrderedDict(out=(logits,), loss=None), False),
    ],
)
def test_logits_are_found_among_other_outputs(form, warned):
    inputs = torch.randn(2, 2, tiny.HEIGHT, tiny.WIDTH, generator=torch.Generator().manual_seed(0))
    network = Answers(form).eval()
    model = Classifier(network, card(cam_layer="inner.layer4"), device="cpu")
    plain = Classifier(tiny.resnet(), card(cam_layer="layer4"), device="cpu")
    torch.testing.assert_close(model.logits(inputs), plain.logits(inputs))
    for method in (GradCam(), Saliency()):
        found = method.attribute(model, inputs, [0, 1])
        torch.testing.assert_close(found.maps, method.attribute(plain, inputs, [0, 1]).maps)
    assert [text for text in model.warnings if "could be its logits" in text] == (
        ["The network gives 2 tensors that could be its logits; the first is taken."] * warned
    )
    # The user's own network still gives what it gave.
    assert not isinstance(network(inputs), torch.Tensor)


class Pair(nn.Module):
    def forward(self, images):
        means = images.mean(dim=(2, 3))
        return means, images


def test_torchscript_must_give_its_logits_alone():
    pair = torch.jit.script(Pair())
    with pytest.raises(InputError, match=r"a tuple with tensors of 2 × 2, .*TorchScript must give"):
        Classifier(pair, card(), device="cpu")


def test_a_batch_of_no_images_is_refused():
    model = Classifier(tiny.resnet(), card(), device="cpu")
    for size in (0, -1):
        with pytest.raises(InputError, match=f"batch size {size} is not 1 or more"):
            model.working_with(images_a_forward=size)


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
    with pytest.raises(InputError, match="'float8' is none of auto, float32, tf32, bfloat16"):
        Classifier(tiny.resnet(), card(), device="cpu", precision="float8")


def test_float32_is_that_on_cuda(monkeypatch):
    """Unless told otherwise, torch rounds what goes into convolutions there."""
    from napari_globalxai.models import classifier

    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    try:
        monkeypatch.setattr(classifier, "choose_device", lambda name: torch.device("cuda"))
        # Where there is none, no network can be brought there.
        with contextlib.suppress(RuntimeError, AssertionError):
            Classifier(tiny.resnet(), card(), device="cuda")
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        # Nor are gradients added up in any order.
        assert torch.backends.cudnn.deterministic
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


def test_a_model_knows_whether_it_is_where_it_is_asked_for():
    model = Classifier(tiny.resnet(), card(), device="cpu")
    assert model.is_on("auto")
    assert model.is_on("cpu")
    model.device = torch.device("cuda", 1)
    assert not model.is_on("cpu")
    with pytest.raises(InputError, match="'tpu' cannot be used here"):
        model.is_on("tpu")


@pytest.mark.parametrize("before", [(True, False), (False, True), (True, True)])
def test_how_other_code_rounds_is_left_as_it_was(before):
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    try:
        model = Classifier(tiny.resnet(), card(), device="cpu", precision="tf32")
        with model.rounding():
            _ = model.split, model.cell_places
        assert (
            torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        ) == before  # fmt: skip
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


def test_factors_are_rounded_where_that_is_asked_for_alone():
    class Noting(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = tiny.resnet()

        def forward(self, images):
            noted.append(torch.backends.cudnn.allow_tf32)
            return self.network(images)

    noted = []
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        round_factors(False)
        model = Classifier(Noting(), card(), device="cpu")
        inputs = model.to_input(np.zeros((1, *model_shape(model)), np.uint8))
        noted.clear()
        rounded = model.working_with(precision="tf32")
        for each in (model, rounded, model):
            each.logits(inputs)
        with rounded.rounding():
            rounded.logits(inputs)
            assert torch.backends.cudnn.allow_tf32
        assert noted == [False, True, False, True]
        noted.clear()
        with rounded.rounding():
            # Proved on outputs that were exact.
            _ = rounded.split, rounded.cell_places
        assert noted
        assert not any(noted)
        assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept
    here = Classifier(tiny.resnet(), card(), device="cpu", precision="tf32")
    assert "tf32 is for CUDA devices; on cpu it is full float32." in here.warnings
    exact = Classifier(tiny.resnet(), card(), device="cpu", precision="float32")
    assert torch.equal(here.logits(here.probe), exact.logits(exact.probe))


def model_shape(model):
    return len(model.card.input.channels), *model.frame_shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_answers_as_the_cpu_does():
    here, there = (Classifier(tiny.resnet(), card(), device=name) for name in ("cpu", "cuda"))
    shape = (4, *model_shape(here))
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_allclose(there.predict(images), here.predict(images), atol=1e-5)
