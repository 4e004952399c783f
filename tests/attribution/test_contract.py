"""Every method on every kind of network and file: it works, or says in a sentence why not."""

from __future__ import annotations

import warnings

import architectures
import pytest
import stand_ins
import torch
from hooks import hooks_of
from torch import nn

from napari_globalxai.attribution.method import make_method, method_class
from napari_globalxai.catalogue import METHODS
from napari_globalxai.errors import InputError
from napari_globalxai.models.files.weights import read_weights
from napari_globalxai.models.files.weights_file import WeightsFile

QUICK = {
    "smooth-grad": {"samples": 2},
    "gradient-shap": {"samples": 2},
    "integrated-gradients": {"steps": 2},
    "rise": {"masks": 8},
    "occlusion": {"window": 32},
    "score-cam": {"channels": 2},
    "captum:FeatureAblation": {"side": 48},
    "captum:Lime": {"side": 48, "n_samples": 8, "alpha": 1e-8},
    "captum:KernelShap": {"side": 48, "n_samples": 8},
    "captum:ShapleyValueSampling": {"side": 48, "n_samples": 1},
    "captum:ShapleyValues": {"side": 64},
    "captum:Occlusion": {"sliding_window_shapes": 48, "strides": 48},
    "captum:IntegratedGradients": {"n_steps": 2},
    "captum:GradientShap": {"n_samples": 2},
}
# Of captum, one of each kind on every network, and all on networks that differ most.
CAPTUM = (
    *("captum:FeatureAblation", "captum:InputXGradient", "captum:DeepLift"),
    *("captum:GuidedBackprop", "captum:LRP", "captum:LayerGradCam"),
)
ALL_OF_CAPTUM = ("layers", "ViT", "TorchScript, forked")
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


def layers():
    """Layers one after another, for what knows no more."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 5, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, 2),
        nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    ).eval()  # fmt: skip


PLAIN = list(architectures.ARCHITECTURES)
KINDS = {
    "layers": lambda folder: layers(),
    **{name: lambda folder, name=name: architectures.make(name) for name in PLAIN},
    "a tuple, MONAI ViT": lambda folder: architectures.monai_vit().eval(),
    "TorchScript, ResNet": lambda folder: traced("ResNet"),
    "TorchScript, forked": lambda folder: forked(),
    "torch.export, ResNet": lambda folder: exported("ResNet", folder),
    "ONNX, ResNet": lambda folder: onnx("ResNet", folder),
}
BACKWARD = ("deep-lift", "guided-backprop")
TRANSFORMERS = [name for name in KINDS if "ViT" in name or "Swin" in name]
HOOKED = tuple(
    f"captum:{name}"
    for name in (
        *("DeepLift", "DeepLiftShap", "GuidedBackprop", "Deconvolution", "LRP"),
        *("GuidedGradCam", "LayerGradCam", "LayerGradientXActivation"),
    )
)
# What cannot be, and some words of the sentence that says so.
UNSUPPORTED = {
    **{
        (kind, method): "TorchScript or torch.export"
        for kind in ("TorchScript, ResNet", "TorchScript, forked", "torch.export, ResNet")
        for method in HOOKED
    },
    # One sentence of many: what captum's hooks would miss.
    **{
        (kind, method): "captum:"
        for kind in TRANSFORMERS
        for method in HOOKED
        if (kind, method) != ("MONAI Swin", "captum:LayerGradCam")
    },
    **{
        (kind, method): f"{method} "
        for kind in ("ResNet", "DenseNet", "EfficientNet", "SEResNet", "ConvNeXt", "ONNX, ResNet")
        for method in ("captum:DeepLift", "captum:LRP")
        # With random weights, EfficientNet's logits differ by less than rounding.
        if method == "captum:LRP" or kind not in ("DenseNet", "EfficientNet")
    },
    # Its CAM layer runs twice.
    ("EfficientNet", "captum:LayerGradCam"): "sees one call of a layer",
    **{(kind, "captum:GuidedBackprop"): "has no ReLU" for kind in ("EfficientNet", "ConvNeXt")},
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


PAIRS = [
    (kind, method)
    for kind in KINDS
    for method in METHODS
    if not method.startswith("captum:") or method in CAPTUM or kind in ALL_OF_CAPTUM
]


@pytest.mark.parametrize(("kind", "method"), PAIRS)
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
