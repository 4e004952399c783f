"""Letterbox, crop and native size: pixels as MONAI's own transforms give them, and maps back."""

import numpy as np
import pytest
import tiny
import torch
import yaml
from monai.data import MetaTensor
from monai.transforms import (
    CenterSpatialCrop,
    Compose,
    Invertd,
    Resize,
    ResizeWithPadOrCrop,
    SpatialPad,
)
from PIL import Image
from typer.testing import CliRunner

from napari_globalxai.cli.commands import app
from napari_globalxai.errors import InputError
from napari_globalxai.frame.geometry import apply
from napari_globalxai.frame.resampling import frame_to_native
from napari_globalxai.frame.transforms import frame_transforms
from napari_globalxai.models.loaders import load_model
from napari_globalxai.runs.run import Run
from napari_globalxai.settings.fit import Fit
from napari_globalxai.settings.frame_settings import CohortFrameSettings, FrameSettings

RGB = ("red", "green", "blue")
FRAME = (64, 64)


def write_picture(path, shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    grey = 120 + 60 * np.sin(columns / 13) * np.cos(rows / 7) + 20 * (columns > shape[1] / 2)
    picture = np.stack([grey, grey / 2 + 40, 255 - grey], -1).astype(np.uint8)
    Image.fromarray(picture).save(path)
    return torch.as_tensor(picture).movedim(-1, 0).float()


def covering(shape, frame, side=None):
    scale = max(f / s for f, s in zip(frame, shape, strict=True))
    if side is not None:
        scale = side / min(shape)
    return tuple(round(each * scale) for each in shape)


def chain(fit, shape):
    """MONAI's own transforms for a fit."""
    return {
        "letterbox": Compose([Resize(64, size_mode="longest", mode="area"), SpatialPad(FRAME)]),
        "letterbox:114": Compose(
            [Resize(64, size_mode="longest", mode="area"), SpatialPad(FRAME, value=114)]
        ),
        "crop": Compose([Resize(covering(shape, FRAME), mode="area"), CenterSpatialCrop(FRAME)]),
        "crop:80": Compose(
            [Resize(covering(shape, FRAME, 80), mode="area"), CenterSpatialCrop(FRAME)]
        ),
        "crop:72x90": Compose([Resize((72, 90), mode="area"), CenterSpatialCrop(FRAME)]),
        "native:50": ResizeWithPadOrCrop(FRAME, value=50),
    }[fit]


FITS = ("letterbox", "letterbox:114", "crop", "crop:80", "crop:72x90", "native:50")


@pytest.mark.parametrize("shape", [(100, 161), (170, 60), (41, 90)])
@pytest.mark.parametrize("fit", FITS)
def test_pixels_are_those_of_monai_and_maps_lie_on_the_files(fit, shape, tmp_path):
    picture = write_picture(tmp_path / "a.png", shape)
    transforms = frame_transforms(*FRAME, RGB, fit=fit)
    item = transforms({"image": tmp_path / "a.png", "laterality": "L"})
    expected = torch.as_tensor(chain(fit, shape)(picture))
    torch.testing.assert_close(item["image"].as_tensor(), expected, atol=1e-3, rtol=0)
    # Where there is no image, there is no field of view, however bright it is.
    there = torch.as_tensor(chain(fit, shape)(torch.full_like(picture, 200)))[0] == 200
    assert bool((item["field_of_view"][0] <= there).all())
    assert bool(item["field_of_view"][0].any())
    # A blot in the frame lies on the file where the matrix says, by MONAI's inverse.
    blot = torch.zeros((1, *FRAME))
    blot[0, 28:33, 38:43] = 1
    item["map"] = MetaTensor(blot)
    back = Invertd("map", transforms, orig_keys="image", nearest_interp=False)(item)["map"][0]
    assert back.shape == shape
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    weight = np.asarray(back).clip(0)
    centre = ((columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum())
    placed = apply(frame_to_native(item["image"]), [(40.0, 30.0)])[0]
    np.testing.assert_allclose(centre, placed, atol=0.6)


@pytest.mark.parametrize(
    "wrong", ["squash", "letterbox:300", "crop:big", "crop:0", "stretch:5", "native:"]
)
def test_a_fit_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="fit"):
        Fit.read(wrong)
    with pytest.raises(InputError):
        FrameSettings(fit=wrong)


def test_what_fits_otherwise_is_another_frame_and_is_not_registered():
    keys = {FrameSettings(fit=fit).key for fit in ("stretch", *FITS)}
    assert len(keys) == 1 + len(FITS)
    assert CohortFrameSettings(fit="crop").registration == "none"
    with pytest.raises(InputError, match="cannot be registered"):
        FrameSettings(fit="letterbox", registration="landmarks")


def fitted_model(folder, fit):
    card = tiny.write_linear(folder)
    content = yaml.safe_load(card.read_text())
    content["input"]["fit"] = fit
    card.write_text(yaml.safe_dump(content))
    return card


@pytest.mark.parametrize("fit", ["letterbox", "crop:40"])
def test_a_card_says_how_images_fit_and_maps_come_back(fit, tmp_path):
    size = (tiny.HEIGHT, tiny.WIDTH)
    pictures = [write_picture(tmp_path / f"{row}.png", (90, 80)) for row in range(6)]
    lines = [f"{row}.png,{row % 2},{row // 3}" for row in range(6)]
    (tmp_path / "c.csv").write_text("\n".join(["file,left,right", *lines]) + "\n")
    card = fitted_model(tmp_path / "model", fit)
    words = ["explain", tmp_path / "c.csv", "--model", card, "--method", "input-x-gradient"]
    outcome = CliRunner().invoke(app, [*map(str, words), "--out", str(tmp_path / "run")])
    assert outcome.exit_code == 0, outcome.exception
    before = Fit.read(fit).size_of((90, 80), size)
    monai = Compose([Resize(before, mode="area"), ResizeWithPadOrCrop(size)])
    fed = torch.stack([torch.as_tensor(monai(picture)[:2]) for picture in pictures])
    model = load_model(card, device="cpu")
    run = Run(tmp_path / "run")
    np.testing.assert_allclose(
        run.images[["logit_left", "logit_right"]], model.predict(fed), atol=0.02
    )
    # Of a linear model, input × gradient is the input times its weights.
    weights = tiny.sign_weights()[0]
    products = (model.to_input(fed) * weights).sum(1)
    assert np.corrcoef(run.maps["left"].ravel(), np.abs(products.mean(0)).ravel())[0, 1] > 0.9
    native = run.to_native(run.maps["left"], 0)
    assert native.shape == (90, 80)
    rows, columns = np.nonzero(np.nan_to_num(native) > 0.5 * np.nanmax(native))
    inside = apply(np.linalg.inv(run.placements[0].matrix), np.stack([columns, rows], -1))
    sign_rows, sign_columns = tiny.SIGNS["left"]
    assert sign_columns.start - 1 <= inside[:, 0].mean() <= sign_columns.stop
    assert sign_rows.start - 1 <= inside[:, 1].mean() <= sign_rows.stop
