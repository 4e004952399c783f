"""Numbers in words for people."""

from __future__ import annotations

import math

from napari_globalxai.plain_text import numeral


def in_percent(share: float, digits: int = 0) -> str:
    """Return a share of 0–1 in percent."""
    return f"{100 * share:.{digits}f} %"


def in_interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """Return the ends of a 95 % interval, or why there are none: NaN, or null of a file.

    An interval over patients takes two of them at least.
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return "no interval, of too few patients"
    form = f".{digits}f"
    return f"95 % interval {numeral(low, form)} to {numeral(high, form)}"
