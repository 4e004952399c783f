"""How the table of a run was read, kept so that whoever goes on with it need not say it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.addresses import is_remote, place, unnamed_store
from napari_globalxai.errors import InputError
from napari_globalxai.runs.record import (
    CohortRecord,
    RunRecord,
    TableReading,
    has_record,
    read_record,
)
from napari_globalxai.settings.cohort_settings import CohortSettings

if TYPE_CHECKING:
    # Imports pandas.
    from napari_globalxai.cohort.table import Cohort

_ROOT = "image_root"


def reading_of(cohort: Cohort) -> TableReading:
    """Return how a table was read, for the record; its folder of images from anywhere."""
    given = cohort.reading.given()
    if given.get(_ROOT) is not None:
        root = place(given[_ROOT])
        given[_ROOT] = str(root if is_remote(root) else root.absolute())
    return TableReading(**given)


def recorded_reading(cohort: CohortRecord) -> dict[str, Any]:
    """Return what was said of how a table is to be read.

    A folder of images in a store that the record names and no person did is left out: a record of
    somebody else's must not make us ask there.
    """
    given = {name: value for name, value in cohort.reading.given().items() if value is not None}
    if _ROOT in given and not _may_be_asked(given[_ROOT], cohort.table):
        del given[_ROOT]
    return given


def gone_on_with(folder: Path, asked: CohortSettings) -> CohortSettings:
    """Return how to read a table to go on with a run: what is not asked for is as it was.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder; one without a run changes nothing.
    asked : CohortSettings
        What is asked for now, which goes before what was recorded.
    """
    found = read_record(folder) if has_record(folder) else None
    if not isinstance(found, RunRecord):
        return asked
    return CohortSettings(**{**recorded_reading(found.cohort), **asked.given()})


def _may_be_asked(root: Path, table: str) -> bool:
    try:
        return unnamed_store(place(root), place(table)) is None
    except InputError:
        return False
