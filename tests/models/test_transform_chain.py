"""A card's chain of transforms feeds the network what MONAI would, and maps lie on the image."""

from __future__ import annotations

import captum.attr
import numpy as np
import pytest
import tiny
import torch
import yaml
from monai import transforms as monai
from PIL import Image
from pydantic import ValidationError
from typer.testing import CliRunner

from napari_globalxai.attribution.explainer import Explainer
from napari_globalxai.cli.commands import app
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.fills.fill_kinds import SharedFill
from napari_globalxai.faithfulness.predictions.masked_prediction import predict_masked
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.files.transform_chain import TURNS, VALUES
from napari_globalxai.models.loaders import load_model

SHAPE = (32, 48)


def card(*steps, **facts):
    size = {"channels": ("red", "green"), "height": SHAPE[0], "width": SHAPE[1]}
    return ModelCard(
        weights="w", labels=tiny.LABELS, input=InputCard(**size, transforms=steps, **facts)
    )


def images(count=3, seed=0):
    rng = np.random.default_rng(seed)
    found = rng.integers(20, 200, (count, 2, *SHAPE), dtype=np.uint8)
    found[:, :, :9, :15] = 30
    found[-1] //= 2
    return found


def step(name, **arguments):
    return {"_target_": name, **arguments}


# Each with the same made by MONAI itself.
KNOWN = {
    "ScaleIntensity": {"minv": -1.0, "maxv": 1.0, "channel_wise": True},
    "ScaleIntensityRange": {"a_min": 20, "a_max": 180, "b_min": 0, "b_max": 1, "clip": True},
    "ScaleIntensityRangePercentiles": {"lower": 5, "upper": 90, "b_min": 0, "b_max": 1},
    "ScaleIntensityFixedMean": {"factor": 0.3},
    "NormalizeIntensity": {"subtrahend": [90, 80], "divisor": [40, 30], "channel_wise": True},
    "ClipIntensityPercentiles": {"lower": 5, "upper": 95},
    "ThresholdIntensity": {"threshold": 60, "above": True, "cval": 60},
    "ShiftIntensity": {"offset": -90},
    "StdShiftIntensity": {"factor": 0.5},
    "AdjustContrast": {"gamma": 0.7},
    "HistogramNormalize": {"num_bins": 64},
    "GaussianSmooth": {"sigma": 1.5},
    "GaussianSharpen": {"alpha": 2.0},
    "MedianSmooth": {"radius": 1},
    "Flip": {"spatial_axis": 1},
    "Rotate90": {"k": 3},
    "Transpose": {"indices": [0, 2, 1]},
}


def by_monai(names, image):
    chain = monai.Compose([getattr(monai, name)(**KNOWN[name]) for name in names])
    return torch.as_tensor(chain(torch.as_tensor(image).float())).as_subclass(torch.Tensor).float()


def test_every_transform_of_the_list_is_tried():
    assert set(KNOWN) == VALUES | TURNS


@pytest.mark.parametrize("name", KNOWN)
def test_each_transform_gives_the_network_what_monai_gives(name):
    network = tiny.resnet()
    given = (step(f"{name}d", keys="image", **KNOWN[name]), step("EnsureTyped", keys="image"))
    model = Classifier(network, card(*given), device="cpu")
    fed = torch.stack([by_monai([name], image) for image in images()])
    with torch.no_grad():
        expected = network(fed)
    np.testing.assert_allclose(model.predict(images()), expected, rtol=1e-3, atol=1e-3)


CHAINS = [
    (["ScaleIntensity", "Flip", "GaussianSmooth"], lambda back: back.flip(3)),
    (
        ["Rotate90", "ScaleIntensityRangePercentiles", "AdjustContrast"],
        lambda back: back.rot90(-3, (2, 3)),
    ),
    (
        ["Flip", "HistogramNormalize", "Rotate90", "Transpose", "NormalizeIntensity"],
        lambda back: back.transpose(2, 3).rot90(-3, (2, 3)).flip(3),
    ),
]


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("names", "undo"), CHAINS)
def test_maps_are_captums_brought_back_to_the_image(names, undo, transposed, scripted):
    network = tiny.resnet()
    shown = images().transpose(0, 1, 3, 2) if transposed else images()
    fed = torch.stack([by_monai(names, image) for image in shown])
    with torch.no_grad():
        logits = network(fed)
    # The gradient of each image's own label.
    saliency = captum.attr.Saliency(network).attribute(fed.requires_grad_(), target=1)
    expected = undo(saliency)
    expected = expected.transpose(2, 3) if transposed else expected
    steps = [step(name, **KNOWN[name]) for name in names]
    given = torch.jit.trace(network, fed.detach()) if scripted else network
    model = Classifier(given, card(*steps, transposed=transposed), device="cpu")
    np.testing.assert_allclose(model.predict(images()), logits, rtol=1e-3, atol=1e-3)
    maps, _ = Explainer(model, "saliency", normalised=False)(torch.tensor(images()).float())
    found = torch.as_tensor(maps)[:, 1]
    assert found.shape[-2:] == SHAPE
    for ours, truth in zip(found, expected, strict=True):
        candidates = (truth.abs().sum(0), truth.abs().amax(0), truth.abs().mean(0))
        best = max(np.corrcoef(each.ravel(), ours.ravel())[0, 1] for each in candidates)
        assert best > 0.9999


def test_cam_maps_lie_on_the_image_as_people_see_it():
    steps = [step("Rotate90", k=1), step("ScaleIntensity")]
    turned = Classifier(tiny.resnet(), card(*steps), device="cpu")
    maps, _ = Explainer(turned, "grad-cam", normalised=False)(torch.tensor(images()).float())
    fed = [torch.as_tensor(image).float().rot90(1, (1, 2)) for image in images()]
    size = {"channels": ("red", "green"), "height": SHAPE[1], "width": SHAPE[0]}
    plain = ModelCard(
        weights="w",
        labels=tiny.LABELS,
        input=InputCard(**size, transforms=[step("ScaleIntensity")]),
    )
    upright = Classifier(tiny.resnet(), plain, device="cpu")
    expected, _ = Explainer(upright, "grad-cam", normalised=False)(torch.stack(fed))
    back = np.rot90(np.asarray(expected), -1, (2, 3))
    np.testing.assert_allclose(np.asarray(maps), back, rtol=2e-3, atol=1e-5)
    assert float(back.std()) > 0


class _Stack:
    def read(self, rows):
        return images(4)[list(rows)]


def test_what_is_erased_goes_through_the_chain():
    steps = [step("ScaleIntensityRangePercentiles", **KNOWN["ScaleIntensityRangePercentiles"])]
    model = Classifier(tiny.resnet(), card(*steps), device="cpu")
    mask = np.zeros(SHAPE, bool)
    mask[8:24, 10:30] = True
    fill = SharedFill(np.full((2, *SHAPE), 128, np.float32))
    logits = predict_masked(model, _Stack(), range(4), [mask], fill, batch_size=3)
    for row, image in enumerate(images(4)):
        shown = np.where(mask, image, 128).astype(np.float32)
        fed = by_monai(["ScaleIntensityRangePercentiles"], shown)[None]
        with torch.no_grad():
            np.testing.assert_allclose(logits[0, row], tiny.resnet()(fed)[0], atol=1e-3)


# ---------------------------------------------------------------- what is not on the list

OWN = """
import torch
from monai.transforms import MapTransform, Transform

class Gamma(Transform):
    def __init__(self, power):
        self.power = power

    def __call__(self, image):
        return (image / 255) ** self.power

class Gammad(MapTransform):
    def __call__(self, item):
        return {**item, "image": (item["image"] / 255) ** 2}

class Roll(Transform):
    def __call__(self, image):
        return torch.roll(image, 12, -1)
"""


@pytest.fixture
def model_file(tmp_path):
    """A card beside code of one's own; a function that writes its transforms."""
    path = tiny.write_resnet(tmp_path / "model")
    (path.parent / "own_transforms.py").write_text(OWN)

    def write(*steps):
        content = yaml.safe_load(path.read_text())
        for key in ("mean", "std"):
            content["input"].pop(key, None)
        content["input"]["transforms"] = list(steps)
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.mark.parametrize(
    "given",
    [
        step("own_transforms.Gamma", power=2),
        step("own_transforms.Gammad", keys=["image"]),
        step("Lambda", func="$lambda image: (image / 255) ** 2"),
        step("AdjustContrast", gamma="$1 + 1"),
    ],
)
def test_what_is_not_known_runs_only_where_it_is_trusted(given, model_file):
    path = model_file(given)
    with pytest.raises(InputError, match=f"{given['_target_']} is not one that is known.*--trust"):
        load_model(path, device="cpu")
    if given["_target_"] == "AdjustContrast":
        assert load_model(path, device="cpu", trust=True).turn.is_none
        return
    model = load_model(path, device="cpu", trust=True)
    fed = (torch.as_tensor(images()).float() / 255) ** 2
    with torch.no_grad():
        expected = tiny.resnet()(fed)
    np.testing.assert_allclose(model.predict(images()), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (step("own_transforms.Roll"), "move pixels"),
        (step("CenterSpatialCrop", roi_size=[16, 16]), "make 16 × 16 pixels of 32 × 48"),
        (step("own_transforms.Missing"), "own_transforms.Missing fails"),
        (step("RepeatChannel", repeats=2), "2 channels"),
        (step("own_transforms.Gamma"), "fails"),
        (step("Rotate", angle=0.7), "move pixels"),
    ],
)
def test_trusted_or_not_no_map_lies_beside_its_pixels(given, said, model_file):
    with pytest.raises(InputError, match=said):
        load_model(model_file(given), device="cpu", trust=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (step("Resized", keys="image", spatial_size=[32, 48]), "fit says"),
        (step("LoadImaged", keys="image"), "transposed: true says"),
        (step("RandFlipd", keys="image"), "--trust"),
        (step("scripts.ScaleIntensity"), "--trust"),
        (step("Transpose", indices=[2, 1, 0]), "turns"),
        (step("ScaleIntensity", smallest=1), "ScaleIntensity fails"),
        (step("ScaleIntensity", _requires_="$print(1)"), "--trust"),
        (step("GaussianSmooth", sigma=1e9), "--trust"),
        (step("MedianSmooth", radius=[1, 4000]), "--trust"),
        (step("HistogramNormalize", num_bins=10**12), "--trust"),
    ],
)
def test_what_is_refused_is_named(given, said, model_file):
    with pytest.raises(InputError, match=said):
        load_model(model_file(given), device="cpu")


@pytest.mark.parametrize(
    "facts",
    [
        {"transforms": ["ScaleIntensity"], "mean": 0.3},
        {"transforms": ["ScaleIntensity"], "per_image": "z-score"},
        {"transforms": [{"minv": 0}]},
        {"transforms": [3]},
    ],
)
def test_a_card_that_says_a_scale_twice_or_no_name_is_refused(facts):
    with pytest.raises(ValidationError):
        InputCard(channels=2, height=8, width=8, **facts)


def test_cards_without_a_chain_are_as_they_were():
    assert not {"transforms", "fit"} & set(card().model_dump()["input"])
    assert card("ScaleIntensity").input.transforms == ({"_target_": "ScaleIntensity"},)


def test_the_command_line_explains_through_a_chain(model_file, tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort", size=6)
    path = model_file("ScaleIntensity", step("Flip", spatial_axis=0))
    words = ["explain", table, "--model", path, "--method", "saliency", "--out", tmp_path / "run"]
    outcome = CliRunner().invoke(app, list(map(str, words)))
    assert outcome.exit_code == 0, outcome.exception
    found = np.array(Image.open(table.parent / "images" / "001.png"))[..., :2]
    fed = torch.as_tensor(found).movedim(-1, 0).float()
    fed = monai.Compose([monai.ScaleIntensity(), monai.Flip(0)])(fed)
    with torch.no_grad():
        expected = tiny.resnet()(torch.as_tensor(fed)[None].as_subclass(torch.Tensor))[0]
    lines = (tmp_path / "run" / "images.csv").read_text().splitlines()
    row = dict(zip(lines[0].split(","), lines[2].split(","), strict=True))
    logits = [float(row[f"logit_{label}"]) for label in tiny.LABELS]
    np.testing.assert_allclose(logits, expected, atol=1e-3)
