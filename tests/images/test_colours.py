"""Alpha that hides everything, and JPEG streams in DICOM files that are not in the colours told."""

import io

import imagecodecs
import numpy as np
import pytest
from pictures import (
    A8,
    C8,
    C16,
    COLUMNS,
    G8,
    PALETTE,
    ROWS,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    dicom,
    jpeg,
    png,
    shown,
    tiff,
    to_ybr,
)  # fmt: skip
from PIL import Image

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.frame.alignment import align
from napari_globalxai.images.image_file import UnreadableImageError
from napari_globalxai.images.readers import FundusReader
from napari_globalxai.settings.frame_settings import FrameSettings

NOTHING = np.zeros((ROWS, COLUMNS), np.uint8)
HIDDEN = "its alpha hides all of it and was left out"


def read(folder, content):
    path = folder / "a"
    path.write_bytes(content)
    return FundusReader().read(path)


def refusal(folder, content):
    with pytest.raises(UnreadableImageError) as error:
        read(folder, content)
    return error.value.reason


# ---------------------------------------------------------------- alpha


def pillow(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def bmp_32(picture, alpha):
    return pillow(Image.fromarray(np.dstack([picture, alpha])), "BMP")


def hidden(alpha):
    """Each kind of file with one alpha everywhere, and what it holds behind it."""
    plain = NOTHING + np.uint8(alpha)
    wide = plain.astype(np.uint16) * 257
    extra = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    return {
        "colour.png": (png(np.dstack([C8, plain]), 8, 6), shown(C8)),
        "grey.png": (png(np.dstack([G8, plain]), 8, 4), shown(G8)),
        "deep.png": (png(np.dstack([C16, wide]).astype(">u2"), 16, 6), shown(C16)),
        "palette.png": (
            png(G8, 8, 3, PLTE=PALETTE.tobytes(), tRNS=bytes([alpha]) * 256), shown(PALETTE[G8]),
        ),
        "colour.tif": (tiff(np.dstack([C8, plain]), **extra), shown(C8)),
        "deep.tif": (tiff(np.dstack([C16, wide]), **extra), shown(C16)),
        "colour.webp": (
            imagecodecs.webp_encode(np.dstack([C8, plain]), lossless=True, exact=True), shown(C8)
        ) if _keeps_what_is_hidden() else (png(np.dstack([C8, plain]), 8, 6), shown(C8)),
        "colour.bmp": (bmp_32(C8, plain), shown(C8)),
    }  # fmt: skip


def _keeps_what_is_hidden():
    try:
        imagecodecs.webp_encode(np.dstack([C8, NOTHING]), lossless=True, exact=True)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("alpha", [0, 1, 9])
@pytest.mark.parametrize("name", hidden(0))
def test_alpha_that_hides_everything_is_left_out_and_named(name, alpha, tmp_path):
    content, wanted = hidden(alpha)[name]
    picture = read(tmp_path, content)
    np.testing.assert_allclose(picture.values, wanted, atol=0.001)
    # A BMP of 32 bit has no alpha by most readers; nothing was decided then.
    assert picture.note == HIDDEN or (name == "colour.bmp" and not picture.note)


def test_alpha_that_shows_something_is_kept(tmp_path):
    for alpha in (A8, np.where(np.arange(COLUMNS) == 3, 255, A8 * 0).astype(np.uint8)):
        picture = read(tmp_path, png(np.dstack([C8, alpha]), 8, 6))
        np.testing.assert_allclose(picture.values, C8 * (alpha / 255)[..., None], atol=0.001)
        assert picture.note == ""


def test_what_hides_nothing_is_refused(tmp_path):
    plain = np.full_like(C8, 70)
    for content in (
        png(np.dstack([C8 * 0, NOTHING]), 8, 6),
        png(np.dstack([plain, NOTHING]), 8, 6),
        # Pillow divides by the alpha that the colours should be multiplied with.
        tiff(np.dstack([C8, NOTHING]), photometric="rgb", extrasamples=["assocalpha"]),
        tiff(np.dstack([C16 * 0, C16[..., 0] * 0]), photometric="rgb", extrasamples=["unassalpha"]),
    ):
        assert "transparent everywhere" in refusal(tmp_path, content)


def test_a_stack_keeps_the_note(tmp_path):
    (tmp_path / "a.png").write_bytes(png(np.dstack([C8, NOTHING]), 8, 6))
    (tmp_path / "c.csv").write_text("file,A\na.png,1\n")
    cohort = read_cohort(tmp_path / "c.csv")
    stack = align(cohort, FrameSettings(size=(ROWS, COLUMNS)), tmp_path / "s.zarr")
    assert stack.facts()[0]["note"] == HIDDEN
    np.testing.assert_array_equal(stack.read([0])[0], np.moveaxis(C8, -1, 0))


# ---------------------------------------------------------------- colours of JPEG in DICOM

RETINA = np.zeros((96, 128, 3), np.uint8)
"""A disc of reddish brown on black, with a bright spot: smooth, as JPEG likes it."""
_y, _x = np.mgrid[-1:1:96j, -1.3:1.3:128j]
_inside = _x**2 + _y**2 < 0.9
for _channel, _level in enumerate((190, 100, 45)):
    RETINA[..., _channel] = _inside * (_level - 30 * _x + 20 * _y)
RETINA[(_x - 0.4) ** 2 + _y**2 < 0.03] = (250, 225, 160)


def as_ybr(picture, subsampling="444", **options):
    """A stream of YBR with JFIF's marker, as cameras write it."""
    return imagecodecs.jpeg8_encode(picture, level=98, subsampling=subsampling, **options)


def as_rgb(picture):
    """A stream of RGB with Adobe's marker."""
    stream = imagecodecs.jpeg8_encode(picture, level=98, colorspace="RGB", outcolorspace="RGB")
    assert b"Adobe" in stream
    return stream


def without_markers(stream):
    """The stream as devices write it that leave the application's markers out."""
    at, kept = 2, stream[:2]
    while stream[at + 1] != 0xDA:
        size = 2 + int.from_bytes(stream[at + 2 : at + 4])
        if not 0xE0 <= stream[at + 1] <= 0xEF:
            kept += stream[at : at + size]
        at += size
    return kept + stream[at:]


def named(stream, names):
    """The stream with other names for its components."""
    frame = next(at for at in range(len(stream)) if stream[at : at + 2] == b"\xff\xc0") + 10
    scan = stream.index(b"\xff\xda") + 5
    changed = bytearray(stream)
    for number, name in enumerate(names):
        changed[frame + 3 * number] = name
        changed[scan + 2 * number] = name
    return bytes(changed)


STREAMS = {
    "jfif": as_ybr(RETINA),
    "jfif-half": as_ybr(RETINA, "420"),
    "ybr": without_markers(as_ybr(RETINA)),
    "ybr-half": without_markers(as_ybr(RETINA, "422")),
    "ybr-named-otherwise": named(without_markers(as_ybr(RETINA)), b"\0\1\2"),
    "adobe-rgb": as_rgb(RETINA),
    "rgb": named(without_markers(as_rgb(RETINA)), b"\1\2\3"),
    "rgb-named": named(without_markers(as_rgb(RETINA)), b"RGB"),
    "rgb-named-small": named(without_markers(as_rgb(RETINA)), b"rgb"),
}


@pytest.mark.parametrize("told", ["RGB", "YBR_FULL_422", "YBR_FULL"])
@pytest.mark.parametrize("name", STREAMS)
def test_a_jpeg_stream_is_shown_in_its_own_colours(name, told, tmp_path):
    if name == "rgb" and told != "RGB":
        pytest.skip("nothing says that it is RGB, and the file says that it is not")
    picture = read(tmp_path, dicom(RETINA, told, JPEGBaseline8Bit, frames=[STREAMS[name]]))
    off = np.abs(picture.values.astype(float) - RETINA)
    # JPEG blurs, most at edges of colours that are stored at half the size.
    assert off.mean() < 3
    assert np.percentile(off, 95) < 12
    guessed = told == "RGB" and name in ("ybr", "ybr-named-otherwise")
    assert picture.note == (
        "the file says RGB, but its samples are YBR, as which they were taken" if guessed else ""
    )


def test_where_nothing_tells_the_file_is_followed_and_that_is_named(tmp_path):
    """Neither black nor white, and grey enough to be either."""
    dim = np.stack([110 + 20 * _x, 120 + 10 * _y, 126 + 5 * _x], -1).astype(np.uint8)
    stream = named(without_markers(as_rgb(dim)), b"\1\2\3")
    picture = read(tmp_path, dicom(dim, "RGB", JPEGBaseline8Bit, frames=[stream]))
    assert np.abs(picture.values.astype(float) - dim).mean() < 3
    assert "does not tell whether it is RGB or YBR" in picture.note


def test_other_codings_that_look_like_ybr_are_named(tmp_path):
    ybr = to_ybr(RETINA)
    lossless = jpeg(ybr, lossless=True, predictor=1)
    for content in (dicom(ybr, "RGB"), dicom(ybr, "RGB", JPEGLosslessSV1, frames=[lossless])):
        picture = read(tmp_path, content)
        np.testing.assert_array_equal(picture.values, ybr)
        assert picture.note == "the file says RGB, but its samples look like YBR"
    lossless = jpeg(ybr, lossless=True, predictor=1)
    picture = read(tmp_path, dicom(ybr, "YBR_FULL", JPEGLossless, frames=[lossless]))
    assert np.abs(picture.values.astype(float) - RETINA).max() <= 3
    lossless = jpeg(RETINA, lossless=True, predictor=1)
    for content in (dicom(RETINA), dicom(RETINA, syntax=JPEGLosslessSV1, frames=[lossless])):
        assert read(tmp_path, content).note == ""


@pytest.mark.parametrize("name", ["jfif", "rgb"])
def test_a_stream_of_another_size_is_refused_before_it_is_decoded(name, tmp_path):
    stream = STREAMS[name]
    at = stream.index(b"\xff\xc0") + 5
    grown = stream[:at] + (60000).to_bytes(2) * 2 + stream[at + 4 :]
    content = dicom(RETINA, "RGB", JPEGBaseline8Bit, frames=[grown])
    assert refusal(tmp_path, content) == "its pixels decode to another size than it tells"
