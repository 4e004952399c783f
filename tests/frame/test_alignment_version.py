"""What an older version made of files that it misread is not taken over."""

import json
import shutil

import numpy as np
import pytest
import tiny
import zarr
from pictures import C8, C16, COLUMNS, G16, ROWS, JPEGLosslessSV1, dicom, jpeg, png, tiff, to_ybr
from typer.testing import CliRunner

from napari_globalxai.cli.commands import app
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import align
from napari_globalxai.settings.frame_settings import ALIGNMENT_VERSION, FrameSettings

# The mean of each channel of a file in the frame. Where a change makes one come out otherwise,
# files are read otherwise: `ALIGNMENT_VERSION` goes up by one, and these become the new means.
LAST_CHANGE = 2
MEANS = {
    "colour.png": (127.0, 152.5, 76.0),
    "hidden.png": (127.0, 152.5, 76.0),
    "twelve-bits.png": (127.5, 127.5, 127.5),
    "deep.tif": (127.5, 153.0, 76.5),
    "deep.dcm": (127.5, 127.5, 127.5),
    "jpeg-of-ybr.dcm": (127.0, 152.5, 76.0),
}
ALIGNED = (
    *("--size", f"{tiny.HEIGHT}x{tiny.WIDTH}", "--channels", "red,green"),
    *("--register", "none", "--no-estimate-laterality"),
)


def big(samples):
    return samples.astype(">u2").view(np.uint8)


def files():
    hidden = np.zeros((ROWS, COLUMNS), np.uint8)
    stream = jpeg(to_ybr(C8), lossless=True, predictor=1)
    return {
        "colour.png": png(C8, 8, 2),
        "hidden.png": png(np.dstack([C8, hidden]), 8, 6),
        "twelve-bits.png": png(big(G16 >> 4), 16, 0, sBIT=bytes([12])),
        "deep.tif": tiff(C16, photometric="rgb"),
        "deep.dcm": dicom(G16 >> 4, BitsStored=12),
        "jpeg-of-ybr.dcm": dicom(C8, "YBR_FULL", JPEGLosslessSV1, frames=[stream]),
    }


def test_files_come_out_as_this_version_noted(tmp_path):
    for name, content in files().items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "c.csv").write_text("file,A\n" + "".join(f"{name},1\n" for name in MEANS))
    frame = FrameSettings(size=(ROWS, COLUMNS))
    stack = align(read_cohort(tmp_path / "c.csv"), frame, tmp_path / "s.zarr")
    found = stack.read(range(len(MEANS))).mean((2, 3))
    np.testing.assert_allclose(found, list(MEANS.values()), atol=0.2)
    assert LAST_CHANGE == ALIGNMENT_VERSION


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run and an alignment of this version."""
    folder = tmp_path_factory.mktemp("older")
    tiny.write_cohort(folder / "cohort")
    tiny.write_linear(folder / "model")
    assert call("align", folder, "aligned", *ALIGNED).exit_code == 0
    assert explain(folder, "run").exit_code == 0
    return folder


def call(command, folder, out, *options):
    words = [command, str(folder / "cohort" / "cohort.csv"), "--out", str(folder / out), *options]
    return CliRunner().invoke(app, words)


def explain(folder, out, *options):
    model = ("--model", str(folder / "model" / "linear.yaml"), "--method", "saliency")
    return call("explain", folder, out, *model, *options)


def make_older(folder, monkeypatch):
    """Note in a folder what version 1 would have noted, whose pixels were others."""
    frame = FrameSettings(size=(tiny.HEIGHT, tiny.WIDTH), channels=("red", "green"))
    monkeypatch.setattr("napari_globalxai.settings.frame_settings.ALIGNMENT_VERSION", 1)
    older = frame.key
    monkeypatch.undo()
    group = zarr.open_group(folder / "aligned.zarr", mode="r+")
    assert group.attrs["key"] != older
    group.attrs["key"] = older
    group["0"][:] = 7
    record = json.loads((folder / "run.json").read_text())
    if record["settings"].get("alignment"):
        record["settings"]["alignment"] = older
    (folder / "run.json").write_text(json.dumps(record))


@pytest.fixture
def older(made, tmp_path, monkeypatch):
    """The same, as an older version would have left them."""
    folder = tmp_path / "here"
    shutil.copytree(made, folder)
    for name in ("aligned", "run"):
        make_older(folder / name, monkeypatch)
    return folder


@pytest.mark.parametrize("source", ["aligned", "run"])
def test_an_older_stack_is_not_taken_over(source, older):
    outcome = explain(older, "new", "--aligned", str(older / source))
    assert isinstance(outcome.exception, InputError)
    assert "aligned by a version that read some files otherwise" in str(outcome.exception)
    assert not (older / "new").exists()


def test_an_older_run_is_not_gone_on_with(older):
    outcome = explain(older, "run", "--resume")
    assert isinstance(outcome.exception, InputError)
    assert "aligned by a version that read some files otherwise" in str(outcome.exception)


def test_an_older_alignment_is_made_anew(older, made):
    assert call("align", older, "aligned", *ALIGNED).exit_code == 0
    stacks = [zarr.open_group(each / "aligned" / "aligned.zarr") for each in (older, made)]
    np.testing.assert_array_equal(stacks[0]["0"][:], stacks[1]["0"][:])
    assert stacks[0].attrs["key"] == stacks[1].attrs["key"]


def test_what_this_version_made_is_gone_on_with(made):
    assert explain(made, "run", "--resume").exit_code == 0
    assert explain(made, "again", "--aligned", str(made / "aligned")).exit_code == 0
