"""From the bytes of a table to rows of text: encoding, separator, header, empty fields."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from napari_globalxai.cohort.files import looks_like_image
from napari_globalxai.cohort.wording import named
from napari_globalxai.errors import InputError
from napari_globalxai.storage import absence_of_file, read_bytes

# Not pandas' own list: it takes "None" as missing, which may well be a class.
_MISSING = frozenset(("", "NA", "N/A", "n/a", "NaN", "nan", "<NA>", "NULL", "null"))
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# The first line that Excel writes and reads where the separator is not the country's own.
_EXCEL_HINT = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class RawTable:
    """A table as it was read, before anything is made of its columns.

    Attributes
    ----------
    table : pandas.DataFrame
        Text, without blanks around it, or NaN where there is none.
    spare : frozenset of str
        Columns without a name of their own (none at all, or one that an earlier column has): to
        be taken where they are asked for, never by a guess.
    warnings : list of str
        What had to be guessed, a sentence each.
    sha256 : str
        Hash of the file's content as it was read; empty for folders.
    """

    table: pd.DataFrame
    spare: frozenset[str]
    warnings: list[str]
    sha256: str = ""


def read_raw_table(source: Path) -> RawTable:
    """Read a table of comma, semicolon or tab separated text, whatever wrote it.

    Parameters
    ----------
    source : pathlib.Path
        UTF-8 with or without a byte-order mark, UTF-16 with one, or Windows-1252. Lines without
        content are left out.

    Raises
    ------
    InputError
        When it does not exist, is no such table, or has no rows.
    """
    if why := absence_of_file(source):
        raise InputError(f"{source}: the cohort table {why}.")
    warnings: list[str] = []
    content = read_bytes(source)
    text = _decode(source, content, warnings)
    lines = _split(source, text)
    if not lines:
        raise _unreadable(source, "it is empty; save it anew")
    (_, header), *rows = lines
    while header and not header[-1] and not any(any(row[len(header) - 1 :]) for _, row in rows):
        header = header[:-1]
    if not rows:
        raise InputError(f"{source}: the cohort table has no rows.")
    _refuse_without_header(source, header, rows)
    _check_lengths(source, len(header), rows, warnings)
    names, spare = _names(source, header, warnings)
    columns = {
        name: [
            np.nan if len(row) <= place or row[place] in _MISSING else row[place] for _, row in rows
        ]
        for place, name in enumerate(names)
    }
    # As objects: values stay text, so that a patient "007" does not become 7.
    digest = hashlib.sha256(content).hexdigest()
    return RawTable(pd.DataFrame(columns, dtype=object), frozenset(spare), warnings, digest)


def _decode(source: Path, content: bytes, warnings: list[str]) -> str:
    if content.startswith(_SPREADSHEETS):
        raise _unreadable(source, "it is a spreadsheet; save it as CSV")
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = content.decode("utf-16")
        else:
            try:
                text = content.decode("utf-8-sig")
            except UnicodeDecodeError:
                text = content.decode("cp1252")
                warnings.append(
                    f"{source}: is not UTF-8 and was read as Windows-1252 (cp1252); save it as "
                    "UTF-8 if letters with accents look wrong."
                )
    except UnicodeDecodeError as why:
        raise _unreadable(source, "its encoding is not known; save it as UTF-8") from why
    if "\0" in text:
        raise _unreadable(source, "it is no text, or UTF-16 without a mark; save it as UTF-8")
    return text.removeprefix("\ufeff")


def _split(source: Path, text: str) -> list[tuple[int, list[str]]]:
    """Return the lines with content, each with its number and its fields."""
    start, separator = 0, None
    first, _, rest = text.partition("\n")
    if hint := _EXCEL_HINT.fullmatch(first):
        start, separator, text = 1, hint[1], rest
    separator = separator or _separator(text)
    # Strict, since an open quote would else swallow the rest of the table. Blanks behind a closing
    # quote are an error then, too, but a harmless one.
    for strict in (True, False):
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=separator,
            skipinitialspace=separator != "\t",
            strict=strict,
        )
        try:
            lines = [(start + reader.line_num, [item.strip() for item in row]) for row in reader]
        except csv.Error as why:
            if not strict or "unexpected end" in str(why):
                line = start + reader.line_num
                raise _unreadable(source, f"line {line}: {why}; is a quote open?") from why
        else:
            break
    return [(number, row) for number, row in lines if any(row)]


def _separator(text: str) -> str:
    """Return what splits the header best; csv's sniffer takes letters where there is one column.

    Where two do, it is the one that splits the next line alike.
    """
    lines = [line for line, _ in zip(_content_lines(text), range(2), strict=False)]

    def rate(separator: str) -> tuple[int, bool]:
        try:
            sizes = [len(next(csv.reader([line], delimiter=separator))) for line in lines]
        # A field that is too long, which is said when the whole is read.
        except csv.Error:
            return 0, False
        return max(sizes[:1], default=0), len(set(sizes)) == 1

    return max(",;\t", key=rate)


def _content_lines(text: str) -> Iterable[str]:
    return (line for line in io.StringIO(text) if line.strip())


def _check_lengths(
    source: Path, size: int, rows: Sequence[tuple[int, list[str]]], warnings: list[str]
) -> None:
    # Separators at the end of a row, with nothing behind them, do no harm.
    long = [number for number, row in rows if any(row[size:])]
    if long:
        raise _unreadable(
            source,
            f"the header has {size} fields, but there are more on {_lines(long)}; are fields that "
            "hold the separator quoted?",
        )
    short = [number for number, row in rows if len(row) < size]
    if short:
        warnings.append(
            f"{source}: {_lines(short)} has fewer fields than the header; what lacks is taken as "
            "missing."
        )


def _refuse_without_header(
    source: Path, header: Sequence[str], rows: Sequence[tuple[int, list[str]]]
) -> None:
    """Refuse a first line that names a file or a folder, as those below it do."""
    for place, name in enumerate(header):
        below = [row[place] for _, row in rows if len(row) > place]
        for is_entry in (looks_like_image, _ends_as_folder):
            if is_entry(name) and below and all(map(is_entry, below)):
                raise _unreadable(
                    source,
                    f"its first line holds data, such as {name!r}; write the names of the columns "
                    "above it, such as path,label",
                )


def _ends_as_folder(text: str) -> bool:
    return text.endswith(("/", "\\"))


def _lines(numbers: Sequence[int]) -> str:
    return f"{'line' if len(numbers) == 1 else 'each of the lines'} {named(numbers)}"


def _names(source: Path, header: Sequence[str], warnings: list[str]) -> tuple[list[str], set[str]]:
    """Return a name for each column, all different, and those that are not the table's own."""
    names: list[str] = []
    spare: set[str] = set()
    repeated: dict[str, list[str]] = {}
    taken = {name.casefold() for name in header}
    first: dict[str, str] = {}
    # Where to go on counting, so that many columns of one name are not counted again and again.
    numbers: dict[str, int] = {}
    for place, name in enumerate(header):
        key = name.casefold()
        unique = name
        if not name:
            unique = f"Unnamed: {place}"
        elif key in first:
            number = numbers.get(key, 2)
            while (unique := f"{name} ({number})").casefold() in taken:
                number += 1
            numbers[key] = number + 1
            repeated.setdefault(first[key], []).append(unique)
        first.setdefault(key, unique)
        if unique != name:
            spare.add(unique)
            taken.add(unique.casefold())
        names.append(unique)
    for name, copies in repeated.items():
        warnings.append(
            f"{source}: more than one column is called {name!r}; the first is taken, the others "
            f"are kept as {named(map(repr, copies))}."
        )
    return names, spare


def _unreadable(source: Path, reason: str) -> InputError:
    return InputError(f"{source}: cannot be read as a CSV or TSV table ({reason}).")
