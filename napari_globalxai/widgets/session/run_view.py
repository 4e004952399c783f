"""A run as the viewer shows it. Read from disk in a worker: napari slices on the GUI thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.utils.notifications import show_error

from napari_globalxai.addresses import is_remote
from napari_globalxai.errors import InputError
from napari_globalxai.maps.preparing import prepare_maps
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.widgets.session.lazy_images import LazyImages, black_where_lost
from napari_globalxai.widgets.session.mass import mass_outside
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.words.plain_labels import plain

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.questions.region_erasure import RegionEffect
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.frame.stack import AlignedStack
    from napari_globalxai.runs.run import Run

# Up to here the stack is held in memory; a larger one, which takes longer than a person likes to
# wait, is read image by image from the run's cache.
MOST_BYTES_IN_MEMORY = 1 << 27
# Of a run at an address, where each image is a wait of its own.
_MOST_BYTES_FROM_AFAR = 1 << 30
_IMAGES_A_READ = 64
# Enough for a steady percentile of the attributions, few enough to read in a moment.
_IMAGES_FOR_LIMITS = 64
_SMOOTH_IMAGES = 8
_PLANES = {"red": (0,), "green": (1,), "blue": (2,), "grey": (0, 1, 2)}


@dataclass(frozen=True)
class RunView:
    """A run with what the viewer shows of it.

    Attributes
    ----------
    run : Run
        The run.
    images : array
        uint8 (image, height, width, 3): numpy in memory, or `LazyImages` over the run's cache.
    channels : tuple of str
        Names of the model's input channels.
    maps : dict of str to numpy.ndarray
        The global maps.
    valid : numpy.ndarray
        Pixels that are ranked, bool (height, width).
    attribution_limits : dict of str to float
        Brightest value to show of each label's attributions, the same for all images.
    signed : bool
        Whether maps have values below zero.
    erased : dict of bytes to dict
        What was found by erasing regions, by their pixels.
    """

    run: Run
    images: Any
    channels: tuple[str, ...]
    maps: dict[str, npt.NDArray[np.float32]]
    valid: npt.NDArray[np.bool_]
    attribution_limits: dict[str, float]
    signed: bool
    erased: dict[bytes, dict[str, RegionEffect]] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that were explained."""
        return self.run.labels

    def map_limit(self, name: str, shared: bool) -> float:
        """Return the brightest value to show of a map.

        Parameters
        ----------
        name : str
            The map.
        shared : bool
            Whether all labels share one scale. The overall map is a mean of maps of mass 1, so it
            has a scale of its own.
        """
        names = self.labels if shared and name in self.labels else (name,)
        limit = max(self.peaks[one] for one in names)
        return limit if limit > 0 else 1.0

    @cached_property
    def peaks(self) -> dict[str, float]:
        """The highest value of each map among the pixels that are ranked, whatever its sign."""
        return {
            name: float(np.abs(image[self.valid]).max(initial=0))
            for name, image in self.maps.items()
        }

    @cached_property
    def outside(self) -> dict[str, float]:
        """The share of each map's mass that lies outside the field of view."""
        return {name: mass_outside(image, self.valid) for name, image in self.maps.items()}

    def model_input(self, row: int) -> npt.NDArray[np.uint8]:
        """Return one image as the model gets it, uint8 (channel, height, width)."""
        return np.asarray(self.run.stack.read([row])[0], np.uint8)


def to_rgb(images: npt.NDArray[np.uint8], channels: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return (..., channel, height, width) as an RGB composite (..., height, width, 3)."""
    rgb = np.zeros((*images.shape[:-3], *images.shape[-2:], 3), np.uint8)
    for index, name in enumerate(channels):
        for plane in _PLANES[name]:
            rgb[..., plane] = images[..., index, :, :]
    return rgb


def read_view(run: Run, progress: ProgressCallback = ignore_progress) -> RunView:
    """Read what the viewer shows of a run. To be called in a worker."""
    channels = run.record.frame.channels
    maps = {name: run.maps[name] for name in run.maps}
    # Read here, so that the GUI thread finds them in memory.
    _ = run.images, run.statistics, run.placements, run.performance
    view = RunView(
        run=run,
        images=read_images(run.stack, progress),
        channels=channels,
        maps=maps,
        valid=run.valid,
        attribution_limits={label: attribution_limit(run, label) for label in run.labels},
        signed=run.aggregation.part == "signed",
    )
    _ = view.peaks, view.outside
    return view


def open_view(folder: str | Path, progress: ProgressCallback = ignore_progress) -> RunView:
    """Open a run folder and read what the viewer shows of it. To be called in a worker."""
    # Imports torch.
    from napari_globalxai.runs.run import open_run

    progress(Progress("Opening the run", 0, 1))
    return read_view(open_run(folder), progress)


def stored_result(run: Run, name: str, fill: str | None = None) -> PepprResult | None:
    """Return the stored result of PEPPR along a map, or None. To be called in a worker."""
    from napari_globalxai.runs.folder import file_stem
    from napari_globalxai.runs.peppr.fill_fitting import with_fill

    names = {name, file_stem(name)}.intersection(run.peppr_names)
    # Fitted here, as a fill that differs by image may take a while.
    return with_fill(run, run.peppr_result(names.pop(), fill)) if names else None


def image_attribution(view: RunView, row: int, labels: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return where an image's attributions are strong, labels weighed alike.

    Nothing where the image could not be explained.

    Raises
    ------
    InputError
        When the image was explained, and its maps are gone since.
    """
    run = view.run
    maps = [run.image_map(row, label) for label in labels]
    if row in run.finished_rows and all(np.isnan(each).all() for each in maps):
        raise InputError(
            f"{run.store.path}: the maps of this image are not there any more; explain the cohort "
            "again with --resume."
        )
    # The overall map weighs labels alike, whatever their scale; so does this mean.
    weighed = [
        each / view.attribution_limits[label] for each, label in zip(maps, labels, strict=True)
    ]
    return np.asarray(np.nan_to_num(np.mean(weighed, axis=0)), np.float32)


def read_images(stack: AlignedStack, progress: ProgressCallback = ignore_progress) -> Any:
    """Read an aligned stack for the viewer. To be called in a worker.

    Parameters
    ----------
    stack : AlignedStack
        The stack.
    progress : callable, optional
        May raise `Cancelled`.

    Returns
    -------
    array
        uint8 (image, height, width, 3): numpy in memory; `LazyImages` over the stack where it has
        more bytes than are read in a moment.
    """
    count, _, height, width = stack.images.shape
    shape = (count, height, width, 3)
    most = _MOST_BYTES_FROM_AFAR if is_remote(stack.folder) else MOST_BYTES_IN_MEMORY
    if np.prod(shape, dtype=np.int64) > most:
        return LazyImages(
            black_where_lost(
                lambda rows: to_rgb(stack.read(rows), stack.channels),
                shape,
                lambda why: show_error(plain(in_panel_words(why))),
            ),
            shape,
        )
    images = np.empty(shape, np.uint8)
    for start in range(0, count, _IMAGES_A_READ):
        progress(Progress("Reading images", start, count))
        part = stack.read(range(start, min(start + _IMAGES_A_READ, count)))
        images[start : start + len(part)] = to_rgb(part, stack.channels)
    progress(Progress("Reading images", count, count))
    return images


def attribution_limit(run: Run, label: str) -> float:
    """Return the brightest value to show of a label's attributions: the median of their peaks.

    Of cells, where that is all they are made of: a frame of megapixels takes long to fill.
    """
    rows = run.finished_rows
    carrying = rows[run.truth((label,))[rows, 0] == 1]
    rows = carrying if len(carrying) else rows
    settings = run.aggregation.model_copy(update={"scale": "none"})
    is_smooth = settings.smoothing > 0
    rows = rows[:: max(1, len(rows) // (_SMOOTH_IMAGES if is_smooth else _IMAGES_FOR_LIMITS))]
    if is_smooth:
        peaks = [np.abs(run.image_map(int(row), label)).max() for row in rows]
    else:
        number = run.store.labels.index(label)
        peaks = [
            np.abs(each).max()
            for _, maps in run.store.chunks(rows, number)
            for each in prepare_maps(maps, settings)
        ]
    limit = float(np.median(peaks)) if peaks else 0.0
    return limit if np.isfinite(limit) and limit > 0 else 1.0
