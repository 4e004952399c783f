"""JPEG, PNG, BMP and other plain pictures: Pillow, and SimpleITK for deep PNGs."""

from __future__ import annotations

import math
import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageSequence

from napari_globalxai.errors import is_out_of_memory
from napari_globalxai.images.guarded_decoder import decode_guarded
from napari_globalxai.images.jpeg_stream import read_header
from napari_globalxai.images.memory_budget import DECODING
from napari_globalxai.images.pixels import (
    Array,
    Picture,
    Wanted,
    check_size,
    choose_page,
    hides_all,
    in_bands,
    reduction,
    to_rgb,
    upright,
)
from napari_globalxai.images.plain_paths import to_read_plainly
from napari_globalxai.images.png_header import PngHeader, read_png_header
from napari_globalxai.images.value_range import (
    BITS_16,
    ValueRange,
    range_of,
    range_of_significant,
    refuse_lower_bits,
    to_255,
)

# Whoever reads thousands of files in threads gets one sentence for a file that fails; what Pillow
# says meanwhile of files that do not is noise. `warnings.catch_warnings` cannot be used in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

# Else the less common formats are not there before some file was not recognised.
Image.init()
# Named one by one: some of Pillow's other formats run programs (EPS runs Ghostscript).
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "JPEG2000", "PPM")
_MAGIC = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    b"GIF8",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    *(b"P%d%b" % (kind, space) for kind in range(1, 7) for space in (b" ", b"\n", b"\r", b"\t")),
)
_ORIENTATION = 0x0112
_LOWER_BITS = 1 << 6
# Of a pixel, at the most, while it is decoded and made RGB: by Pillow, as a whole or reduced, and
# by SimpleITK, in two processes.
_BYTES_A_PIXEL, _BYTES_REDUCED, _BYTES_GUARDED = 24, 9, 64
ALPHA_IGNORED = "its alpha hides all of it and was left out"


class Decoded(NamedTuple):
    """RGB in 0–255, and what had to be decided for it."""

    values: Array
    note: str


def is_raster(head: bytes) -> bool:
    """Return whether a file that begins with `head` is one of these, TIFF apart."""
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def read_raster(path: Path, page: int | None, wanted: Wanted) -> Picture:
    """Read a picture that Pillow knows.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    page : int or None
        Page asked for, counted from 1.
    wanted : Wanted
        JPEGs are decoded at 1/2, 1/4 or 1/8 as long as they stay twice as large as needed; so are
        huge pictures of other kinds.
    """
    header = read_png_header(path)
    with Image.open(path, formats=_FORMATS) as image:
        if header.is_deep_colour:
            return _read_deep_png(path, image, header, wanted)
        index = choose_page(page, _frame_shapes(image), path.name)
        if index:
            image.seek(index)
        check_size(image.height, image.width)
        native = image.height, image.width
        with ExitStack() as held:
            if image.format == "PNG":
                factor = reduction(native, wanted.at_least)
                held.enter_context(DECODING.hold(decoding_bytes(image.size, factor)))
                _load_png(image)
            orientation = _orientation(image)
            needed = wanted.as_stored(orientation)
            scale = 1
            if needed is not None:
                height, width = needed
                # Decoding at 1/2 takes a quarter of the time. Twice the size is kept so that the
                # area average after it stays close to that of the whole: benchmarks/aligning.py.
                if reduced := image.draft(None, (2 * width, 2 * height)):
                    scale = round(native[1] / reduced[1][2])
            factor = reduction((image.height, image.width), needed)
            full = _fills_16_bits(image, path)
            if image.format != "PNG":
                held.enter_context(DECODING.hold(decoding_bytes(image.size, factor)))
            values, note = pillow_rgb(
                image, 16 if full else wanted.stored_bits, factor, header.significant
            )
    deep = header.is_deep_grey_with_alpha
    if deep and values.max() < _LOWER_BITS and header.significant:
        raise ValueError(
            "of 16-bit grey with alpha only the upper 8 bits are read; leave alpha out"
        )
    if (deep or (full is False and values.dtype == np.uint8)) and wanted.stored_bits != 16:
        refuse_lower_bits(int(values.max()), kept=8)
    return upright(values, native, orientation, scale * factor, note)


def decoding_bytes(size: tuple[int, int], factor: int) -> int:
    """Return what decoding with Pillow may take, in bytes."""
    return math.prod(size) * (_BYTES_A_PIXEL if factor == 1 else _BYTES_REDUCED)


def pillow_rgb(
    image: Image.Image,
    stored_bits: int | None,
    factor: int = 1,
    significant: int | None = None,
    told: ValueRange | None = None,
) -> Decoded:
    """Decode with Pillow.

    Parameters
    ----------
    image : PIL.Image.Image
        Opened, not decoded.
    stored_bits : int or None
        See `Wanted`.
    factor : int, optional
        Side of the squares of pixels that are averaged.
    significant : int, optional
        How many bits of 16 a PNG calls significant.
    told : ValueRange, optional
        What a file tells of numbers of more than 8 bit.
    """
    if image.mode == "1":
        image = image.convert("L")
    if image.mode.startswith("I") or image.mode == "F":
        samples = np.asarray(image)
        if image.format == "PPM" and image.mode == "I":
            # Pillow has scaled it to 16 bit.
            samples = samples.astype(np.uint16)
        samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        if significant is not None and samples.dtype == np.uint16:
            values = range_of_significant(samples, significant)
        else:
            values = range_of(samples, told, stored_bits)
        return Decoded(in_bands(samples, lambda band: to_rgb(to_255(band, values)), factor), "")
    note = ""
    image, note = _without_hidden_alpha(image)
    if factor > 1:
        image = image.reduce(factor)
    shown = np.asarray(image)
    alpha = shown[..., 3] if image.mode == "RGBA" else None
    return Decoded(to_rgb(shown if alpha is None else shown[..., :3], alpha), note)


def _without_hidden_alpha(image: Image.Image) -> tuple[Image.Image, str]:
    """Return a picture as L, RGB or RGBA, without an alpha channel that hides all of it."""
    if not image.has_transparency_data:
        return image if image.mode in ("L", "RGB") else image.convert("RGB"), ""
    if image.mode == "RGBa":
        *colours, alpha = _extrema(image)
        # What alpha was multiplied into cannot be brighter than it.
        if max(high for _, high in colours) > alpha[1] and hides_all(alpha[1], colours):
            return Image.merge("RGB", image.split()[:3]), ALPHA_IGNORED
    image = image.convert("RGBA")
    *colours, alpha = _extrema(image)
    return (image.convert("RGB"), ALPHA_IGNORED) if hides_all(alpha[1], colours) else (image, "")


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    found: Any = [part.getextrema() for part in image.split()]
    return list(found)


def _fills_16_bits(image: Image.Image, path: Path) -> bool | None:
    """Return whether the numbers of a deep picture were scaled by what its file tells.

    None where they have 8 bit, or the format is another one.
    """
    if image.format == "PPM":
        opened: Any = image
        codec, _, _, told = opened.tile[0]
        largest = told[1] if codec != "raw" and isinstance(told, tuple) else None
        if image.mode == "I":
            return largest is not None and largest < BITS_16.white
        return None if largest is None or largest < 256 else largest < BITS_16.white
    if image.format == "JPEG2000":
        with path.open("rb") as stream:
            header = read_header(stream.read(1 << 16))
        return None if header is None or header.bits <= 8 else header.bits < 16
    return None


def _frame_shapes(image: Image.Image) -> list[tuple[int, int]]:
    count = getattr(image, "n_frames", 1)
    if count == 1 or image.format != "MPO":
        # The frames of an animation are all of one size.
        return [(image.height, image.width)] * count
    shapes = [(frame.height, frame.width) for frame in ImageSequence.Iterator(image)]
    image.seek(0)
    return shapes


def _load_png(image: Image.Image) -> None:
    """Decode a PNG before it is asked for its orientation, which may stand behind its pixels.

    Pillow would decode it for that as well, and an error that is put by there is not raised again:
    what could not be decoded is black then.
    """
    image.load()


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    # A broken note beside a picture is no reason not to read it; it fails in many ways.
    except Exception as why:
        if is_out_of_memory(why):
            raise
        return 1
    return found if isinstance(found, int) else 1


def _read_deep_png(path: Path, image: Image.Image, header: PngHeader, wanted: Wanted) -> Picture:
    """Read 16-bit colours, of which Pillow keeps 8 bits, with SimpleITK."""
    check_size(image.height, image.width)
    native = image.height, image.width
    with DECODING.hold(math.prod(native) * _BYTES_GUARDED):
        # SimpleITK gives what there is of a file that was cut off; this fails.
        _load_png(image)
        orientation = _orientation(image)
        samples = _decode_deep_png(path, header, 8 * math.prod(native))
        if samples.shape[:2] != native or samples.shape[2:] not in ((3,), (4,)):
            raise ValueError("its decoder gives another size than its header")
        factor = reduction(native, wanted.as_stored(orientation))
        values, note = deep_rgb(samples, samples.shape[2] == 4, wanted, header.significant, factor)
    return upright(values, native, orientation, factor, note)


def _decode_deep_png(path: Path, header: PngHeader, size: int) -> Array:
    if header.place == (0, 0):
        with to_read_plainly(path, ".png") as plain:
            return decode_guarded(plain, "PNGImageIO", size)
    # ITK would shift out the bits that are not called significant, whichever they are.
    content, (begin, end) = path.read_bytes(), header.place
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.png"
        plain.write_bytes(content[:begin] + content[end:])
        return decode_guarded(plain, "PNGImageIO", size)


def deep_rgb(
    samples: Array,
    has_alpha: bool,
    wanted: Wanted,
    told: ValueRange | int | None,
    factor: int,
    white_is_0: bool = False,
) -> Decoded:
    """Make RGB of samples of more than 8 bit.

    Parameters
    ----------
    samples : numpy.ndarray
        (row, column, sample): grey or RGB, then alpha.
    has_alpha : bool
        Whether the last sample is alpha, in the range of the colours or of its type.
    wanted : Wanted
        What the reader was asked for.
    told : ValueRange, int or None
        What the file tells of its numbers, or how many bits of 16 a PNG calls significant.
    factor : int
        Side of the squares of pixels that are averaged.
    white_is_0 : bool, optional
        Whether dark is bright.
    """
    count = samples.shape[2] - has_alpha
    colours = samples[..., :count]
    if isinstance(told, int):
        values = range_of_significant(colours, told)
    else:
        values = range_of(colours, told, wanted.stored_bits)
    note = ""
    if has_alpha:
        highest = samples[..., count].max(keepdims=True)
        alpha = ValueRange.of_type(samples.dtype)
        # Numbers of 12 bit have an alpha of 12 bit.
        alpha = values if highest <= values.white < alpha.white else alpha
        top = float(to_255(highest, alpha).max())
        if hides_all(top, [(part.min(), part.max()) for part in np.moveaxis(colours, -1, 0)]):
            has_alpha, note = False, ALPHA_IGNORED

    def convert(band: Array) -> Array:
        shown = to_255(band[..., :count], values)
        shown = 255 - shown if white_is_0 else shown
        return to_rgb(shown, to_255(band[..., count], alpha) if has_alpha else None)

    return Decoded(in_bands(samples, convert, factor), note)
