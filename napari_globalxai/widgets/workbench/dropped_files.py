"""What napari reads through this plugin: runs, quality controls, cohort tables and models.

Nothing becomes a layer right away. What a path holds is read in a worker and shown by the panel
that it belongs to, which is opened where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_globalxai.errors import InputError
from napari_globalxai.widgets.session.recognised import Recognised, recognise, result_folder
from napari_globalxai.widgets.workbench.reader_choice import remember_reader

Reader = Callable[[Any], list[tuple[Any, ...]]]
# napari's sign for “read, and no layer to add”.
_NO_LAYER: list[tuple[Any, ...]] = [(None,)]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return what reads a path, None where it is none of ours."""
    if not isinstance(path, str):
        return None
    return None if recognise(Path(path)) is Recognised.NOTHING else read


def read(path: str) -> list[tuple[Any, ...]]:
    """Show what a path holds in the viewer that napari works with.

    Raises
    ------
    InputError
        When there is no viewer, as where npe2 is used by itself.
    """
    import napari

    viewer = napari.current_viewer()
    if viewer is None:
        raise InputError(f"{path}: is shown in a window of napari; open one first.")
    take(viewer, Path(path))
    return _NO_LAYER


def take(viewer: Any, path: Path) -> None:
    """Show what a path holds in the panel that it belongs to."""
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    kind = recognise(path)
    if kind is Recognised.QUALITY:
        open_panel(viewer, "Quality control").open_folder(result_folder(path))
        remember_reader(result_folder(path) or path)
        return
    explain = open_panel(viewer, "Global explanations")
    if kind is Recognised.RUN:
        explain.open_run(path)
    elif kind is Recognised.COHORT:
        explain.cohort_field.path = path
        explain.form.expand()
    elif kind is Recognised.MODEL:
        explain.model_field.path = path
        explain.form.expand()
