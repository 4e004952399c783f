"""Images that claim, or swell to, more than they are."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from hostile.case import Case
from hostile.tables import listed
from PIL import Image


def given(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], list[str]]:
    """A table of one good image and this one."""

    def make(folder: Path) -> list[str]:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content())
        return listed(name)(folder)

    return make


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, *, data: bytes = b"", before: bytes = b"", depth: int = 8
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    content = zlib.compress(data or bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", content)
        + chunk(b"IEND", b"")
    )  # fmt: skip


def zeros(size: int) -> bytes:
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def saved(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def jpeg(width: int, height: int) -> bytes:
    content = bytearray(saved("JPEG"))
    place = content.index(b"\xff\xc0")
    content[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def bmp(width: int, height: int) -> bytes:
    content = bytearray(saved("BMP"))
    content[18:26] = struct.pack("<ii", width, height)
    return bytes(content)


def gif(width: int, height: int) -> bytes:
    content = bytearray(saved("GIF"))
    content[6:10] = struct.pack("<HH", width, height)
    return bytes(content)


def tiff(**tags: int) -> bytes:
    """A small TIFF file that claims another size."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((16, 16), np.uint8), metadata=None)
    content = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as read:
        for name, value in tags.items():
            tag = read.pages[0].tags[name]
            size = {1: 1, 3: 2, 4: 4}[tag.dtype.value]
            content[tag.valueoffset : tag.valueoffset + size] = value.to_bytes(size, "little")
    return bytes(content)


def circular_tiff() -> bytes:
    """Directories of a TIFF file that follow each other in a circle."""
    content = bytearray(tiff())
    (place,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[place : place + 2])
    end = place + 2 + 12 * count
    content[end : end + 4] = struct.pack("<I", place)
    return bytes(content)


CASES = [
    Case("Image", tries, make, says)
    for tries, make, says in (
        ("PNG of 65 000 × 65 000 in a kilobyte", given("x.png", png(65_000, 65_000)), "x.png"),
        ("PNG of 2³¹ × 2³¹", given("x.png", png(2**31 - 1, 2**31 - 1)), "x.png"),
        ("PNG of no width", given("x.png", png(0, 16)), "x.png"),
        (
            "PNG whose text swells to 64 MiB",
            given("x.png", lambda: png(16, 16, before=chunk(b"zTXt", b"a\0\0" + zeros(64 << 20)))),
            "",
        ),
        (
            "PNG whose profile swells to 64 MiB",
            given("x.png", lambda: png(16, 16, before=chunk(b"iCCP", b"a\0\0" + zeros(64 << 20)))),
            "",
        ),
        (
            "PNG whose pixels swell to 64 MiB",
            given("x.png", lambda: png(16, 16, data=bytes(64 << 20))),
            "",
        ),
        ("PNG cut in the middle", given("x.png", saved("PNG")[:200]), "x.png"),
        ("JPEG of 65 000 × 65 000", given("x.jpg", jpeg(65_000, 65_000)), "x.jpg"),
        ("JPEG cut in the middle", given("x.jpg", saved("JPEG")[:300]), "x.jpg"),
        ("BMP of 60 000 × 60 000", given("x.bmp", bmp(60_000, 60_000)), "x.bmp"),
        ("BMP of a width below zero", given("x.bmp", bmp(-32, 32)), "x.bmp"),
        ("GIF of 65 000 × 65 000", given("x.gif", gif(65_000, 65_000)), "x.gif"),
        (
            "TIFF of 60 000 × 60 000 in a kilobyte",
            given("x.tif", lambda: tiff(ImageWidth=60_000, ImageLength=60_000)),
            "x.tif",
        ),
        ("TIFF without a height", given("x.tif", lambda: tiff(ImageLength=0)), "x.tif"),
        ("TIFF whose directories go round", given("x.tif", circular_tiff), ""),
        (
            "TIFF of four bytes",
            given("x.tif", b"II*\0"),
            "x.tif",
        ),
        ("DICOM that is zeros", given("x.dcm", bytes(128) + b"DICM" + bytes(100_000)), "x.dcm"),
        (
            "DICOM whose element claims 4 GiB",
            given(
                "x.dcm",
                bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0x10, b"OB", 0, 2**32 - 2),
            ),
            "x.dcm",
        ),
        (
            "DICOM with sequences in sequences, 10 000 deep",
            given(
                "x.dcm",
                bytes(128) + b"DICM"
                + (struct.pack("<HH2sHI", 0x40, 0x275, b"SQ", 0, 2**32 - 1)
                   + struct.pack("<HHI", 0xFFFE, 0xE000, 2**32 - 1)) * 10_000,
            ),
            "x.dcm",
        ),
        ("gzip that swells to 256 MiB", given(
            "x.nii.gz", lambda: gzip.compress(bytes(256 << 20), 1)), "x.nii.gz"),
        ("a text called PNG", given("x.png", b"a picture, really"), "x.png"),
        ("a program called JPEG", given("x.jpg", b"#!/bin/sh\ntouch sprung\n"), "x.jpg"),
        ("PostScript called PNG", given("x.png", b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run\n"), "x.png"),
        ("SVG called PNG", given("x.png", b"<svg><!ENTITY a SYSTEM 'file:///etc/passwd'></svg>"),
         "x.png"),
        ("nothing at all", given("x.png", b""), "x.png"),
    )
]  # fmt: skip
