"""Text for people: that of somebody else's files, which may steer a terminal, and numbers."""

from __future__ import annotations

import math
import re

# Letters that steer a terminal, C1 included; ends of lines; marks that turn the direction of what
# follows; and halves of letters, as names of files may hold that are no text.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Return a text as one line that steers nothing: such letters are written ``\x1b``."""
    return _STEERING.sub(lambda found: _escaped(found[0]), text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def numeral(value: float, form: str = ".3f") -> str:
    """Return a number as people read it: with a true minus sign, and none before nothing.

    Parameters
    ----------
    value : float
        The number.
    form : str, optional
        How Python formats it.
    """
    text = format(value, form)
    if math.isfinite(value) and not any(digit in text for digit in "123456789"):
        text = text.removeprefix("-")
    return text.replace("-", "−")
