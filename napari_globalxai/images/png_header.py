"""What a PNG tells of its samples, of which Pillow says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_START = 33
_DEEP = 16
_GREY_ALPHA, _COLOURS, _COLOURS_ALPHA = 4, 2, 6


@dataclass(frozen=True)
class PngHeader:
    """Kind of a PNG's samples.

    Attributes
    ----------
    bits, kind : int
        Bits of a sample and the standard's number for its kind of colour; 0 in other files.
    significant : int or None
        How many of 16 bits a file calls significant, alpha apart; None where it does not.
    place : tuple of int
        Where the chunk that says so begins and ends.
    """

    bits: int = 0
    kind: int = 0
    significant: int | None = None
    place: tuple[int, int] = (0, 0)

    @property
    def is_deep_colour(self) -> bool:
        """Whether it has colours of 16 bit."""
        return self.bits == _DEEP and self.kind in (_COLOURS, _COLOURS_ALPHA)

    @property
    def is_deep_grey_with_alpha(self) -> bool:
        """Whether it has grey of 16 bit and alpha."""
        return self.bits == _DEEP and self.kind == _GREY_ALPHA


def read_png_header(path: Path) -> PngHeader:
    """Read the chunks of a PNG before its pixels."""
    with path.open("rb") as stream:
        start = stream.read(_START)
        if not start.startswith(b"\x89PNG") or start[12:16] != b"IHDR" or len(start) < _START:
            return PngHeader()
        bits, kind = start[24], start[25]
        while len(head := stream.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
            size = int.from_bytes(head[:4])
            if head[4:] == b"sBIT" and bits == _DEEP and 0 < size <= 4:
                place = stream.tell() - 8
                told = stream.read(size)
                # The last is alpha's.
                most = max(told[:-1] if kind in (_GREY_ALPHA, _COLOURS_ALPHA) else told, default=0)
                significant = most if 8 <= most < _DEEP else None
                return PngHeader(bits, kind, significant, (place, place + 12 + size))
            stream.seek(size + 4, 1)
    return PngHeader(bits, kind)
