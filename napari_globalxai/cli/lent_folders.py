"""Folders for libraries that want to write into a home which cannot be written to."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from napari_globalxai.errors import InputError
from napari_globalxai.storage import check_writable

# By the variable that names it: where it is otherwise, below the home.
_PLACES = {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config"}


def lend_folders() -> None:
    """Let napari keep its icons and settings in a folder of this process, where it must.

    Without a folder for icons it cannot be imported at all.
    """
    for variable, below in _PLACES.items():
        place = Path(os.environ.get(variable) or Path("~", below).expanduser())
        try:
            check_writable(place, "")
        except InputError:
            lent = tempfile.mkdtemp(prefix="napari-globalxai-")
            atexit.register(shutil.rmtree, lent, ignore_errors=True)
            os.environ[variable] = lent
