"""What erasing a suspected region does to the model: the one part of an audit that needs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.progress import Progress

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.questions.region_erasure import RegionEffect
    from napari_globalxai.progress import ProgressCallback
    from napari_globalxai.runs.run import Run


def erase_regions(
    run: Run,
    regions: Mapping[str, npt.NDArray[np.bool_]],
    progress: ProgressCallback,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    trust: bool = False,
    batch_size: int | None = None,
) -> dict[str, dict[str, RegionEffect]]:
    """Erase each region from all images and predict again; return effects by region and label.

    Raises
    ------
    InputError
        When the model is gone, or is not the one that the run was made with.
    """
    # Imports torch, which nothing else of an audit does.
    from napari_globalxai.faithfulness.questions.region_erasure import erase_region
    from napari_globalxai.runs.peppr.evaluate import make_evaluation

    classifier = run.classifier(device=device, model=model, trust=trust)
    evaluation = make_evaluation(run, classifier=classifier, batch_size=batch_size)
    effects = {}
    progress(Progress("Erasing regions", 0, len(regions)))
    for number, (name, mask) in enumerate(regions.items()):

        def tick(done: int, total: int, number: int = number) -> None:
            count = total * len(regions)
            progress(Progress("Erasing regions", total * number + done, count))

        effects[name] = erase_region(evaluation, mask, tick)
    progress(Progress("Erasing regions", len(regions), len(regions)))
    return effects
