"""The declared statistics: those to compute, and those that a table has, with their headings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from napari_globalxai.catalogue import STATISTICS
from napari_globalxai.errors import InputError
from napari_globalxai.plain_text import numeral
from napari_globalxai.statistics.map_statistics import MapContext, Statistic

# Columns of ``maps.csv`` on either side of the statistics.
MAP = "map"
CHOICES = ("selection", "part", "scale", "smoothing")
WARNING = "warning"
# Names of files are not always those of maps.
FILE = "file"
# What a map shows of its images; the maps of a run itself are means.
STATISTIC = "statistic"
_TAKEN = (MAP, *CHOICES, STATISTIC, WARNING, FILE)
_MISSING = "–"
# Of a number of which nothing is known but its column.
_ANY_NUMBER = ".4g"


def declared_statistics() -> tuple[Statistic, ...]:
    """Return every statistic that is installed, the package's own first.

    Raises
    ------
    InputError
        When one cannot be loaded, or its declaration cannot be used.
    """
    return tuple(_load(name) for name in STATISTICS.entries)


def _load(name: str) -> Statistic:
    try:
        statistic: Statistic = STATISTICS.load(name)()
        declared = (statistic.name, statistic.heading, statistic.format)
        format(1, statistic.format)
    except (AttributeError, TypeError, ValueError) as why:
        raise InputError(
            f"The statistic {name!r} has no proper name, heading and format ({why}); mend or "
            "uninstall the package that offers it."
        ) from why
    if declared[0] != name or name in _TAKEN:
        raise InputError(
            f"The statistic {name!r} calls itself {declared[0]!r}; its entry point must have its "
            f"name, which is none of {', '.join(_TAKEN)}: mend or uninstall its package."
        )
    return statistic


def measure_all(statistics: Iterable[Statistic], context: MapContext) -> dict[str, float]:
    """Return the statistics of a map by name.

    Raises
    ------
    InputError
        When one of another package fails.
    """
    found: dict[str, float] = {}
    for statistic in statistics:
        try:
            found[statistic.name] = statistic.measure(context)
        except Exception as why:
            if statistic.name in STATISTICS.own:
                raise
            raise InputError(
                f"The statistic {statistic.name!r} failed on the map {context.name!r} "
                f"({type(why).__name__}: {why}); mend or uninstall the package that offers it."
            ) from why
    return found


@dataclass(frozen=True)
class RecordedStatistic:
    """A statistic as tables for people show it.

    Attributes
    ----------
    name, heading, format : str
        As a `Statistic` declares them.
    summary : str
        What it is, in half a sentence.
    """

    name: str
    heading: str
    format: str
    summary: str

    def text(self, value: float | None) -> str:
        """Return a number as text with a true minus sign, a dash where there is none."""
        if value is None or not math.isfinite(value):
            return _MISSING
        try:
            # A column of whole numbers with one missing comes back as fractions.
            return numeral(int(value) if float(value).is_integer() else value, self.format)
        except ValueError:
            return numeral(value, _ANY_NUMBER)


def recorded_statistics(columns: Iterable[object]) -> list[RecordedStatistic]:
    """Return the statistics that a ``maps.csv`` with these columns has, in its order.

    What its package no longer declares goes by its column's name.
    """
    return [_recorded(name) for column in columns if (name := str(column)) not in _TAKEN]


def _recorded(name: str) -> RecordedStatistic:
    entry = STATISTICS.entries.get(name)
    if entry is None:
        return RecordedStatistic(name, name, _ANY_NUMBER, "From a package that is not installed")
    try:
        declared = _load(name)
    except InputError:
        # What was computed with it is still there to be seen.
        return RecordedStatistic(name, name, _ANY_NUMBER, "From a package that cannot be loaded")
    return RecordedStatistic(name, declared.heading, declared.format, entry.summary)
