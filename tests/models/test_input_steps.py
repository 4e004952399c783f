"""A card's scale of each image and its turn feed the network what MONAI's own transforms would."""

from __future__ import annotations

import monai.transforms
import numpy as np
import pytest
import saved
import tiny
import torch
from monai.transforms import Compose, LoadImage, NormalizeIntensity, ScaleIntensity
from PIL import Image
from pydantic import ValidationError
from torch import nn

from napari_globalxai.attribution.explainer import Explainer
from napari_globalxai.faithfulness.fills.fill_kinds import SharedFill
from napari_globalxai.faithfulness.predictions.masked_prediction import predict_masked
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model

SHAPE = (32, 48)


def card(**facts):
    size = {"channels": ("red", "green"), "height": SHAPE[0], "width": SHAPE[1]}
    return ModelCard(weights="w", labels=tiny.LABELS, input=InputCard(**size, **facts))


def images(count=3, seed=0):
    rng = np.random.default_rng(seed)
    found = rng.integers(20, 200, (count, 2, *SHAPE), dtype=np.uint8)
    found[:, :, :, :7] = 0
    found[-1] //= 4
    return found


@pytest.mark.parametrize("channel_wise", [False, True])
@pytest.mark.parametrize(
    ("facts", "monai"),
    [
        ({"scaling": "z-score"}, NormalizeIntensity),
        ({"scaling": "z-score", "nonzero": True}, NormalizeIntensity),
        ({"scaling": "min-max"}, ScaleIntensity),
    ],
)
def test_scaled_as_monai_scales(facts, monai, channel_wise):
    given = {**facts, "channel_wise": channel_wise}
    model = Classifier(tiny.resnet(), card(per_image=given), device="cpu")
    options = {key: value for key, value in given.items() if key != "scaling"}
    transform = monai(**options)
    expected = torch.stack([transform(torch.tensor(image).float()) for image in images()])
    actual = model.to_input(images())
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=1e-5, atol=1e-5)


def test_min_max_goes_to_the_range_before_mean_and_sd():
    facts = {"range": (-1, 1), "mean": (0.2, 0.3), "std": (0.5, 0.4)}
    model = Classifier(tiny.resnet(), card(per_image="min-max", **facts), device="cpu")
    chain = Compose(
        [ScaleIntensity(-1, 1), NormalizeIntensity([0.2, 0.3], [0.5, 0.4], channel_wise=True)]
    )
    expected = torch.stack([torch.as_tensor(chain(torch.tensor(i).float())) for i in images()])
    torch.testing.assert_close(model.to_input(images()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("how", ["z-score", "min-max"])
def test_an_image_of_one_value_gives_numbers(how):
    model = Classifier(tiny.resnet(), card(per_image=how), device="cpu")
    flat = np.stack([np.full((2, *SHAPE), value, np.uint8) for value in (0, 255)])
    black, white = model.to_input(flat)
    assert bool(torch.isfinite(model.logits(model.to_input(flat))).all())
    assert bool((black == 0).all())
    assert bool((white == (1 if how == "min-max" else 0)).all())


def test_a_turned_network_gives_what_monai_fed_it(tmp_path):
    pixels = images(1)[0]
    picture = np.stack([*pixels, pixels[0]], axis=-1)
    Image.fromarray(picture).save(tmp_path / "a.png")
    loaded = LoadImage(image_only=True, ensure_channel_first=True)(tmp_path / "a.png")[:2]
    assert tuple(loaded.shape) == (2, 48, 32)
    network = tiny.resnet()
    with torch.no_grad():
        expected = network(loaded.as_tensor().float()[None] / 255)
    model = Classifier(network, card(transposed=True), device="cpu")
    np.testing.assert_allclose(model.predict(pixels[None]), expected, rtol=1e-4, atol=1e-5)


class _Turned(nn.Module):
    """The truth: a network whose kernels are turned sees upright images as the other does."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.transpose(2, 3).contiguous()

    def forward(self, images):
        return self.network(images)


@pytest.mark.parametrize("method", ["grad-cam", "saliency", "occlusion"])
@pytest.mark.parametrize("scripted", [False, True])
def test_maps_lie_on_the_image_as_people_see_it(method, scripted):
    network = tiny.resnet()
    upright = Classifier(_Turned(tiny.resnet()), card(), device="cpu")
    network = torch.jit.trace(network.eval(), torch.zeros(2, 2, 48, 32)) if scripted else network
    turned = Classifier(network, card(transposed=True), device="cpu")
    batch = torch.tensor(images()).float()
    maps, logits = Explainer(turned, method, normalised=False)(batch)
    expected, truth = Explainer(upright, method, normalised=False)(batch)
    np.testing.assert_allclose(logits, truth, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(maps, expected, rtol=2e-3, atol=1e-5)
    assert float(expected.std()) > 0


@pytest.mark.parametrize("layer", ["layer2", "network.layer2"])
def test_the_cam_layer_of_turned_torchscript_is_found_by_its_name(layer):
    scripted = torch.jit.trace(tiny.resnet().eval(), torch.zeros(2, 2, 48, 32))
    facts = card(transposed=True).model_copy(update={"cam_layer": layer})
    assert Classifier(scripted, facts, device="cpu").split.layer == "network.layer2"


class _Stack:
    """Images in memory, as PEPPR reads them."""

    def read(self, rows):
        return images(4)[list(rows)]


@pytest.mark.parametrize("how", ["z-score", "min-max", None])
def test_what_is_erased_takes_part_in_the_scale(how):
    facts = {} if how is None else {"per_image": how}
    model = Classifier(tiny.resnet(), card(**facts), device="cpu")
    mask = np.zeros(SHAPE, bool)
    mask[8:24, 10:30] = True
    fill = SharedFill(np.full((2, *SHAPE), 128, np.float32))
    logits = predict_masked(model, _Stack(), range(4), [mask], fill, batch_size=3)
    for row, image in enumerate(images(4)):
        shown = np.where(mask, image, 128).astype(np.float32)
        np.testing.assert_allclose(logits[0, row], model.predict(shown[None])[0], atol=1e-5)


@pytest.mark.parametrize(
    "facts",
    [
        {"per_image": "z-score", "mean": 0.3},
        {"per_image": "z-score", "range": (0, 255)},
        {"per_image": {"scaling": "min-max", "nonzero": True}},
        {"per_image": "percentiles"},
    ],
)
def test_what_cannot_be_meant_is_refused(facts):
    with pytest.raises(ValidationError):
        card(**facts)


def test_cards_of_older_runs_are_known_again():
    assert not {"per_image", "transposed"} & set(card().model_dump()["input"])
    assert card(per_image="z-score").model_dump()["input"]["per_image"]["scaling"] == "z-score"


LOAD = {"_target_": "LoadImaged", "keys": "image"}
TURN = {"_target_": "Transposed", "keys": "image", "indices": [0, 2, 1]}


def bundle(tmp_path, steps, rest=None):
    config = {"preprocessing": {"_target_": "Compose", "transforms": steps}}
    return saved.write_bundle(tmp_path / "bundle", config=config, rest=rest)


def test_a_bundle_is_fed_as_its_chain_says(tmp_path):
    steps = [LOAD, {"_target_": "NormalizeIntensityd", "nonzero": True, "channel_wise": True}]
    model = load_model(bundle(tmp_path, steps), device="cpu")
    # Metadata tell the shape that the network sees, 32 × 48; people see 48 × 32.
    assert model.frame_shape == (48, 32)
    assert not [each for each in model.warnings if "preprocessing" in each]
    upright = images().transpose(0, 1, 3, 2)
    transform = NormalizeIntensity(nonzero=True, channel_wise=True)
    fed = torch.stack([torch.as_tensor(transform(torch.tensor(i).float())) for i in images()])
    with torch.no_grad():
        expected = tiny.resnet()(fed)
    np.testing.assert_allclose(model.predict(upright), expected, rtol=1e-4, atol=1e-5)


def test_a_chain_tells_range_mean_and_sd(tmp_path):
    steps = [
        {**LOAD, "reverse_indexing": False},
        {"_target_": "ScaleIntensityd", "minv": -1.0},
        {"_target_": "NormalizeIntensityd", "subtrahend": [0.1, 0.2], "divisor": [0.5, 0.5]},
    ]
    model = load_model(bundle(tmp_path, steps), device="cpu")
    told = model.card.input
    assert (told.range, told.mean, told.std) == ((-1, 1), (0.1, 0.2), (0.5, 0.5))
    assert told.per_image.scaling == "min-max"
    assert not told.transposed
    assert not [each for each in model.warnings if "preprocessing" in each]


def test_the_bundles_own_card_comes_first_and_what_differs_is_named(tmp_path):
    steps = [LOAD, {"_target_": "NormalizeIntensityd"}]
    rest = {"input": {"mean": 0.3, "std": 0.1, "transposed": False}}
    model = load_model(bundle(tmp_path, steps, rest), device="cpu")
    saved.assert_is_the_network(model)
    (said,) = [each for each in model.warnings if "preprocessing" in each]
    assert "NormalizeIntensityd" in said
    assert "order of rows and columns" in said


def test_expressions_fill_nothing_in(tmp_path):
    steps = [LOAD, TURN, {"_target_": "NormalizeIntensityd", "nonzero": "@clean"}]
    model = load_model(bundle(tmp_path, steps, {"input": {"mean": 0.3, "std": 0.1}}), device="cpu")
    saved.assert_is_the_network(model)
    assert any("NormalizeIntensityd" in each for each in model.warnings)


@pytest.mark.parametrize(
    "scales",
    [
        [{"_target_": "NormalizeIntensityd", "subtrahend": 0.3, "divisor": 0.1}, "ScaleIntensityd"],
        ["NormalizeIntensityd", "ScaleIntensityd"],
        ["ScaleIntensityd", {"_target_": "ScaleIntensityRanged", "a_min": 0, "a_max": 255}],
        ["ScaleIntensityd", "ScaleIntensityd"],
    ],
)
def test_scales_in_an_order_that_no_card_has_are_run_one_by_one(tmp_path, scales):
    steps = [each if isinstance(each, dict) else {"_target_": each} for each in scales]
    rest = {"input": {"transposed": False}}
    model = load_model(bundle(tmp_path, [LOAD, TURN, *steps], rest), device="cpu")
    told = model.card.input
    assert (told.per_image, told.range, told.mean) == (None, (0, 1), (0, 0))
    assert len(told.transforms) == 2
    assert not any("preprocessing" in warning for warning in model.warnings)
    chain = Compose([monai_transform(each) for each in steps])
    fed = torch.stack([torch.as_tensor(chain(torch.tensor(i).float())) for i in images()])
    with torch.no_grad():
        expected = tiny.resnet()(fed.as_subclass(torch.Tensor).float())
    np.testing.assert_allclose(model.predict(images()), expected, rtol=1e-3, atol=1e-3)


def monai_transform(step):
    arguments = {key: value for key, value in step.items() if key != "_target_"}
    return getattr(monai.transforms, step["_target_"].removesuffix("d"))(**arguments)


def test_an_order_of_scales_is_named_where_each_alone_is_what_the_card_says(tmp_path):
    steps = [
        {"_target_": "NormalizeIntensityd", "subtrahend": 0.3, "divisor": 0.1},
        {"_target_": "ScaleIntensityd"},
    ]
    rest = {"input": {"mean": 0.3, "std": 0.1, "per_image": "min-max"}}
    model = load_model(bundle(tmp_path, [LOAD, TURN, *steps], rest), device="cpu")
    assert any("the order of its scales" in warning for warning in model.warnings)
