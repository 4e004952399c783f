"""A bundle's own preprocessing is held against its card, and named where it does something else."""

from __future__ import annotations

import numpy as np
import pytest
from monai.transforms import LoadImage
from PIL import Image

from napari_globalxai.models.card.model_card import InputCard
from napari_globalxai.models.files.bundle_preprocessing import preprocessing_notes

CARD = InputCard(channels=("red", "green"), height=32, width=48, mean=(0.3,), std=(0.1,))
LOAD = {"_target_": "LoadImaged", "keys": "image"}
TURN = {"_target_": "Transposed", "keys": "image", "indices": [0, 2, 1]}
AGREEING = [
    LOAD,
    {"_target_": "monai.transforms.EnsureChannelFirstd", "keys": "image"},
    TURN,
    {"_target_": "Resized", "keys": "image", "spatial_size": [32, 48]},
    {"_target_": "ScaleIntensityRanged", "a_min": 0, "a_max": 255, "b_min": 0, "b_max": 1},
    {"_target_": "NormalizeIntensityd", "subtrahend": [0.3, 0.3], "divisor": 0.1},
    {"_target_": "EnsureTyped", "keys": "image"},
]


def config(steps, key="preprocessing"):
    return {key: {"_target_": "Compose", "transforms": steps}}


def test_what_the_card_says_too_is_no_news():
    assert preprocessing_notes([config(AGREEING)], CARD) == []
    assert preprocessing_notes([{}], CARD) == []
    assert preprocessing_notes([config([TURN])], CARD) == []


@pytest.mark.parametrize(
    ("step", "named"),
    [
        ({"_target_": "ScaleIntensityd", "keys": "image"}, "ScaleIntensityd"),
        ({"_target_": "NormalizeIntensityd", "keys": "image"}, "NormalizeIntensityd"),
        ({"_target_": "NormalizeIntensityd", "subtrahend": 0.3, "divisor": 0.2}, "NormalizeInt"),
        ({"_target_": "Resized", "spatial_size": [48, 32]}, "Resized"),
        ({"_target_": "ResizeWithPadOrCropd", "spatial_size": [32, 48]}, "ResizeWithPadOrCropd"),
        ({"_target_": "scripts.own.Crop"}, "scripts.own.Crop"),
        ({"_target_": "ScaleIntensityRanged", "a_min": 0, "a_max": 1}, "ScaleIntensityRanged"),
        ("$@other", "expressions"),
    ],
)
def test_what_it_does_not_say_is_named(step, named):
    (said,) = preprocessing_notes([config([*AGREEING, step])], CARD)
    assert named in said
    assert said.count(";") == 1


def test_monai_loads_width_before_height(tmp_path):
    # The fact that the note rests on, from MONAI itself.
    Image.fromarray(np.zeros((4, 7, 3), np.uint8)).save(tmp_path / "a.png")
    assert LoadImage(image_only=True)(tmp_path / "a.png").shape[:2] == (7, 4)
    (said,) = preprocessing_notes([config([LOAD])], CARD)
    assert "order of rows and columns" in said
    assert preprocessing_notes([config([LOAD])], CARD.model_copy(update={"transposed": True})) == []
