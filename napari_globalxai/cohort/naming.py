"""When two names are one: of columns, of labels, of classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d*)?")
_MINUS = str.maketrans("−–", "--")
# What says that none of the labels is there, as a name of a class of its own.
_ABSENCE = frozenset(
    (
        *("no_finding", "no_findings", "nofinding", "normal", "healthy", "unremarkable"),
        *("no_abnormality", "no_abnormalities", "no_disease", "no_pathology", "disease_free"),
        *("no_dr", "nodr", "no_tumor", "notumor", "no_tumour", "no_lesion", "negative", "control"),
    )
)


def name_key(name: object) -> str:
    """Return what is equal for two spellings of one name.

    Case, blanks around it, and blanks, ``_`` and ``-`` within do not count; numbers are equal by
    their value: ``1``, ``1.0``, ``1,0`` and ``01``.
    """
    text = unicodedata.normalize("NFC", str(name)).strip().casefold()
    number = number_of(text)
    return re.sub(r"[\s_-]+", "_", text) if number is None else plain(number)


def number_of(text: str) -> Decimal | None:
    """Return the number that a text is, with a point or a comma; None where it is none."""
    text = text.strip().translate(_MINUS)
    if not _NUMBER.fullmatch(text):
        return None
    return Decimal(text.replace(",", "."))


def whole_number(text: str) -> int | None:
    """Return the whole number that a text is, such as 1 for ``1.0``; None where it is none."""
    number = number_of(text)
    return int(number) if number is not None and number == int(number) else None


def plain(number: Decimal) -> str:
    """Return a number without zeros that say nothing."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return str(int(text)) if re.fullmatch(r"-?\d+", text) else text


def plain_number(text: str) -> str:
    """Return a number in one spelling, ``1`` for ``1.0``, ``1,0`` and ``01``; other text as is."""
    number = number_of(text)
    return text if number is None else plain(number)


def says_absent(name: object) -> bool:
    """Return whether a name says that nothing was found: ``No Finding``, ``normal``."""
    return name_key(name) in _ABSENCE


def same_names(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two names that are one, if any."""
    first: dict[str, str] = {}
    for name in names:
        key = name_key(name)
        if key in first:
            return first[key], name
        first[key] = name
    return None
