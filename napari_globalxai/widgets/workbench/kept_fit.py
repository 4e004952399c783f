"""What fits the view goes on fitting it when docks or the window change the canvas's size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod, ref

import numpy as np


class KeptFit:
    """Points the camera anew when the canvas gets another size, unless somebody has moved it.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    fit : callable
        A method that points the camera; its owner is not kept alive.
    """

    def __init__(self, viewer: Any, fit: Callable[[], None]) -> None:
        self._viewer, self._fit = ref(viewer), WeakMethod(fit)
        self._pointed: tuple[float, ...] | None = None
        viewer.canvas.events.size.connect(self._on_size)

    def keep(self) -> None:
        """Go on from the view as it is now."""
        self._pointed = self._looks_at()

    def _on_size(self, event: object = None) -> None:
        fit, now = self._fit(), self._looks_at()
        if fit is None or now is None or self._pointed is None:
            return
        if np.allclose(now, self._pointed, rtol=1e-4, atol=1e-4):
            fit()
            self.keep()

    def _looks_at(self) -> tuple[float, ...] | None:
        viewer = self._viewer()
        if viewer is None:
            return None
        camera = viewer.scene.camera
        return (*camera.center[-2:], camera.zoom)
