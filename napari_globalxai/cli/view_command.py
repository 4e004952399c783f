"""`view`: napari on a run."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from napari_globalxai.addresses import is_remote, name_store, place
from napari_globalxai.cli.lent_folders import lend_folders
from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import RunArgument
from napari_globalxai.errors import InputError


@with_json
def view(
    run: RunArgument,
    image_store: Annotated[
        str | None,
        typer.Option(
            help="Store that may be asked for the images' own pixels, such as s3://bucket, where "
            "they lie in another one than the run."
        ),
    ] = None,
) -> None:
    """Open a run in napari: maps, all images, regions and PEPPR."""
    from napari_globalxai.runs.run import open_run

    # What is wrong with the run is said before a window opens.
    folder = open_run(run).folder
    if find_spec("napari") is None or find_spec("qtpy") is None:
        raise InputError(
            "napari is not installed; pip install 'napari-globalxai[gui]' brings it with a Qt."
        )
    if not _display_is_there():
        raise InputError(
            f"{folder}: there is no display to show it on; use a machine with one, or write its "
            "report with `report`."
        )
    if image_store is not None:
        store = place(image_store)
        if not is_remote(store):
            raise InputError(
                f"--image-store: {image_store} is no address of a store; give one such as "
                "s3://bucket, or leave it out."
            )
        name_store(store)
    lend_folders()
    # By name, because nothing but the widgets may depend on Qt.
    import_module("napari_globalxai.widgets.demo_viewer").open_run_in_viewer(folder)
    tell({"run": folder})


def _display_is_there() -> bool:
    return sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
