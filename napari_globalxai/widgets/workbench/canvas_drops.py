"""What is dropped on a canvas and is ours is taken before napari asks who is to read it.

What others may read is left to napari. Of what nobody reads, where napari would show a traceback, a
sentence says so.
"""

from __future__ import annotations

import codecs
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakSet, ref

from napari.utils.notifications import show_error
from npe2 import plugin_manager
from qtpy.QtCore import QEvent, QMimeData, QObject, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication

from napari_globalxai.runs.folder import RUN_FILE
from napari_globalxai.storage import is_regular
from napari_globalxai.widgets.fields.path_field import local_paths
from napari_globalxai.widgets.session.names import PLUGIN
from napari_globalxai.widgets.session.recognised import (
    SPREADSHEETS,
    Recognised,
    recognise,
    result_folder,
)
from napari_globalxai.widgets.words.plain_labels import plain

_NAPARI = "napari"
_TAKEN = (
    "a cohort table, a model or its card, a run folder, its run.json or its aligned.zarr can be "
    "dropped here"
)
_LONGEST_HEADING = 1 << 16
# Of files in folders of a run, such as peppr/left.json.
_DEEPEST = 3
# Viewers whose drops are taken: each panel asks for it.
_taking: WeakSet[Any] = WeakSet()


class _Sorted(NamedTuple):
    """What a drop holds: what is ours, what nobody reads, in words, and what is napari's."""

    ours: list[Path]
    unread: list[str]
    others: list[Path]


class _Drops(QObject):
    """Takes from the drops on a canvas what is ours."""

    def __init__(self, viewer: Any, canvas: QObject) -> None:
        super().__init__(canvas)
        self._viewer = ref(viewer)
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take what is ours before napari asks who is to read it."""
        viewer = self._viewer()
        # What moves over the canvas is of the same class.
        if viewer is None or not isinstance(event, QDropEvent) or event.type() != QEvent.Type.Drop:
            return False
        # With Alt, napari is to ask who reads it.
        asks = event.modifiers() & Qt.KeyboardModifier.AltModifier
        found = _sorted([] if asks else local_paths(event))
        if not (found.ours or found.unread):
            return False
        from napari_globalxai.widgets.workbench.dropped_files import take

        event.accept()
        for path in found.ours:
            take(viewer, path)
        for sentence in found.unread:
            show_error(plain(sentence))
        if watched is not None:
            _leave(watched, event, found.others)
        return True


def _leave(canvas: QObject, event: QDropEvent, paths: list[Path]) -> None:
    """Drop on a canvas what is left of a drop, addresses as well."""
    data = event.mimeData()
    addresses = [] if data is None else [url for url in data.urls() if not url.isLocalFile()]
    urls = [*(QUrl.fromLocalFile(str(path)) for path in paths), *addresses]
    if urls:
        left = QMimeData()
        left.setUrls(urls)
        place, actions = event.position(), event.possibleActions()
        QApplication.sendEvent(
            canvas, QDropEvent(place, actions, left, event.buttons(), event.modifiers())
        )


def _sorted(paths: list[Path]) -> _Sorted:
    ours: list[Path] = []
    unread: list[str] = []
    others: list[Path] = []
    for path in paths:
        why = _why_unread(path)
        if why:
            unread.append(f"{path}: {why}.")
        else:
            (ours if _is_ours(path) else others).append(path)
    return _Sorted(ours, unread, others)


def _why_unread(path: Path) -> str:
    """Return why nobody can read a path, and what can be done; nothing where somebody may."""
    for link in (path, path / RUN_FILE):
        if link.is_symlink() and not link.exists():
            what = "is" if link == path else f"has a {RUN_FILE} that is"
            return f"{what} a link that leads nowhere; drop what it should lead to"
    if not path.exists():
        return "is not there any more; drop it from where it is now"
    if recognise(path) is not Recognised.NOTHING or _readers(path):
        return ""
    of_run = next(filter(result_folder, path.parents[:_DEEPEST]), None)
    if of_run is not None:
        return f"is a part of the run {of_run}; drop that folder"
    return f"is nothing that this program or another plugin reads; {_TAKEN}"


def _is_ours(path: Path) -> bool:
    kind = recognise(path)
    if kind in (Recognised.RUN, Recognised.QUALITY):
        return True
    if kind is Recognised.COHORT and not _is_no_layer(path):
        return False
    # Of files, the ending alone is known, which another plugin may read as well.
    return kind is not Recognised.NOTHING and not any(
        _asks_for(each, path) for each in _readers(path)
    )


def _readers(path: Path) -> list[Any]:
    """Return what other plugins, and napari itself, have to read a path with."""
    found = plugin_manager.iter_compatible_readers([str(path)])
    return [reader for reader in found if reader.plugin_name != PLUGIN]


def _asks_for(reader: Any, path: Path) -> bool:
    """Return whether a plugin reads files of just this ending."""
    return reader.plugin_name != _NAPARI and any(
        pattern.strip("*") and fnmatch(path.name.lower(), pattern.lower())
        for pattern in reader.filename_patterns
    )


def _is_no_layer(table: Path) -> bool:
    """Return whether a table may be a cohort's: none of points or shapes that napari saved."""
    # A pipe would hold up the window for as long as nobody writes to it.
    if not is_regular(table) or table.suffix.lower() in SPREADSHEETS:
        return True
    try:
        with table.open("rb") as file:
            heading = file.readline(_LONGEST_HEADING)
    except OSError:
        # What is wrong with it is said where it is read.
        return True
    if table.suffix.lower() == ".csv" or not heading.removeprefix(codecs.BOM_UTF8).strip():
        return b"axis-0" not in heading
    # Other texts are tables where they have columns.
    return any(each in heading for each in (b",", b";", b"\t"))


def take_drops(viewer: Any) -> None:
    """Let what is ours and dropped on a viewer's canvas be opened without a question."""
    canvas = getattr(getattr(viewer, "window", None), "_qt_viewer", None)
    if isinstance(canvas, QObject) and viewer not in _taking:
        _taking.add(viewer)
        _Drops(viewer, canvas)
