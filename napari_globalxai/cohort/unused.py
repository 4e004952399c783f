"""What the user says of a cohort that nothing in it is concerned by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from napari_globalxai.cohort.columns import Roles
from napari_globalxai.cohort.naming import name_key
from napari_globalxai.cohort.wording import named
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.lists import split_pairs


def settings_without_use(source: Path, settings: CohortSettings, roles: Roles) -> list[str]:
    """Return a clause for each setting that needs something else of the cohort."""
    wrong = []
    no_sides = roles.laterality is None and settings.laterality_column is None
    if settings.laterality_values and no_sides:
        wrong.append("--laterality-values needs a laterality column, see --laterality-column")
    if settings.label_values and roles.class_column is not None:
        wrong.append(
            f"--label-values needs label columns, but {roles.class_column!r} is a class column; "
            "see --class-values and --label-columns"
        )
    if settings.class_values and roles.labels:
        wrong.append(
            f"--class-values needs a class column, but {named(map(repr, roles.labels))} are label "
            "columns; see --label-values and --class-column"
        )
    if settings.image_root and source.is_dir():
        wrong.append("--image-root goes with a table, not with a folder of images")
    return wrong


def values_without_use(
    source: Path, settings: CohortSettings, roles: Roles, table: pd.DataFrame
) -> list[str]:
    """Return a sentence for each option that speaks of values which are nowhere."""
    options = {
        "--label-values": (settings.label_values, roles.labels),
        "--class-values": (settings.class_values, [roles.class_column]),
    }
    warnings = []
    for option, (text, columns) in options.items():
        asked = [value for value, meaning in split_pairs(text or "") if meaning is not None]
        if not asked:
            continue
        there = {name_key(value) for column in columns for value in _values(table, column)}
        there |= {"", "blank", "empty"}
        if absent := [value for value in asked if name_key(value) not in there]:
            warnings.append(
                f"{source}: {option} speaks of {named(map(repr, absent))}, which no field of "
                f"{named(map(repr, columns))} holds."
            )
    return warnings


def _values(table: pd.DataFrame, column: str | None) -> Iterable[str]:
    if column is None:
        return
    for value in table[column].dropna().unique():
        yield value
        # Parts of fields with several labels; what else this splits does no harm.
        yield from re.split(r"[\[\](){}'\"|;,/+&]", value)
