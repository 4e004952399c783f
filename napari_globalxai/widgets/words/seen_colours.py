"""Whether a colour is seen on a ground, as WCAG measures it, and what to take where it is not."""

from __future__ import annotations

import colorsys

# What WCAG 2.2 asks of text, and of lines and marks.
TEXT, LINES = 4.5, 3.0
_STEPS = 100


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` or ``#rgb``, from 0 to 1."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in _channels(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def seen_on(colour: str, ground: str, least: float = LINES) -> str:
    """Return the colour that is nearest to one in lightness, of its hue, and seen on a ground."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    # Away from the ground: darker on a light one, lighter on a dark one.
    end = 0.0 if luminance(ground) > luminance("#767676") else 1.0
    for step in range(_STEPS + 1):
        share = step / _STEPS
        moved = colorsys.hls_to_rgb(hue, lightness + share * (end - lightness), saturation)
        found = "#" + "".join(f"{round(255 * value):02x}" for value in moved)
        if contrast(found, ground) >= least:
            return found
    return "#000000" if end == 0 else "#ffffff"


def _channels(colour: str) -> tuple[float, float, float]:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue
