"""What is wrong with a cohort, all of it at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.addresses import is_remote
from napari_globalxai.cohort.labels import text_of
from napari_globalxai.cohort.laterality import NO_SIDE_GUESS
from napari_globalxai.cohort.naming import name_key
from napari_globalxai.cohort.patients import FROM_FOLDER, is_nobody, spelt_alike
from napari_globalxai.cohort.per_patient import labels_that_are_patients
from napari_globalxai.cohort.wording import counted, form, named, rows_named
from napari_globalxai.images.image_file import is_there, split_page
from napari_globalxai.storage import absence_of_file

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort


def find_problems(cohort: Cohort, *, estimates_sides: bool = False) -> list[str]:
    """List what could not be resolved or contradicts itself, a sentence each.

    Begins with the cohort's warnings. Files are looked for, not read.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    estimates_sides : bool, optional
        Whether sides that nothing tells are estimated from the images, and so no problem.
    """
    return [
        *cohort.warnings,
        *_files_that_are_not_there(cohort),
        *_repeated_rows(cohort),
        *([] if estimates_sides else _unknown_sides(cohort)),
        *_unknown_patients(cohort),
        *labels_that_are_patients(cohort),
    ]


def _is_folder(path: Path) -> bool:
    # Unlike Path.is_dir, os.path.isdir takes names that no disk has.
    return path.is_dir() if is_remote(path) else os.path.isdir(path)  # noqa: PTH112


def _files_that_are_not_there(cohort: Cohort) -> list[str]:
    problems = []
    if unnamed := [row for row, name in enumerate(cohort.names) if not name]:
        problems.append(
            f"{rows_named(unnamed)} of {cohort.source.name} "
            f"{form(len(unnamed), 'names', 'name')} no file."
        )
    files = {name: path for name, path in zip(cohort.names, cohort.files, strict=True) if name}
    absent = [name for name, path in files.items() if not is_there(path)]
    kinds = {name: absence_of_file(split_page(files[name])[0]) for name in absent}
    missing = [name for name, kind in kinds.items() if kind.startswith("does not exist")]
    folders = [name for name in absent if _is_folder(files[name])]
    if folders:
        problems.append(
            f"{cohort.source}: {counted(len(folders), 'row')} "
            f"{form(len(folders), 'names a folder', 'name folders')} ({named(folders)}); a row "
            "names the file of one image."
        )
    others = [name for name in absent if name not in {*missing, *folders}]
    for kind in sorted({kinds[name] for name in others}):
        names = [name for name in others if kinds[name] == kind]
        problems.append(
            f"{cohort.source}: {named(names)} {kind}, not an image's file; such a row is not "
            "opened."
        )
    if missing:
        problems.append(
            f"{cohort.source}: {len(missing)} of {counted(len(files), 'file')} "
            f"{form(len(missing), 'does', 'do')} not exist ({named(missing)}); correct the "
            "table, or name the folder of the images with --image-root."
        )
    return problems


def _repeated_rows(cohort: Cohort) -> list[str]:
    """List rows that repeat another, and other rows that name a file again."""
    problems = []
    whole = cohort.table.duplicated().to_numpy()
    if whole.any():
        rows = whole.nonzero()[0].tolist()
        problems.append(
            f"{cohort.source}: {rows_named(rows)} {form(len(rows), 'repeats', 'repeat')} an "
            "earlier row and would count twice."
        )
    rows_of: dict[str, list[int]] = {}
    for row, (name, path) in enumerate(zip(cohort.names, cohort.files, strict=True)):
        if name and not whole[row]:
            rows_of.setdefault(os.path.normpath(str(path)), []).append(row)
    several = [rows for rows in rows_of.values() if len(rows) > 1]
    if several:
        texts = (f"{cohort.names[rows[0]]} in {rows_named(rows)}" for rows in several)
        problems.append(
            f"{cohort.source}: {counted(len(several), 'file')} {form(len(several), 'is', 'are')} "
            f"named by several rows that differ ({named(texts)})."
        )
    return [*problems, *_contradictions(cohort, several)]


def _contradictions(cohort: Cohort, several: Sequence[Sequence[int]]) -> list[str]:
    """List what the rows of one file say against each other."""
    if not several:
        return []
    said: dict[str, Sequence[object]] = {"laterality": cohort.laterality}
    for name in cohort.label_columns:
        binary = cohort.values_of(name)
        said[f"label {name!r}"] = ["" if np.isnan(value) else value for value in binary]
    if cohort.class_column is not None:
        column = cohort.table[cohort.class_column]
        said[f"class {cohort.class_column!r}"] = [
            name_key(text) if (text := text_of(value)) else "" for value in column
        ]
    problems = []
    for what, values in said.items():
        files = [
            cohort.names[rows[0]]
            for rows in several
            if len({values[row] for row in rows if values[row] != ""}) > 1
        ]
        if files:
            problems.append(
                f"{cohort.source}: rows of {counted(len(files), 'file')} contradict each other in "
                f"the {what} ({named(files)})."
            )
    return problems


def side_note(cohort: Cohort) -> str:
    """Return a sentence where nothing tells a side of any image; else an empty text.

    That is no fault of itself: images of most parts of a body have no sides.
    """
    if cohort.guesses["laterality"] != NO_SIDE_GUESS or any(cohort.laterality):
        return ""
    return (
        f"{cohort.source}: {counted(len(cohort), 'image')} {form(len(cohort), 'has', 'have')} no "
        "laterality, and none is mirrored; where images show something that has sides, see "
        "--laterality-column, --laterality-pattern and --estimate-laterality."
    )


def _unknown_sides(cohort: Cohort) -> list[str]:
    unknown = [name for name, side in zip(cohort.names, cohort.laterality, strict=True) if not side]
    if not unknown or side_note(cohort):
        return []
    return [
        f"{cohort.source}: {counted(len(unknown), 'image')} "
        f"{form(len(unknown), 'has no laterality and is', 'have no laterality and are')} not "
        f"mirrored ({named(unknown)}); see --laterality-column, --laterality-pattern and "
        "--estimate-laterality."
    ]


def _unknown_patients(cohort: Cohort) -> list[str]:
    problems = []
    if cohort.patient_source == FROM_FOLDER:
        problems.append(
            f"{cohort.source}: no column names the patients, so that folders such as "
            f"{cohort.patients[0]} are taken as patients; --patient-column names another one."
        )
    elif cohort.patient_column is None:
        problems.append(
            f"{cohort.source}: no column names the patients, so that every image counts as one of "
            "its own; name it with --patient-column."
        )
    else:
        column = cohort.table[cohort.patient_column]
        missing = is_nobody(column).nonzero()[0].tolist()
        if missing:
            words = dict.fromkeys(column.iloc[missing].dropna())
            told = f" ({named(map(repr, words))})" if words else ""
            problems.append(
                f"{cohort.source}: {rows_named(missing)} {form(len(missing), 'names', 'name')} no "
                f"patient{told} and {form(len(missing), 'counts', 'count')} as one each."
            )
    if alike := spelt_alike(cohort.patients):
        pairs = named(" and ".join(map(repr, each)) for each in alike)
        problems.append(
            f"{cohort.source}: {pairs} are patients of their own, which may be one; spell a "
            "patient in one way, since images of one are not independent."
        )
    return problems


def unknown_labels(cohort: Cohort, labels: Sequence[str]) -> list[str]:
    """List the labels that no label column is for, a sentence each.

    Parameters
    ----------
    cohort : Cohort
        With label columns.
    labels : sequence of str
        The model's labels.
    """
    taken = {name_key(column) for column in cohort.label_columns}
    there = {name_key(column): str(column) for column in cohort.table.columns}
    problems = []
    for label in labels:
        if (key := name_key(label)) not in taken:
            why = "no column is for it"
            if key in there:
                why = f"the column {there[key]!r} is not taken as a label, see --label-columns"
            problems.append(
                f"{cohort.source}: the label {label!r} is unknown for every image, since {why}."
            )
    return problems
