"""Keeping or erasing whole regions: the direct test of what a model needs.

Regions lie in the full frame; the valid area plays no part, since a mark burnt into a dark corner
lies outside of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.numbers_in_words import in_interval, in_percent
from napari_globalxai.faithfulness.orders.map_orders import Mask
from napari_globalxai.faithfulness.predictions.kept_predictions import predict_under
from napari_globalxai.faithfulness.questions.stored_regions import ALONE, ERASE, KEEP, RegionTest
from napari_globalxai.faithfulness.scores.label_effects import Effect, LabelCases
from napari_globalxai.faithfulness.stored_results import result_stem
from napari_globalxai.faithfulness.verdict.outside import outputs_of
from napari_globalxai.plain_text import numeral
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.storage import write_json, write_table

RANKED = "ranked"
REGION_COLUMNS = (
    "label", "region", "arm", "ranked", "rank", "share", "area_share", "ratio", "auc_intact",
    "auc", "auc_change", "auc_ci_low", "auc_ci_high", "logit_change", "logit_ci_low",
    "logit_ci_high", "probability_change", "probability_ci_low", "probability_ci_high", "file",
)  # fmt: skip


@dataclass(frozen=True)
class RegionRow:
    """What keeping or erasing one region, or the first few, does to one label.

    Attributes
    ----------
    label, region : str
        The label and the region; of several, the one that came last.
    arm : str
        ``erase``: the region shows the fill. ``keep``: everything else does.
    ranked : str
        ``alone``: this region. ``ranked``: it and all with a greater share.
    rank : int
        From 1, the region with the greatest share of the map.
    share, area_share, ratio : float
        Its share of the map's mass and of the frame, and the one over the other.
    effect : Effect
        What it does, against whole images.
    """

    label: str
    region: str
    arm: str
    ranked: str
    rank: int
    share: float
    area_share: float
    ratio: float
    effect: Effect

    def cells(self) -> dict[str, Any]:
        """Return it as a row of the table."""
        own = {name: value for name, value in asdict(self).items() if name != "effect"}
        effect = self.effect
        cells = {**own, "auc_intact": effect.auc_before, "auc": effect.auc_after}
        for name in ("auc", "logit", "probability"):
            low, high = getattr(effect, f"{name}_interval")
            cells[f"{name}_change"] = getattr(effect, f"{name}_change")
            cells[f"{name}_ci_low"], cells[f"{name}_ci_high"] = low, high
        return cells

    @property
    def sentence(self) -> str:
        """What it comes to, in words."""
        verb = "erasing" if self.arm == ERASE else "keeping only"
        ends = in_interval(*self.effect.auc_interval)
        return (
            f"{verb} {self.region} takes the AUC of {self.label} from "
            f"{self.effect.auc_before:.3f} to {self.effect.auc_after:.3f} (change "
            f"{numeral(self.effect.auc_change)}, {ends}) and changes the mean logit of images with "
            f"it by {numeral(self.effect.logit_change, '.2f')}; the region holds "
            f"{in_percent(self.share)} of the map on {in_percent(self.area_share, 1)} of the frame"
        )


@dataclass(frozen=True)
class RegionResult:
    """What keeping and erasing regions does.

    Attributes
    ----------
    rows : list of RegionRow
        A row a label, region, arm and way.
    left_out : list of str
        Labels with one class only.
    settings : dict
        What was chosen, and what the result rests on.
    """

    rows: list[RegionRow]
    left_out: list[str]
    settings: dict[str, Any]

    @property
    def stem(self) -> str:
        """Name of its files."""
        return result_stem("regions", str(self.settings["fill"]))

    def save(self, folder: Path, others: Sequence[RegionTest] = ()) -> Path:
        """Write ``regions.csv`` and ``regions.json`` into a folder; return the table's path.

        Parameters
        ----------
        folder : pathlib.Path
            The folder.
        others : sequence of RegionTest, optional
            What was tested before; those of the same file are left out.
        """
        # Takes half a second to import.
        import pandas as pd

        stem, file = self.stem, Path(str(self.settings.get("file", "")))
        own = RegionTest(
            [{**row.cells(), "file": file.name} for row in self.rows],
            [row.sentence for row in self.rows if row.ranked == ALONE],
            self.left_out,
            self.settings,
        )
        tests = [*(each for each in others if each.file != own.file), own]
        cells = [row for each in tests for row in each.rows]
        write_table(folder / f"{stem}.csv", pd.DataFrame(cells, columns=list(REGION_COLUMNS)))
        write_json(
            folder / f"{stem}.json",
            {
                "regions": cells,
                "sentences": [sentence for each in tests for sentence in each.sentences],
                "left_out": own.left_out,
                "settings": own.settings,
                # What the rows of each file rest on, in their order.
                "tests": [
                    {"rows": len(each.rows), "left_out": each.left_out, "settings": each.settings}
                    for each in tests
                ],
            },
        )
        return folder / f"{stem}.csv"


def run_regions(
    evaluation: Evaluation,
    regions: Mapping[str, Mask],
    maps: Mapping[str, npt.NDArray[np.floating]],
    settings: PepprSettings,
    *,
    cache: Path | None = None,
    progress: ProgressCallback = ignore_progress,
) -> RegionResult:
    """Keep and erase regions of the frame, each alone and ranked by their share of a map.

    Parameters
    ----------
    evaluation : Evaluation
        Model, images, truth and fill.
    regions : mapping of str to numpy.ndarray
        bool (*spatial) by name.
    maps : mapping of str to numpy.ndarray
        By label, the map (*spatial) whose mass ranks the regions; its labels are those tested.
    settings : PepprSettings
        Bootstrap and seed.
    cache : pathlib.Path, optional
        Folder for the predictions, which a test that was stopped goes on from.
    progress : callable, optional
        May raise `Cancelled`.

    Raises
    ------
    InputError
        When no label has images with and without it.
    """
    cases = {label: LabelCases.of(evaluation, label) for label in maps}
    usable = [label for label, each in cases.items() if each.has_both]
    if not usable:
        raise InputError("No label has images with and without it, so regions show nothing.")
    ranks = {label: rank_regions(maps[label], regions) for label in usable}
    plan = [step for label in usable for step in _steps(label, ranks[label], regions)]
    whole = np.ones(evaluation.stack.shape, bool)

    def tick(done: int, total: int) -> None:
        progress(Progress("Keeping and erasing regions", done, total))

    masks = [whole, *(kept for _, _, _, kept in plan)]
    logits = predict_under(evaluation, masks, cache, tick)
    outputs = outputs_of(evaluation, logits)
    rows = [
        RegionRow(
            label=label,
            region=region,
            arm=arm,
            ranked=ranked,
            rank=list(ranks[label]).index(region) + 1,
            share=ranks[label][region],
            area_share=float(regions[region].mean()),
            ratio=ranks[label][region] / float(regions[region].mean()),
            effect=cases[label].effect(outputs.at(0), outputs.at(number)),
        )
        for number, (label, region, (arm, ranked), _) in enumerate(plan, start=1)
    ]
    return RegionResult(
        rows,
        [label for label in maps if label not in usable],
        {
            "fill": settings.fill,
            "seed": settings.seed,
            "images": len(evaluation.rows),
            "patients": len(set(evaluation.patients)),
        },
    )


def rank_regions(image: npt.NDArray[np.floating], regions: Mapping[str, Mask]) -> dict[str, float]:
    """Return the regions' shares of a map's mass over the whole frame, the greatest first."""
    mass = np.abs(np.nan_to_num(np.asarray(image, np.float64), posinf=0.0, neginf=0.0))
    total = float(mass.sum())
    shares = {
        name: float(mass[region].sum()) / total if total > 0 else float("nan")
        for name, region in regions.items()
    }
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


_Step = tuple[str, str, tuple[str, str], Mask]


def _steps(label: str, shares: Mapping[str, float], regions: Mapping[str, Mask]) -> Sequence[_Step]:
    """Return what is predicted for a label: region, arm and way, and the pixels that are kept."""
    steps: list[_Step] = []
    so_far = np.zeros_like(next(iter(regions.values())))
    for name in shares:
        so_far = so_far | regions[name]
        for ranked, area in ((ALONE, regions[name]), (RANKED, so_far)):
            steps.append((label, name, (ERASE, ranked), ~area))
            steps.append((label, name, (KEEP, ranked), area))
    return steps
