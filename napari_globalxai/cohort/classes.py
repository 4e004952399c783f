"""What the values of a class column mean for a model's labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.cohort.class_numbers import doubt_of, holds_for_several, positions_of
from napari_globalxai.cohort.labels import CODES, MEANING, plain_text, text_of
from napari_globalxai.cohort.naming import (
    name_key,
    number_of,
    same_names,
    says_absent,
    whole_number,
)
from napari_globalxai.cohort.several import find_several
from napari_globalxai.cohort.wording import form, named
from napari_globalxai.settings.lists import join_pairs, split_pairs

Row = npt.NDArray[np.float64]
# What --class-values may give a value beside labels.
_UNKNOWN_WORDS = CODES.difference(("-",)).union(("",))
_NOTHING_WORDS = frozenset(("none", "no", "nothing", "0"))


@dataclass
class ClassReading:
    """A class column read as the true labels of a model.

    Attributes
    ----------
    rows : dict of str to numpy.ndarray
        float64, one a label, by the value as the table writes it: 1, 0, or NaN where unknown.
    unknown : dict of str to int
        What is no label of the model, and its number of rows.
    notes : list of str
        What was assumed, a clause each that follows the column's values.
    refusal : str
        Why the column cannot be read, a clause that follows the column's values; else empty.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    refusal: str = ""

    def truth(self, column: pd.Series, count: int) -> npt.NDArray[np.float64]:
        """Return the true labels, (images, labels)."""
        nothing = np.full(count, np.nan)
        return np.array(
            [self.rows.get(text_of(value), nothing) for value in column], dtype=np.float64
        ).reshape(len(column), count)


def read_class_values(text: str | None, wrong: list[str]) -> dict[str, str]:
    """Return the label of values of the class column, by their `name_key`, as the user says.

    Parameters
    ----------
    text : str, optional
        Such as ``1=meningioma,2=glioma``.
    wrong : list of str
        Gets a clause for what is not understood.
    """
    coding: dict[str, str] = {}
    for value, label in split_pairs(text or ""):
        if label is None:
            wrong.append(f"--class-values {text} is not of the form 1=meningioma,2=glioma")
        else:
            coding[name_key(value)] = label
    return coding


def read_classes(
    column: pd.Series, labels: Sequence[str], coding: Mapping[str, str] | None = None
) -> ClassReading:
    """Read a class column as the true labels of a model.

    Parameters
    ----------
    column : pandas.Series
        Text: names of labels, one or several a field; or numbers of the model's outputs from 0,
        where they can mean nothing else. Where the model has one output, with or without it.
    labels : sequence of str
        The model's labels.
    coding : mapping of str to str, optional
        The label of a value, see `read_class_values`; it goes before all else.
    """
    found = ClassReading()
    if twins := same_names(labels):
        found.refusal = (
            "cannot be compared with labels that are one name but for its spelling: "
            f"{twins[0]}, {twins[1]}"
        )
        return found
    counts = Counter(text for value in column if (text := text_of(value)))
    places = {name_key(label): place for place, label in enumerate(labels)}
    told = {key: _row_of(label, places) for key, label in (coding or {}).items()}
    for key, row in told.items():
        if row is None:
            found.refusal = (
                f"are given a label by --class-values, {key}={(coding or {})[key]}, which the "
                f"model does not have ({', '.join(labels)}); write unknown or none where it has "
                "none for it"
            )
            return found
    rows = {key: row for key, row in told.items() if row is not None}
    found.rows = {value: rows[key] for value in counts if (key := name_key(value)) in rows}
    rest = {value: count for value, count in counts.items() if value not in found.rows}
    _read(found, str(column.name), rest, places, labels, rows)
    if not found.refusal and not any(np.isfinite(row).any() for row in found.rows.values()):
        values = named(map(repr, counts)) or "none at all"
        found.refusal = (
            f"match none of the model's labels ({', '.join(labels)}), being {values}; say what "
            f"they mean, {_example(list(counts), labels)}"
        )
    return found


def _row_of(label: str, places: Mapping[str, int]) -> Row | None:
    """Return the truth that the user gives a value; None where the model has no such label."""
    row = np.zeros(len(places))
    parts = [label] if name_key(label) in places else [part.strip() for part in label.split("|")]
    if all(name_key(part) in places for part in parts):
        row[[places[name_key(part)] for part in parts]] = 1
    elif plain_text(label) in _UNKNOWN_WORDS:
        row[:] = np.nan
    elif len(places) == 1 and plain_text(label) in MEANING:
        row[:] = MEANING[plain_text(label)]
    elif not (says_absent(label) or plain_text(label) in _NOTHING_WORDS):
        return None
    return row


def _read(
    found: ClassReading,
    name: str,
    counts: Mapping[str, int],
    places: Mapping[str, int],
    labels: Sequence[str],
    told: Mapping[str, Row],
) -> None:
    """Read the values that the user says nothing about."""
    if several := find_several(counts, {*places, *told}):
        if find_several(counts) is None:
            # Else the table alone tells it, and the cohort has said so.
            found.notes.append(
                f"hold several labels each, {several.how}; what a field does not name is taken as "
                "absent"
            )
        for value, parts in several.parts.items():
            _take_several(found, value, parts, counts[value], places, told)
        if not any(row.any() for row in found.rows.values()):
            found.rows.clear()
    elif len(labels) == 1:
        _read_one_output(found, counts, places, labels[0], told=bool(told))
    elif told or any(name_key(value) in places for value in counts):
        _read_names(found, counts, places, labels)
    elif positions := positions_of(counts, labels):
        if doubt := doubt_of(name, list(counts), labels):
            found.refusal = (
                f"are numbers ({named(counts)}) that cannot be told to be outputs of the model "
                f"({doubt}); say what they mean, {_example(list(positions), labels)}"
            )
            return
        for value, place in positions.items():
            found.rows[value] = np.eye(len(labels))[place]
        _leave_out(found, counts)
        outputs = ", ".join(f"{place} {label}" for place, label in enumerate(labels))
        found.notes.append(f"are numbers, taken as the model's outputs from 0: {outputs}")
    else:
        _read_names(found, counts, places, labels)


def _read_names(
    found: ClassReading, counts: Mapping[str, int], places: Mapping[str, int], labels: Sequence[str]
) -> None:
    """Read values as one name each; that of a class without any finding has none of the labels."""
    values = [value for value in counts if plain_text(value) not in CODES]
    numbers = {whole_number(value) for value in values}
    strange = [value for value in values if name_key(value) not in places]
    # Numbers from 0 beside labels 1 to 5: positions explain what names do not, or each label holds
    # for all grades from its own.
    if (
        not found.rows
        and any(whole_number(value) is not None for value in strange)
        and numbers <= set(range(len(labels) + 1))
    ):
        found.refusal = (
            f"are numbers ({named(counts)}), of which {named(strange)} "
            f"{form(len(strange), 'is', 'are')} no label, so that they may be names of labels, "
            "grades, or outputs counted from 0; say what they mean, "
            f"{_example(list(counts), labels)}"
        )
        return
    absent: list[str] = []
    for value in counts:
        if name_key(value) in places:
            found.rows[value] = np.eye(len(labels))[places[name_key(value)]]
        elif says_absent(value) and not any(says_absent(label) for label in labels):
            found.rows[value] = np.zeros(len(labels))
            absent.append(value)
    if absent:
        found.notes.append(
            f"that say {named(map(repr, absent))} are taken as none of the model's labels"
        )
    _leave_out(found, counts)


def _take_several(
    found: ClassReading,
    value: str,
    parts: tuple[str, ...] | None,
    count: int,
    places: Mapping[str, int],
    told: Mapping[str, Row],
) -> None:
    """Read a field with several labels, of which the user may have told what some mean."""
    eye = np.eye(len(places))
    known = {**told, **{key: eye[place] for key, place in places.items() if key not in told}}
    others = [part for part in parts or () if name_key(part) not in known]
    absent = [part for part in others if says_absent(part)]
    if parts is None or (absent and len(parts) > 1):
        # Uncertain, or it contradicts itself.
        found.unknown[value] += count
        return
    row = np.zeros(len(places))
    if absent:
        # The model may call it otherwise: No Finding beside normal.
        row[[place for key, place in places.items() if says_absent(key)]] = np.nan
    if any(plain_text(part) in CODES for part in others):
        row[:] = np.nan
    for each in (known[key] for part in parts if (key := name_key(part)) in known):
        # What one part says is there is there; what one leaves open is open.
        row = np.where((row == 1) | (each == 1), 1.0, row + each)
    found.rows[value] = row
    for part in others:
        if part not in absent and plain_text(part) not in CODES:
            found.unknown[part] += count


def _read_one_output(
    found: ClassReading,
    counts: Mapping[str, int],
    places: Mapping[str, int],
    label: str,
    told: bool,
) -> None:
    """Read values as with or without the only label."""
    key = name_key(label)
    with_it = [value for value in counts if name_key(value) in places]
    by_name = bool(with_it)
    # Where the user says what 2 and 3 mean, 0 and 1 are grades as well, not no and yes.
    meaning = {value: None if told else MEANING.get(plain_text(value)) for value in counts}
    without = [
        value
        for value in counts
        if value not in with_it and (_is_without(value, key) or meaning[value] == 0)
    ]
    if not by_name:
        with_it = [value for value in counts if meaning[value] == 1]
    rest = [value for value in counts if value not in with_it and value not in without]
    codes = [value for value in rest if plain_text(value) in CODES]
    strange = [value for value in rest if value not in codes]
    only = strange[0] if len(strange) == 1 else ""
    if by_name and not (without or told) and _may_be_without(only, key):
        found.notes.append(f"are {label!r} and {only!r}, which is taken as without {label!r}")
        without, strange = strange, []
    if not (with_it and without) and not by_name:
        # -1 or 9 beside 1 may be the other class.
        strange += [value for value in codes if whole_number(value) is not None]
    if strange and (with_it or without or told):
        yes, no = (_shell(join_pairs(dict.fromkeys(strange[:1], word))) for word in ("yes", "no"))
        found.refusal = (
            f"({named(map(repr, counts))}) cannot all be told to be with or without the model's "
            f"only label {label!r}; say what they mean, such as --class-values {yes} or {no}"
        )
        return
    found.rows |= {value: np.ones(1) for value in with_it}
    found.rows |= {value: np.zeros(1) for value in without}
    _leave_out(found, counts)


def _is_without(value: str, key: str) -> bool:
    """Return whether a value says that the label is not there: normal, no AMD."""
    name = name_key(value)
    without = {f"{word}_{key}" for word in ("no", "not", "non", "without")}
    return says_absent(value) or name in without


def _may_be_without(value: str, key: str) -> bool:
    """Return whether the only other value is a name, and not one that the label is part of."""
    is_name = number_of(value) is None and plain_text(value) not in MEANING
    return bool(value) and is_name and key not in name_key(value)


def _leave_out(found: ClassReading, counts: Mapping[str, int]) -> None:
    for value, count in counts.items():
        if value not in found.rows:
            found.unknown[value] += count


def _example(values: Sequence[str], labels: Sequence[str]) -> str:
    """Return the option that maps the first values, as an example of how to write it."""
    some = sorted(values)[:2]
    pairs = dict(zip(some, labels, strict=False))
    if len(labels) > 1 and any(map(holds_for_several, labels)):
        some = sorted(value for value in values if whole_number(value) != 0)[:2]
        pairs = dict(zip(some, (labels[0], f"{labels[0]}|{labels[1]}"), strict=False))
    return f"such as --class-values {_shell(join_pairs(pairs))}"


def _shell(text: str) -> str:
    """Return a value of an option as a shell takes it."""
    return f"'{text}'" if '"' in text else f'"{text}"'
