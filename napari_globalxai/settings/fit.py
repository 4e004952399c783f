"""How an image of another shape fills the frame, in one word: a card says it, and a command."""

from __future__ import annotations

import re
from dataclasses import dataclass

STRETCH, LETTERBOX, CROP, NATIVE = "stretch", "letterbox", "crop", "native"
FITS = {
    STRETCH: "Stretched to the frame",
    LETTERBOX: "Resized with its aspect to lie within the frame, the rest black; letterbox:114 for "
    "another level of 0–255",
    CROP: "Resized with its aspect to cover the frame, and cut around its middle; crop:256 for a "
    "shorter side of 256 pixels before the cut, crop:256x320 for a size that it is stretched to",
    NATIVE: "As large as it is, and cut or filled with black around its middle; native:114 for "
    "another level",
}
# What a fit may begin with that says more.
MORE = tuple(f"{name}:" for name in (LETTERBOX, CROP, NATIVE))
_SIZE = re.compile(r"(\d{1,5})(?:\s*[x×]\s*(\d{1,5}))?")


@dataclass(frozen=True)
class Fit:
    """How images fill the frame.

    Attributes
    ----------
    kind : str
        One of `FITS`.
    level : float
        Grey of 0–255 that stands where there is no image.
    before : tuple of int
        Of ``crop``: the size before the cut, height and width, or the shorter side alone; empty
        where the image is to cover the frame and no more.
    """

    kind: str = STRETCH
    level: float = 0.0
    before: tuple[int, ...] = ()

    @classmethod
    def read(cls, text: str) -> Fit:
        """Return a fit by its word; `ValueError` where it is none."""
        kind, colon, more = text.partition(":")
        if kind not in FITS or (colon and f"{kind}:" not in MORE):
            raise ValueError(f"fit {text!r} is none of {', '.join(FITS)}")
        if not colon:
            return cls(kind)
        if kind == CROP:
            size = _SIZE.fullmatch(more.strip())
            sides = () if size is None else tuple(int(side) for side in size.groups() if side)
            if not sides or min(sides) < 1:
                raise ValueError(f"fit {text!r} has no size such as crop:256 or crop:256x320")
            return cls(kind, before=sides)
        try:
            level = float(more)
        except ValueError:
            level = -1.0
        if not 0 <= level <= 255:
            raise ValueError(f"fit {text!r} has no level of 0 to 255, such as {kind}:114")
        return cls(kind, level=level)

    def size_of(self, shape: tuple[int, int], frame: tuple[int, int]) -> tuple[int, int]:
        """Return the size that an image is resized to before it is cut or filled.

        Parameters
        ----------
        shape, frame : tuple of int
            Height and width of the image and of the frame.
        """
        if self.kind == STRETCH:
            return frame
        if self.kind == NATIVE:
            return shape
        if len(self.before) == 2:
            return self.before[0], self.before[1]
        scales = [side / own for side, own in zip(frame, shape, strict=True)]
        scale = min(scales) if self.kind == LETTERBOX else max(scales)
        if self.before:
            scale = self.before[0] / min(shape)
        return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))

    def needed(self, frame: tuple[int, int]) -> tuple[int, int] | None:
        """Return the size that images must be read at; None where nothing less than theirs does."""
        if self.kind == NATIVE:
            return None
        return (
            max(frame[0], self.before[0] if self.before else 0),
            max(frame[1], self.before[-1] if self.before else 0),
        )
