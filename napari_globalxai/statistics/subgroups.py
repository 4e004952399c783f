"""Which columns of a run's table part its images into groups, and how: each as a query.

Every subgroup is a query that `maps --where` takes, too, so that whoever reads of one can look at
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.statistics.query_names import quoted

# A column with more values than this names images or dates, unless it holds numbers.
_MOST_LEVELS = 12
# Of numbers with no more values than this each value is a group: grades, codes, 0 and 1.
_FEW_NUMBERS = 6

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Subgroup:
    """Images with one value of a column, against those with others.

    Attributes
    ----------
    column : str
        The column.
    value : object
        The value as the table has it; of measurements such as ``> 60``.
    query : str
        What `maps --where` takes.
    inside : numpy.ndarray
        Which images belong to it, (image,).
    known : numpy.ndarray
        Which images have a value at all.
    rest_value : object
        What the other images have.
    rest_query : str
        The query that takes them.
    pair : bool
        Whether the rest is a group of its own: the other one of two.
    same_as : tuple of str
        Columns that part the images in the same way.
    """

    column: str
    value: object
    query: str
    inside: Mask
    known: Mask
    rest_value: object
    rest_query: str
    pair: bool
    same_as: tuple[str, ...] = field(default=())

    def turned(self) -> Subgroup:
        """Return the rest against the subgroup."""
        return replace(
            self,
            value=self.rest_value,
            query=self.rest_query,
            inside=self.known & ~self.inside,
            rest_value=self.value,
            rest_query=self.query,
        )

    def among(self, chosen: npt.NDArray[np.int64] | Mask) -> Subgroup:
        """Return the subgroup among some of the images."""
        return replace(self, inside=self.inside[chosen], known=self.known[chosen])


@dataclass(frozen=True)
class Subgroups:
    """All subgroups that are searched, and the columns that were not.

    Attributes
    ----------
    groups : tuple of Subgroup
        They.
    left_out : dict of str to str
        Why a column parts nothing, by its name.
    """

    groups: tuple[Subgroup, ...]
    left_out: dict[str, str]


def find_subgroups(
    table: pd.DataFrame, columns: Iterable[str], patients: Sequence[str], fewest: int
) -> Subgroups:
    """Return the subgroups that columns make.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an image.
    columns : iterable of str
        Which columns to look at.
    patients : sequence of str
        Patient of each image.
    fewest : int
        Patients that a subgroup, and the rest, must each have.
    """
    owner = pd.factorize(np.asarray(patients, dtype=object))[0]
    groups: dict[bytes, Subgroup] = {}
    left_out: dict[str, str] = {}
    for column in columns:
        found, why = _of_column(table[column], column)
        kept = [each for each in found if has_enough(each, owner, fewest)]
        if not kept:
            left_out[column] = why or f"no two of its values have {fewest} patients each"
        for each in kept:
            # What two columns part in the same way is searched once.
            twin = next((key for key in _keys(each) if key in groups), None)
            if twin is None:
                groups[_keys(each)[0]] = each
            elif column not in (groups[twin].column, *groups[twin].same_as):
                same_as = (*groups[twin].same_as, column)
                groups[twin] = replace(groups[twin], same_as=same_as)
    return Subgroups(tuple(groups.values()), left_out)


def has_enough(group: Subgroup, owner: npt.NDArray[np.intp], fewest: int) -> bool:
    """Return whether a subgroup and the rest have enough patients each."""
    sides = (group.inside & group.known, ~group.inside & group.known)
    return all(len(np.unique(owner[side])) >= fewest for side in sides)


def _of_column(values: pd.Series, column: str) -> tuple[list[Subgroup], str]:
    """Return the subgroups of a column, else why there are none."""
    # Queries are written in fields and files of one line.
    if "\n" in column:
        return [], "its name cannot be written in a query"
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        known = np.isfinite(numbers)
        levels: list[object] = [
            int(level) if float(level).is_integer() else float(level)
            for level in np.unique(numbers[known])
        ]
        if len(levels) > _FEW_NUMBERS:
            return [_halves(column, numbers, known)], ""
        return _levels(column, levels, known, [numbers == level for level in levels])
    known = values.notna().to_numpy()
    texts = values.astype(object).where(known, "").astype(str).to_numpy(dtype=object)
    known = known & (texts != "")
    words = sorted(set(texts[known]))
    if len(words) > _MOST_LEVELS:
        return [], f"has {len(words)} values, more than {_MOST_LEVELS}"
    if pd.api.types.is_bool_dtype(values):
        flags: list[object] = [word == "True" for word in words]
        return _levels(column, flags, known, [texts == word for word in words])
    return _levels(column, list(words), known, [texts == word for word in words])


def _halves(column: str, numbers: npt.NDArray[np.float64], known: Mask) -> Subgroup:
    """Part measurements at their median."""
    middle = float(np.median(numbers[known]))
    above = numbers > middle
    if not above.any():
        # More than half of them are the greatest.
        middle = float(np.max(numbers[known & (numbers < middle)]))
        above = numbers > middle
    name = quoted(column)
    return Subgroup(
        column=column,
        value=f"> {middle:.6g}",
        query=f"{name} > {middle!r}",
        inside=above & known,
        known=known,
        rest_value=f"<= {middle:.6g}",
        rest_query=f"{name} <= {middle!r}",
        pair=True,
    )


def _levels(
    column: str, levels: list[object], known: Mask, masks: list[Mask]
) -> tuple[list[Subgroup], str]:
    if len(levels) < 2:
        return [], "has one value only"
    name, pair = quoted(column), len(levels) == 2
    # What is missing is unequal to everything, and belongs to neither side.
    there = "" if known.all() else f" and {name} == {name}"
    found = [
        Subgroup(
            column=column,
            value=level,
            query=f"{name} == {level!r}",
            inside=mask & known,
            known=known,
            rest_value=levels[0] if pair else f"not {level}",
            rest_query=f"{name} == {levels[0]!r}" if pair else f"{name} != {level!r}{there}",
            pair=pair,
        )
        for level, mask in zip(levels, masks, strict=True)
    ]
    # Of two values the second tells all: of 0 and 1 the one.
    return found[1:] if pair else found, ""


def _keys(group: Subgroup) -> tuple[bytes, bytes]:
    """Return what is the same for subgroups that part images in the same way, either way round."""
    known = np.packbits(group.known).tobytes()
    sides = (group.inside & group.known, ~group.inside & group.known)
    first, second = (np.packbits(side).tobytes() + known for side in sides)
    return first, second
