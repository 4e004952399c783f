"""A cohort and models so small that their answers can be worked out by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
import torch
import yaml
import zarr
from monai.networks.nets import ResNet
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_globalxai.frame.sources import Source
from napari_globalxai.frame.stack import AlignedImage, AlignedStack
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.run import Run
from napari_globalxai.settings.frame_settings import FrameSettings

HEIGHT, WIDTH = 32, 48
LABELS = ("left", "right")
# Where each label's sign lies in the frame: rows, columns.
SIGNS = {"left": (slice(10, 18), slice(8, 16)), "right": (slice(14, 22), slice(32, 40))}
RESNET = {
    "block": "basic",
    "layers": [1, 1, 1, 1],
    "block_inplanes": [4, 6, 8, 10],
    "spatial_dims": 2,
    "n_input_channels": 2,
    "num_classes": 2,
    "conv1_t_size": 3,
    "conv1_t_stride": 1,
    "no_max_pool": True,
}


def write_cohort(folder: Path, size: int = 24, seed: int = 0) -> Path:
    """Write a cohort of PNG images, so that pixels are exact; every third eye is a right one."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    lines = ["filename,ID,LR,age,left,right"]
    for row in range(size):
        image = rng.integers(60, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        truth = (row % 2, (row // 2) % 2)
        for carries, (rows, columns) in zip(truth, SIGNS.values(), strict=True):
            if carries:
                image[rows, columns, :2] += 60
        side = "R" if row % 3 == 0 else "L"
        raw = image[:, ::-1] if side == "R" else image
        Image.fromarray(raw).save(folder / "images" / f"{row:03}.png")
        lines.append(f"images/{row:03}.png,P{row // 2},{side},{50 + row},{truth[0]},{truth[1]}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return folder / "cohort.csv"


# How the table of `write_odd_cohort` is to be read, from the folder that holds all of it.
ODD = {
    "file_column": "scan",
    "laterality_column": "w",
    "laterality_values": {"0": "L", "1": "R"},
    "patient_column": "who",
    "label_columns": ["left", "right"],
    "label_values": "-9=unknown",
    "image_root": "pictures",
}


def write_odd_cohort(folder: Path) -> Path:
    """Write a table that nobody could read by guessing, its images elsewhere: see `ODD`."""
    table = write_cohort(folder / "plain", size=16)
    images = pd.read_csv(table)
    odd = pd.DataFrame(
        {
            "scan": images["filename"],
            "who": images["ID"],
            "w": (images["LR"] == "R").astype(int),
            "alive": (images["age"] > 55).astype(int),
            "left": images["left"].where(images.index != 3, -9),
            "right": images["right"],
        }
    )
    (folder / "tables").mkdir()
    odd.to_csv(folder / "tables" / "odd.csv", index=False)
    (folder / "pictures").mkdir()
    shutil.move(folder / "plain" / "images", folder / "pictures" / "images")
    return folder / "tables" / "odd.csv"


def input_card() -> InputCard:
    return InputCard(channels=("red", "green"), height=HEIGHT, width=WIDTH, mean=(0.3,), std=(0.1,))


class LinearNet(nn.Module):
    """One weight a pixel and label; gradients are the weights themselves."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return torch.einsum("nchw,lchw->nl", images, self.weight)


def sign_weights() -> Tensor:
    weight = torch.zeros(2, 2, HEIGHT, WIDTH)
    for index, (rows, columns) in enumerate(SIGNS.values()):
        weight[index, :, rows, columns] = 0.01
    return weight


def linear_classifier(weight: Tensor | None = None) -> Classifier:
    card = ModelCard(weights="none", labels=LABELS, input=input_card())
    return Classifier(LinearNet(sign_weights() if weight is None else weight), card, device="cpu")


def resnet(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network = ResNet(**RESNET).eval()
    with torch.no_grad():
        # Batch norm as it is after training, not the identity.
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return network


def write_resnet(folder: Path, seed: int = 0) -> Path:
    """Write a MONAI network with random weights and its card."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.contiguous() for key, value in resnet(seed).state_dict().items()}
    save_file(state, folder / "resnet.safetensors")
    card = {
        "weights": "resnet.safetensors",
        "network": {"name": "ResNet", "arguments": RESNET},
        "labels": list(LABELS),
        "input": {"channels": 2, "height": HEIGHT, "width": WIDTH, "mean": 0.3, "std": 0.1},
        "activation": "sigmoid",
        "cam_layer": "layer4",
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return folder / "model.yaml"


def write_linear(folder: Path, weight: Tensor | None = None) -> Path:
    """Write the linear model as TorchScript, with its card."""
    folder.mkdir(parents=True, exist_ok=True)
    module = LinearNet(sign_weights() if weight is None else weight)
    torch.jit.save(torch.jit.script(module), str(folder / "linear.pt"))
    card = {
        "weights": "linear.pt",
        "labels": list(LABELS),
        "input": {"channels": 2, "height": HEIGHT, "width": WIDTH, "mean": 0.3, "std": 0.1},
    }
    (folder / "linear.yaml").write_text(yaml.safe_dump(card))
    return folder / "linear.yaml"


def with_card(model: Path, folder: Path, **other: Any) -> Path:
    """Copy a model with another card; its weights may do what they like."""
    shutil.copytree(model.parent, folder)
    card = yaml.safe_load((folder / model.name).read_text())
    card["input"] |= other.pop("input", {})
    (folder / model.name).write_text(yaml.safe_dump({**card, **other}))
    return folder / model.name


def make_stack(folder: Path, images: np.ndarray, fields: np.ndarray | None = None) -> AlignedStack:
    """Write a stack as aligning would, from uint8 (image, channel, height, width)."""
    count, channels, height, width = images.shape
    frame = FrameSettings(height=height, width=width, channels=("red", "green", "blue")[:channels])
    stack = AlignedStack.create(folder, count, frame)
    if fields is None:
        fields = np.ones((count, height, width), bool)
    facts = {
        "matrix": np.eye(3).tolist(),
        "native_shape": [height, width],
        "laterality": "L",
        "laterality_source": "table",
    }
    stack.write(
        [
            (
                row,
                Source("", None, "tiny"),
                AlignedImage(images[row], fields[row].astype(bool), facts),
            )
            for row in range(count)
        ]
    )
    return stack


def sign_images(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images with each label's sign, weak enough that no classifier is perfect; and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (count, len(LABELS)))
    images = rng.normal(110, 40, (count, 2, HEIGHT, WIDTH))
    for index, (rows, columns) in enumerate(SIGNS.values()):
        strength = truth[:, index] * 12 + rng.normal(0, 6, count)
        images[:, :, rows, columns] += strength[:, None, None, None]
    return np.clip(images, 0, 255).astype(np.uint8), truth.astype(float)


class Counter(nn.Module):
    """Notes the images that pass."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: list[bytes] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen += [image.numpy().tobytes() for image in images.detach()]
        return self.network(images)


def counting_classifier(seed: int = 0) -> Classifier:
    """A classifier whose network notes what it has seen since it was split."""
    card = ModelCard(weights="", labels=LABELS, input=input_card(), cam_layer="network.layer4")
    classifier = Classifier(Counter(resnet(seed)), card, device="cpu")
    _ = classifier.split, classifier.cell_grid
    classifier.network.seen.clear()
    return classifier


def attributions(run: Run) -> np.ndarray:
    """All image-wise maps of a run, read past the package."""
    return zarr.open_array(run.folder / "attributions.zarr", mode="r")[:]


def read_tiff(path: Path) -> np.ndarray:
    return tifffile.imread(path)
