"""Numbers in a class column: when they can mean nothing but the model's outputs, from 0."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from napari_globalxai.cohort.labels import CODES, plain_text
from napari_globalxai.cohort.naming import name_key, number_of, says_absent, whole_number
from napari_globalxai.cohort.wording import named

# Words of outputs that tell a grade from all lower ones, not one class from the others.
_AT_LEAST = re.compile(
    r"≥|⩾|>|\bat least\b|\bor (more|worse|higher|above|greater|over)\b|"
    r"\band (above|worse|higher|over|up)\b|\bmore than\b|\bworse than\b|\bexceed|\bmtm|"
    r"\bmindestens\b|(?:\d|\bmild|\bmoderate|\bsevere)\s*\+|"
    # Grades 2-4, 1 or 2.
    r"\d\s*(?:[-–/,]|to|or|and)\s*[a-z]*\d",
    re.IGNORECASE,
)
_LOWEST_GRADE = re.compile(r"\b(mild|minimal|early|doubtful|questionable)\b", re.IGNORECASE)
_GRADES = frozenset(("level", "grade", "grading", "stage", "severity", "score", "kl"))


def positions_of(values: Iterable[str], labels: Sequence[str]) -> dict[str, int]:
    """Return the output that each value counts to; codes for what is unknown are left out.

    Parameters
    ----------
    values : iterable of str
        Those of the column.
    labels : sequence of str
        The model's labels.
    """
    found = {value: whole_number(value) for value in values}
    return {
        value: number
        for value, number in found.items()
        if number is not None and (0 <= number < len(labels) or not _is_code(value))
    }


def doubt_of(column: str, values: Sequence[str], labels: Sequence[str]) -> str:
    """Return why numbers may mean something else than the model's outputs from 0, or nothing.

    Parameters
    ----------
    column : str
        The column's name: of grades, 0 and 1 are two of many.
    values : sequence of str
        Those of the column, none of which is a label's name.
    labels : sequence of str
        The model's labels, two or more.
    """
    positions = positions_of(values, labels)
    strange = [value for value in values if value not in positions and not _is_code(value)]
    numbers = sorted(set(positions.values()))
    count = len(labels)
    if strange:
        return f"{named(map(repr, strange))} beside them {_is_are(strange)} no such number"
    if any(number_of(label) is not None for label in labels):
        return "labels are numbers too, but other ones"
    if graded := [label for label in labels if holds_for_several(label)]:
        return f"the label {graded[0]!r} holds for several grades"
    if numbers[0] < 0 or numbers[-1] > count or len(numbers) > count:
        return f"there are other numbers than 0 to {count - 1}, for {count} outputs"
    within = [{int(digits) for digits in re.findall(r"\d+", label)} for label in labels]
    if numbers[-1] < count and within == [{place} for place in range(count)]:
        # Grade 0, grade 1 …
        return ""
    if numbers[-1] == count or numbers[0] > 0:
        return "they may count from 0 or from 1"
    for place, label in enumerate(labels):
        if len(within[place]) == 1 and within[place] & set(numbers) and place not in within[place]:
            return f"the label {label!r} is output {place}, counted from 0"
    return _doubt_of_words(column, numbers, labels)


def _doubt_of_words(column: str, numbers: Sequence[int], labels: Sequence[str]) -> str:
    """Return what the words of the labels say against being counted from 0."""
    if set(numbers) <= {0, 1} and not _GRADES & set(name_key(column).split("_")):
        if len(labels) > 2:
            return f"0 and 1 may mean no and yes, not two of {len(labels)} classes"
        if says_absent(labels[1]):
            return f"1 may mean yes, but the model's second label is {labels[1]!r}"
    lowest = [label for label in labels[:1] if _LOWEST_GRADE.search(label)]
    if lowest and not any(says_absent(label) for label in labels):
        return f"0 may mean less than {lowest[0]!r}"
    return ""


def holds_for_several(label: str) -> bool:
    """Return whether a label is worded as one that goes with a grade and all higher ones."""
    return bool(_AT_LEAST.search(label))


def _is_code(value: str) -> bool:
    return plain_text(value) in CODES


def _is_are(values: Sequence[str]) -> str:
    return "is" if len(values) == 1 else "are"
