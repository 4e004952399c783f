"""Image files of every kind, made by other means than the package reads them with.

`FILES` has each file with the RGB in 0–255 that it shows, worked out here, and how far off reading
may be. What Pillow reads is made by imagecodecs, tifffile, SimpleITK or by hand; what tifffile
reads, by SimpleITK, or checked against it; DICOM pixel data are laid out by hand.
"""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import SimpleITK
import tifffile
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    OphthalmicPhotography8BitImageStorage,
    RLELossless,
)

ROWS, COLUMNS = 14, 22
Array = np.ndarray[Any, Any]


class Made(NamedTuple):
    """A file, the RGB that it shows, and how far off reading may be."""

    content: bytes
    shown: Array
    tolerance: float = 0.001


def colours(dtype: Any = np.uint8, rows: int = ROWS, columns: int = COLUMNS) -> Array:
    """Smooth, and unlike itself turned or mirrored in any way; every channel its own."""
    y, x = np.mgrid[:rows, :columns]
    y, x = y / (rows - 1), x / (columns - 1)
    planes = np.stack([0.1 + 0.5 * x + 0.3 * y, 0.9 - 0.6 * y, 0.2 + 0.4 * x * y], -1)
    return (planes * np.iinfo(dtype).max).astype(dtype)


def shown(samples: Array, white: float | None = None) -> Array:
    """RGB in 0–255 of grey or RGB samples."""
    scaled = samples.astype(float) * (255 / (white or np.iinfo(samples.dtype).max))
    return scaled if samples.ndim == 3 else np.stack([scaled] * 3, -1)


C8, C16 = colours(), colours(np.uint16)
G8, G16 = C8[..., 0].copy(), C16[..., 0].copy()
# Opaque at the left, transparent at the right.
A8 = np.broadcast_to(np.linspace(255, 0, COLUMNS).astype(np.uint8), (ROWS, COLUMNS))
A16 = A8.astype(np.uint16) * 257
BITS = (np.add.outer(np.arange(ROWS), 2 * np.arange(COLUMNS)) % 5 < 2).astype(np.uint8)
PALETTE = np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint8)


# ---------------------------------------------------------------- plain pictures


def png_chunk(kind: bytes, content: bytes) -> bytes:
    summed = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + summed


def png(rows: Array, bits: int, kind: int, columns: int = COLUMNS, **chunks: bytes) -> bytes:
    """A PNG from its bytes row by row."""
    header = struct.pack(">IIBBBBB", columns, len(rows), bits, kind, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    extra = b"".join(png_chunk(name.encode(), content) for name, content in chunks.items())
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra
        + png_chunk(b"IDAT", zlib.compress(lines)) + png_chunk(b"IEND", b"")
    )  # fmt: skip


def bmp(picture: Array) -> bytes:
    """A BMP of 24 bit: from the bottom up, blue first, rows padded to four bytes."""
    rows, columns = picture.shape[:2]
    lines = b"".join(row[:, ::-1].tobytes() + bytes(-3 * columns % 4) for row in picture[::-1])
    info = struct.pack("<IiiHHIIiiII", 40, columns, rows, 1, 24, 0, len(lines), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(lines), 0, 0, 54) + info + lines


def tiff(*pages: Array, **options: Any) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, byteorder=options.pop("byteorder", "<")) as writer:
        for page in pages:
            writer.write(page, contiguous=False, metadata=None, **options)
    return stream.getvalue()


def simpleitk(samples: Array, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        image = SimpleITK.GetImageFromArray(samples, isVector=samples.ndim == 3)
        SimpleITK.WriteImage(image, str(path), useCompression=False)
        return path.read_bytes()


def exif(orientation: int) -> bytes:
    """The content of an EXIF block with nothing but an orientation."""
    return b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    block = b"Exif\0\0" + exif(orientation)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def jpeg(picture: Array, **options: Any) -> bytes:
    options = {"subsampling": "444", **options}
    return imagecodecs.jpeg8_encode(picture, level=95, **options)


def _on_black(picture: Array, alpha: Array) -> Array:
    return shown(picture) * (alpha / 255)[..., None]


def _cmyk() -> Made:
    """CMYK as Adobe writes it: inverted."""
    inverted = np.dstack([C8, np.full_like(G8, 200)])
    content = imagecodecs.jpeg8_encode(
        inverted, level=100, colorspace="CMYK", outcolorspace="CMYK", subsampling="444"
    )
    assert b"Adobe" in content
    return Made(content, shown(C8) * 200 / 255, 3)


def _progressive() -> Made:
    content = simpleitk(C8, ".jpg")
    assert b"\xff\xc2" in content
    return Made(content, shown(C8), 12)


def _plain() -> dict[str, Made]:
    packed = np.packbits(BITS, axis=1)
    clear = bytes(range(255, -1, -1))
    # JPEG rounds what it stores; with colours at half size, it also blurs them.
    return {
        "grey.jpg": Made(jpeg(G8), shown(G8), 3),
        "colour.jpg": Made(jpeg(C8), shown(C8), 6),
        "half-colour.jpg": Made(jpeg(C8, subsampling="420"), shown(C8), 12),
        "progressive.jpg": _progressive(),
        "cmyk.jpg": _cmyk(),
        "grey.png": Made(png(G8, 8, 0), shown(G8)),
        "grey-alpha.png": Made(png(np.dstack([G8, A8]), 8, 4), _on_black(np.dstack([G8] * 3), A8)),
        "grey-opaque.png": Made(png(np.dstack([G8, 0 * G8 + 255]), 8, 4), shown(G8)),
        "colour.png": Made(png(C8, 8, 2), shown(C8)),
        "alpha.png": Made(png(np.dstack([C8, A8]), 8, 6), _on_black(C8, A8)),
        "palette.png": Made(png(G8, 8, 3, PLTE=PALETTE.tobytes()), shown(PALETTE[G8])),
        "palette-alpha.png": Made(
            png(G8, 8, 3, PLTE=PALETTE.tobytes(), tRNS=clear),
            _on_black(PALETTE[G8], 255 - G8.astype(int)),
        ),
        "bits.png": Made(png(packed, 1, 0), shown(BITS, 1)),
        "grey16.png": Made(png(G16.astype(">u2"), 16, 0), shown(G16)),
        "colour16.png": Made(png(C16.astype(">u2"), 16, 2), shown(C16)),
        "alpha16.png": Made(png(np.dstack([C16, A16]).astype(">u2"), 16, 6), _on_black(C16, A8)),
        # Pillow keeps the upper 8 bits of each sample.
        "grey16-alpha.png": Made(
            png(np.dstack([G16, 0 * G16 + 65535]).astype(">u2"), 16, 4), shown(G16), 1
        ),
        "colour.bmp": Made(bmp(C8), shown(C8)),
        "grey.bmp": Made(simpleitk(G8, ".bmp"), shown(G8)),
        "colour.gif": Made(imagecodecs.gif_encode(G8), shown(G8)),
        "colour.webp": Made(imagecodecs.webp_encode(C8, lossless=True), shown(C8)),
        "colour.jp2": Made(imagecodecs.jpeg2k_encode(C8, level=0, reversible=True), shown(C8)),
        "colour.ppm": Made(b"P6 %d %d 255\n" % (COLUMNS, ROWS) + C8.tobytes(), shown(C8)),
        "grey16.pgm": Made(
            b"P5 %d %d 65535\n" % (COLUMNS, ROWS) + G16.astype(">u2").tobytes(), shown(G16)
        ),
    }


def _tiffs() -> dict[str, Made]:
    rgb: dict[str, Any] = {"photometric": "rgb"}
    planes = np.moveaxis(C16, -1, 0)
    unit = (G16 / 65535).astype(np.float32)
    table = PALETTE.T.astype(np.uint16) * 257
    extra: dict[str, Any] = {**rgb, "extrasamples": ["unassalpha"]}
    return {
        "grey.tif": Made(tiff(G8), shown(G8)),
        "white-is-0.tif": Made(tiff(G8, photometric="miniswhite"), 255 - shown(G8)),
        "bits.tif": Made(tiff(BITS.astype(bool), photometric="minisblack"), shown(BITS, 1)),
        "palette.tif": Made(tiff(G8, photometric="palette", colormap=table), shown(PALETTE[G8])),
        "colour.tif": Made(tiff(C8, **rgb), shown(C8)),
        "planar.tif": Made(
            tiff(np.moveaxis(C8, -1, 0), planarconfig="separate", **rgb), shown(C8)
        ),
        "tiled.tif": Made(tiff(C8, tile=(16, 16), **rgb), shown(C8)),
        "lzw.tif": Made(tiff(C8, compression="lzw", predictor=True, **rgb), shown(C8)),
        "deflate.tif": Made(tiff(C8, compression="deflate", rowsperstrip=4, **rgb), shown(C8)),
        "jpeg.tif": Made(
            tiff(
                C8, compression="jpeg", subsampling=(1, 1), compressionargs={"level": 95}, **rgb
            ),
            shown(C8), 6,
        ),
        "alpha.tif": Made(tiff(np.dstack([C8, A8]), **extra), _on_black(C8, A8)),
        "grey16.tif": Made(simpleitk(G16, ".tif"), shown(G16)),
        "colour16.tif": Made(simpleitk(C16, ".tif"), shown(C16)),
        "float.tif": Made(simpleitk(unit, ".tif"), shown(G16)),
        "float255.tif": Made(simpleitk(unit * 255, ".tif"), shown(G16)),
        "signed.tif": Made(simpleitk(G8.astype(np.int16), ".tif"), shown(G8)),
        "white-is-0-16.tif": Made(tiff(G16, photometric="miniswhite"), 255 - shown(G16)),
        "white-is-0-lzw16.tif": Made(
            tiff(G16, photometric="miniswhite", compression="lzw"), 255 - shown(G16)
        ),
        "big-endian16.tif": Made(tiff(C16, byteorder=">", **rgb), shown(C16)),
        "planar16.tif": Made(tiff(planes, planarconfig="separate", **rgb), shown(C16)),
        "tiled16.tif": Made(tiff(C16, tile=(16, 16), **rgb), shown(C16)),
        "deflate16.tif": Made(
            tiff(C16, compression="deflate", predictor=True, **rgb), shown(C16)
        ),
        "alpha16.tif": Made(tiff(np.dstack([C16, A16]), **extra), _on_black(C16, A8)),
        "lzw16.tif": Made(tiff(G16, compression="lzw", predictor=True), shown(G16)),
        "lzw-float.tif": Made(tiff(unit, compression="lzw"), shown(G16)),
        # Of colours in this compression Pillow keeps the upper 8 bits of each sample.
        "lzw-colour16.tif": Made(tiff(C16, compression="lzw", **rgb), shown(C16), 1),
        "thumbnail.tif": Made(tiff(C8, C8[::2, ::2], C8[::4, ::4], **rgb), shown(C8)),
    }  # fmt: skip


# ---------------------------------------------------------------- DICOM


def dicom(
    samples: Array,
    colours: str | None = None,
    syntax: UID = ExplicitVRLittleEndian,
    pixels: bytes | None = None,
    frames: list[bytes] | None = None,
    **elements: Any,
) -> bytes:
    """A DICOM photograph: pixels as given, else the samples as they lie in memory."""
    single = samples.ndim == 2
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = OphthalmicPhotography8BitImageStorage
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality = "OP"
    dataset.Rows, dataset.Columns = samples.shape[:2]
    dataset.SamplesPerPixel = 1 if single else 3
    dataset.PhotometricInterpretation = colours or ("MONOCHROME2" if single else "RGB")
    if not single:
        dataset.PlanarConfiguration = 0
    bits = 8 * samples.itemsize
    dataset.BitsAllocated, dataset.BitsStored = bits, elements.pop("BitsStored", bits)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    for name, value in elements.items():
        setattr(dataset, name, value)
    if frames is not None:
        dataset.PixelData = encapsulate(frames)
    else:
        plain = samples.tobytes() if pixels is None else pixels
        dataset.PixelData = plain + bytes(len(plain) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 or frames else "OW"
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _rle(samples: Array) -> bytes:
    """An RLE frame: a segment for each byte of each sample, the most significant first."""
    planes = samples[..., None] if samples.ndim == 2 else samples
    parts = []
    for plane in np.moveaxis(planes, -1, 0):
        wide = np.ascontiguousarray(plane).astype(plane.dtype.newbyteorder(">"))
        for byte in range(wide.itemsize):
            single = wide.view(np.uint8).reshape(*plane.shape, -1)[..., byte]
            part = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in single)
            parts.append(part + bytes(len(part) % 2))
    starts = [64 + sum(map(len, parts[:number])) for number in range(len(parts))]
    header = [len(parts), *starts, *[0] * (15 - len(parts))]
    return struct.pack("<16I", *header) + b"".join(parts)


def to_ybr(picture: Array) -> Array:
    """YBR_FULL by the standard's formula, PS3.3 C.7.6.3.1.2."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    return np.rint(picture @ matrix.T + [0, 128, 128]).clip(0, 255).astype(np.uint8)


def _ybr_422() -> bytes:
    """Two brightnesses, then the two colours of the first of the two pixels."""
    ybr = to_ybr(C8)
    pairs = [ybr[:, 0::2, 0], ybr[:, 1::2, 0], ybr[:, 0::2, 1], ybr[:, 0::2, 2]]
    return np.stack(pairs, -1).tobytes()


def _palette(entries: Array, bits: int) -> dict[str, Any]:
    elements: dict[str, Any] = {}
    for name, column in zip(("Red", "Green", "Blue"), entries.T, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [len(entries), 0, bits]
        elements[f"{name}PaletteColorLookupTableData"] = column.tobytes()
    return elements


def _dicoms() -> dict[str, Made]:
    g12 = G16 >> 4
    j2k: Callable[..., bytes] = imagecodecs.jpeg2k_encode
    lossless: dict[str, Any] = {"level": 0, "reversible": True, "codecformat": "j2k"}
    plain = {
        "grey.dcm": Made(dicom(G8), shown(G8)),
        "black-is-white.dcm": Made(dicom(G8, "MONOCHROME1"), 255 - shown(G8)),
        "grey12.dcm": Made(dicom(g12, BitsStored=12), shown(g12, 4095)),
        "grey16.dcm": Made(dicom(G16), shown(G16)),
        "bits.dcm": Made(
            dicom(
                BITS, pixels=np.packbits(BITS, bitorder="little").tobytes(), BitsAllocated=1,
                BitsStored=1, HighBit=0,
            ),
            shown(BITS, 1),
        ),
        "colour.dcm": Made(dicom(C8), shown(C8)),
        "colour16.dcm": Made(dicom(C16), shown(C16)),
        "planar.dcm": Made(
            dicom(C8, pixels=np.moveaxis(C8, -1, 0).tobytes(), PlanarConfiguration=1), shown(C8)
        ),
        # Both ways are rounded to whole numbers.
        "ybr.dcm": Made(dicom(to_ybr(C8), "YBR_FULL"), shown(C8), 2),
        # Every second pixel has the colour of its neighbour.
        "ybr422.dcm": Made(dicom(C8, "YBR_FULL_422", pixels=_ybr_422()), shown(C8), 12),
        "palette.dcm": Made(
            dicom(G8, "PALETTE COLOR", **_palette(PALETTE, 8)), shown(PALETTE[G8])
        ),
        "palette16.dcm": Made(
            dicom(G8, "PALETTE COLOR", **_palette(PALETTE.astype(np.uint16) * 257, 16)),
            shown(PALETTE[G8]),
        ),
        "palette8in16.dcm": Made(
            dicom(G8, "PALETTE COLOR", **_palette(PALETTE.astype(np.uint16), 8)),
            shown(PALETTE[G8]),
        ),
        "implicit.dcm": Made(dicom(G16, syntax=ImplicitVRLittleEndian), shown(G16)),
        "big-endian.dcm": Made(
            dicom(G16, syntax=ExplicitVRBigEndian, pixels=G16.astype(">u2").tobytes()),
            shown(G16),
        ),
        "deflated.dcm": Made(dicom(C8, syntax=DeflatedExplicitVRLittleEndian), shown(C8)),
    }  # fmt: skip
    coded = {
        "rle.dcm": Made(dicom(C8, syntax=RLELossless, frames=[_rle(C8)]), shown(C8)),
        "rle16.dcm": Made(dicom(G16, syntax=RLELossless, frames=[_rle(G16)]), shown(G16)),
        "jpeg-grey.dcm": Made(dicom(G8, syntax=JPEGBaseline8Bit, frames=[jpeg(G8)]), shown(G8), 3),
        "jpeg.dcm": Made(
            dicom(C8, "YBR_FULL_422", JPEGBaseline8Bit, frames=[jpeg(C8)]), shown(C8), 6
        ),
        "lossless.dcm": Made(
            dicom(C8, syntax=JPEGLosslessSV1, frames=[jpeg(C8, lossless=True, predictor=1)]),
            shown(C8),
        ),
        "lossless-ybr.dcm": Made(
            dicom(
                C8, "YBR_FULL", JPEGLossless,
                frames=[jpeg(to_ybr(C8), lossless=True, predictor=4)],
            ),
            shown(C8), 2,
        ),
        "lossless16.dcm": Made(
            dicom(G16, syntax=JPEGLosslessSV1, frames=[imagecodecs.ljpeg_encode(G16)]), shown(G16)
        ),
        "lossless-rescaled.dcm": Made(
            dicom(
                G16, syntax=JPEGLosslessSV1, frames=[imagecodecs.ljpeg_encode(G16)],
                RescaleSlope=2, RescaleIntercept=-7,
            ),
            shown(G16),
        ),
        "jpeg-ls.dcm": Made(
            dicom(C8, syntax=JPEGLSLossless, frames=[imagecodecs.jpegls_encode(C8)]), shown(C8)
        ),
        "jpeg-ls16.dcm": Made(
            dicom(G16, syntax=JPEGLSLossless, frames=[imagecodecs.jpegls_encode(G16)]), shown(G16)
        ),
        "j2k.dcm": Made(
            dicom(C8, "YBR_RCT", JPEG2000Lossless, frames=[j2k(C8, mct=True, **lossless)]),
            shown(C8),
        ),
        "j2k16.dcm": Made(
            dicom(G16, syntax=JPEG2000Lossless, frames=[j2k(G16, **lossless)]), shown(G16)
        ),
        "j2k-colour16.dcm": Made(
            dicom(C16, "YBR_RCT", JPEG2000Lossless, frames=[j2k(C16, mct=True, **lossless)]),
            shown(C16),
        ),
    }  # fmt: skip
    return plain | coded


FILES = _plain() | _tiffs() | _dicoms()
