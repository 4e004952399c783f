"""Where results go unless the user says otherwise."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from napari_globalxai.storage import read_json

_MOST_TRIED = 1000


def default_folder(parts: Iterable[str], belongs: Callable[[Any], bool]) -> Path:
    """Return a folder in the home folder, which can be written to wherever the cohort lies.

    Parameters
    ----------
    parts : iterable of str
        Make up its name.
    belongs : callable
        Given what ``run.json`` of a folder holds, tells whether its results can be gone on with; a
        folder with other results is passed over.
    """
    # A table called cohort.csv in a folder called cohort need not be called cohort-cohort.
    name = "-".join(dict.fromkeys(part for part in parts if part))
    home = Path.home() / "napari-globalxai"
    stem = re.sub(r"[^\w.-]", "_", name)
    for count in range(1, _MOST_TRIED):
        folder = home / (stem if count == 1 else f"{stem}-{count}")
        if _is_free(folder, belongs):
            return folder
    return home / stem


def _is_free(folder: Path, belongs: Callable[[Any], bool]) -> bool:
    try:
        return belongs(read_json(folder / "run.json"))
    except FileNotFoundError:
        return not folder.exists() or not any(folder.iterdir())
    except (OSError, ValueError, KeyError, TypeError):
        return False
