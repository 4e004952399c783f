"""TIFF pictures: Pillow up to 8 bit a sample, tifffile for what is deeper."""

from __future__ import annotations

import logging
import math
import re
import zlib
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from napari_globalxai.images.memory_budget import DECODING
from napari_globalxai.images.pixels import (
    Array,
    Picture,
    Wanted,
    check_size,
    choose_page,
    reduction,
    upright,
)
from napari_globalxai.images.rasters import Decoded, decoding_bytes, deep_rgb, pillow_rgb
from napari_globalxai.images.value_range import ValueRange, refuse_lower_bits

# As for Pillow: noise.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 0x0112
_LOWEST, _HIGHEST, _HIGHEST_SEEN = 340, 341, 281
MOST_PAGES = 500
# None, deflate by either number: what tifffile decodes without a package of codecs.
_DEFLATED = (8, 32946)
_TIFFFILE_COMPRESSIONS = (1, *_DEFLATED)
_MINISWHITE, _MINISBLACK, _RGB = 0, 1, 2
_ASSOCIATED, _UNASSOCIATED = 1, 2
_SIGNIFICANT_BITS = re.compile(r'\bSignificantBits="(\d{1,2})"')
# No deflated stream becomes more than so many times as large.
_MOST_INFLATED = 1032
_SLACK = 1 << 24
# Of a sample, at the most, beside what is stored: as read, as 32-bit numbers, as RGB.
_TIMES_READ, _TIMES_WHOLE = 3, 9


def is_tiff(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a TIFF or BigTIFF."""
    return head.startswith(_MAGIC)


def read_tiff(path: Path, page: int | None, wanted: Wanted) -> Picture:
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
        _check_grey(chosen)
        tag = chosen.tags.get(_ORIENTATION)
        orientation = int(tag.value) if tag is not None else 1
        factor = reduction(native, wanted.as_stored(orientation))
        signed = chosen.dtype == np.int8
        deep = signed or (chosen.dtype is not None and chosen.dtype.itemsize > 1)
        told = _told_range(tiff, chosen) if deep else None
        if deep and chosen.compression in _TIFFFILE_COMPRESSIONS:
            times = _TIMES_WHOLE if factor == 1 else _TIMES_READ
            with DECODING.hold(times * int(chosen.size) * chosen.dtype.itemsize):
                values, note = _tifffile_rgb(chosen, wanted, told, factor)
            return upright(values, native, orientation, factor, note)
        if signed:
            # Pillow takes them for unsigned ones.
            raise ValueError("its samples are signed 8-bit numbers; save it without compression")
        inverted = deep and chosen.photometric == _MINISWHITE
    with Image.open(path, formats=("TIFF",)) as image:
        image.seek(index)
        kept = image.mode
        with DECODING.hold(decoding_bytes(image.size, factor)):
            values, note = pillow_rgb(image, wanted.stored_bits, factor, told=told)
    if deep and not kept.startswith(("I", "F")):
        _check_upper_bits(values, told, wanted)
    # Pillow inverts pictures whose 0 is white, but not deep ones.
    values = 255 - values if inverted else values
    # It has also turned the picture upright; only where its pixels come from is still to be said.
    stored = values.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else values
    affine = upright(stored, native, orientation, factor).affine
    return Picture(values, native, affine, note=note)


def _tiff_pages(tiff: Any) -> list[Any]:
    """Return the pages; a broken file may chain any number of them."""
    pages = list(islice(tiff.pages, MOST_PAGES + 1))
    if len(pages) > MOST_PAGES:
        raise ValueError(f"it holds more than {MOST_PAGES} pages")
    return [page for page in pages if isinstance(page, tifffile.TiffPage)]


def _check_grey(page: Any) -> None:
    """Refuse grey that stands beside samples of unknown meaning: they may be the other colours."""
    extra = [int(kind) for kind in page.extrasamples or ()]
    beside = page.samplesperpixel - 1
    grey = page.photometric in (_MINISWHITE, _MINISBLACK)
    if grey and beside and extra[:1] not in ([_ASSOCIATED], [_UNASSOCIATED]):
        raise ValueError(
            f"it is called grey, but holds {beside + 1} samples a pixel, and nothing tells what "
            "the others are; save it as grey or as RGB"
        )


def _told_range(tiff: Any, page: Any) -> ValueRange | None:
    """Return what a TIFF tells of the numbers that mean black and white, if anything.

    Bits a sample; what OME's metadata call significant; SMinSampleValue and SMaxSampleValue; or a
    MaxSampleValue, which tells what was seen, where that is all that so many bits can hold.
    """
    if page.dtype.kind in "iu" and page.bitspersample % 8:
        return ValueRange.of_bits(page.bitspersample)
    if page.dtype.kind in "iu" and tiff.is_ome:
        found = _SIGNIFICANT_BITS.search(tiff.ome_metadata or "")
        if found and 8 <= int(found[1]) < page.bitspersample:
            return ValueRange.of_bits(int(found[1]))
    lowest, highest = (_tag(page, code) for code in (_LOWEST, _HIGHEST))
    if highest is not None and math.isfinite(highest):
        return ValueRange(lowest if lowest is not None and math.isfinite(lowest) else 0, highest)
    seen = _tag(page, _HIGHEST_SEEN)
    return ValueRange(0, seen) if seen is not None and _is_full(seen) else None


def _tag(page: Any, code: int) -> float | None:
    """Return the largest of a tag's values, which may be one for each sample."""
    tag = page.tags.get(code)
    if tag is None:
        return None
    values = np.atleast_1d(np.asarray(tag.value, float))
    return float(values.max()) if values.size else None


def _is_full(largest: float) -> bool:
    """Return whether a number is the largest of 8 to 16 bits."""
    return largest in [2**bits - 1 for bits in range(8, 17)]


def _believable(told: ValueRange | None, samples: Array) -> ValueRange | None:
    """Return a range that a file tells, or None where it only repeats what the picture holds.

    Some programs write the extremes of each picture where the standard wants the range: taken for
    white, the brightest pixel would stretch each picture of a cohort otherwise.
    """
    if told is None or (_is_full(told.white) and not told.black):
        return told
    low, high = samples.min(), samples.max()
    repeats = told.white == high and not _is_full(told.white) and told.white not in (1, 255)
    return None if repeats or (told.black and told.black == low) else told


def _check_upper_bits(values: Array, told: ValueRange | None, wanted: Wanted) -> None:
    """Refuse what Pillow has kept of 16 bits where the lower ones are what matters."""
    if told is not None and told.white < 65535:
        raise ValueError(
            f"its samples end at {told.white:g} of 16 bit, in a compression of which 8 bits are "
            "read; save it uncompressed or with deflate"
        )
    if wanted.stored_bits != 16:
        refuse_lower_bits(int(values.max()), kept=8)


def _tifffile_rgb(page: Any, wanted: Wanted, told: ValueRange | None, factor: int) -> Decoded:
    """Decode one page with tifffile."""
    if page.photometric not in (_MINISWHITE, _MINISBLACK, _RGB):
        raise ValueError(f"{page.dtype} with colours by {page.photometric!r} is not read")
    # tifffile would fill what a broken file lacks with zeros.
    if len(page.dataoffsets) < math.prod(page.chunked) or 0 in page.databytecounts:
        raise ValueError("some of its strips or tiles are missing")
    _check_segments(page)
    if page.bitspersample % 8:
        samples = _unpacked(page)
    else:
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
    # Premultiplied colours lie on black already; samples of unknown meaning are left out.
    has_alpha = extra[:1] == [_UNASSOCIATED]
    samples = samples[..., : colours + has_alpha]
    told = _believable(told, samples[..., :colours])
    white_is_0 = page.photometric == _MINISWHITE
    return deep_rgb(samples, has_alpha, wanted, told, factor, white_is_0)


def _check_segments(page: Any) -> None:
    """Refuse strips and tiles that are larger than they need be, as they are or inflated."""
    check_size(*page.chunks[:2])
    if page.compression not in _DEFLATED:
        return
    wanted = math.prod(page.chunks) * page.dtype.itemsize + _SLACK
    stream = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if count * _MOST_INFLATED <= wanted:
            continue
        stream.seek(offset)
        inflate, size, left = zlib.decompressobj(), 0, count
        while left > 0 and not inflate.eof and (part := stream.read(min(left, 1 << 20))):
            left -= len(part)
            while part and not inflate.eof:
                size += len(inflate.decompress(part, 1 << 24))
                part = inflate.unconsumed_tail
                if size > wanted:
                    raise ValueError("a strip or tile of it inflates to more than it has room for")


def _unpacked(page: Any) -> Array:
    """Read samples of 9 to 15 bits that lie in strips without gaps, rows beginning at bytes.

    tifffile leaves them to a package of codecs.
    """
    bits, columns = page.bitspersample, page.imagewidth * page.samplesperpixel
    plain = page.predictor == 1 and page.compression == 1 and page.fillorder == 1
    if page.is_tiled or page.planarconfig != 1 or not plain or bits > 16:
        raise ValueError(f"its samples of {bits} bit are packed in a way that is not read")
    width = -(-columns * bits // 8)
    weights = (1 << np.arange(bits)[::-1]).astype(np.uint16)
    strips = []
    for number, (offset, count) in enumerate(
        zip(page.dataoffsets, page.databytecounts, strict=False)
    ):
        page.parent.filehandle.seek(offset)
        content = page.parent.filehandle.read(count)
        rows = min(page.rowsperstrip, page.imagelength - number * page.rowsperstrip)
        lines = np.frombuffer(content, np.uint8, rows * width).reshape(rows, width)
        for line in lines:
            single = np.unpackbits(line)[: columns * bits].reshape(columns, bits)
            strips.append(single @ weights)
    return np.stack(strips).reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
