"""Explaining images that are registered onto the cohort's atlas first."""

import numpy as np
import posed
import pytest
import torch
import zarr
from tiny import LinearNet

from napari_globalxai.errors import InputError
from napari_globalxai.frame.geometry import warp
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.inputs.align_cohort import align
from napari_globalxai.runs.pipeline import explain

HEIGHT, WIDTH = 96, 120


def classifier():
    weight = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)) / 1000
    card = ModelCard(
        weights="none",
        labels=("A",),
        input=InputCard(channels=3, height=HEIGHT, width=WIDTH, mean=(0.3,), std=(0.1,)),
    )
    return Classifier(LinearNet(weight), card, device="cpu")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Sixteen posed eyes, two of which no one tells the side of."""
    phantoms = posed.draw(16, seed=8)
    sides = list(phantoms.sides)
    sides[3] = sides[9] = ""
    return phantoms, phantoms.write(tmp_path_factory.mktemp("registered"), sides)


@pytest.fixture(scope="module")
def registered(inputs, tmp_path_factory):
    return explain(
        inputs[1],
        classifier(),
        tmp_path_factory.mktemp("run") / "run",
        "input-x-gradient",
        registration="landmarks",
        estimate_laterality=True,
    )


def test_the_model_sees_the_registered_images_and_the_table_tells(inputs, registered, tmp_path):
    phantoms, table = inputs
    align(table, tmp_path / "aligned", height=HEIGHT, width=WIDTH)
    expected = zarr.open_group(tmp_path / "aligned" / "aligned.zarr", mode="r")["0"][:]
    np.testing.assert_array_equal(registered.stack.read(range(16)), expected)
    images = registered.images
    assert images["registered"].sum() >= 15
    assert list(images["laterality"]) == phantoms.sides
    estimated = images["laterality_source"] == "image"
    assert list(np.flatnonzero(estimated)) == [3, 9]
    logits = classifier().predict(expected)
    np.testing.assert_allclose(images[["logit_A"]], logits, rtol=1e-4, atol=1e-4)


def test_aligned_images_are_taken_over(inputs, registered, tmp_path, monkeypatch):
    def never(self, row):
        raise AssertionError("aligned again")

    monkeypatch.setattr("napari_globalxai.frame.alignment.Aligner.__call__", never)
    options = {"registration": "landmarks", "estimate_laterality": True}
    run = explain(
        inputs[1],
        classifier(),
        tmp_path / "run",
        "input-x-gradient",
        aligned=registered.folder,
        **options,
    )
    np.testing.assert_array_equal(run.stack.images[:], registered.stack.images[:])
    np.testing.assert_array_equal(run.maps["A"], registered.maps["A"])
    with pytest.raises(InputError, match="were aligned to another frame or registered otherwise"):
        explain(inputs[1], classifier(), tmp_path / "other", "saliency", aligned=registered.folder)
    assert not (tmp_path / "other").exists()


def test_maps_go_to_native_pixels_and_back(registered):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    wanted = np.cos(3 * rows / HEIGHT) * np.sin(2 + 4 * columns / WIDTH)
    outside = 0
    for row in range(16):
        place = registered.placements[row]
        native = registered.to_native(wanted, row)
        assert native.shape == place.shape == registered.native_image(row).shape[:2]
        outside += np.isnan(native).sum()
        # Of the frame, what the photograph shows.
        again = warp(native, place.matrix, (HEIGHT, WIDTH), outside=np.nan)
        seen = np.isfinite(again)
        assert seen.mean() > 0.7
        assert np.abs(again - wanted)[seen].mean() < 0.01 * np.ptp(wanted)
        # And the photograph lies where the stack has it.
        green = registered.native_image(row)[..., 1].astype(float)
        moved = warp(green, place.matrix, (HEIGHT, WIDTH), outside=np.nan)
        stack = registered.stack.read([row])[0, 1]
        assert np.abs(moved - stack)[seen].mean() < 3
    # Some were moved inwards, so that the frame ends within the photograph.
    assert outside


def test_only_the_same_registration_goes_on(inputs, registered):
    with pytest.raises(InputError, match="another settings"):
        explain(inputs[1], classifier(), registered.folder, "input-x-gradient", resume=True)


def test_an_unknown_registration_is_refused_before_anything_is_written(inputs, tmp_path):
    with pytest.raises(InputError, match="is not one of none, landmarks, similarity, affine"):
        explain(inputs[1], classifier(), tmp_path / "run", registration="magic")
    assert not (tmp_path / "run").exists()
