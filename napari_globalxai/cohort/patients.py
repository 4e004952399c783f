"""Which patient an image is of: the table's column, else the names of its folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.cohort.naming import name_key

FROM_TABLE, FROM_FOLDER = "table", "folder"
_PATIENT = re.compile(r"(patient|subject|participant|pat|sub|case)[ _-]?\d+", re.IGNORECASE)
# What tables write for a patient that nobody knows: two such images are hardly of one. Numbers such
# as 99 or 999 are left out, for they may be patients.
_NOBODY = frozenset(
    (
        *("unknown", "unk", "nk", "?", "??", "none", "missing", "anonymous", "not_known"),
        *("n.a.", "#n/a", "_", ".", "-1", "-9", "-99", "-999"),
    )
)


def is_nobody(column: pd.Series) -> npt.NDArray[np.bool_]:
    """Return which fields of a column of patients name none: what is empty, and words for that."""
    # By distinct values: a big table has many rows of one patient.
    words = [value for value in column.dropna().unique() if name_key(value) in _NOBODY]
    return np.asarray(column.isna() | column.isin(words), dtype=bool)


def spelt_alike(patients: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the patients that are one but for the spelling, such as ``P1``, ``p1`` and ``P-1``."""
    spellings: dict[str, dict[str, None]] = {}
    for patient in dict.fromkeys(patients):
        spellings.setdefault(name_key(patient), {})[patient] = None
    return [tuple(each) for each in spellings.values() if len(each) > 1]


def patients_of_folders(names: Sequence[str]) -> list[str] | None:
    """Return the folder in each file entry that names the patient, such as ``patient00001``.

    Parameters
    ----------
    names : sequence of str
        File entries, with ``/`` or a backslash.

    Returns
    -------
    list of str or None
        None unless every entry has one such folder, and there are several of them.
    """
    patients = []
    for name in names:
        folders = PurePosixPath(name.replace("\\", "/")).parts[:-1]
        found = [folder for folder in folders if _PATIENT.fullmatch(folder)]
        if len(found) != 1:
            return None
        patients += found
    return patients if len(set(patients)) > 1 else None
