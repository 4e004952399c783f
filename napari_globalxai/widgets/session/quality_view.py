"""A quality control as the viewer shows it. Read from disk in a worker, as a run is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.frame_settings import CohortFrameSettings
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.session.run_view import read_images, to_rgb

if TYPE_CHECKING:
    import pandas as pd

    from napari_globalxai.runs.inputs.quality_control import Quality


@dataclass(frozen=True)
class QualityView:
    """A quality control with what the viewer shows of it.

    Attributes
    ----------
    quality : Quality
        What was found.
    images : array
        uint8 (image, height, width, 3): numpy in memory, or dask over the aligned stack.
    mean : numpy.ndarray
        Mean of the images, uint8 (height, width, 3).
    sd : numpy.ndarray
        SD over the images, of all channels together, float32 (height, width).
    coverage : numpy.ndarray
        Share of the images whose field of view holds a pixel, float32 (height, width).
    outliers : pandas.DataFrame
        As `Quality.outliers`.
    noticed : dict of int to str
        What is said of each outlier, by row of the stack.
    page : pathlib.Path or None
        The page; None where there is none and none can be written.
    """

    quality: Quality
    images: Any
    mean: npt.NDArray[np.uint8]
    sd: npt.NDArray[np.float32]
    coverage: npt.NDArray[np.float32]
    outliers: pd.DataFrame
    noticed: Mapping[int, str]
    page: Path | None


def check_view(
    cohort: Path,
    out: Path,
    reading: CohortSettings,
    frame: CohortFrameSettings,
    progress: ProgressCallback = ignore_progress,
) -> QualityView:
    """Check a cohort and write its page, see `check_quality`. To be called in a worker."""
    import_models()
    from napari_globalxai.cohort.table import read_cohort
    from napari_globalxai.report.quality_page import write_quality_report
    from napari_globalxai.runs.inputs.quality_control import check_quality

    quality = check_quality(read_cohort(cohort, reading), out, frame, progress=progress)
    progress(Progress("Writing the page", 0, 1))
    return _read(quality, write_quality_report(quality), progress)


def open_quality_view(folder: Path, progress: ProgressCallback = ignore_progress) -> QualityView:
    """Open a finished quality control; its page is written where it lacks.

    To be called in a worker.
    """
    import_models()
    from napari_globalxai.report.quality_page import QUALITY_PAGE, write_quality_report
    from napari_globalxai.runs.inputs.quality_control import open_quality

    progress(Progress("Opening the quality control", 0, 1))
    quality = open_quality(folder)
    page: Path | None = folder / QUALITY_PAGE
    if not (folder / QUALITY_PAGE).is_file():
        try:
            page = write_quality_report(quality)
        except OSError:
            # Somebody else's folder can be looked at all the same.
            page = None
    return _read(quality, page, progress)


def _read(quality: Quality, page: Path | None, progress: ProgressCallback) -> QualityView:
    from napari_globalxai.frame.quality_measures import overall_sd
    from napari_globalxai.report.quality_page import reasons_of

    outliers = quality.outliers
    reasons = [reasons_of(row, quality.modality) for row in outliers.to_dict("records")]
    mean = np.clip(np.rint(quality.mean), 0, 255).astype(np.uint8)
    return QualityView(
        quality=quality,
        images=read_images(quality.stack, progress),
        mean=to_rgb(mean, quality.stack.channels),
        sd=overall_sd(quality.sd).astype(np.float32),
        coverage=quality.coverage,
        outliers=outliers,
        noticed=dict(zip(outliers.index.tolist(), reasons, strict=True)),
        page=page,
    )
