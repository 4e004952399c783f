"""Which of its readers napari takes for a folder of ours: this one, and without a question.

napari asks for every folder, as it reads any folder itself, and asks nobody what lies in it. It
does not ask where it was told by its own setting, as when a person ticks “Remember this choice”.
"""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from napari_globalxai.widgets.session.folders import results_home
from napari_globalxai.widgets.session.names import PLUGIN


def remember_reader(folder: Path) -> None:
    """Have napari open a folder of results with this plugin, from now on without asking.

    Folders that are gone are forgotten, so that the setting does not grow.

    Parameters
    ----------
    folder : pathlib.Path
        A run or a quality control.
    """
    from napari.settings import get_settings

    plugins = get_settings().plugins
    before = dict(plugins.extension2reader)
    kept = {
        pattern: reader
        for pattern, reader in before.items()
        if reader != PLUGIN or not Path(pattern).is_absolute() or _is_there(pattern)
    }
    wanted = {**kept, _all_results(): PLUGIN, _pattern(folder): PLUGIN}
    if wanted != before:
        plugins.extension2reader = wanted


def _pattern(folder: Path) -> str:
    """Return what napari matches a folder's path with; it resolves links and adds the separator."""
    return glob.escape(os.path.realpath(folder)) + os.sep


def _all_results() -> str:
    return f"{_pattern(results_home())}*{os.sep}"


def _is_there(pattern: str) -> bool:
    # Undoes the escape, which puts each sign in brackets of its own.
    path = re.sub(r"\[(.)\]", r"\1", pattern)
    return "*" in path or Path(path).is_dir()
