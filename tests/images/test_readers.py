"""Image files of every kind: right pixels, where they lie in the file, and what is refused."""

import os
import random
import time

import numpy as np
import pictures
import pytest
import SimpleITK
import tifffile
from monai.data import MetaTensor
from monai.transforms import Flip, LoadImage, Resize
from pictures import C8, C16, COLUMNS, FILES, G8, G16, PALETTE, ROWS, dicom
from PIL import Image, ImageOps
from pydicom.dataset import Dataset

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.frame.alignment import Aligner, align
from napari_globalxai.frame.transforms import LoadWithd
from napari_globalxai.images.image_file import UnreadableImageError, split_page
from napari_globalxai.images.readers import FundusReader
from napari_globalxai.settings.frame_settings import FrameSettings

CALLED_GREY = {"photometric": "minisblack", "planarconfig": "contig"}
VOLUME = {"volumetric": True, "photometric": "minisblack", "tile": (2, 16, 16)}
# Decoded by SimpleITK in a process of its own, which takes a fifth of a second.
SLOW = (
    "colour16.png", "alpha16.png", "lossless.dcm", "lossless-ybr.dcm", "lossless16.dcm",
    "lossless-rescaled.dcm", "jpeg-ls.dcm", "jpeg-ls16.dcm", "j2k-colour16.dcm",
)  # fmt: skip


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def load(path, **options):
    return LoadWithd("image", FundusReader(**options))({"image": path})["image"]


def refusal(path, **options):
    with pytest.raises(UnreadableImageError) as error:
        FundusReader(**options).read(path)
    assert str(error.value).startswith(f"{path}: cannot be read as an image (")
    assert "\n" not in str(error.value)
    return error.value.reason


# ---------------------------------------------------------------- pixels


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_shows_its_pixels(name, tmp_path):
    made = FILES[name]
    image = load(write(tmp_path, name, made.content))
    assert image.shape == (3, ROWS, COLUMNS)
    np.testing.assert_allclose(
        image.numpy(), np.moveaxis(made.shown, -1, 0), rtol=0, atol=made.tolerance
    )
    assert image.meta["native_shape"] == (ROWS, COLUMNS)
    np.testing.assert_array_equal(image.affine, np.eye(3))


@pytest.mark.parametrize("name", ["grey16.dcm", "colour.dcm", "planar.dcm", "implicit.dcm"])
def test_another_library_sees_the_same_in_the_dicom_files(name, tmp_path):
    """The files are written by the library that reads them: this one parses them by itself."""
    path = write(tmp_path, name, FILES[name].content)
    samples = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]
    np.testing.assert_allclose(pictures.shown(samples), FILES[name].shown, atol=0.001)


@pytest.mark.parametrize("name", ["big-endian16.tif", "deflate16.tif", "lzw16.tif"])
def test_another_library_sees_the_same_in_the_tiff_files(name, tmp_path):
    path = write(tmp_path, name, FILES[name].content)
    samples = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_allclose(pictures.shown(samples), FILES[name].shown, atol=0.001)


def test_an_ordinary_monai_pipeline_takes_the_reader(tmp_path):
    path = write(tmp_path, "a.png", FILES["grey16.png"].content)
    image = LoadImage(reader=FundusReader(), image_only=True)(path)
    assert isinstance(image, MetaTensor)
    assert image.dtype.is_floating_point
    np.testing.assert_array_equal(image.numpy(), load(path).numpy())
    assert image.affine.shape == (3, 3)
    assert image.meta["filename_or_obj"] == str(path)
    assert load(path).meta["filename_or_obj"] == str(path)


@pytest.mark.parametrize("name", ["colour.png", "colour.tif", "grey.dcm", "colour.jpg"])
def test_the_content_tells_the_kind_not_the_name(name, tmp_path):
    path = write(tmp_path, "export.0001", FILES[name].content)
    assert load(path).shape == (3, ROWS, COLUMNS)


@pytest.mark.parametrize("name", ["grey16.dcm", "implicit.dcm", "big-endian.dcm"])
@pytest.mark.parametrize("keep_meta", [True, False])
def test_dicom_without_its_preamble(name, keep_meta, tmp_path):
    content = FILES[name].content[132:]
    if not keep_meta:
        content = content[12 + int.from_bytes(content[8:12], "little") :]
    image = load(write(tmp_path, name, content))
    np.testing.assert_allclose(image.numpy(), np.moveaxis(FILES[name].shown, -1, 0), atol=0.001)


# ---------------------------------------------------------------- windows of DICOM


def test_a_window_decides_black_and_white(tmp_path):
    """PS3.3 C.11.2.1.2.1, worked out pixel by pixel."""
    centre, width = 30000, 40000
    inside = ((G16.astype(float) - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1) * 255
    assert (inside == 0).any()
    assert (inside == 255).any()
    options = {"WindowCenter": [centre, 5], "WindowWidth": [width, 6]}
    image = load(write(tmp_path, "a.dcm", dicom(G16, **options)))
    np.testing.assert_allclose(image[0].numpy(), inside, atol=0.01)
    image = load(write(tmp_path, "b.dcm", dicom(G16, "MONOCHROME1", **options)))
    np.testing.assert_allclose(image[0].numpy(), 255 - inside, atol=0.01)
    # The window speaks of rescaled values; a falling rescale turns black into white.
    for slope in (0.5, -0.5):
        wanted = 20 + slope * centre
        rescaled = dicom(
            G16, RescaleSlope=slope, RescaleIntercept=20, WindowCenter=wanted,
            WindowWidth=width / 2, VOILUTFunction="LINEAR_EXACT",
        )  # fmt: skip
        exact = ((G16 * slope + 20 - wanted) / (width / 2) + 0.5).clip(0, 1) * 255
        image = load(write(tmp_path, f"c{slope}.dcm", rescaled))
        np.testing.assert_allclose(image[0].numpy(), exact, atol=0.01)


def groups(slope, centre):
    """The functional groups of a frame: a rescale and a window."""
    group, rescale, window = Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slope, 0, "US"
    window.WindowCenter, window.WindowWidth = centre, 100
    group.PixelValueTransformationSequence = [rescale]
    group.FrameVOILUTSequence = [window]
    return group


def test_a_frame_has_its_own_window_and_rescale(tmp_path):
    """As in files of many frames: beside no group, the same tells them of the whole file."""
    pixels = {"pixels": np.stack([G8, G8]).tobytes(), "NumberOfFrames": 2}
    both = dicom(
        G8, SharedFunctionalGroupsSequence=[groups(1, 60)],
        PerFrameFunctionalGroupsSequence=[Dataset(), groups(-1, -120)], **pixels,
    )  # fmt: skip
    write(tmp_path, "a.dcm", both)
    for page, slope, centre in ((1, 1, 60), (2, -1, -120)):
        plain = dicom(
            G8, RescaleSlope=slope, RescaleIntercept=0, WindowCenter=centre, WindowWidth=100
        )
        expected = load(write(tmp_path, "b.dcm", plain)).numpy()
        assert expected.std() > 1
        np.testing.assert_array_equal(load(tmp_path / f"a.dcm#{page}").numpy(), expected)


def test_a_window_of_signed_numbers_and_a_table_in_place_of_a_window(tmp_path):
    signed = (G16.astype(int) - 32768).astype(np.int16)
    path = write(tmp_path, "a.dcm", dicom(signed, PixelRepresentation=1))
    assert "no window says what is black" in refusal(path)
    windowed = dicom(
        signed, PixelRepresentation=1, WindowCenter=0, WindowWidth=65536,
        VOILUTFunction="LINEAR_EXACT",
    )  # fmt: skip
    image = load(write(tmp_path, "b.dcm", windowed))
    np.testing.assert_allclose(image[0].numpy(), G16 / 65536 * 255, atol=0.01)
    table = pictures.Dataset()
    entries = (np.arange(256)[::-1] * 4).astype(np.uint16)
    table.LUTDescriptor = [256, 0, 10]
    table.LUTData = entries.tobytes()
    table["LUTData"].VR = "OW"
    image = load(write(tmp_path, "c.dcm", dicom(G8, VOILUTSequence=[table])))
    np.testing.assert_allclose(image[0].numpy(), entries[G8] * (255 / 1023), atol=0.01)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 128, "WindowWidth": 256}])
def test_a_polarity_told_twice_must_be_the_same(window, tmp_path):
    """General Image Module: IDENTITY goes with MONOCHROME2, INVERSE with MONOCHROME1."""
    for colours, same, other in (
        ("MONOCHROME1", "INVERSE", "IDENTITY"),
        ("MONOCHROME2", "IDENTITY", "INVERSE"),
    ):
        plain = load(write(tmp_path, "plain.dcm", dicom(G8, colours, **window)))
        told = dicom(G8, colours, PresentationLUTShape=same, **window)
        assert load(write(tmp_path, "told.dcm", told)).equal(plain)
        unsure = dicom(G8, colours, PresentationLUTShape=other, **window)
        said = refusal(write(tmp_path, "unsure.dcm", unsure))
        assert f"Shape is {other}, where {colours} goes with {same}" in said
    table = pictures.Dataset()
    table.LUTDescriptor = [256, 0, 16]
    path = write(tmp_path, "table.dcm", dicom(G8, PresentationLUTSequence=[table], **window))
    assert "Presentation LUT" in refusal(path)


def test_without_a_window_a_falling_rescale_still_turns_black_into_white(tmp_path):
    for colours, wanted in (("MONOCHROME2", 255 - G8.astype(int)), ("MONOCHROME1", G8)):
        content = dicom(G8, colours, RescaleSlope=-1, RescaleIntercept=255)
        image = load(write(tmp_path, f"{colours}.dcm", content))
        np.testing.assert_array_equal(image[0].numpy(), wanted)
    table = pictures.Dataset()
    table.LUTDescriptor = [256, 0, 8]
    table.LUTData = np.arange(256, dtype=np.uint16)[::-1].tobytes()
    table["LUTData"].VR = "OW"
    content = dicom(G8, ModalityLUTSequence=[table])
    assert "no window says what is black" in refusal(write(tmp_path, "table.dcm", content))


def test_signed_numbers_without_a_window_have_a_bit_less(tmp_path):
    signed = (G16 >> 1).astype(np.int16)
    image = load(write(tmp_path, "a.dcm", dicom(signed, PixelRepresentation=1)))
    np.testing.assert_allclose(image[0].numpy(), signed / 32767 * 255, atol=0.01)


def test_a_window_of_colours_is_no_window(tmp_path):
    content = dicom(C8, WindowCenter=40, WindowWidth=20)
    np.testing.assert_array_equal(load(write(tmp_path, "a", content)).numpy()[1], C8[..., 1])


# ---------------------------------------------------------------- laterality


def _modifier(code):
    region, modifier = pictures.Dataset(), pictures.Dataset()
    modifier.CodeValue = code
    region.AnatomicRegionModifierSequence = [modifier]
    return {"AnatomicRegionSequence": [region]}


@pytest.mark.parametrize(
    ("elements", "side"),
    [
        ({"ImageLaterality": "L"}, "L"),
        ({"ImageLaterality": "R", "Laterality": "L"}, "R"),
        ({"Laterality": "L"}, "L"),
        ({"ImageLaterality": "", "Laterality": "R"}, "R"),
        ({"ImageLaterality": "B", "Laterality": "R"}, ""),
        (_modifier("24028007"), "R"),
        (_modifier("7771000"), "L"),
        (_modifier("51440002"), ""),
        ({}, ""),
    ],
)
def test_dicom_tells_the_side(elements, side, tmp_path):
    image = load(write(tmp_path, "a.dcm", dicom(G8, **elements)))
    assert image.meta["laterality"] == side


def test_other_files_tell_no_side(tmp_path):
    assert load(write(tmp_path, "a.png", FILES["grey.png"].content)).meta["laterality"] == ""


# ---------------------------------------------------------------- where pixels lie


def _oriented(kind, orientation):
    tag = {"extratags": [(274, "H", 1, orientation, True)], "photometric": "rgb"}
    return {
        "png": lambda: pictures.png(C8, 8, 2, eXIf=pictures.exif(orientation)),
        "deep png": lambda: pictures.png(C16.astype(">u2"), 16, 2, eXIf=pictures.exif(orientation)),
        "tiff": lambda: pictures.tiff(C8, **tag),
        "deep tiff": lambda: pictures.tiff(C16, **tag),
        "lzw tiff": lambda: pictures.tiff(C16, compression="lzw", **tag),
    }[kind]()


def stored_at(image, stored):
    """What the stored picture holds where the affine says that each pixel comes from."""
    _, rows, columns = image.shape
    index = np.stack([*np.mgrid[:rows, :columns], np.ones((rows, columns))]).reshape(3, -1)
    at = image.affine.numpy() @ index
    np.testing.assert_array_equal(at, np.rint(at))
    row, column, one = at.astype(int)
    assert (one == 1).all()
    assert row.min() >= 0
    assert column.min() >= 0
    return np.moveaxis(stored[row, column].reshape(rows, columns, 3), -1, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "deep png", "tiff", "deep tiff", "lzw tiff"])
def test_pictures_are_turned_upright_and_the_affine_leads_back(kind, orientation, tmp_path):
    image = load(write(tmp_path, "a", _oriented(kind, orientation)))
    assert image.meta["native_shape"] == (ROWS, COLUMNS)
    turned = Image.fromarray(C8)
    turned.getexif()[0x0112] = orientation
    upright = np.moveaxis(np.asarray(ImageOps.exif_transpose(turned), float), -1, 0)
    # 16 bit here are not just twice the 8 bit.
    np.testing.assert_allclose(image.numpy(), upright, atol=1 if kind != "png" else 0)
    np.testing.assert_allclose(image.numpy(), stored_at(image, C8), atol=1 if kind != "png" else 0)


def ramp(rows, columns):
    """Grey whose values tell the place: whole steps along columns, half ones along rows."""
    y, x = np.mgrid[:rows, :columns]
    return 10.0 + y * 0.5 + x * 1.0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_reduced_decoding_keeps_places(scale, orientation, tmp_path):
    """A value tells the place to a quarter of a pixel; without half pixels it would be off by 3."""
    rows, columns = 131, 165
    content = pictures.jpeg(ramp(rows, columns).astype(np.uint8))
    path = write(tmp_path, "a.jpg", pictures.with_exif(content, orientation))
    upright = (rows, columns) if orientation < 5 else (columns, rows)
    image = load(path, at_least=tuple(side // (2 * scale) for side in upright))
    reduced = tuple(-(-side // scale) for side in upright)
    assert image.shape == (3, *reduced)
    assert image.meta["native_shape"] == (rows, columns)
    # The last row and column may hang over.
    index = np.stack([*np.mgrid[: reduced[0], : reduced[1]], np.ones(reduced)])
    at = np.einsum("ij,jrc->irc", image.affine.numpy(), index)
    whole = (at[0] <= rows - 1 - (scale - 1) / 2) & (at[1] <= columns - 1 - (scale - 1) / 2)
    assert whole.mean() > 0.85
    # Truncated to whole numbers when it was written: half a step too low on average.
    told = 10 + at[0] * 0.5 + at[1] * 1.0 - 0.25
    difference = (image[0].numpy() - told)[whole]
    assert abs(difference.mean()) < 0.25
    assert np.abs(difference).max() < 1.5


def test_at_least_speaks_of_the_upright_picture(tmp_path):
    content = pictures.jpeg(ramp(64, 200).astype(np.uint8))
    turned = write(tmp_path, "a.jpg", pictures.with_exif(content, 6))
    assert load(turned, at_least=(100, 32)).shape == (3, 200, 64)
    assert load(turned, at_least=(50, 16)).shape == (3, 100, 32)
    assert load(turned, at_least=(16, 50)).shape == (3, 200, 64)
    assert load(turned).shape == (3, 200, 64)


def test_monai_carries_the_affine_on(tmp_path):
    """Mirrored and made smaller, an array's centres still lead to the stored pixels."""
    image = load(write(tmp_path, "a.png", _oriented("png", 6)))
    assert image.shape == (3, COLUMNS, ROWS)
    mirrored = Flip(spatial_axis=1)(image)
    np.testing.assert_array_equal(mirrored.numpy(), stored_at(mirrored, C8))
    small = Resize((COLUMNS // 2, ROWS // 7), mode="area")(mirrored)
    assert small.affine.shape == (3, 3)
    halves = np.array([[2, 0, 0.5], [0, 7, 3], [0, 0, 1]])
    np.testing.assert_allclose(small.affine, mirrored.affine.numpy() @ halves, atol=1e-12)


# ---------------------------------------------------------------- pages and frames


def test_pages_of_full_size_have_to_be_chosen(tmp_path):
    pages = [C8, C8[::-1].copy(), C8[:, ::-1].copy()]
    path = write(tmp_path, "a.tif", pictures.tiff(*pages, photometric="rgb"))
    assert refusal(path) == "it holds 3 pages or frames; name one by its number, as in a.tif#1"
    for number, page in enumerate(pages, 1):
        named = load(f"{path}#{number}")
        np.testing.assert_array_equal(named.numpy(), np.moveaxis(page, -1, 0))
        np.testing.assert_array_equal(load(path, frame=number).numpy(), named.numpy())
    assert "there is no page 4" in refusal(f"{path}#4")
    # The name outweighs the reader's own setting.
    np.testing.assert_array_equal(load(f"{path}#2", frame=1).numpy(), np.moveaxis(pages[1], -1, 0))


def test_deep_and_compressed_pages(tmp_path):
    pages = [G16, G16[::-1].copy()]
    for name, options in (("a", {}), ("b", {"compression": "lzw"})):
        path = write(tmp_path, name, pictures.tiff(*pages, **options))
        second = load(f"{path}#2")[0].numpy()
        np.testing.assert_allclose(second, pages[1] / 257, atol=0.001)


def test_frames_of_dicom(tmp_path):
    frames = [G8, 255 - G8]
    pixels = b"".join(frame.tobytes() for frame in frames)
    path = write(tmp_path, "a.dcm", dicom(G8, pixels=pixels, NumberOfFrames=2))
    assert "it holds 2 pages or frames; name one by its number, as in a.dcm#1" in refusal(path)
    for number, frame in enumerate(frames, 1):
        np.testing.assert_array_equal(load(f"{path}#{number}")[0].numpy(), frame)
    assert "there is no page 3" in refusal(f"{path}#3")
    coded = [pictures.imagecodecs.jpegls_encode(frame) for frame in frames]
    content = dicom(G8, syntax=pictures.JPEGLSLossless, frames=coded, NumberOfFrames=2)
    path = write(tmp_path, "b.dcm", content)
    np.testing.assert_array_equal(load(f"{path}#2")[0].numpy(), frames[1])


def test_animations_have_to_be_chosen_from(tmp_path):
    content = pictures.imagecodecs.gif_encode(np.stack([G8, 255 - G8]))
    path = write(tmp_path, "a.gif", content)
    assert "it holds 2 pages" in refusal(path)
    np.testing.assert_array_equal(load(f"{path}#2")[0].numpy(), 255 - G8)


def test_a_file_of_that_very_name_comes_first(tmp_path):
    write(tmp_path, "a.tif", pictures.tiff(G8, 255 - G8))
    assert split_page(tmp_path / "a.tif#2") == (tmp_path / "a.tif", 2)
    path = write(tmp_path, "a.tif#2", FILES["colour.png"].content)
    assert split_page(path) == (path, None)
    np.testing.assert_array_equal(load(path).numpy(), np.moveaxis(C8, -1, 0))
    for name in ("a.tif#0", "a.tif#x", "a.tif#", "#3"):
        assert split_page(tmp_path / name) == (tmp_path / name, None)


def test_a_cohort_names_pages_and_sees_when_their_file_changes(tmp_path):
    path = write(tmp_path, "a.tif", pictures.tiff(G8, 255 - G8))
    (tmp_path / "c.csv").write_text("file,A\na.tif#1,0\na.tif#2,1\na.tif,1\nb.tif#1,1\n")
    cohort, frame = (
        read_cohort(tmp_path / "c.csv"),
        FrameSettings(height=ROWS, width=COLUMNS, channels=("red",)),
    )
    stack = align(cohort, frame, tmp_path / "s.zarr")
    errors = stack.status()
    assert not errors[0]
    assert not errors[1]
    assert errors[2] == (
        "a.tif: cannot be read as an image (it holds 2 pages or frames; name one by its number, "
        "as in a.tif#1)."
    )
    assert errors[3] == "b.tif#1: the file does not exist."
    np.testing.assert_array_equal(stack.read([0, 1])[:, 0], [G8, 255 - G8])
    path.write_bytes(pictures.tiff(255 - G8, G8, G8))
    stack = align(cohort, frame, tmp_path / "s.zarr")
    np.testing.assert_array_equal(stack.read([0, 1])[:, 0], [255 - G8, G8])


# ---------------------------------------------------------------- refusals


def _without_pixels():
    content = dicom(G8)
    return content[: content.index(b"\xe0\x7f\x10\x00")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not a JPEG, PNG, TIFF, BMP, DICOM or other picture that is known"),
        (b"%PDF-1.7\n", "it is not a JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is not a JPEG"),
        (b"\x80\x04\x95" + bytes(200), "it is not a JPEG"),
        (b"\x93NUMPY" + bytes(200), "it is not a JPEG"),
        (b"GIF89a", "cannot identify image file"),
        (_without_pixels(), "it is a DICOM file without pixels"),
        (
            dicom(G8, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.5.4"),
            "it is a DICOM file with an OCT volume, not a photograph",
        ),
        (dicom(G8, EncapsulatedDocument=b"%PDF"), "it is a DICOM file with a document"),
        (dicom(G8, NumberOfFrames=2), "it holds 2 pages or frames"),
        # The upper 12 of 16 bits, of which the lower would be shown.
        (
            dicom(G16 & 0xFFF0, BitsStored=12, HighBit=15),
            "its samples lie in other bits than the lowest (High Bit is 15, Bits Stored 12)",
        ),
        # Two frames, or a picture cut off, that nothing tells.
        (dicom(G8, pixels=2 * G8.tobytes()), "its pixels take 616 bytes, of which"),
        (dicom(C8, Rows=10), "of which its rows, columns and frames tell 660"),
        (dicom(G8, Rows=60000, Columns=60000), "more than 400 million pixels are not read"),
        (dicom(G8, Rows=0), "its size is 0 × 22"),
        (
            dicom(G8, RescaleSlope=0, RescaleIntercept=9, WindowCenter=9, WindowWidth=9),
            "make black and white the same",
        ),
        (dicom(G8, colours="HSV"), "its colours are HSV, which is not read"),
        (
            dicom(C16, "YBR_FULL"),
            "YBR_FULL of 16 bit is not read",
        ),
        (
            dicom(G8, syntax=pictures.UID("1.2.840.10008.1.2.4.100"), frames=[b"\0\0"]),
            "MPEG2 Main Profile / Main Level, which is not read",
        ),
        (
            dicom(G8, syntax=pictures.JPEGLSLossless, frames=[b"\xff\xd8\xff\xf7nonsense"]),
            "",
        ),
        (pictures.tiff(*[G8] * 501), "it holds more than 500 pages"),
        (pictures.tiff(G8.astype(np.float32) * 3), "black and white are unknown"),
        # A pixel above 1 of a picture in 0–1, which is black where 255 is taken for white.
        (pictures.tiff(G8.astype(np.float32) / 200), "between 0.125 and 1.145"),
        (pictures.tiff(C8.astype(np.float32) / 220, photometric="rgb"), "black and white are"),
        (pictures.tiff(-G8.astype(np.int16)), "black and white are unknown"),
        (pictures.tiff(np.full((9, 9), np.nan, np.float32)), "lie between nan and nan"),
        (pictures.tiff(G8.astype(np.uint32) * 3), "black and white are unknown"),
        (pictures.tiff(np.zeros((2, 16, 16), np.uint16), **VOLUME), "it is a volume"),
        (
            pictures.tiff(C16, photometric="cielab", planarconfig="contig"),
            "uint16 with colours by",
        ),
        # Colours that are called grey, of which the first would be shown alone.
        (pictures.tiff(C16, **CALLED_GREY), "it is called grey, but holds 3 samples a pixel"),
        (pictures.tiff(C8[..., :2], **CALLED_GREY), "it is called grey, but holds 2 samples"),
        (pictures.tiff(C16[..., :2], **CALLED_GREY), "it is called grey, but holds 2 samples"),
    ],
)  # fmt: skip
def test_what_is_refused_and_why(content, reason, tmp_path):
    assert reason in refusal(write(tmp_path, "a.png", content))


def test_what_is_larger_than_any_picture_is_refused_before_it_is_decoded(tmp_path):
    started = time.process_time()
    huge = pictures.png(np.zeros((3, 4), np.uint8), 8, 0, columns=70000)
    header = pictures.struct.pack(">IIBBBBB", 70000, 70000, 8, 0, 0, 0, 0)
    huge = huge[:8] + pictures.png_chunk(b"IHDR", header) + huge[33:]
    assert "exceeds limit" in refusal(write(tmp_path, "a.png", huge))
    stream = tmp_path / "b.tif"
    tifffile.imwrite(stream, shape=(30000, 20000), dtype=np.uint16, compression="deflate",
                     data=iter([b""]), rowsperstrip=30000)  # fmt: skip
    assert "more than 400 million pixels" in refusal(stream)
    # 3 GiB of zeros in 3 MiB.
    deflated = FILES["deflated.dcm"].content
    start = 132 + 12 + int.from_bytes(deflated[140:144], "little")
    packer = pictures.zlib.compressobj(1, wbits=-15)
    zeros = bytes(1 << 24)
    bomb = b"".join(packer.compress(zeros) for _ in range(160)) + packer.flush()
    assert "inflates to more than" in refusal(write(tmp_path, "c", deflated[:start] + bomb))
    assert time.process_time() - started < 30


def test_strips_that_are_missing_are_not_taken_as_black(tmp_path):
    content = FILES["planar16.tif"].content
    height = content.index(pictures.struct.pack("<HHII", 257, 4, 1, ROWS)) + 8
    content = content[:height] + pictures.struct.pack("<I", 9 * ROWS) + content[height + 4 :]
    assert refusal(write(tmp_path, "a", content)) == "some of its strips or tiles are missing"


def test_nothing_runs_and_nothing_else_is_tried(tmp_path, monkeypatch):
    """Ghostscript, numpy's pickles, MONAI's other readers."""
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("ran a program"))
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("ran a program"))
    for content in (b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x80\x04N.", b"P7 332\n"):
        refusal(write(tmp_path, "a.eps", content))


# ---------------------------------------------------------------- broken files


def broken(name, content, cuts, flips):
    rng = random.Random(name)
    for _ in range(cuts):
        yield content[: rng.randrange(len(content))]
    for _ in range(flips):
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 2, 8))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        yield bytes(changed)


@pytest.mark.parametrize("name", FILES)
def test_broken_files_are_read_or_refused_in_one_sentence(name, tmp_path):
    path, reader, refused = tmp_path / "a", FundusReader(at_least=(2, 2)), 0
    cuts, flips = (2, 2) if name in SLOW else (30, 60)
    for content in broken(name, FILES[name].content, cuts, flips):
        path.write_bytes(content)
        started = time.perf_counter()
        try:
            picture = reader.read(path)
        except UnreadableImageError as why:
            said = str(why)
            refused += 1
        else:
            said = f"{path}: cannot be read as an image ()."
            values, _ = reader.get_data(picture)
            assert values.shape[0] == 3
            assert np.isfinite(values).all()
            assert values.min() >= 0
            assert values.max() <= 255
        assert said.startswith(f"{path}: cannot be read as an image (")
        assert said.endswith(").")
        assert "\n" not in said
        assert time.perf_counter() - started < 10
    assert refused


@pytest.mark.parametrize("name", ["colour.png", "grey.png", "palette.png", "colour16.png"])
def test_a_png_whose_pixels_are_damaged_is_refused_and_not_black(name, tmp_path):
    """Damaged where Pillow, asked for the orientation, has put its error by."""
    content = bytearray(FILES[name].content)
    begin = content.index(b"IDAT") + 4
    size = int.from_bytes(content[begin - 8 : begin - 4])
    # As a faulty disk or network leaves it: zeros where the middle of the stream was.
    content[begin + size // 3 : begin + size // 2] = bytes(size // 2 - size // 3)
    assert refusal(write(tmp_path, name, bytes(content)))


def test_a_broken_file_is_one_sentence_of_the_cohort(tmp_path):
    names = [name for name in FILES if name not in SLOW]
    for name in names:
        write(tmp_path, name, FILES[name].content[: len(FILES[name].content) // 2])
    (tmp_path / "c.csv").write_text("file,A\n" + "".join(f"{name},1\n" for name in names))
    aligner = Aligner(
        read_cohort(tmp_path / "c.csv"),
        FrameSettings(height=ROWS, width=COLUMNS, channels=("red",)),
    )
    for row, name in enumerate(names):
        said = aligner(row)
        assert isinstance(said, str), name
        assert said.startswith(f"{name}: cannot be read as an image (")
        assert said.count(name) == 1 or "cannot identify image file" in said


def test_a_decoder_that_crashes_or_hangs_is_one_sentence(tmp_path, monkeypatch):
    path = write(tmp_path, "a.dcm", FILES["lossless.dcm"].content)
    script = tmp_path / "crash.py"
    monkeypatch.setattr("napari_globalxai.images.guarded_decoder.__file__", str(script))
    script.write_text("import os\nos.abort()\n")
    assert refusal(path) == "its decoder crashed"
    script.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr("napari_globalxai.images.guarded_decoder.SECONDS", 0.5)
    assert refusal(path) == "its decoder did not end within 0.5 s"


def test_floats_that_rise_above_1_by_rounding_are_of_0_to_1(tmp_path):
    samples = G8.astype(np.float32) / G8.max() * np.float32(1.0001)
    image = load(write(tmp_path, "a.tif", pictures.tiff(samples)))
    np.testing.assert_allclose(image[0].numpy(), G8 * (255 / G8.max()), atol=0.1)


def test_palettes_are_not_grey():
    """Else the table above would not tell palettes from grey."""
    assert np.abs(PALETTE[G8].astype(int) - G8[..., None]).mean() > 20
