"""JPEG, PNG, TIFF, BMP and other plain pictures: Pillow, and tifffile for deep TIFFs."""

from __future__ import annotations

import logging
import math
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageSequence

from napari_globalxai.images.guarded_decoder import decode_guarded
from napari_globalxai.images.pixels import (
    Array,
    Picture,
    check_size,
    choose_page,
    to_255,
    to_rgb,
    upright,
)

# Whoever reads thousands of files in threads gets one sentence for a file that fails; what the
# libraries say meanwhile of files that do not is noise. `warnings.catch_warnings` cannot be used
# in threads.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
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
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 0x0112
_PNG_HEADER = slice(12, 26)
MOST_PAGES = 500
# None, deflate by either number: what tifffile decodes without a package of codecs.
_TIFFFILE_COMPRESSIONS = (1, 8, 32946)
_MINISWHITE, _MINISBLACK, _RGB = 0, 1, 2
_PREMULTIPLIED, _UNASSOCIATED = 1, 2


def is_raster(head: bytes) -> bool:
    """Return whether a file that begins with `head` is one of these, TIFF apart."""
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def is_tiff(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a TIFF or BigTIFF."""
    return head.startswith(_TIFF_MAGIC)


def read_raster(path: Path, page: int | None, at_least: tuple[int, int] | None) -> Picture:
    """Read a picture that Pillow knows.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    page : int or None
        Page asked for, counted from 1.
    at_least : tuple of int or None
        Height and width, upright, that will be needed: JPEGs are decoded at 1/2, 1/4 or 1/8 as
        long as they stay twice as large.
    """
    with Image.open(path, formats=_FORMATS) as image:
        if _is_deep_colour_png(path):
            return _read_deep_colour_png(path, image)
        index = choose_page(page, _frame_shapes(image), path.name)
        if index:
            image.seek(index)
        check_size(image.height, image.width)
        native = image.height, image.width
        orientation = _orientation(image)
        scale = 1
        if at_least is not None:
            height, width = at_least if orientation < 5 else at_least[::-1]
            # Decoding at 1/2 takes a quarter of the time. Twice the size is kept so that the area
            # average after it stays close to that of the whole picture: benchmarks/aligning.py.
            if reduced := image.draft(None, (2 * width, 2 * height)):
                scale = round(native[1] / reduced[1][2])
        values = _pillow_rgb(image)
    return upright(values, native, orientation, scale)


def read_tiff(path: Path, page: int | None) -> Picture:
    """Read a TIFF: with Pillow up to 8 bit a sample, else with tifffile, which keeps all bits.

    Of colours with more than 8 bit a sample in a compression that needs a package of codecs (LZW,
    PackBits) Pillow reads the upper 8 bits.
    """
    with tifffile.TiffFile(path) as tiff:
        pages = _tiff_pages(tiff)
        shapes = [(one.imagelength, one.imagewidth) for one in pages]
        index = choose_page(page, shapes, path.name)
        chosen = pages[index]
        native = shapes[index]
        check_size(*native)
        tag = chosen.tags.get(_ORIENTATION)
        orientation = int(tag.value) if tag is not None else 1
        deep = chosen.dtype is not None and chosen.dtype.itemsize > 1
        if deep and chosen.compression in _TIFFFILE_COMPRESSIONS:
            return upright(_tifffile_rgb(chosen), native, orientation, 1)
        inverted = deep and chosen.photometric == _MINISWHITE
    with Image.open(path, formats=("TIFF",)) as image:
        image.seek(index)
        values = _pillow_rgb(image)
    # Pillow inverts pictures whose 0 is white, but not deep ones.
    values = 255 - values if inverted else values
    # It has also turned the picture upright; only where its pixels come from is still to be said.
    stored = values.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else values
    affine = upright(stored, native, orientation, 1).affine
    return Picture(values, native, affine)


def _tiff_pages(tiff: Any) -> list[Any]:
    """Return the pages; a broken file may chain any number of them."""
    pages = list(islice(tiff.pages, MOST_PAGES + 1))
    if len(pages) > MOST_PAGES:
        raise ValueError(f"it holds more than {MOST_PAGES} pages")
    return [page for page in pages if isinstance(page, tifffile.TiffPage)]


def _frame_shapes(image: Image.Image) -> list[tuple[int, int]]:
    count = getattr(image, "n_frames", 1)
    if count == 1 or image.format != "MPO":
        # The frames of an animation are all of one size.
        return [(image.height, image.width)] * count
    shapes = [(frame.height, frame.width) for frame in ImageSequence.Iterator(image)]
    image.seek(0)
    return shapes


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    # A broken note beside a picture is no reason not to read it; it fails in many ways.
    except Exception:
        return 1
    return found if isinstance(found, int) else 1


def _pillow_rgb(image: Image.Image) -> Array:
    """Decode with Pillow."""
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("L", "RGB") and not image.has_transparency_data:
        return to_rgb(np.asarray(image))
    if image.mode.startswith("I") or image.mode == "F":
        samples = np.asarray(image)
        if image.format == "PPM" and image.mode == "I":
            # Pillow has scaled it to 16 bit.
            samples = samples.astype(np.uint16)
        return to_rgb(to_255(samples.astype(samples.dtype.newbyteorder("="), copy=False)))
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return to_rgb(rgba[..., :3], rgba[..., 3])
    return np.asarray(image.convert("RGB"))


def _is_deep_colour_png(path: Path) -> bool:
    with path.open("rb") as stream:
        header = stream.read(_PNG_HEADER.stop)[_PNG_HEADER]
    # The first chunk; then bits a sample, and RGB with or without alpha.
    return header.startswith(b"IHDR") and header[-2:] in (b"\x10\x02", b"\x10\x06")


def _read_deep_colour_png(path: Path, image: Image.Image) -> Picture:
    """Read 16-bit colours, of which Pillow keeps 8 bits, with SimpleITK."""
    check_size(image.height, image.width)
    native = image.height, image.width
    # SimpleITK gives what there is of a file that was cut off; this fails.
    image.load()
    orientation = _orientation(image)
    values = to_255(decode_guarded(path, "PNGImageIO"))
    if values.shape[:2] != native or values.shape[2:] not in ((3,), (4,)):
        raise ValueError("its decoder gives another size than its header")
    alpha = values[..., 3] if values.shape[2] == 4 else None
    return upright(to_rgb(values[..., :3], alpha), native, orientation, 1)


def _tifffile_rgb(page: Any) -> Array:
    """Decode one page with tifffile."""
    if page.photometric not in (_MINISWHITE, _MINISBLACK, _RGB):
        raise ValueError(f"{page.dtype} with colours by {page.photometric!r} is not read")
    # tifffile would fill what a broken file lacks with zeros.
    if len(page.dataoffsets) < math.prod(page.chunked) or 0 in page.databytecounts:
        raise ValueError("some of its strips or tiles are missing")
    samples = page.asarray(maxworkers=1)
    if page.axes == "YX":
        samples = samples[..., None]
    elif page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    elif page.axes != "YXS":
        raise ValueError(f"it is a volume (axes {page.axes})")
    colours = 3 if page.photometric == _RGB else 1
    extra = [int(kind) for kind in page.extrasamples or ()]
    if samples.shape[2] != colours + len(extra):
        raise ValueError(f"{samples.shape[2]} samples a pixel are neither grey nor RGB")
    values = to_255(samples[..., :colours])
    if page.photometric == _MINISWHITE:
        values = 255 - values
    # Premultiplied colours lie on black already; samples of unknown meaning are left out.
    if extra[:1] == [_UNASSOCIATED]:
        return to_rgb(values, to_255(samples[..., colours]))
    return to_rgb(values)
