"""What was recognised in a cohort table, and what is wrong with it, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_globalxai.cohort.wording import counted
from napari_globalxai.errors import InputError
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.tall_column import TallColumn
from napari_globalxai.widgets.fields.warning_list import WarningList
from napari_globalxai.widgets.jobs.workers import LatestOnly


@dataclass(frozen=True)
class _Seen:
    facts: Sequence[str] = ()
    problems: Sequence[str] = ()
    # Why it cannot be read at all.
    errors: Sequence[str] = ()


class CohortPreview(TallColumn):
    """Reads a table in the background and tells what it was taken for.

    Attributes
    ----------
    facts : QLabel
        Images, and which column was taken for what.
    problems : WarningList
        What is wrong, a line each, in the words of the panel.
    """

    def __init__(self) -> None:
        super().__init__()
        self._reading = LatestOnly(self)
        self._asked: Any = None
        self.facts = text_label()
        self.facts.setAccessibleName("What was recognised in the table")
        self.problems = WarningList("Problems of the table")
        box = in_column(self, spacing=2)
        box.addWidget(self.facts)
        box.addWidget(self.problems)
        self._show(_Seen())
        self._reading.ready.connect(self._on_read)

    def look_at(self, table: Path | None, reading: Mapping[str, Any]) -> None:
        """Read a table, in the background."""
        asked = (table, repr(sorted(reading.items(), key=str)), _changed(table))
        if asked == self._asked:
            return
        self._asked = asked
        if table is None:
            self._show(_Seen())
        else:
            self._reading.request(asked, lambda: _look(table, reading))

    def _on_read(self, asked: Any, seen: _Seen) -> None:
        if asked == self._asked:
            self._show(seen)

    def _show(self, seen: _Seen) -> None:
        self.facts.setText(" · ".join(seen.facts))
        self.facts.setVisible(bool(seen.facts))
        self.problems.show_lines(seen.errors, seen.problems)


def _changed(table: Path | None) -> float:
    """Return when a table was written last, so that one that was mended is read again."""
    try:
        return 0.0 if table is None else table.stat().st_mtime
    except OSError:
        return 0.0


def _look(table: Path, reading: Mapping[str, Any]) -> _Seen:
    """Read a table; what cannot be read is a problem like others here."""
    from napari_globalxai.cohort.table import read_cohort

    try:
        cohort = read_cohort(table, CohortSettings(**reading))
        facts = [counted(len(cohort), "image")]
        facts += [f"{role}: {column}" for role, column in cohort.guesses.items()]
        return _Seen(facts, cohort.problems)
    except InputError as why:
        return _Seen(errors=(str(why),))
    except OSError as why:
        return _Seen(errors=(f"{table}: cannot be read ({why.strerror}).",))
