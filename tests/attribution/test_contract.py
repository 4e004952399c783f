"""Every method on every kind of network and file: it works, or says in a sentence why not."""

from __future__ import annotations

import warnings

import architectures
import pytest
import stand_ins
import torch
from torch import nn

from napari_globalxai.attribution.method import make_method, method_class
from napari_globalxai.catalogue import METHODS
from napari_globalxai.errors import InputError
from napari_globalxai.models.weights import read_weights
from napari_globalxai.models.weights_file import WeightsFile

QUICK = {
    "smooth-grad": {"samples": 2},
    "gradient-shap": {"samples": 2},
    "integrated-gradients": {"steps": 2},
    "rise": {"masks": 8},
    "occlusion": {"window": 32},
    "score-cam": {"channels": 2},
}
METHODS = list(METHODS.entries)
CAMS = tuple(name for name in METHODS if method_class(name).needs_split)


def traced(name):
    network = architectures.make(name)
    example = torch.zeros(2, 2, architectures.HEIGHT, architectures.WIDTH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(network, example)


def exported(name, folder):
    network = architectures.make(name)
    example = torch.zeros(2, 2, architectures.HEIGHT, architectures.WIDTH)
    program = torch.export.export(
        network, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    torch.export.save(program, folder / f"{name}.pt2")
    return read_weights(WeightsFile(folder / f"{name}.pt2"), trust=True)


def onnx(name, folder):
    pytest.importorskip("onnx")
    with stand_ins.torchvision():
        pytest.importorskip("onnx2pytorch")
    example = torch.zeros(2, 2, architectures.HEIGHT, architectures.WIDTH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            architectures.make(name), (example,), folder / f"{name}.onnx", dynamo=False,
            input_names=["images"], dynamic_axes={"images": {0: "batch"}},
        )  # fmt: skip
    return read_weights(WeightsFile(folder / f"{name}.onnx"), trust=False)


class Forked(nn.Module):
    """Two branches: not a chain of children."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(2, 4, 3, 2), nn.Conv2d(2, 4, 3, 2)
        self.head = nn.Linear(4, 2)

    def forward(self, images):
        return self.head((self.left(images).relu() * self.right(images)).mean(dim=(2, 3)))


def forked():
    torch.manual_seed(0)
    return torch.jit.script(Forked().eval())


PLAIN = list(architectures.ARCHITECTURES)
KINDS = {
    **{name: lambda folder, name=name: architectures.make(name) for name in PLAIN},
    "a tuple, MONAI ViT": lambda folder: architectures.monai_vit().eval(),
    "TorchScript, ResNet": lambda folder: traced("ResNet"),
    "TorchScript, forked": lambda folder: forked(),
    "torch.export, ResNet": lambda folder: exported("ResNet", folder),
    "ONNX, ResNet": lambda folder: onnx("ResNet", folder),
}
BACKWARD = ("deep-lift", "guided-backprop")
TRANSFORMERS = [name for name in KINDS if "ViT" in name or "Swin" in name]
# What cannot be, and some words of the sentence that says so.
UNSUPPORTED = {
    **{
        (kind, method): "TorchScript or torch.export"
        for kind in ("TorchScript, ResNet", "torch.export, ResNet")
        for method in BACKWARD
    },
    **{("TorchScript, forked", method): "TorchScript" for method in (*BACKWARD, *CAMS)},
    # They have no ReLU.
    **{
        (kind, "guided-backprop"): "has no ReLU"
        for kind in ("EfficientNet", "ConvNeXt", *TRANSFORMERS)
    },
    # They multiply or normalise activations.
    **{
        (kind, "deep-lift"): "does not add up on this model"
        for kind in ("SEResNet", "ConvNeXt", *TRANSFORMERS)
    },
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Classifiers by kind, made when they are first asked for."""
    made = {}

    def get(kind):
        if kind not in made:
            network = KINDS[kind](tmp_path_factory.mktemp("kind"))
            made[kind] = architectures.classifier(network)
        return made[kind]

    return get


def hooks_of(network):
    return [
        (name, *map(dict, (each._forward_pre_hooks, each._forward_hooks, each._backward_hooks)))
        for name, each in network.named_modules()
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind, method, models):
    model = models(kind)
    explainer = make_method(method, **QUICK.get(method, {}))
    generator = torch.Generator().manual_seed(0)
    shape = (2, 2, architectures.HEIGHT, architectures.WIDTH)
    inputs = model.to_input(torch.rand(shape, generator=generator) * 255)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    hooks = hooks_of(model.network)
    sentence = UNSUPPORTED.get((kind, method))
    if sentence is None:
        result = explainer.attribute(model, inputs, [1, 0])
        assert result.maps.shape == (2, 2, *explainer.grid(model).shape)
        assert torch.isfinite(result.maps).all()
        assert result.maps.dtype == torch.float32
        assert float(result.maps.abs().max()) > 0
        with torch.no_grad():
            torch.testing.assert_close(result.logits, model.logits(inputs), rtol=1e-3, atol=1e-4)
    else:
        with pytest.raises(InputError, match=sentence) as why:
            explainer.attribute(model, inputs, [1, 0])
        assert "\n" not in str(why.value)
        assert str(why.value).endswith(".")
    # Whatever came of it, the network is as it was.
    assert not model.network.training
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert hooks_of(model.network) == hooks
    assert all(parameter.grad is None for parameter in model.network.parameters())
