"""What panels need sooner or later, imported beside the GUI thread and kept out of its way.

What is imported the first time that it is needed holds up the window: napari's first layer alone
brings units, scipy and its spline filters along. Afterwards, whenever Python looks for cycles of
objects that nobody needs, it walks through all that was imported, which takes a quarter of a
second, mostly in the GUI thread.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module

import numpy as np
from qtpy.QtCore import QObject

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
    "napari_globalxai.widgets.images_widget",
    "napari_globalxai.widgets.regions_widget",
    "napari_globalxai.widgets.peppr_widget",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)
_MODELS = ("torch", "monai")
_lock = threading.Lock()
_importing = threading.RLock()
_panels = 0
_thread: threading.Thread | None = None


def warm_up(panel: QObject) -> None:
    """Begin to import; what is imported stays out of the search for cycles while panels are open.

    Parameters
    ----------
    panel : QObject
        A panel. With the last of them, all that was kept out is searched again, so that nothing
        that a closed viewer leaves behind stays.
    """
    global _panels, _thread
    with _lock:
        _panels += 1
        if _thread is None:
            _thread = threading.Thread(target=_import_first, name="imports", daemon=True)
            _thread.start()
        elif _panels == 1 and not _thread.is_alive():
            gc.freeze()
    panel.destroyed.connect(_leave)


def _leave() -> None:
    global _panels
    with _lock:
        _panels -= 1
        if _panels == 0:
            gc.unfreeze()


def wait_until_warm() -> None:
    """Wait for what is being imported; to be called in a worker.

    Two threads that import parts of one package at once can end up with half of it.
    """
    if _thread is not None:
        _thread.join()


def import_models() -> None:
    """Import what models run on; to be called in a worker, before anything else imports it.

    Which takes seconds. MONAI imports all of itself, so that of two threads that begin with
    different parts of it, one is handed a half.
    """
    _import(_MODELS)


def _import_first() -> None:
    with _importing, _without_search():
        _make_layers()
    _import(_MODULES)


def _import(names: Iterable[str]) -> None:
    with _importing:
        with _without_search():
            for name in names:
                import_module(name)
        with _lock:
            if _panels:
                gc.freeze()


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
    """Have napari import what it makes layers of."""
    from napari.layers import Image, Labels

    Image(np.zeros((2, 2), np.float32))
    Labels(np.zeros((2, 2), np.uint8))
