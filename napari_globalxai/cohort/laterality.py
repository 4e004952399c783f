"""Which side an image shows, as far as text tells: the table's column and the files' names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from napari_globalxai.cohort.naming import plain_number
from napari_globalxai.cohort.wording import counted, form, named
from napari_globalxai.settings.lists import split_pairs

FROM_TABLE, FROM_NAME = "table", "file name"
NO_SIDE_GUESS = "none (no image is mirrored)"
# Tried where nobody says where the side stands: a word for a side between other characters than
# letters, such as in 1_r1.jpg or 12-OD.png.
GUESSED_PATTERN = r"(?i)(?<![^\W\d_])(left|right|od|os|re|le|l|r)(?![^\W\d_])"

_WORDS = {
    "L": "l, le, left, left eye, lefteye, os, oculus sinister, sinister, links, linkes auge, "
    "gauche, oeil gauche, œil gauche, og, izquierdo, izquierda, ojo izquierdo, oi, sinistro, "
    "sinistra, occhio sinistro, esquerdo, olho esquerdo",
    "R": "r, re, right, right eye, righteye, od, oculus dexter, dexter, rechts, rechtes auge, "
    "droit, droite, oeil droit, œil droit, derecho, derecha, ojo derecho, destro, destra, "
    "occhio destro, direito, olho direito",
    "": ", ou, oculus uterque, unknown, ?, -, none",
}
_SIDES = {word: side for side, words in _WORDS.items() for word in words.split(", ")}


@dataclass(frozen=True)
class Sides:
    """The sides of a cohort's images.

    Attributes
    ----------
    sides : tuple of str
        ``"L"``, ``"R"`` or ``""`` where unknown.
    sources : tuple of str
        ``"table"``, ``"file name"`` or ``""``.
    guess : str
        Where the sides were looked for, in words.
    warnings : list of str
        What could not be resolved, a sentence each.
    """

    sides: tuple[str, ...]
    sources: tuple[str, ...]
    guess: str
    warnings: list[str]


def side_of(text: str) -> str | None:
    """Return the side that a text names: ``"L"``, ``"R"``, ``""`` for unknown; None if unclear."""
    # O.D. and O. D. are OD; left_eye, left-eye and left eye are one.
    plain = re.sub(r"[\s_-]+", " ", re.sub(r"\.\s*", "", text.casefold())).strip()
    return _SIDES.get(plain)


def read_coding(values: str | Mapping[str, str] | None, wrong: list[str]) -> dict[str, str] | None:
    """Return what the values of a laterality column mean, as the user says.

    Parameters
    ----------
    values : str or mapping of str to str, optional
        Such as ``"0=L,1=R"`` or ``{"0": "L", "1": "R"}``.
    wrong : list of str
        Gets a clause for what is not understood.
    """
    if values is None:
        return None
    if isinstance(values, str):
        pairs = split_pairs(values)
        if any(side is None for _, side in pairs):
            wrong.append(f"--laterality-values {values} is not of the form 0=L,1=R")
        values = {key: side for key, side in pairs if side is not None}
    coding: dict[str, str] = {}
    for key, text in values.items():
        side = side_of(str(text))
        if side is None:
            wrong.append(f"--laterality-values gives {key!r} the side {text!r}, not L or R")
        else:
            coding[_code(str(key))] = side
    return coding


def read_pattern(pattern: str | None, wrong: list[str]) -> re.Pattern[str] | None:
    """Return a stated pattern, compiled; a clause goes to `wrong` where it is none."""
    if pattern is None or turns_guess_off(pattern):
        return None
    try:
        return re.compile(pattern)
    except re.error as why:
        wrong.append(f"--laterality-pattern {pattern} is no regular expression ({why})")
        return None


def turns_guess_off(pattern: str | None) -> bool:
    """Return whether the user wants no side to be looked for in names."""
    return pattern is not None and pattern.casefold() == "none"


def find_sides(
    source: Path,
    names: Sequence[str],
    column: pd.Series | None,
    coding: Mapping[str, str] | None,
    pattern: re.Pattern[str] | None,
    guess_names: bool,
) -> Sides:
    """Find the sides of all images in the table, else in the names of their files.

    Parameters
    ----------
    source : pathlib.Path
        The table's file, for messages.
    names : sequence of str
        File entries.
    column : pandas.Series, optional
        The table's laterality column.
    coding : mapping of str to str, optional
        See `read_coding`.
    pattern : re.Pattern, optional
        Finds a side in the name of a file: its first group that matched, else the whole match.
    guess_names : bool
        Whether names may be looked at where there is neither a column nor a pattern.
    """
    warnings: list[str] = []
    in_table = [""] * len(names)
    if column is not None:
        in_table = _sides_of_column(source, column, coding or {}, warnings)
    in_name = [""] * len(names)
    guess = NO_SIDE_GUESS
    if column is not None:
        guess = str(column.name)
        if coding:
            guess += " with " + ", ".join(f"{key}={side}" for key, side in coding.items())
    if pattern is not None:
        in_name = _sides_by_pattern(source, names, pattern, warnings)
        by_name = f"file name, by the pattern {pattern.pattern}"
        guess = by_name if column is None else f"{guess}; where empty, {by_name}"
        _tell_conflicts(source, names, in_table, in_name, warnings)
    elif column is None and guess_names and (found := _guess_sides(names)):
        in_name = found
        guess = (
            f"file name, by the pattern {GUESSED_PATTERN} (a guess; --laterality-pattern none "
            "turns it off)"
        )
    pairs = [
        (table, FROM_TABLE) if table else (name, FROM_NAME if name else "")
        for table, name in zip(in_table, in_name, strict=True)
    ]
    return Sides(tuple(side for side, _ in pairs), tuple(by for _, by in pairs), guess, warnings)


def names_sides(column: pd.Series) -> bool:
    """Return whether a column names a side anywhere, or could by a code for each."""
    kinds = {_code(str(text)) for text in column.dropna().unique()}
    return _is_coded(kinds) or any(side_of(text) for text in kinds)


def _sides_of_column(
    source: Path, column: pd.Series, coding: Mapping[str, str], warnings: list[str]
) -> list[str]:
    texts = ["" if pd.isna(text) else str(text) for text in column]
    meaning = {
        text: coding[code] if (code := _code(text)) in coding else side_of(text)
        for text in set(texts)
    }
    kinds = {_code(text) for text in meaning if text}
    unclear = Counter(text for text in texts if meaning[text] is None)
    if unclear and not coding and _is_coded(kinds):
        codes = ["1", "2"] if "2" in kinds else ["0", "1"]
        warnings.append(
            f"{source}: the column {column.name!r} codes the side as {'/'.join(codes)}, which does "
            "not tell which side is meant; no image is mirrored by it unless "
            f'--laterality-values "{codes[0]}=L,{codes[-1]}=R", or the reverse, says so.'
        )
    elif unclear:
        warnings.append(
            f"{source}: {counted(unclear.total(), 'image')} "
            f"{form(unclear.total(), 'has', 'have')} a laterality that is not understood "
            f"({named(map(repr, sorted(unclear)))}); say what it means with --laterality-values."
        )
    return [meaning[text] or "" for text in texts]


def _is_coded(kinds: set[str]) -> bool:
    return bool(kinds) and (kinds <= {"0", "1"} or kinds <= {"1", "2"})


def _code(text: str) -> str:
    return plain_number(text.strip().casefold())


def _sides_by_pattern(
    source: Path, names: Sequence[str], pattern: re.Pattern[str], warnings: list[str]
) -> list[str]:
    sides = []
    unclear: dict[str, str] = {}
    matched = 0
    for name in names:
        entry = name.replace("\\", "/")
        match = pattern.search(PurePosixPath(entry).stem) or pattern.search(entry)
        side: str | None = ""
        if match:
            matched += 1
            text = next((group for group in match.groups() if group), match[0])
            side = side_of(text)
            if side is None:
                unclear[name] = text
        sides.append(side or "")
    if not matched:
        warnings.append(
            f"{source}: --laterality-pattern {pattern.pattern} matches no file entry, such as "
            f"{names[0]!r}."
        )
    if unclear:
        found = named(f"{text!r} in {name}" for name, text in unclear.items())
        warnings.append(
            f"{source}: --laterality-pattern {pattern.pattern} finds no side in "
            f"{counted(len(unclear), 'file name')} ({found}); "
            "its group, or else all that matches, must be a word for a side."
        )
    return sides


def _tell_conflicts(
    source: Path,
    names: Sequence[str],
    in_table: Sequence[str],
    in_name: Sequence[str],
    warnings: list[str],
) -> None:
    conflicts = [
        name
        for name, table, stated in zip(names, in_table, in_name, strict=True)
        if table and stated and table != stated
    ]
    if conflicts:
        warnings.append(
            f"{source}: the table and the file name tell another side for "
            f"{counted(len(conflicts), 'image')} ({named(conflicts)}); the table's is taken."
        )


def _guess_sides(names: Sequence[str]) -> list[str] | None:
    """Return the sides in the names if each holds one, and both occur; else None."""
    pattern = re.compile(GUESSED_PATTERN)
    sides = []
    for name in names:
        found = {side_of(text) or "" for text in pattern.findall(_stem(name))}
        if name and len(found) != 1:
            return None
        sides.append("".join(found))
    return sides if {"L", "R"} <= set(sides) else None


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem
