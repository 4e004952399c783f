"""Which numbers of a picture are black and white: what its file tells, or the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_globalxai.images.pixels import Array
from napari_globalxai.plain_text import numeral

# Numbers of 16 bit that stay below this are fewer bits, or a picture that shows next to nothing.
_DARK = 1 << 14
# By which floats may rise above 1 and mean it.
_ROUNDING = 1e-3
_USUAL_BITS = (8, 10, 12, 14)


@dataclass(frozen=True)
class ValueRange:
    """The numbers that mean black and white.

    Attributes
    ----------
    black, white : float
        The numbers.
    """

    black: float
    white: float

    @classmethod
    def of_bits(cls, bits: int) -> ValueRange:
        """Return the range of whole numbers of so many bits."""
        return cls(0, 2**bits - 1)

    @classmethod
    def of_type(cls, kind: np.dtype[Any]) -> ValueRange:
        """Return the range of a type of numbers; 0–1 for floats."""
        return cls(0, float(np.iinfo(kind).max)) if kind.kind in "iu" else cls(0, 1)


BITS_16 = ValueRange.of_bits(16)


def range_of(
    samples: Array, told: ValueRange | None = None, stored_bits: int | None = None
) -> ValueRange:
    """Return what is black and what is white among samples of a picture.

    Parameters
    ----------
    samples : numpy.ndarray
        All samples of the picture that are no alpha.
    told : ValueRange, optional
        What the file tells.
    stored_bits : int, optional
        What the user says of files that hold whole numbers of more than 8 bit and do not tell.

    Raises
    ------
    ValueError
        When nothing says what is black and what is white, or what is said does not fit. 16-bit
        numbers that use the lower bits alone are not taken at their word: most are of 10, 12 or 14
        bit, and guessing for each picture would give one cohort several brightnesses.
    """
    if samples.dtype == np.uint8 or samples.dtype == np.bool_:
        return ValueRange.of_bits(8 if samples.dtype == np.uint8 else 1)
    low, high = float(samples.min()), float(samples.max())
    whole = samples.dtype.kind in "iu"
    wide = whole and samples.dtype.itemsize == 2 and samples.dtype.kind == "u"
    if told == BITS_16 and wide:
        told = None
    if told is None and stored_bits is not None and whole:
        return _checked(ValueRange.of_bits(stored_bits), low, high, "--stored-bits says")
    if told is not None:
        return _checked(told, low, high, "it says")
    if wide:
        refuse_lower_bits(int(high))
        return BITS_16
    if samples.dtype == np.int8:
        raise ValueError(
            "its samples are signed 8-bit numbers, whose largest may be white or half of it; save "
            "it with unsigned ones, or say --stored-bits 7 or --stored-bits 8"
        )
    unit = samples.dtype.kind == "f" and high <= 1 + _ROUNDING
    # One pixel a little above 1 would make the whole picture black.
    between = samples.dtype.kind == "f" and not unit and high < _DARK >> 8
    # Written so that NaN is refused, too.
    if between or not (low >= 0 and high <= 255):
        mend = ", or say --stored-bits" if whole and low >= 0 else ""
        raise ValueError(
            f"its values lie between {numeral(low, 'g')} and {numeral(high, 'g')}, so that black "
            f"and white are unknown; save it with 8 or 16 bit{mend}"
        )
    return ValueRange(0, max(high, 1) if unit else 255)


def range_of_significant(samples: Array, bits: int) -> ValueRange:
    """Return the range of 16-bit numbers of which a PNG says that so many bits are significant.

    By the standard these are the upper ones. Files that have them in the lower ones, as their
    camera gave them, are told by numbers that scaling up could not have made.
    """
    top = samples >> 16 - bits
    shifted = top << 16 - bits
    replicated = shifted | top >> max(0, 2 * bits - 16)
    white = 2**bits - 1
    scaled = (top.astype(np.uint32) * 65535 + white // 2) // white
    if any((samples == each).all() for each in (shifted, replicated, scaled)):
        return BITS_16
    return ValueRange.of_bits(bits) if samples.max() <= white else BITS_16


def refuse_lower_bits(high: int, kept: int = 16) -> None:
    """Refuse 16-bit numbers of a picture that use the lower bits alone.

    Parameters
    ----------
    high : int
        The largest.
    kept : int, optional
        How many of their 16 bits `high` has; where the lower ones are lost already, saying what
        was stored does not help.
    """
    if not 0 < high < _DARK >> 16 - kept:
        return
    largest = (high + 1 << 16 - kept) - 1
    bits = next(bits for bits in _USUAL_BITS if largest < 2**bits)
    mend = (
        f"say which with --stored-bits {bits} or --stored-bits 16"
        if kept == 16
        else "save it with 8 bit, or with 16 bit and without compression"
    )
    raise ValueError(
        f"of its 16 bits a sample it uses the lower {bits} alone: it is nearly black, or a picture "
        f"of {bits} bit that does not tell so; {mend}"
    )


def to_255(samples: Array, values: ValueRange) -> Array:
    """Scale samples of a picture, or a part of it, to 0–255; uint8 stays as it is."""
    if samples.dtype == np.uint8:
        return samples
    if samples.dtype == np.bool_:
        return samples * np.uint8(255)
    plain = samples.astype(np.float32)
    if values == BITS_16:
        return plain / 257
    if values.black:
        plain -= np.float32(values.black)
    return plain * np.float32(255 / (values.white - values.black))


def _checked(values: ValueRange, low: float, high: float, who: str) -> ValueRange:
    if not (values.black <= low and high <= values.white and values.black < values.white):
        raise ValueError(
            f"its values lie between {numeral(low, 'g')} and {numeral(high, 'g')}, but {who} "
            f"{numeral(values.black, 'g')} to {numeral(values.white, 'g')}"
        )
    return values
