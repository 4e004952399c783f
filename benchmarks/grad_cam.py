"""Time Grad-CAM maps of 8 labels beside captum, MONAI and pytorch-grad-cam, in one run.

Every contestant explains the same batch for all labels. The maps are compared too: a fast wrong
answer would win any race.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from unittest.mock import MagicMock

import numpy as np
import torch
from captum.attr import LayerGradCam
from monai.networks.nets import resnet34
from monai.visualize import GradCAM as MonaiGradCam
from torch import Tensor, nn

from napari_globalxai.attribution.cam import GradCam
from napari_globalxai.models.card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier

LABELS = tuple(f"label {number}" for number in range(8))
HEIGHT, WIDTH = 384, 512
# Reference normalisation of the ultra-widefield model; any would do.
INPUT = InputCard(
    channels=("red", "green"),
    height=HEIGHT,
    width=WIDTH,
    mean=(0.22578795, 0.23797078),
    std=(0.14651306, 0.11282759),
)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return resnet34(spatial_dims=2, n_input_channels=2, num_classes=len(LABELS)).eval()


def classifier(precision: str, device: str) -> Classifier:
    card = ModelCard(weights="none", labels=LABELS, input=INPUT, cam_layer="layer4")
    return Classifier(network(), card, device=device, precision=precision)


def ours(precision: str, inputs: Tensor, device: str) -> Callable[[], Tensor]:
    model = classifier(precision, device)
    method = GradCam()
    prepared = inputs.contiguous(memory_format=torch.channels_last)
    return lambda: method.attribute(model, prepared, range(len(LABELS))).maps


def forward(
    inputs: Tensor, device: str, *, precision: str, channels_last: bool
) -> Callable[[], Tensor]:
    model = network().to(device)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        inputs = inputs.contiguous(memory_format=torch.channels_last)

    def run() -> Tensor:
        with (
            torch.inference_mode(),
            torch.autocast(
                inputs.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"
            ),
        ):
            return model(inputs)

    return run


def captum(inputs: Tensor, device: str) -> Callable[[], Tensor]:
    model = network().to(device)
    method = LayerGradCam(model, model.layer4)

    def run() -> Tensor:
        maps = [method.attribute(inputs, target=label) for label in range(len(LABELS))]
        return torch.cat(maps, dim=1).detach()

    return run


def monai(inputs: Tensor, device: str) -> Callable[[], Tensor]:
    method = MonaiGradCam(nn_module=network().to(device), target_layers="layer4")

    def run() -> Tensor:
        # One image at a time: with a batch its class score mixes images.
        maps = [
            torch.cat([method(image[None], class_idx=label) for image in inputs])
            for label in range(len(LABELS))
        ]
        return torch.cat(maps, dim=1).detach()

    return run


def pytorch_grad_cam(inputs: Tensor, device: str) -> Callable[[], Tensor] | None:
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        for name in ("", ".ops", ".transforms", ".transforms.functional"):
            sys.modules[f"torchvision{name}"] = MagicMock()
    try:
        package = importlib.import_module("pytorch_grad_cam")
        targets = importlib.import_module("pytorch_grad_cam.utils.model_targets")
    except ImportError:
        return None
    model = network().to(device)
    method = package.GradCAM(model=model, target_layers=[model.layer4])

    def run() -> Tensor:
        maps = []
        for label in range(len(LABELS)):
            wanted = [targets.ClassifierOutputTarget(label)] * len(inputs)
            maps.append(method(input_tensor=inputs, targets=wanted))
        return torch.from_numpy(np.stack(maps, axis=1))

    return run


def seconds(run: Callable[[], Tensor], device: str, repeats: int) -> tuple[list[float], Tensor]:
    result = run()
    times = []
    for _ in range(repeats):
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        start = time.perf_counter()
        result = run()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return times, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=4, help="images; 8 take captum past 20 GB")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats, after one warm-up")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for torch's choice")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = arguments.device
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn((arguments.batch, 2, HEIGHT, WIDTH), generator=generator).to(device)

    contestants: dict[str, Callable[[], Tensor] | None] = {
        "bare forward, float32, contiguous": forward(
            inputs, device, precision="float32", channels_last=False
        ),
        "bare forward, float32, channels_last": forward(
            inputs, device, precision="float32", channels_last=True
        ),
        "bare forward, bfloat16, channels_last": forward(
            inputs, device, precision="bfloat16", channels_last=True
        ),
        "napari-globalxai, float32": ours("float32", inputs, device),
        "napari-globalxai, bfloat16": ours("bfloat16", inputs, device),
        "captum LayerGradCam": captum(inputs, device),
        "MONAI GradCAM": monai(inputs, device),
        "pytorch-grad-cam": pytorch_grad_cam(inputs, device),
    }
    medians: dict[str, float] = {}
    results: dict[str, Tensor] = {}
    for name, run in contestants.items():
        if run is None:
            print(f"{name}: not installed, left out", file=sys.stderr)
            continue
        # The slow peers need no warm-up repeats to be told apart.
        repeats = arguments.repeats if "MONAI" not in name and "pytorch" not in name else 1
        times, results[name] = seconds(run, device, repeats)
        medians[name] = statistics.median(times) / arguments.batch
        print(f"{name}: {medians[name]:.4f} s an image", file=sys.stderr)

    own = medians["napari-globalxai, float32"]
    half = medians["napari-globalxai, bfloat16"]
    rows = [
        [name, f"{value:.4f}", f"{value / own:.1f}", f"{value / half:.1f}"]
        for name, value in medians.items()
    ]
    head = ["what", "seconds an image", "against ours, float32", "against ours, bfloat16"]
    print(
        f"Grad-CAM for {len(LABELS)} labels, ResNet-34, 2 × {HEIGHT} × {WIDTH}, batch "
        f"{arguments.batch}, {device}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}, Python {platform.python_version()}"
    )
    if arguments.markdown:
        print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for row in rows:
            print("| " + " | ".join(row) + " |")
    else:
        for row in [head, *rows]:
            print(f"{row[0]:<40}{row[1]:>18}{row[2]:>24}{row[3]:>24}")
    reference = results["captum LayerGradCam"]
    for name in ("napari-globalxai, float32", "napari-globalxai, bfloat16"):
        difference = (results[name].cpu() - reference.cpu()).abs().max() / reference.abs().max()
        print(f"largest difference to captum, of its largest value, {name}: {difference:.2e}")


if __name__ == "__main__":
    main()
