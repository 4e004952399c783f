"""How two runs differ, label by label and for one image: made in workers, or read where kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.progress import ProgressCallback
from napari_globalxai.widgets.words.table_words import number, probability

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

FloatImage = npt.NDArray[np.float32]
# What the lower picture shows, with a word on each.
MAP, MEANS, IMAGE = "map", "means", "image"
SHOWN = {
    MAP: ("Its own map", "The global map of the second run"),
    MEANS: (
        "A − B: global maps",
        "The first run's map less the second's, over the images of both that carry the label, each "
        "map of one mass",
    ),
    IMAGE: (
        "A − B: image in view",
        "The first run's map of this image less the second's, each of one mass",
    ),
}


@dataclass(frozen=True)
class Differences:
    """The first run less the second.

    Attributes
    ----------
    maps : dict of str to numpy.ndarray
        By label, float32 (height, width); a label that could not be compared is left out.
    facts : dict of str to dict
        By label, what ``comparison.json`` holds.
    remarks : tuple of str
        What does not match.
    """

    maps: Mapping[str, FloatImage]
    facts: Mapping[str, Mapping[str, Any]]
    remarks: tuple[str, ...] = ()

    def sentence(self, label: str) -> str:
        """Return what the comparison says of a label."""
        facts = self.facts.get(label)
        if facts is None:
            return "A difference is that of one label: choose one."
        said = [f"{label}, A − B: maps of {facts['n']} images"]
        if facts["moved_share"] is not None:
            said.append(
                f"{100 * facts['moved_share']:.0f} % of the mass lies elsewhere, least p "
                f"{probability(facts['min_p'])}"
            )
        if facts["auc_difference"] is not None:
            said.append(
                f"ROC AUC {facts['auc_a']:.3f} and {facts['auc_b']:.3f}, difference "
                f"{number(facts['auc_difference'], 3)} ({number(facts['ci_low'], 3)} to "
                f"{number(facts['ci_high'], 3)})"
            )
        return f"{'; '.join(said)}."


def differences_of(first: Run, second: Run, progress: ProgressCallback) -> Differences:
    """Compare two runs as ``compare`` does, or read what it left. To be called in a worker.

    Raises
    ------
    InputError
        When the runs have no image, no label or not the same frame in common.
    """
    kept = _kept(first, second)
    if kept is not None:
        return kept
    from napari_globalxai.runs.questions.comparison import compare_runs
    from napari_globalxai.settings.compare_settings import CompareSettings

    found = compare_runs(first, second, CompareSettings(), progress)
    return Differences(
        {label: each.difference for label, each in found.labels.items() if each.difference.size},
        {label: each.facts for label, each in found.labels.items()},
        found.remarks,
    )


def _kept(first: Run, second: Run) -> Differences | None:
    """Return a comparison of these runs, in this order, that lies in the first."""
    from napari_globalxai.report.comparison_chapter import find_comparisons
    from napari_globalxai.report.comparison_page import COMPARISON_FILE
    from napari_globalxai.runs.folder import file_stem
    from napari_globalxai.runs.opened.read_maps import read_map
    from napari_globalxai.runs.turns import reading
    from napari_globalxai.settings.compare_settings import CompareSettings
    from napari_globalxai.storage import read_json

    asked, shape = CompareSettings().model_dump(mode="json"), first.coverage.shape
    for folder in find_comparisons(first):
        try:
            record = read_json(folder / COMPARISON_FILE)
            runs = [Path(record[key]) for key in ("run_a", "run_b")]
            if runs != [run.folder.resolve() for run in (first, second)]:
                continue
            if CompareSettings(**record["settings"]).model_dump(mode="json") != asked:
                continue
            with reading(first.folder):
                maps = {
                    label: read_map(folder / f"{file_stem(label)}.difference.tif", shape)
                    for label, facts in record["labels"].items()
                    if facts["moved_share"] is not None
                }
            return Differences(maps, record["labels"], tuple(record["warnings"]))
        # What is damaged is made anew.
        except (KeyError, TypeError, ValueError, OSError):
            continue
    return None


def image_difference(
    first: Run, second: Run, rows: tuple[int, int], label: str
) -> FloatImage | None:
    """Return an image's map in the first run less that in the second; None where one has none."""
    made = [_of_one_mass(run, row, label) for run, row in zip((first, second), rows, strict=True)]
    one, other = made
    return None if one is None or other is None else one - other


def _of_one_mass(run: Run, row: int, label: str) -> FloatImage | None:
    image = run.image_map(row, label)
    mass = float(np.abs(image).sum())
    # A mass that lies evenly is 1 everywhere.
    return (image * (image.size / mass)).astype(np.float32) if mass > 0 else None
