"""What a folder for results holds already, where that forbids it: told before anything is begun."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_globalxai.errors import InputError
from napari_globalxai.widgets.fields.path_field import PathField
from napari_globalxai.widgets.fields.warning_list import WarningList
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.words.panel_words import in_panel_words


class FolderNote(WarningList):
    """The sentence with which the work would refuse the folder of a field; hidden without one.

    Parameters
    ----------
    name : str
        What it is, for those who do not see it.
    field : PathField
        The field.
    refuse : callable
        Raises `InputError` where the folder cannot be taken. Called in a worker.
    """

    def __init__(
        self,
        name: str,
        field: PathField,
        refuse: Callable[[Path], object],
    ) -> None:
        super().__init__(name)
        self._field, self._refuse = field, refuse
        self._looking = LatestOnly(self)
        self._looking.ready.connect(self._on_looked)
        field.edited.connect(self._look)
        self._look()

    def _look(self) -> None:
        folder, refuse = self._field.path, self._refuse
        # Not what was said of another folder.
        self.show_lines()
        if folder is not None:
            self._looking.request(folder, lambda: _why_not(folder, refuse))

    def _on_looked(self, folder: Path, why: str) -> None:
        if folder == self._field.path:
            self.show_lines([why] if why else ())


def _why_not(folder: Path, refuse: Callable[[Path], object]) -> str:
    try:
        refuse(folder)
    except InputError as why:
        return in_panel_words(str(why))
    except OSError as why:
        return f"{folder}: cannot be read ({why.strerror})."
    return ""
