"""Words in a plot: somebody's names, short enough, and only where its letters can draw them."""

from __future__ import annotations

from unicodedata import bidirectional

NO_CURVES = "No curves yet: they fill in as PEPPR runs along the map chosen."
_MOST_LETTERS = 28
_FROM_RIGHT_TO_LEFT = ("R", "AL")


def drawable(name: str) -> str:
    """Return a name, shortened in its middle, or nothing where a plot could not spell it.

    Matplotlib has no letters of many scripts, and sets those that run from right to left in the
    wrong order; the panel itself tells such names.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties()))
    for letter in name:
        if bidirectional(letter) in _FROM_RIGHT_TO_LEFT or not known.get_char_index(ord(letter)):
            return ""
    if len(name) > _MOST_LETTERS:
        half = _MOST_LETTERS // 2
        name = f"{name[:half].rstrip()}…{name[1 - half :].lstrip()}"
    # A dollar sign would begin a formula.
    return name.replace("$", r"\$")


def of_name(what: str, name: str) -> str:
    """Return what an axis shows, of whom, as far as that can be drawn."""
    spelt = drawable(name)
    return f"{what} of {spelt}" if spelt else what
