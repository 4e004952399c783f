"""Which global maps are on show: the run's own, those of a selection, or a difference of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.cohort.wording import counted
from napari_globalxai.errors import InputError
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.widgets.session.mass import Side, mass_outside
from napari_globalxai.widgets.session.present_run import telling_if_gone

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.runs.run import Run
    from napari_globalxai.statistics.global_map import GlobalMap


@dataclass(frozen=True)
class Selection:
    """Some of a run's images.

    Attributes
    ----------
    where : str
        How they were chosen, in words or as a query.
    rows : tuple of int
        Their rows.
    remarks : tuple of str
        What is odd about the query, a clause each.
    """

    where: str
    rows: tuple[int, ...]
    remarks: tuple[str, ...] = ()


def selection_of(query: str, run: Run) -> Selection:
    """Return the images that a query chooses.

    Raises
    ------
    InputError
        When it cannot be used, or chooses none.
    """
    parsed = parse_query(query)
    rows, remarks = parsed.rows(run.images), parsed.remarks(run.images)
    if not len(rows):
        raise InputError(f"{'; '.join(remarks) or f'No image is meant by {query}'}.")
    return Selection(query, tuple(rows.tolist()), tuple(remarks))


@dataclass(frozen=True)
class MapChoice:
    """What maps are asked for.

    Attributes
    ----------
    among : Selection or None
        The images; all of the run where None.
    less : Selection or None
        The images whose maps are taken away, if any.
    statistic : str
        One of `STATISTICS_OF_CELLS`.
    """

    among: Selection | None = None
    less: Selection | None = None
    statistic: str = "mean"

    @property
    def is_own(self) -> bool:
        """Whether these are the maps that the run holds."""
        return self.among is None and self.less is None and self.statistic == "mean"

    @property
    def title(self) -> str:
        """What the maps are, in words; empty for those of the run."""
        parts = [] if self.among is None else [self.among.where]
        if self.less is not None:
            parts = [f"{self.among.where if self.among else 'all images'} − {self.less.where}"]
        if self.statistic != "mean":
            parts.insert(0, self.statistic)
        return ", ".join(parts)


@dataclass(frozen=True)
class ShownMaps:
    """Maps that take the place of the run's own.

    Attributes
    ----------
    choice : MapChoice
        What was asked for.
    maps : dict of str to numpy.ndarray
        By name, float32 (height, width); one that rests on no image is left out.
    counts : dict of str to str
        By name: how many images are behind it, in words.
    signed : bool
        Whether they have values below zero.
    sides : dict of str to tuple of Side
        By name: the map itself, or both that a difference is made of.
    """

    choice: MapChoice
    maps: dict[str, npt.NDArray[np.float32]]
    counts: dict[str, str]
    signed: bool
    sides: dict[str, tuple[Side, ...]]


def make_maps(
    run: Run, choice: MapChoice, progress: ProgressCallback = ignore_progress
) -> ShownMaps:
    """Average the stored maps of the images that are asked for. To be called in a worker.

    Raises
    ------
    InputError
        When no label is carried by any of the images.
    """
    progress(Progress("Averaging maps", 0, 1))
    signed = run.aggregation.part == "signed" or choice.statistic == "signed-mean"
    with telling_if_gone(run):
        first = _of(run, choice.among, choice.statistic)
        second = {} if choice.less is None else _of(run, choice.less, choice.statistic)
    maps, counts = {}, {}
    sides: dict[str, tuple[Side, ...]] = {}
    for name, one in first.items():
        image, counts[name] = one.image, counted(one.n, "image")
        sides[name] = (_side(run, choice.among, image),)
        if second:
            other = second[name].image
            sides[name] += (_side(run, choice.less, other),)
            image = image - other
            counts[name] = f"{one.n} − {counted(second[name].n, 'image')}"
        if np.isfinite(image).any():
            maps[name] = np.nan_to_num(image).astype(np.float32)
    if not maps:
        raise InputError(
            f"No map can be made of {choice.title or 'all images'}: too few of the images carry a "
            "label; choose others."
        )
    return ShownMaps(choice, maps, counts, bool(second) or signed, sides)


def _side(run: Run, images: Selection | None, image: npt.NDArray[np.floating]) -> Side:
    name = "all images" if images is None else images.where
    return Side(name, mass_outside(image, run.valid))


def _of(run: Run, selection: Selection | None, statistic: str) -> dict[str, GlobalMap]:
    return run.maps_of(None if selection is None else selection.rows, statistic=statistic)


def map_of(result: PepprResult, maps: Mapping[str, Any]) -> str:
    """Return the name of the map that a result is of, also where it was read from a file's name."""
    if result.map_name in maps:
        return result.map_name
    stems = {file_stem(name): name for name in maps}
    return stems.get(result.map_name, result.map_name)
