"""What panels need sooner or later, imported beside the GUI thread and kept out of its way.

What is imported the first time that it is needed holds up the window: napari's first layer alone
brings units, scipy and its spline filters along. Afterwards, whenever Python looks for cycles of
objects that nobody needs, it walks through all that was imported, which takes a quarter of a
second, mostly in the GUI thread.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import numpy as np
from qtpy.QtCore import QObject

from napari_globalxai.widgets.jobs.beside_window import beside_window
from napari_globalxai.widgets.jobs.event_turns import TURNS

# In the order in which they are likely to be needed.
_MODULES = (
    "pandas",
    "zarr",
    "napari_globalxai.runs.run",
    "napari_globalxai.runs.performance",
    "napari_globalxai.frame.placement",
    "napari_globalxai.frame.stack",
    "napari_globalxai.maps.store",
    "napari_globalxai.cohort.table",
    "napari_globalxai.widgets.panels.maps.explain_widget",
    # What it folds away.
    "napari_globalxai.widgets.panels.answers.ask_view",
    "napari_globalxai.widgets.panels.answers.chapter_view",
    "napari_globalxai.widgets.panels.answers.figures_view",
    "napari_globalxai.widgets.panels.images.images_widget",
    "napari_globalxai.widgets.panels.regions.regions_widget",
    "napari_globalxai.widgets.panels.peppr.peppr_widget",
    "napari_globalxai.widgets.panels.quality.quality_widget",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)
# What a window imports as it draws and has controls for the first layer.
_DRAWING = (
    "OpenGL.arrays.ctypesarrays",
    "OpenGL.arrays.ctypespointers",
    "OpenGL.arrays.lists",
    "OpenGL.arrays.nones",
    "OpenGL.arrays.strings",
    "napari.components.histogram",
)
_MODELS = ("torch", "monai")
# Of Python's turns: the window asks for one at each of the hundreds of events of an opening panel,
# and would wait five times as long for every one while a job computes.
_SECONDS_OF_A_TURN = 0.001
# The most that is waited for a window that is busy, or has no event loop at all.
_SECONDS_OF_WAITING = 1.0
_SECONDS_BETWEEN_LOOKS = 0.005
_lock = threading.Lock()
_importing = threading.RLock()
_panels = 0
_urgent = 0
_switch_interval = sys.getswitchinterval()
_thread: threading.Thread | None = None
_asked: set[str] = set()
_ready: set[str] = set()
_kept_out: set[str] = set()
# How many modules there were when all that was there was kept out last.
_modules_out = 0


def warm_up(panel: QObject) -> None:
    """Begin to import; what is imported stays out of the search for cycles while panels are open.

    Parameters
    ----------
    panel : QObject
        A panel. With the last of them, all that was kept out is searched again, so that nothing
        that a closed viewer leaves behind stays.
    """
    global _panels, _switch_interval, _thread
    with _lock:
        _panels += 1
        if _panels == 1:
            _switch_interval = sys.getswitchinterval()
            sys.setswitchinterval(min(_SECONDS_OF_A_TURN, _switch_interval))
        if _thread is None:
            _thread = threading.Thread(target=_import_first, name="imports", daemon=True)
            _thread.start()
        elif _panels == 1 and not _thread.is_alive():
            gc.freeze()
    panel.destroyed.connect(_leave)


def _leave() -> None:
    global _panels, _modules_out
    with _lock:
        _panels -= 1
        if _panels == 0:
            gc.unfreeze()
            _modules_out = 0
            sys.setswitchinterval(_switch_interval)


def wait_until_warm() -> None:
    """Wait for what is being imported; to be called in a worker.

    Two threads that import parts of one package at once can end up with half of it.
    """
    if _thread is not None:
        _thread.join()


def is_ready(module: str) -> bool:
    """Return whether what a panel is made of is imported; where it is not, begin."""
    if module not in _asked:
        _asked.add(module)
        threading.Thread(target=_import_panel, args=(module,), name=module, daemon=True).start()
    return module in _ready


def import_beside(module: str) -> Any:
    """Import what a panel is made of, and return it; the window goes on meanwhile."""
    if module not in _ready:
        beside_window(lambda: _import_panel(module))
    if module not in _kept_out:
        _kept_out.add(module)
        # Else the window would look through all of that as the panel is made, also where it was
        # imported before; the last panel that closes ends it.
        gc.freeze()
    return import_module(module)


def import_layers_beside() -> None:
    """Have napari import what it makes layers of; the window goes on meanwhile."""
    beside_window(_import_layers)


def import_models() -> None:
    """Import what models run on; to be called in a worker, before anything else imports it.

    Which takes seconds. MONAI imports all of itself, so that of two threads that begin with
    different parts of it, one is handed a half.
    """
    _import(_MODELS)
    keep_out()


def import_in_worker(module: str) -> Any:
    """Import what a job needs, and return it; napari looks for cycles as often as a layer goes."""
    if module not in sys.modules:
        _import((module,))
        keep_out()
    return import_module(module)


def _import_first() -> None:
    until = time.monotonic() + _SECONDS_OF_WAITING
    _give_way(until)
    _import_layers()
    for name in _MODULES:
        _give_way(until)
        _import((name,))
        _ready.add(name)
    _read_entry_points()
    keep_out()


def _give_way(until: float) -> None:
    """Wait while the window has something to do: two threads take Python from one another."""
    while (_urgent or not TURNS.is_idle) and time.monotonic() < until:
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _import_panel(module: str) -> None:
    global _urgent
    with _lock:
        _urgent += 1
    try:
        # What fails fails again where the panel is made, and is told there.
        with suppress(Exception):
            _import((module,))
            _read_entry_points()
    finally:
        _ready.add(module)
        with _lock:
            _urgent -= 1


def _read_entry_points() -> None:
    """Find what other packages add to forms, among the files of all that are installed."""
    from napari_globalxai.catalogue import METHODS

    METHODS.summaries()


def _import_layers() -> None:
    with _importing, _without_search():
        _make_layers()
        for name in _DRAWING:
            # Other releases may have others.
            with suppress(ImportError):
                import_module(name)


def _import(names: Iterable[str]) -> None:
    with _importing, _without_search():
        for name in names:
            import_module(name)


def keep_out() -> None:
    """Keep what was imported since the last time out of the search for cycles, with all there is.

    Where nothing was, nothing is kept out: what nobody needs any more at that moment would stay
    until the last panel closes, each time anew.
    """
    global _modules_out
    with _lock:
        if _panels and len(sys.modules) > _modules_out:
            gc.freeze()
            _modules_out = len(sys.modules)


@contextmanager
def _without_search() -> Iterator[None]:
    """Look for no cycles meanwhile: of what is imported there are none, but much to look at."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _make_layers() -> None:
    """Have napari import, and vispy compute, what layers are made of."""
    from napari.layers import Image, Labels
    from vispy.visuals.line.dash_atlas import DashAtlas

    Image(np.zeros((2, 2), np.float32))
    Labels(np.zeros((2, 2), np.uint8))
    # Of the brush of labels layers; all of them share it.
    DashAtlas()
