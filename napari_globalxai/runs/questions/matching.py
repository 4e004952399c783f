"""Which images of two runs are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.cohort.wording import counted, form, named
from napari_globalxai.errors import InputError
from napari_globalxai.runs.tables import FILE

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

_NAMED = 3


@dataclass(frozen=True)
class Matched:
    """Images and labels that two runs have in common.

    Attributes
    ----------
    first, second : numpy.ndarray
        Rows of the images in each run, in the same order.
    labels : tuple of str
        The labels, in the first run's order.
    remarks : tuple of str
        What does not match, a sentence each.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    remarks: tuple[str, ...]


def match_images(first: Run, second: Run) -> Matched:
    """Find the images that both runs explained, by the content of their files.

    Raises
    ------
    InputError
        When the runs have no image, no label or not the same frame in common.
    """
    sizes = [(run.record.frame.height, run.record.frame.width) for run in (first, second)]
    if sizes[0] != sizes[1]:
        said = " and ".join(f"{height} × {width}" for height, width in sizes)
        raise InputError(
            f"{second.folder}: has another frame than {first.folder} ({said} pixels), so their "
            "maps do not lie on each other; explain both with models that take the same size."
        )
    labels = tuple(label for label in first.labels if label in second.labels)
    if not labels:
        raise InputError(
            f"{second.folder}: has no label in common with {first.folder} "
            f"({', '.join(second.labels)} and {', '.join(first.labels)}); compare models of the "
            "same labels."
        )
    keys = [_keys(run) for run in (first, second)]
    rows = [
        dict(zip(each, run.finished_rows.tolist(), strict=True))
        for each, run in zip(keys, (first, second), strict=True)
    ]
    common = [key for key in keys[0] if key in rows[1]]
    if not common:
        raise InputError(
            f"{second.folder}: has no image in common with {first.folder}; compare runs of the "
            "same cohort."
        )
    remarks = [
        _left_out(run, [row for key, row in own.items() if key not in other])
        for run, own, other in zip((first, second), rows, rows[::-1], strict=True)
    ]
    remarks += [_other_labels(run, labels) for run in (first, second)]
    if first.record.settings.alignment != second.record.settings.alignment:
        remarks.append(
            "The runs align their images differently, so that the same pixel may be another place."
        )
    return Matched(
        np.array([rows[0][key] for key in common], np.int64),
        np.array([rows[1][key] for key in common], np.int64),
        labels,
        tuple(each for each in remarks if each),
    )


def _keys(run: Run) -> list[tuple[str, int]]:
    """Return what each explained image is known by: its content, and which of equal ones it is."""
    contents = run.stack.contents()
    seen: dict[str, int] = {}
    keys = []
    for row in run.finished_rows.tolist():
        name = contents.get(row) or f"file:{run.images[FILE].iloc[row]}"
        seen[name] = seen.get(name, -1) + 1
        keys.append((name, seen[name]))
    return keys


def _left_out(run: Run, rows: Sequence[int]) -> str:
    if not rows:
        return ""
    names = ", ".join(str(run.images[FILE].iloc[row]) for row in rows[:_NAMED])
    more = ", …" if len(rows) > _NAMED else ""
    return f"{len(rows)} images of {run.folder} are not in the other run ({names}{more})."


def _other_labels(run: Run, common: Sequence[str]) -> str:
    alone = [label for label in run.labels if label not in common]
    if not alone:
        return ""
    return (
        f"{counted(len(alone), 'label')} of {run.folder} {form(len(alone), 'is', 'are')} not in "
        f"the other run ({named(alone)}), so that the overall maps are of different labels."
    )
