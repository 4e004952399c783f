"""Which patient an image is of: the table's column, else the names of its folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

FROM_TABLE, FROM_FOLDER = "table", "folder"
_PATIENT = re.compile(r"(patient|subject|participant|pat|sub|case)[ _-]?\d+", re.IGNORECASE)


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
