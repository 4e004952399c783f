"""Tables with one row a patient and a column for each side's file: read as a row a side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from napari_globalxai.cohort.columns import holds_images, named_file_column
from napari_globalxai.cohort.laterality import side_of
from napari_globalxai.cohort.naming import name_key
from napari_globalxai.cohort.reading import RawTable
from napari_globalxai.cohort.wording import counted, form, named
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.lists import split_names

# Words of a name, also of LeftFundus and fileOD.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")


_EYES = {
    "eye",
    "eyes",
    "fundus",
    "retina",
    "oct",
    "od",
    "os",
    "oculus",
    "oeil",
    "œil",
    "auge",
    "ojo",
}


@dataclass(frozen=True)
class EyePair:
    """Two columns that say the same of the left and of the right side."""

    left: str
    right: str
    common: str

    @property
    def columns(self) -> tuple[str, str]:
        """Both columns."""
        return self.left, self.right

    @property
    def is_of_eyes(self) -> bool:
        """Whether the names of both columns are those that only eyes have."""
        words = [{word.casefold() for word in _WORD.findall(name)} for name in self.columns]
        return all(_EYES & each for each in words)


def find_eye_rows(
    source: Path, raw: RawTable, settings: CohortSettings, wrong: list[str]
) -> tuple[RawTable, CohortSettings]:
    """Return a table with one row an image, and the settings that name its columns.

    Nothing changes unless two columns are named as the files of both eyes, or two hold such files
    and no other column is the file column by its name and its content.

    Parameters
    ----------
    source : pathlib.Path
        The table's file, for messages.
    raw : RawTable
        What was read.
    settings : CohortSettings
        What the user says.
    wrong : list of str
        Gets a clause where two columns are named that are no such pair.
    """
    names = [str(name) for name in raw.table.columns]
    if settings.file_column is None:
        pairs = _file_pairs(raw.table, names)
        named_file = named_file_column(raw)
        if named_file is not None and (not pairs or holds_images(raw.table[named_file])):
            return raw, settings
        if len(pairs) > 1:
            texts = (f'--file-column "{pair.left},{pair.right}"' for pair in pairs)
            wrong.append(f"there are several pairs of files, so say {' or '.join(texts)}")
        if len(pairs) != 1:
            return raw, settings
        pair = pairs[0]
    else:
        asked = split_names(settings.file_column)
        if len(asked) < 2 or name_key(settings.file_column) in map(name_key, names):
            return raw, settings
        keys = {name_key(name) for name in asked}
        found = [each for each in eye_pairs(names) if set(map(name_key, each.columns)) == keys]
        if not found:
            wrong.append(
                f"--file-column {settings.file_column} names several columns, which are not there "
                "or not one for the left and one for the right side"
            )
            return raw, settings.model_copy(update={"file_column": None})
        pair = found[0]
    raw, file, laterality = _a_row_an_eye(source, raw, pair)
    roles = {"file_column": file}
    if settings.laterality_column is None:
        roles["laterality_column"] = laterality
    return raw, settings.model_copy(update=roles)


def eye_pairs(names: Sequence[str]) -> list[EyePair]:
    """Return the pairs among columns: equal but for one word, which names the side."""
    sided: dict[str, dict[str, str]] = {}
    for name in names:
        words = _WORD.findall(name)
        sides = {place: side for place, word in enumerate(words) if (side := side_of(word))}
        if len(sides) != 1:
            continue
        ((place, side),) = sides.items()
        rest = " ".join([*words[:place], *words[place + 1 :]])
        sided.setdefault(rest, {}).setdefault(side, name)
    return [
        EyePair(sides["L"], sides["R"], common)
        for common, sides in sided.items()
        if len(sides) == 2
    ]


def _file_pairs(table: pd.DataFrame, names: Sequence[str]) -> list[EyePair]:
    """Return the pairs whose values look like names of image files."""
    return [
        pair
        for pair in eye_pairs(names)
        if all(holds_images(table[column]) for column in pair.columns)
    ]


def _a_row_an_eye(source: Path, raw: RawTable, pair: EyePair) -> tuple[RawTable, str, str]:
    """Turn each row into two; what other pairs of columns say goes to its own eye.

    Returns the table without eyes that have no file, and its columns of files and of sides.
    """
    names = [str(name) for name in raw.table.columns]
    others = [each for each in eye_pairs(names) if each.left != pair.left and each.common]
    table = raw.table.loc[np.repeat(np.arange(len(raw.table)), 2)].reset_index(drop=True)
    is_left = np.arange(len(table)) % 2 == 0

    def add(name: str, left: pd.Series | str, right: pd.Series | str) -> str:
        column = _unused(name, [str(each) for each in table.columns])
        table[column] = np.where(is_left, left, right).astype(object)
        return column

    file = add("filename", table[pair.left], table[pair.right])
    laterality = add("laterality", "L", "R")
    own = [add(each.common, table[each.left], table[each.right]) for each in others]
    spare = {column for each in (pair, *others) for column in each.columns}
    # A patient without any file keeps a row, so that the lack is told.
    absent = table[file].isna().to_numpy()
    kept = ~absent | (is_left & np.roll(absent, -1))
    table = table[kept].reset_index(drop=True)
    # Breasts, knees and lungs come in pairs, too.
    one, article = ("eye", "an") if pair.is_of_eyes else ("side", "a")
    are = form(len(own), "is", "are")
    each = f"{named(map(repr, own))} {are} each {one}'s, and " if own else ""
    message = (
        f"{source}: each of its {counted(len(raw.table), 'row')} names a left {one}'s file in "
        f"{pair.left!r} and a right {one}'s in {pair.right!r}, and is read as one row {article} "
        f"{one}, so that rows are counted by {one}s here; {each}what else it says, labels too, is "
        f"taken for both {one}s."
    )
    warnings = [*raw.warnings, message]
    return replace(raw, table=table, spare=raw.spare | spare, warnings=warnings), file, laterality


def _unused(name: str, taken: Sequence[str]) -> str:
    keys = {name_key(each) for each in taken}
    number, unique = 2, name
    while name_key(unique) in keys:
        unique = f"{name} ({number})"
        number += 1
    return unique
