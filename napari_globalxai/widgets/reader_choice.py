"""Which of its readers napari takes for a folder of ours: this one, and without a question.

napari asks for every folder, as it reads any folder itself, and asks nobody what lies in it. It
does not ask where it was told what to take: by its own setting, as when a person ticks “Remember
this choice”, or by who takes the drop before it does.
"""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import Any
from weakref import WeakSet, ref

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QDropEvent

from napari_globalxai.storage import is_regular
from napari_globalxai.widgets.folders import results_home
from napari_globalxai.widgets.recognised import SPREADSHEETS, Recognised, recognise

_PLUGIN = "napari-globalxai"
_OURS = (Recognised.RUN, Recognised.QUALITY, Recognised.MODEL)
_LONGEST_HEADING = 1 << 16
# Viewers whose drops are taken: each panel asks for it.
_taking: WeakSet[Any] = WeakSet()


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
        if reader != _PLUGIN or not Path(pattern).is_absolute() or _is_there(pattern)
    }
    wanted = {**kept, _all_results(): _PLUGIN, _pattern(folder): _PLUGIN}
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


class _Drops(QObject):
    """Takes what is dropped on the canvas where all of it is ours."""

    def __init__(self, viewer: Any, canvas: QObject) -> None:
        super().__init__(canvas)
        self._viewer = ref(viewer)
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take the drop before napari asks who is to read it."""
        viewer = self._viewer()
        # What moves over the canvas is of the same class.
        if viewer is None or not isinstance(event, QDropEvent) or event.type() != QEvent.Type.Drop:
            return False
        paths = _dropped(event)
        if not paths:
            return False
        from napari_globalxai.widgets.dropped_files import take

        for path in paths:
            take(viewer, path)
        event.accept()
        return True


def _dropped(event: QDropEvent) -> list[Path]:
    """Return what a drop holds, nothing where some of it is not ours."""
    data = event.mimeData()
    urls = [] if data is None else data.urls()
    paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
    return paths if len(paths) == len(urls) and all(map(_is_ours, paths)) else []


def _is_ours(path: Path) -> bool:
    kind = recognise(path)
    return kind in _OURS or (kind is Recognised.COHORT and _is_no_layer(path))


def _is_no_layer(table: Path) -> bool:
    """Return whether a table has columns, and not those of points or shapes that napari saved."""
    # A pipe would hold up the window for as long as nobody writes to it.
    if not is_regular(table) or table.suffix.lower() in SPREADSHEETS:
        return True
    try:
        with table.open("rb") as file:
            heading = file.readline(_LONGEST_HEADING)
    except OSError:
        # What is wrong with it is said where it is read.
        return True
    return any(each in heading for each in (b",", b";", b"\t")) and b"axis-0" not in heading


def take_drops(viewer: Any) -> None:
    """Let what is ours and dropped on a viewer's canvas be opened without a question."""
    canvas = getattr(getattr(viewer, "window", None), "_qt_viewer", None)
    if isinstance(canvas, QObject) and viewer not in _taking:
        _taking.add(viewer)
        _Drops(viewer, canvas)
