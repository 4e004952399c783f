"""A bundle's own chain is read so that its network sees what MONAI gives it, or refused by name."""

from __future__ import annotations

import json

import captum.attr
import numpy as np
import pytest
import saved
import tiny
import torch
from monai.bundle import ConfigParser
from monai.networks.nets import ResNet
from PIL import Image

from napari_globalxai.attribution.explainer import Explainer
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import Aligner
from napari_globalxai.models.loaders import load_model
from napari_globalxai.settings.frame_settings import FrameSettings

LOAD = {"_target_": "LoadImaged", "keys": "image"}
FIRST = {"_target_": "EnsureChannelFirstd", "keys": "image"}
COLOURS = {**tiny.RESNET, "n_input_channels": 3}
METADATA = json.loads(json.dumps(saved.METADATA))
METADATA["network_data_format"]["inputs"]["image"] |= {
    "num_channels": 3,
    "channel_def": {"0": "red", "1": "green", "2": "blue"},
}


def network():
    torch.manual_seed(5)
    return ResNet(**COLOURS).eval()


def write_bundle(folder, steps, shape, rest=None, **config):
    metadata = json.loads(json.dumps(METADATA))
    metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] = list(shape)
    config["preprocessing"] = {"_target_": "Compose", "transforms": steps}
    definition = {"_target_": "ResNet", **COLOURS}
    saved.write_bundle(folder, network=definition, metadata=metadata, rest=rest, config=config)
    torch.save(network().state_dict(), folder / "models" / "model.pt")
    return folder


def write_pictures(folder, shape=(60, 90)):
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for number in range(2):
        grey = 120 + 60 * np.sin(columns / 9 + number) * np.cos(rows / 7)
        grey = grey + rng.normal(0, 8, shape) + 30 * (columns > 50)
        picture = np.stack([grey, grey / 2 + 40, 255 - grey], -1).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
    (folder / "c.csv").write_text("file,left,right\n0.png,0,1\n1.png,1,0\n")
    return folder / "c.csv"


def step(name, **arguments):
    return {"_target_": f"{name}d", "keys": "image", **arguments}


SIZE = step("Resize", spatial_size=[32, 48])
TURNED = step("Transpose", indices=[0, 2, 1])
# Each with the network's input by MONAI, and how that lies on the frame.
CHAINS = {
    "percentiles": (
        [step("ScaleIntensityRangePercentiles", lower=2, upper=98, b_min=0, b_max=1, clip=True)],
        (32, 48),
    ),
    "contrast": ([step("ScaleIntensity"), step("AdjustContrast", gamma=1.5), TURNED], (48, 32)),
    "turned": (
        [step("HistogramNormalize"), step("Flip", spatial_axis=0), step("Rotate90", k=1)],
        (48, 32),
    ),
    "nothing": ([], (32, 48)),
    "twelve bits": (
        [
            step("ScaleIntensityRange", a_min=0, a_max=255, b_min=-1, b_max=1),
            step("ShiftIntensity", offset=0.2),
        ],
        (32, 48),
    ),
    "mean and SD alone": ([step("NormalizeIntensity", subtrahend=110.0, divisor=50.0)], (32, 48)),
    "a label beside": (
        [step("ScaleIntensity"), {"_target_": "AsDiscreted", "keys": "label", "to_onehot": 2}],
        (32, 48),
    ),
}
LONGEST = step("Resize", spatial_size=40, size_mode="longest")
FITS = {
    "letterbox": ([LONGEST, step("SpatialPad", spatial_size=[40, 40])], (40, 40)),
    "crop": (
        [step("Resize", spatial_size=[44, 60]), step("CenterSpatialCrop", roi_size=[32, 48])],
        (32, 48),
    ),
    "native": ([step("ResizeWithPadOrCrop", spatial_size=[70, 52], value=9)], (70, 52)),
}  # fmt: skip


def assert_fed_as_by_monai(folder, steps, shape, table, **config):
    bundle = write_bundle(folder, steps, shape, **config)
    model = load_model(bundle, device="cpu")
    assert not [each for each in model.warnings if "preprocessing" in each]
    cohort = read_cohort(table)
    aligner = Aligner(cohort, FrameSettings(**model.card.input.frame))
    frames = np.stack([aligner(row).image for row in range(2)])
    parser = ConfigParser(json.loads((bundle / "configs" / "inference.json").read_text()))
    own = [each for each in parser["preprocessing"]["transforms"] if each["keys"] == "image"]
    parser["preprocessing"]["transforms"] = own
    chain = parser.get_parsed_content("preprocessing")
    fed = [chain({"image": str(file)})["image"] for file in cohort.files]
    fed = torch.stack([each.as_tensor() for each in fed]).float()
    assert fed.shape[2:] == tuple(shape)
    with torch.no_grad():
        expected = network()(fed)
    # Ours are 8-bit numbers in between.
    np.testing.assert_allclose(model.predict(frames), expected, atol=0.02 * expected.abs().max())
    return model, frames, fed


@pytest.mark.parametrize("name", CHAINS)
def test_the_network_sees_what_monai_gives_it(name, tmp_path):
    steps, shape = CHAINS[name]
    chain = [LOAD, FIRST, SIZE, *steps]
    model, frames, fed = assert_fed_as_by_monai(
        tmp_path / "bundle", chain, shape, write_pictures(tmp_path)
    )
    maps, _ = Explainer(model, "saliency", normalised=False)(torch.as_tensor(frames).float())
    truth = captum.attr.Saliency(network()).attribute(fed.requires_grad_(), target=0).sum(1)
    # MONAI's columns lie in rows; the turns of the chain are undone by hand.
    back = {
        "contrast": lambda each: each,
        "turned": lambda each: np.flip(np.rot90(each, -1, (1, 2)), 1).transpose(0, 2, 1),
    }.get(name, lambda each: each.transpose(0, 2, 1))
    expected = back(truth.numpy())
    found = np.asarray(maps)[:, 0]
    assert found.shape == expected.shape
    # Ours are of 8-bit numbers in between.
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9
    for wrong in (np.roll(found, 1, 1), np.roll(found, 1, 2), found[:, ::-1], found[..., ::-1]):
        assert np.corrcoef(wrong.ravel(), expected.ravel())[0, 1] < 0.8


@pytest.mark.parametrize("name", FITS)
def test_images_fit_as_monai_fits_them(name, tmp_path):
    steps, shape = FITS[name]
    chain = [LOAD, FIRST, TURNED, *steps, step("ScaleIntensity")]
    model, _, _ = assert_fed_as_by_monai(
        tmp_path / "bundle", chain, shape, write_pictures(tmp_path)
    )
    assert model.card.input.fit.startswith(name)
    assert model.frame_shape == shape


def test_a_cut_of_images_whose_columns_come_first(tmp_path):
    steps, _ = FITS["crop"]
    chain = [LOAD, FIRST, *steps, step("ScaleIntensity")]
    model, _, _ = assert_fed_as_by_monai(
        tmp_path / "bundle", chain, (32, 48), write_pictures(tmp_path)
    )
    assert (model.card.input.fit, model.frame_shape) == ("crop:60x44", (48, 32))


def test_references_are_followed(tmp_path):
    chain = [
        LOAD,
        FIRST,
        step("Resize", spatial_size="@size"),
        step("AdjustContrast", gamma="@how::gamma"),
    ]
    model, _, _ = assert_fed_as_by_monai(
        tmp_path / "bundle",
        chain,
        (32, 48),
        write_pictures(tmp_path),
        size=[32, 48],
        how={"gamma": 0.8},
    )
    assert model.card.input.transforms[0]["gamma"] == 0.8


SCALE = step("ScaleIntensity")
REFUSED = {
    "scripts.own.Sharper": [{"_target_": "scripts.own.Sharper", "keys": "image"}],
    "CropForegroundd": [step("CropForeground", source_key="image"), SIZE],
    "Lambdad": [SIZE, step("Lambda", func="$lambda image: image / 255")],
    "SpatialPadd": [step("SpatialPad", spatial_size=[32, 48])],
    "CenterSpatialCropd": [
        step("Resize", spatial_size=[44, 60]), SCALE, step("CenterSpatialCrop", roi_size=[32, 48])
    ],
    "ResizeWithPadOrCropd": [step("ResizeWithPadOrCrop", spatial_size=[32, 48], mode="edge")],
    "Resized": [step("Resize", spatial_size=[48, 32])],
    "ScaleIntensityRanged": [step("ScaleIntensityRange", a_min=-100, a_max=900, b_min=0, b_max=1)],
    "CastToTyped": [SIZE, SCALE, step("CastToType", dtype="$np.uint8")],
    "Orientationd": [step("Orientation", axcodes="RA"), SIZE],
    "Rotated": [SIZE, step("Rotate", angle=0.3)],
    "expressions": [SIZE, "$@more"],
}  # fmt: skip


@pytest.mark.parametrize("named", REFUSED)
def test_what_is_not_understood_is_refused_by_name_unless_the_card_says_better(named, tmp_path):
    chain = [LOAD, FIRST, TURNED, *REFUSED[named]]
    path = write_bundle(tmp_path / "refused", chain, (32, 48))
    with pytest.raises(InputError, match=f"preprocessing has what is not known here: .*{named}"):
        load_model(path, device="cpu")
    rest = {"input": {"range": [0, 1], "mean": 0.0, "std": 1.0, "transposed": False}}
    path = write_bundle(tmp_path / "said", chain, (32, 48), rest)
    (said,) = [each for each in load_model(path, device="cpu").warnings if "preprocessing" in each]
    assert named in said


def test_a_chain_behind_an_expression_is_no_chain_that_was_read(tmp_path):
    path = write_bundle(tmp_path / "bundle", "$@one + @two", (32, 48), one=[LOAD], two=[SIZE])
    with pytest.raises(InputError, match="not known here: expressions"):
        load_model(path, device="cpu")


def test_trusted_transforms_run(tmp_path):
    code = "class Sharper:\n    def __init__(self, by):\n        self.by = by\n"
    code += "    def __call__(self, image):\n        return image / self.by\n"
    chain = [
        LOAD, FIRST, TURNED, SIZE, step("Lambda", func="$lambda image: image / 255"),
        {"_target_": "sharper_of_a_bundle.Sharper", "by": 0.5},
    ]  # fmt: skip
    path = write_bundle(tmp_path / "bundle", chain, (32, 48))
    (path / "sharper_of_a_bundle.py").write_text(code)
    with pytest.raises(InputError, match=r"sharper_of_a_bundle\.Sharper.*--trust"):
        load_model(path, device="cpu")
    model = load_model(path, device="cpu", trust=True)
    pixels = torch.rand((2, 3, 32, 48)) * 255
    with torch.no_grad():
        expected = network()(pixels / 255 / 0.5)
    np.testing.assert_allclose(model.predict(pixels), expected, rtol=1e-3, atol=1e-4)


def test_what_is_followed_but_for_roundings_is_said(tmp_path):
    chain = [LOAD, FIRST, TURNED, SCALE, step("Resize", spatial_size=[32, 48], mode="bilinear")]
    model = load_model(write_bundle(tmp_path / "bundle", chain, (32, 48)), device="cpu")
    (said,) = [each for each in model.warnings if "preprocessing" in each]
    assert "ScaleIntensityd runs before images are resized" in said
    assert "Resized interpolates by bilinear" in said
