"""Numbers of fewer bits than their file has room for: scaled as the file or the user says.

Pictures of 10, 12 and 14 bit in samples of 16; whatever does not tell is refused, never guessed.
"""

import io
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from pictures import A8, C16, COLUMNS, G16, ROWS, dicom, png, shown, tiff
from PIL import Image

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import align
from napari_globalxai.images.image_file import UnreadableImageError
from napari_globalxai.images.readers import FundusReader, read_stored
from napari_globalxai.settings.frame_settings import FrameSettings

SMIN, SMAX, MAXIMUM = 340, 341, 281


def write(folder, content, name="a"):
    path = folder / name
    path.write_bytes(content)
    return path


def read(path, **options):
    return np.asarray(FundusReader(**options).read(path).values, float)


def refusal(path, **options):
    with pytest.raises(UnreadableImageError) as error:
        FundusReader(**options).read(path)
    return error.value.reason


def fewer(samples, bits):
    return samples >> (16 - bits)


def big(samples):
    return samples.astype(">u2")


def significant(bits, kind):
    return bytes([bits] * {0: 1, 2: 3, 4: 2, 6: 4}[kind])


def with_alpha(colours, alpha):
    return np.dstack([colours, alpha])


# ---------------------------------------------------------------- what files tell


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("kind", [0, 2, 4, 6])
def test_a_png_tells_its_significant_bits(bits, kind, tmp_path):
    """In the lower bits, as a camera gives them, and in the upper ones, as the standard wants."""
    low = fewer(G16 if kind in (0, 4) else C16, bits)
    opaque = np.full((ROWS, COLUMNS), 2**bits - 1, np.uint16)
    wanted = shown(low, 2**bits - 1)
    for scaled in (
        # Of grey with alpha Pillow keeps the upper bits.
        *([] if kind == 4 else [low]),
        low << (16 - bits),
        (low << (16 - bits)) | (low >> (2 * bits - 16)),
        np.rint(low * (65535 / (2**bits - 1))).astype(np.uint16),
    ):
        whole = opaque if scaled is low else np.full_like(opaque, 65535)
        samples = with_alpha(scaled, whole) if kind in (4, 6) else scaled
        content = png(big(samples), 16, kind, sBIT=significant(bits, kind))
        # Pillow keeps 8 bits of grey with alpha, and shifted numbers lack what was shifted in.
        tolerance = 1 if kind == 4 else 0.3
        np.testing.assert_allclose(read(write(tmp_path, content)), wanted, atol=tolerance)


def test_significant_bits_of_8_bit_and_of_full_16_bit_change_nothing(tmp_path):
    content = png((G16 >> 8).astype(np.uint8), 8, 0, sBIT=bytes([5]))
    np.testing.assert_array_equal(read(write(tmp_path, content)), shown((G16 >> 8), 255))
    content = png(big(G16), 16, 0, sBIT=bytes([16]))
    np.testing.assert_allclose(read(write(tmp_path, content)), shown(G16), atol=0.001)
    # Scaled up by its file's word, and really dark: 12 bits of which the lower ones are used.
    dark = (G16 >> 12) << 4
    content = png(big(dark), 16, 0, sBIT=bytes([12]))
    np.testing.assert_allclose(read(write(tmp_path, content)), shown(dark, 65535), atol=0.001)


@pytest.mark.parametrize("compression", [None, "deflate", "lzw"])
@pytest.mark.parametrize("bits", [10, 12])
def test_a_tiff_tells_the_range_of_its_samples(bits, compression, tmp_path):
    low = fewer(G16, bits)
    for tags in (
        [(SMAX, "H", 1, 2**bits - 1, True)],
        [(SMIN, "H", 1, 0, True), (SMAX, "H", 1, 2**bits - 1, True)],
        [(MAXIMUM, "H", 1, 2**bits - 1, True)],
    ):
        path = write(tmp_path, tiff(low, compression=compression, extratags=tags))
        np.testing.assert_allclose(read(path), shown(low, 2**bits - 1), atol=0.001)


def test_a_tiff_tells_a_range_that_does_not_begin_at_nothing(tmp_path):
    """Whole numbers with and without a sign, floats, and colours with white at 0."""
    low = 100 + fewer(C16, 12) // 2
    tags = [(SMIN, "H", 3, (100,) * 3, True), (SMAX, "H", 3, (3000,) * 3, True)]
    path = write(tmp_path, tiff(low, photometric="rgb", extratags=tags))
    np.testing.assert_allclose(read(path), (low - 100.0) / 2900 * 255, atol=0.001)
    signed = low[..., 0].astype(np.int16) - 500
    tags = [(SMIN, "h", 1, -500, True), (SMAX, "h", 1, 2500, True)]
    path = write(tmp_path, tiff(signed, photometric="miniswhite", extratags=tags))
    wanted = 255 - (signed + 500.0) / 3000 * 255
    np.testing.assert_allclose(read(path)[..., 0], wanted, atol=0.001)
    floats = (low[..., 0] * 1.0).astype(np.float32)
    path = write(tmp_path, tiff(floats, extratags=[(SMAX, "f", 1, 4000.0, True)]))
    np.testing.assert_allclose(read(path)[..., 0], floats / 4000 * 255, atol=0.001)


@pytest.mark.skipif(
    tifffile.__version__ < "2026", reason="older releases read packed samples, but write none"
)
@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 4}])
def test_a_tiff_packs_samples_without_gaps(bits, options, tmp_path):
    for low, kind in ((fewer(G16, bits), {}), (fewer(C16, bits), {"photometric": "rgb"})):
        content = tiff(low, bitspersample=bits, **kind, **options)
        with tifffile.TiffFile(io.BytesIO(content)) as other:
            assert other.pages[0].bitspersample == bits
            np.testing.assert_array_equal(other.asarray(), low)
        path = write(tmp_path, content)
        np.testing.assert_allclose(read(path), shown(low, 2**bits - 1), atol=0.001)


def test_ome_metadata_tell_significant_bits(tmp_path):
    low = fewer(G16, 12)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, low, ome=True, metadata={"axes": "YX", "SignificantBits": 12})
    np.testing.assert_allclose(read(path), shown(low, 4095), atol=0.001)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_pgm_and_a_jpeg_2000_tell_their_bits(bits, tmp_path):
    low, white = fewer(G16, bits), 2**bits - 1
    content = b"P5 %d %d %d\n" % (COLUMNS, ROWS, white) + big(low).tobytes()
    np.testing.assert_allclose(read(write(tmp_path, content)), shown(low, white), atol=0.01)
    for samples in (low, fewer(C16, bits)):
        content = imagecodecs.jpeg2k_encode(samples, level=0, reversible=True, bitspersample=bits)
        # Of colours Pillow keeps 8 bits; numbers that were shifted up lack what was shifted in.
        tolerance = 0.3 if samples is low else 1.5
        np.testing.assert_allclose(
            read(write(tmp_path, content)), shown(samples, white), atol=tolerance
        )


def test_dicom_tells_its_bits(tmp_path):
    for bits in (10, 12, 14):
        for samples in (fewer(G16, bits), fewer(C16, bits)):
            path = write(tmp_path, dicom(samples, BitsStored=bits))
            np.testing.assert_allclose(read(path), shown(samples, 2**bits - 1), atol=0.001)


# ---------------------------------------------------------------- what they do not tell

SILENT = {
    "grey.png": lambda low, _: png(big(low), 16, 0),
    "colour.png": lambda _, low: png(big(low), 16, 2),
    "alpha.png": lambda _, low: png(big(with_alpha(low, np.full_like(G16, 65535))), 16, 6),
    "grey.tif": lambda low, _: tiff(low),
    "colour.tif": lambda _, low: tiff(low, photometric="rgb"),
    "deflate.tif": lambda _, low: tiff(low, photometric="rgb", compression="deflate"),
    "lzw.tif": lambda low, _: tiff(low, compression="lzw"),
    "planar.tif": lambda _, low: tiff(
        np.moveaxis(low, -1, 0), photometric="rgb", planarconfig="separate"
    ),
    "says-16.tif": lambda low, _: tiff(low, extratags=[(SMAX, "H", 1, 65535, True)]),
    # Some programs write what they saw where the standard wants the range.
    "statistic.tif": lambda low, _: tiff(low, extratags=[(SMAX, "H", 1, int(low.max()), True)]),
    "seen.tif": lambda low, _: tiff(low, extratags=[(MAXIMUM, "H", 1, int(low.max()), True)]),
    "grey.pgm": lambda low, _: b"P5 %d %d 65535\n" % (COLUMNS, ROWS) + big(low).tobytes(),
    "grey.jp2": lambda low, _: imagecodecs.jpeg2k_encode(low, level=0, reversible=True),
    "grey.dcm": lambda low, _: dicom(low),
    "colour.dcm": lambda _, low: dicom(low),
    "inverted.dcm": lambda low, _: dicom(low, "MONOCHROME1"),
}  # fmt: skip
SHOWN_OTHERWISE = ("inverted.dcm",)


@pytest.mark.parametrize("name", SILENT)
def test_lower_bits_alone_are_refused_unless_the_user_says_what_they_are(name, tmp_path):
    for bits in (10, 12):
        grey, colour = fewer(G16, bits), fewer(C16, bits)
        path = write(tmp_path, SILENT[name](grey, colour), name)
        said = refusal(path)
        assert f"uses the lower {bits} alone" in said
        assert f"--stored-bits {bits} or --stored-bits 16" in said
        low = (
            colour
            if "colour" in name or name in ("alpha.png", "planar.tif", "deflate.tif")
            else grey
        )
        for told in (bits, 14, 16):
            wanted = shown(low, 2**told - 1)
            wanted = 255 - wanted if name in SHOWN_OTHERWISE else wanted
            np.testing.assert_allclose(read(path, stored_bits=told), wanted, atol=0.01)
        assert "--stored-bits says 0 to 255" in refusal(path, stored_bits=8) or "dcm" in name


def test_signed_8_bit_is_refused_unless_the_user_says_what_is_white(tmp_path):
    path, packed = tmp_path / "signed.tif", tmp_path / "packed.tif"
    samples = np.linspace(0, 127, 48 * 64).reshape(48, 64).astype(np.int8)
    tifffile.imwrite(path, samples)
    tifffile.imwrite(packed, samples, compression="lzw")
    assert "save it without compression" in refusal(packed)
    assert "signed 8-bit numbers, whose largest may be white" in refusal(path)
    assert read(path, stored_bits=7).max() == 255
    assert read(path, stored_bits=8).max() == 127


def test_numbers_that_fill_their_16_bits_need_no_word(tmp_path):
    """Also where one picture is darker than the rest, as long as it is no black one."""
    for samples in (G16, G16 // 3, C16 // 3):
        for content in (tiff(samples), dicom(samples)):
            np.testing.assert_allclose(
                read(write(tmp_path, content)), shown(samples, 65535), atol=0.01
            )
    # Black is black in any number of bits.
    assert not read(write(tmp_path, tiff(G16 * 0))).any()


def test_what_the_file_tells_outweighs_what_the_user_says(tmp_path):
    low = fewer(G16, 10)
    tagged = tiff(low, extratags=[(SMAX, "H", 1, 1023, True)])
    for content in (tagged, dicom(low, BitsStored=10), png(big(low), 16, 0, sBIT=bytes([10]))):
        path = write(tmp_path, content)
        np.testing.assert_allclose(read(path, stored_bits=12), shown(low, 1023), atol=0.01)
    path = write(tmp_path, tiff(low, extratags=[(SMAX, "H", 1, 255, True)]))
    assert "but it says 0 to 255" in refusal(path)


def test_a_window_tells_what_bits_do_not(tmp_path):
    low = fewer(G16, 12)
    path = write(tmp_path, dicom(low, WindowCenter=2048, WindowWidth=4096))
    wanted = ((low - 2047.5) / 4095 + 0.5).clip(0, 1) * 255
    np.testing.assert_allclose(read(path)[..., 0], wanted, atol=0.01)


@pytest.mark.parametrize("compression", ["lzw", "packbits"])
def test_colours_of_which_8_bits_are_kept_are_not_read_where_the_others_matter(
    compression, tmp_path
):
    low = fewer(C16, 12)
    options = {"photometric": "rgb", "compression": compression}
    path = write(tmp_path, tiff(low, **options))
    assert "save it with 8 bit, or with 16 bit and without compression" in refusal(path)
    path = write(tmp_path, tiff(low, extratags=[(SMAX, "H", 3, (4095,) * 3, True)], **options))
    assert "save it uncompressed" in refusal(path)
    samples = big(with_alpha(low[..., 0], np.full_like(low[..., 0], 65535)))
    assert "uses the lower 12 alone" in refusal(write(tmp_path, png(samples, 16, 4)))
    path = write(tmp_path, png(samples, 16, 4, sBIT=bytes([12, 16])))
    assert "leave alpha out" in refusal(path)
    content = b"P6 %d %d 65535\n" % (COLUMNS, ROWS) + big(low).tobytes()
    assert "save it with 8 bit" in refusal(write(tmp_path, content))


# ---------------------------------------------------------------- a cohort


def test_a_cohort_is_told_once_how_many_bits_its_files_have(tmp_path):
    names = []
    for number, samples in enumerate((fewer(G16, 12), fewer(G16, 12) // 2)):
        names.append(f"{number}.png")
        Image.fromarray(samples).save(tmp_path / names[-1])
    (tmp_path / "c.csv").write_text("file,A\n" + "".join(f"{name},1\n" for name in names))
    cohort, size = read_cohort(tmp_path / "c.csv"), (ROWS, COLUMNS)
    stack = align(cohort, FrameSettings(size=size), tmp_path / "s.zarr")
    assert all("--stored-bits" in error for error in stack.status().values())
    stack = align(cohort, FrameSettings(size=size, stored_bits=12), tmp_path / "s.zarr")
    assert stack.status() == {0: "", 1: ""}
    # Twice as bright stays twice as bright.
    first, second = stack.read([0, 1]).astype(int)
    np.testing.assert_allclose(first[0], np.rint(shown(fewer(G16, 12), 4095)[..., 0]), atol=1)
    np.testing.assert_allclose(first, 2 * second, atol=2)
    stored = read_stored(tmp_path / "0.png", stored_bits=12)
    np.testing.assert_allclose(stored[..., 0], first[0], atol=1)


def test_frames_have_the_keys_that_they_had(tmp_path):
    """Else every cohort would be aligned anew, or an older one not known for what it is."""
    assert FrameSettings(size=(8, 8)).key == FrameSettings(size=(8, 8), stored_bits=None).key
    first = "575c847622cb8224c68dafe2ff7caf17c098b72cee5918b58bbc0d4b33d85558"
    assert FrameSettings().is_outdated(first)
    assert not FrameSettings().is_outdated(FrameSettings().key)
    keys = {FrameSettings(stored_bits=bits).key for bits in (None, 12, 16)}
    assert len(keys) == 3
    for wrong in (7, 17, "many"):
        with pytest.raises(InputError, match="stored_bits"):
            FrameSettings(stored_bits=wrong)


def test_half_of_the_alpha_channel_of_12_bit(tmp_path):
    """An alpha of as many bits as the colours, though its type has room for more."""
    low = fewer(C16, 12)
    alpha = np.rint(A8 * (4095 / 255)).astype(np.uint16)
    tags = [(SMAX, "H", 4, (4095,) * 4, True)]
    content = tiff(
        with_alpha(low, alpha), photometric="rgb", extrasamples=["unassalpha"], extratags=tags
    )
    wanted = shown(low, 4095) * (alpha / 4095)[..., None]
    np.testing.assert_allclose(read(write(tmp_path, content)), wanted, atol=0.01)
    assert struct.calcsize("H") == 2
