"""Time Grad-CAM maps of 8 labels beside captum, MONAI and pytorch-grad-cam, in one run.

Every contestant explains the same batch for all labels. The maps are compared too: a fast wrong
answer would win any race.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from unittest.mock import MagicMock

import numpy as np
import torch
from captum.attr import LayerGradCam
from monai.visualize import GradCAM as MonaiGradCam
from side_by_side import LABELS, arguments, classifier, images, network, print_table, race
from torch import Tensor

from napari_globalxai.attribution.cam import GradCam
from napari_globalxai.attribution.precision import choose_batch_size

# With eight images at once captum takes more than 20 GB; with four, more than 10.
CAPTUM_IMAGES = 2
FORWARDS = (
    ("float32", "contiguous"),
    ("float32", "channels_last"),
    ("bfloat16", "channels_last"),
)


def ours(precision: str, inputs: Tensor, device: str) -> Callable[[], Tensor]:
    model = classifier(precision, device)
    method = GradCam()
    # As `explain` does it.
    parts = inputs.contiguous(memory_format=torch.channels_last).split(choose_batch_size(model))
    return lambda: torch.cat(
        [method.attribute(model, part, range(len(LABELS))).maps for part in parts]
    )


def forward(
    inputs: Tensor, device: str, *, precision: str, channels_last: bool, at_once: int
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
            return torch.cat([model(part) for part in inputs.split(at_once)])

    return run


def captum(inputs: Tensor, device: str) -> Callable[[], Tensor]:
    model = network().to(device)
    method = LayerGradCam(model, model.layer4)

    def run() -> Tensor:
        parts = []
        for part in inputs.split(CAPTUM_IMAGES):
            maps = [method.attribute(part, target=label) for label in range(len(LABELS))]
            parts.append(torch.cat(maps, dim=1).detach())
        return torch.cat(parts)

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


def main() -> None:
    options = arguments(__doc__ or "", batch=8)
    device = options.device
    inputs = images(options.batch, device)
    medians, results = race(
        {
            **{
                f"bare forward, {precision}, {layout}, {at_once} at once": forward(
                    inputs,
                    device,
                    precision=precision,
                    channels_last=layout == "channels_last",
                    at_once=at_once,
                )
                for at_once in dict.fromkeys((options.batch, 1))
                for precision, layout in FORWARDS
            },
            "napari-globalxai, float32": ours("float32", inputs, device),
            "napari-globalxai, bfloat16": ours("bfloat16", inputs, device),
            "captum LayerGradCam": captum(inputs, device),
            "MONAI GradCAM": monai(inputs, device),
            "pytorch-grad-cam": pytorch_grad_cam(inputs, device),
        },
        options,
        once=("captum", "MONAI", "pytorch"),
    )
    own = medians["napari-globalxai, float32"]
    half = medians["napari-globalxai, bfloat16"]
    print_table(
        "Grad-CAM",
        ["what", "seconds an image", "against ours, float32", "against ours, bfloat16"],
        [
            [name, f"{value:.4f}", f"{value / own:.1f}", f"{value / half:.1f}"]
            for name, value in medians.items()
        ],
        options,
    )
    reference = results["captum LayerGradCam"]
    for name in ("napari-globalxai, float32", "napari-globalxai, bfloat16"):
        difference = (results[name].cpu() - reference.cpu()).abs().max() / reference.abs().max()
        print(f"largest difference to captum, of its largest value, {name}: {difference:.2e}")


if __name__ == "__main__":
    main()
