"""What the header of a JPEG or JPEG 2000 stream tells, before anything is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_APP0, _APP14, _START_OF_SCAN = 0xE0, 0xEE, 0xDA
# Frames of any coding, JPEG-LS included; the gaps are tables.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}
_RGB_NAMES = (b"RGB", b"rgb")
_J2K = b"\xff\x4f\xff\x51"


@dataclass(frozen=True)
class JpegHeader:
    """What a stream tells.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    colours : str
        ``RGB``, ``YBR``, or empty where the stream does not tell.
    settled : bool
        Whether Adobe's marker or the components' names tell libjpeg the colours, so that it gives
        RGB, whatever is asked of it.
    bits : int
        Of a sample.
    """

    shape: tuple[int, int]
    colours: str
    settled: bool = False
    bits: int = 8


def read_header(stream: bytes) -> JpegHeader | None:
    """Return what a stream tells of itself, or None where it is no JPEG or JPEG 2000.

    Colours are told by the names of the components, the markers of JFIF and Adobe, and by the
    resolutions: only colour differences are stored at a lower one.
    """
    at = stream.find(_J2K, 0, 1 << 16)
    if at >= 0 and not stream.startswith(b"\xff\xd8"):
        right, down, left, top = struct.unpack_from(">4I", stream, at + 8)
        return JpegHeader((down - top, right - left), "", bits=(stream[at + 42] & 0x7F) + 1)
    if not stream.startswith(b"\xff\xd8"):
        return None
    jfif, transform = False, None
    at = 2
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            at += 1
            continue
        marker = stream[at + 1]
        if marker == 0xFF or marker in _ALONE or not marker:
            at += 1 if marker == 0xFF else 2
            continue
        size = int.from_bytes(stream[at + 2 : at + 4])
        content = stream[at + 4 : at + 2 + size]
        if marker in _FRAMES:
            return _header(content, jfif, transform)
        if marker == _START_OF_SCAN:
            return None
        if marker == _APP0 and content.startswith(b"JFIF\0"):
            jfif = True
        if marker == _APP14 and content.startswith(b"Adobe") and len(content) >= 12:
            transform = content[11]
        at += 2 + size
    return None


def _header(frame: bytes, jfif: bool, transform: int | None) -> JpegHeader | None:
    if len(frame) < 6:
        return None
    bits, rows, columns, count = struct.unpack_from(">BHHB", frame)
    parts = [frame[place : place + 3] for place in range(6, 6 + 3 * count, 3)]
    if count != 3 or len(parts[-1]) < 3:
        return JpegHeader((rows, columns), "", transform is not None, bits)
    names = bytes(part[0] for part in parts)
    samples = [(part[1] >> 4) * (part[1] & 15) for part in parts]
    # In this order libjpeg believes them.
    if jfif or transform:
        colours = "YBR"
    elif transform == 0 or names in _RGB_NAMES:
        colours = "RGB"
    else:
        colours = "YBR" if min(samples[1:]) < samples[0] else ""
    settled = transform is not None or (names == b"RGB" and not jfif)
    return JpegHeader((rows, columns), colours, settled, bits)
