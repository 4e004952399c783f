"""Names and pairs of names in one line of text, where a name may itself hold a comma."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari_globalxai.errors import InputError


def split_names(text: str) -> list[str]:
    """Return names that commas separate.

    Parameters
    ----------
    text : str
        Such as ``AMD,RVO``. A name that holds a comma is quoted as in CSV, ``"A, B",C``, and a
        quotation mark in a quoted name is doubled. Empty names are left out.

    Raises
    ------
    InputError
        When a quotation mark is left open.
    """
    names = (_unquoted(piece) for piece in _pieces(text, ","))
    return [name for name in names if name]


def join_names(names: Iterable[str]) -> str:
    """Return names as people read them, quoted where `split_names` needs it."""
    return ", ".join(f'"{name}"' if "," in name else name for name in names)


def split_pairs(text: str) -> list[tuple[str, str | None]]:
    """Return pairs that commas separate, in their order; None where a piece has no ``=``.

    Parameters
    ----------
    text : str
        Such as ``0=healthy,1="A, B"``; each side may be quoted, or the pair as a whole.

    Raises
    ------
    InputError
        When a quotation mark is left open.
    """
    pairs: list[tuple[str, str | None]] = []
    for piece in _pieces(text, ","):
        sides = _pieces(piece, "=")
        if len(sides) == 1:
            sides = _unquoted(piece).split("=", 1)
        # Of several, the first one parts: a sign such as >= rather stands in a label.
        key, value = _unquoted(sides[0]), "=".join(sides[1:])
        if len(sides) > 1:
            pairs.append((key, _unquoted(value)))
        elif key:
            pairs.append((key, None))
    return pairs


def join_pairs(pairs: Mapping[str, object] | Iterable[object]) -> str:
    """Return the text of pairs, or of single words, that `split_pairs` reads back."""
    if isinstance(pairs, Mapping):
        return ",".join(f"{_quoted(key)}={_quoted(value)}" for key, value in pairs.items())
    return ",".join(str(each) for each in pairs)


def _pieces(text: str, mark: str) -> list[str]:
    # The csv module takes quotes at the start of a field alone: 1="A, B" would fall apart.
    pieces, quoted = [""], False
    for letter in text:
        quoted ^= letter == '"'
        if letter == mark and not quoted:
            pieces.append("")
        else:
            pieces[-1] += letter
    if quoted:
        raise InputError(f"{text}: a quotation mark is left open; close it, or double it.")
    return pieces


def _unquoted(piece: str) -> str:
    text = piece.strip()
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        text = text[1:-1].replace('""', '"').strip()
    return text


def _quoted(value: object) -> str:
    text = "" if value is None else str(value)
    if any(mark in text for mark in ',="'):
        return '"' + text.replace('"', '""') + '"'
    return text
