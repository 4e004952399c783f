"""What a region holds of the maps, and what erasing it takes; made in a worker, kept in the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import REGIONS_FOLDER
from napari_globalxai.statistics.global_map import OVERALL
from napari_globalxai.storage import atomic_path, is_regular, write_json
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.session.present_run import check_takes, telling_if_gone
from napari_globalxai.widgets.words.table_words import share_in_percent

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.questions.region_erasure import RegionEffect
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.session.session import ModelUse

_NAME = "region"
_CHANCE = 0.5


@dataclass(frozen=True)
class LabelShare:
    """What a region holds of the map of one label.

    Attributes
    ----------
    label : str
        The label.
    share, area : float
        Of the map's mass, and of the frame.
    rows, by_image : numpy.ndarray
        Images that carry the label, and the region's share of each one's map.
    """

    label: str
    share: float
    area: float
    rows: npt.NDArray[np.int64]
    by_image: npt.NDArray[np.float64]

    @property
    def ratio(self) -> float:
        """How many times its share of the area the region holds."""
        return self.share / self.area


def measure_region(
    run: Run,
    region: npt.NDArray[np.bool_],
    among: tuple[int, ...] | None = None,
    progress: ProgressCallback = ignore_progress,
) -> list[LabelShare]:
    """Return what a region holds of the maps of all labels. To be called in a worker.

    Parameters
    ----------
    run : Run
        The run.
    region : numpy.ndarray
        bool (height, width).
    among : tuple of int, optional
        Only these of its images.
    progress : callable, optional
        May raise `Cancelled`.
    """
    from napari_globalxai.statistics.region_shares import Regions, measure_shares

    drawn = Regions.on(run.store.grid, {_NAME: region})
    shares = []
    for number, label in enumerate(run.labels):
        progress(Progress("Measuring the region", number, len(run.labels)))
        rows = run.members(label)
        if among is not None:
            rows = np.intersect1d(rows, np.asarray(among, np.int64))
        with telling_if_gone(run):
            found = measure_shares(run.store, label, rows, drawn, run.aggregation)
        total = float(found.total.sum())
        share = float(found.mass.sum()) / total if total > 0 else float("nan")
        shares.append(
            LabelShare(label, share, float(region.mean()), found.rows, found.by_image[:, 0])
        )
    progress(Progress("Measuring the region", len(run.labels), len(run.labels)))
    return shares


def erase(
    run: Run,
    region: npt.NDArray[np.bool_],
    use: ModelUse,
    progress: ProgressCallback = ignore_progress,
) -> dict[str, RegionEffect]:
    """Erase a region from all images and predict again. To be called in a worker."""
    progress(Progress("Loading the model", 0, 1))
    import_models()
    from napari_globalxai.audit.erasing import erase_regions

    return erase_regions(run, {_NAME: region}, progress, model=use.model, trust=use.trust)[_NAME]


def strongest(shares: list[LabelShare], map_name: str) -> LabelShare | None:
    """Return what is held of a map; of the overall map, of the label that it is most of."""
    if map_name == OVERALL:
        known = [share for share in shares if np.isfinite(share.ratio)]
        return max(known, key=lambda share: share.ratio, default=None)
    return next((share for share in shares if share.label == map_name), None)


def sentence(share: LabelShare, effect: RegionEffect | None) -> str:
    """Return in words what a region is to a label."""
    if not np.isfinite(share.ratio):
        return f"{share.label}: none of these images has a map with any mass."
    text = (
        f"{share.label}: the region holds {share_in_percent(share.share)} of the map on "
        f"{share_in_percent(share.area)} of the area, {share.ratio:.1f} times its share"
    )
    if effect is None:
        return f"{text}."
    text += f"; erasing it changes ROC AUC from {effect.intact_auc:.3f} to {effect.erased_auc:.3f}"
    gain, loss = effect.intact_auc - _CHANCE, effect.intact_auc - effect.erased_auc
    if gain > 0 and loss > 0:
        text += f" and takes {share_in_percent(min(1.0, loss / gain))} of the gain over chance"
    return f"{text}."


def keep_region(
    run: Run,
    name: str,
    region: npt.NDArray[np.bool_],
    shares: list[LabelShare],
    effects: Mapping[str, RegionEffect],
    where: str = "",
) -> Path:
    """Keep a region in the run as a labels image, which `audit --regions` reads, with its numbers.

    Those are of the images that a query means, where one is given. A name that another region has
    gets a number.

    Returns
    -------
    pathlib.Path
        The image.

    Raises
    ------
    InputError
        When the name has no letter or digit, or the run's folder is gone or read-only.
    """
    import tifffile

    stem = _stem(name)
    if not stem:
        raise InputError(f"{name!r} is no name for a region; use letters and digits.")
    check_takes(run)
    path = _place_for(run.folder / REGIONS_FOLDER, stem, region)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, region.astype(np.uint8))
    write_json(
        path.with_suffix(".json"),
        {
            "name": name + path.stem[len(stem) :],
            "where": where,
            "labels": {each.label: _facts(each, effects) for each in shares},
        },
    )
    return path


def kept_as(run: Run, name: str, region: npt.NDArray[np.bool_]) -> Path | None:
    """Return the file that a run keeps a region of a name in, where it does. For a worker."""
    stem = _stem(name)
    path = _place_for(run.folder / REGIONS_FOLDER, stem, region) if stem else None
    return path if path is not None and is_regular(path) else None


def _stem(name: str) -> str:
    # Lower case, as the other files of a run.
    return re.sub(r"[^\w-]+", "-", name).strip("-").lower()


def _place_for(folder: Path, stem: str, region: npt.NDArray[np.bool_]) -> Path:
    """Return where a region goes: where it is already, or where none is."""
    # Before, names were written as they are; on some disks that is the same file.
    there = {path.stem.lower(): path for path in folder.glob("*.tif")}
    name, number = stem, 1
    while name in there and not _holds(there[name], region):
        number += 1
        name = f"{stem}-{number}"
    return there.get(name, folder / f"{name}.tif")


def _holds(path: Path, region: npt.NDArray[np.bool_]) -> bool:
    import tifffile

    if not is_regular(path):
        return False
    try:
        return np.array_equal(tifffile.imread(path) > 0, region)
    except (OSError, ValueError):
        # What cannot be read is not to be lost either.
        return False


def _facts(share: LabelShare, effects: Mapping[str, RegionEffect]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "share": share.share,
        "area_share": share.area,
        "ratio": share.ratio,
        "images": len(share.rows),
    }
    effect = effects.get(share.label)
    if effect is not None:
        facts |= {
            "auc_intact": effect.intact_auc,
            "auc_erased": effect.erased_auc,
            "logit_change": effect.logit_change,
        }
    return facts
