"""A run folder, opened: maps, images, attributions, results of PEPPR."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.addresses import place
from napari_globalxai.errors import InputError
from napari_globalxai.maps.preparing import prepare_maps
from napari_globalxai.maps.upsampling import smooth, upsample
from napari_globalxai.progress import ProgressCallback, ignore_progress
from napari_globalxai.runs import tables
from napari_globalxai.runs.folder import (
    IMAGES_TABLE,
    MAPS_FOLDER,
    PEPPR_FOLDER,
    RUN_FILE,
    STACK_FOLDER,
    STORE_FOLDER,
    file_stem,
)
from napari_globalxai.runs.opened.global_maps import GlobalMaps
from napari_globalxai.runs.opened.read_maps import read_map
from napari_globalxai.runs.record import RunRecord, read_record_of
from napari_globalxai.runs.turns import reading
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import OVERALL, GlobalMap
from napari_globalxai.statistics.selection import select_rows
from napari_globalxai.storage import read_table
from napari_globalxai.unusable import damaged

# The global maps are looked at far more often than anything else of a run, and most of what reads
# the rest takes a quarter of a second or more to import; the model takes seconds.
if TYPE_CHECKING:
    import pandas as pd

    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.frame.modality import Modality
    from napari_globalxai.frame.placement import Placement
    from napari_globalxai.frame.stack import AlignedStack
    from napari_globalxai.maps.store import AttributionStore
    from napari_globalxai.models.classifier import Classifier
    from napari_globalxai.runs.performance import LabelPerformance
    from napari_globalxai.settings.map_settings import MapsSettings


class Run:
    """A finished run.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    classifier : Classifier, optional
        The model, where it is already loaded.

    Attributes
    ----------
    record : RunRecord
        What the run rests on: the content of ``run.json``.
    labels : tuple of str
        Labels that were explained.
    images : pandas.DataFrame
        Content of ``images.csv``, one row an image.
    maps : mapping of str to numpy.ndarray
        ``overall`` and label-wise global maps, float32 (height, width).
    statistics : pandas.DataFrame
        Content of ``maps/maps.csv``, one row a map.
    """

    def __init__(self, folder: Path, classifier: Classifier | None = None) -> None:
        self.folder = folder
        self.record: RunRecord = read_record_of(folder, RunRecord)
        self.labels: tuple[str, ...] = self.record.settings.labels or ()
        if not set(self.labels) <= set(self.record.model.card.labels):
            raise damaged(folder / RUN_FILE)
        self._classifier = classifier

    @property
    def info(self) -> dict[str, Any]:
        """Content of ``run.json`` as plain values, for scripts."""
        return self.record.model_dump(mode="json")

    @cached_property
    def images(self) -> pd.DataFrame:  # noqa: D102 - see the class
        cohort = self.record.cohort
        return tables.read_explained(
            self.folder / IMAGES_TABLE, self.labels, cohort.images, cohort.names_sha256
        )

    @cached_property
    def performance(self) -> list[LabelPerformance]:
        """How well the model tells each of its labels apart; empty for runs of older releases."""
        from napari_globalxai.runs.performance import PERFORMANCE_TABLE, read_performance

        path = self.folder / PERFORMANCE_TABLE
        # Those that tell the names of their images have the table as well.
        if self.record.cohort.names_sha256 and not path.exists():
            raise damaged(path)
        return read_performance(self.folder)

    @cached_property
    def statistics(self) -> pd.DataFrame:  # noqa: D102 - see the class
        path = self.folder / MAPS_FOLDER / "maps.csv"
        table = read_table(path, dtype={"map": str})
        if "map" not in table or {OVERALL, *table["map"]} != {OVERALL, *self.labels}:
            raise damaged(path)
        return table

    @cached_property
    def maps(self) -> Mapping[str, npt.NDArray[np.float32]]:  # noqa: D102 - see the class
        names = tuple(str(name) for name in self.statistics["map"])
        return GlobalMaps(self.folder / MAPS_FOLDER, names, self._shape)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.record.frame.height, self.record.frame.width

    @cached_property
    def modality(self) -> Modality:
        """What the images show, in words: the card's, else the cohort's."""
        from napari_globalxai.frame.modality import modality_of

        record = self.record
        return modality_of(record.model.card.modality, record.cohort.columns.get("laterality", ""))

    @cached_property
    def stack(self) -> AlignedStack:
        """The images in the frame."""
        from napari_globalxai.frame.stack import AlignedStack

        path = self.folder / STACK_FOLDER
        try:
            stack = AlignedStack(path)
        except FileNotFoundError as why:
            raise damaged(path) from why
        if stack.shape != self._shape or len(stack) != self.record.cohort.images:
            raise damaged(self.folder / STACK_FOLDER)
        return stack

    @cached_property
    def store(self) -> AttributionStore:
        """The image-wise attributions."""
        from napari_globalxai.maps.store import AttributionStore

        store = AttributionStore(self.folder / STORE_FOLDER)
        record = self.record
        # Records without a hash of the alignment are not whole enough to tell.
        is_own = not record.settings.alignment or store.fingerprint == record.fingerprint
        # Another run's maps would look like any.
        if not is_own or store.labels != self.labels or len(store) != record.cohort.images:
            raise InputError(
                f"{store.path}: holds maps of another run, or of other images; put the run's own "
                "back, or explain the cohort again."
            )
        return store

    @cached_property
    def coverage(self) -> npt.NDArray[np.float32]:
        """Share of images whose field of view holds each pixel, (height, width)."""
        return read_map(self.folder / "coverage.tif", self._shape)

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Pixels inside the field of view in the stated share of the cohort, (height, width)."""
        inside: npt.NDArray[np.bool_] = self.coverage >= self.record.settings.valid_share
        return inside

    @property
    def aggregation(self) -> AggregationSettings:
        """How the maps were made."""
        settings = self.record.settings
        return AggregationSettings.model_validate(
            {name: getattr(settings, name) for name in AggregationSettings.model_fields}
        )

    @property
    def finished_rows(self) -> npt.NDArray[np.int64]:
        """Rows of the images that were explained."""
        return np.flatnonzero(self.images[tables.STATUS] == tables.OK)

    def truth(self, labels: tuple[str, ...]) -> npt.NDArray[np.float64]:
        """Return the true labels (image, label): 1, 0, or NaN where unknown."""
        return np.column_stack(
            [
                self.images[column].to_numpy(dtype=float)
                if column in self.images
                else np.full(len(self.images), np.nan)
                for column in map(tables.truth_column, labels)
            ]
        )

    def image_map(self, row: int, label: str) -> npt.NDArray[np.float32]:
        """Return the attribution of one image for one label in the frame, (height, width).

        It shows the same part of the map, with the same smoothing, as enters the global map; NaN
        where the image could not be explained.

        Raises
        ------
        InputError
            When it was explained, and its map is not in the store any more.
        """
        index = self.store.labels.index(label)
        native = self.store.read(row, index)
        if np.isnan(native).any() and row in self.finished_rows:
            raise self.store.lacking(row, index)
        settings = self.aggregation.model_copy(update={"scale": "none"})
        prepared = prepare_maps(native[None], settings)[0]
        return smooth(upsample(prepared, self.store.grid), settings.smoothing)

    def members(
        self, label: str, settings: AggregationSettings | None = None
    ) -> npt.NDArray[np.int64]:
        """Return the rows of the images that stand behind the global map of a label.

        Parameters
        ----------
        label : str
            The label.
        settings : AggregationSettings, optional
            By default those of the run.
        """
        probability = self.images[f"probability_{label}"].to_numpy(dtype=float)
        chosen = select_rows(self.truth((label,))[:, 0], probability, settings or self.aggregation)
        return np.intersect1d(chosen, self.finished_rows)

    def maps_of(
        self,
        rows: npt.ArrayLike | None = None,
        settings: MapsSettings | None = None,
        **keywords: Any,
    ) -> dict[str, GlobalMap]:
        """Average the image-wise maps of some of the images, without the model.

        Parameters
        ----------
        rows : array_like, optional
            Rows of the images, or a truth value for each image of the run, such as
            ``run.images["laterality"] == "L"``; by default all. Of these, each label's map takes
            those that the run's own map would take: by default those that carry the label.
        settings : MapsSettings, optional
            Which images, and how; what is left open is as for the run's own maps.
        **keywords
            Fields of `MapsSettings`, in place of those of `settings`: ``where="site == 'B'"``,
            ``labels``, ``selection``, ``part``, ``scale``, ``statistic``, ``smoothing`` and so on.

        Returns
        -------
        dict of str to GlobalMap
            ``overall`` over these labels, then one a label. They are made from the stored maps, so
            those of a run with pooling are less sharp than its own.

        Raises
        ------
        InputError
            When the run has no such row, label or column, or a setting cannot be used.
        """
        from napari_globalxai.runs.questions.subgroup_maps import subgroup_maps
        from napari_globalxai.settings.map_settings import MapsSettings

        return subgroup_maps(self, rows, MapsSettings.of(settings, keywords))

    @cached_property
    def placements(self) -> Mapping[int, Placement]:
        """Where the frame lies in each image's file, by row; images that failed are left out."""
        from napari_globalxai.frame.placement import Placements

        return Placements(self.stack.facts())

    def to_native(self, image: str | npt.ArrayLike, row: int) -> npt.NDArray[np.float32]:
        """Bring a map of the frame to the pixels that an image's file stores.

        Mirroring, EXIF orientation, size and registration are undone, so that the result lies on
        `native_image` pixel by pixel.

        Parameters
        ----------
        image : str or array_like
            Name of a global map, or a map (height, width) of the frame, such as `image_map` gives.
        row : int
            Row of the image.

        Returns
        -------
        numpy.ndarray
            float32, native height × width, interpolated linearly; NaN outside the frame, which
            happens only where images were registered.

        Raises
        ------
        InputError
            When the run has no such map, the map is not of the frame's size, or the image could
            not be explained.
        """
        from napari_globalxai.runs.opened.native_pixels import to_native

        return to_native(self, image, row)

    def native_image(
        self, row: int, *, store: str | None = None, folder: str | Path | None = None
    ) -> npt.NDArray[np.uint8]:
        """Read an image from its file, with all its pixels and colours, as they are stored.

        Parameters
        ----------
        row : int
            Row of the image.
        store : str, optional
            Address of a store, such as ``s3://bucket``, that may be asked for the image. Without
            it, that of the run folder may, and those of cohorts that this process has read: a run
            of somebody else's could name any.
        folder : str or pathlib.Path, optional
            Where the images are now, if they have moved. The file must have the content that the
            run was made of.

        Returns
        -------
        numpy.ndarray
            RGB, uint8 (native height, native width, 3), not turned by EXIF orientation; grey is
            repeated.

        Raises
        ------
        InputError
            When the file has moved, cannot be read or is another one by now, lies in another
            store, or the image could not be explained.
        """
        from napari_globalxai.runs.opened.native_pixels import native_image

        return native_image(self, row, store, folder)

    def classifier(
        self,
        *,
        device: str = "auto",
        model: str | Path | None = None,
        trust: bool = False,
        progress: ProgressCallback = ignore_progress,
    ) -> Classifier:
        """Return the model of the run, loaded once for a device.

        Parameters
        ----------
        device : str, optional
            Where it is to be; ``auto`` takes the one that is loaded, wherever that is.
        model : str or pathlib.Path, optional
            Where the model is now, if it has moved.
        trust : bool, optional
            As for `load_model`. That the run was made with it does not count: its folder may come
            from somebody else.
        progress : callable, optional
            Told where it is loaded, once its files are there.

        Raises
        ------
        InputError
            When the model is gone or is not the one that the run was made with; or when it was
            given as an object, which stays where it is.
        """
        given = self._classifier
        if given is not None and given.is_on(device):
            return given
        if given is not None and model is None and self.record.model.source is None:
            raise InputError(
                f"{self.folder}: its model was given as an object on {given.device}; ask for "
                f"that device or for auto, not for {device}."
            )
        from napari_globalxai.runs.opened.run_model import load_run_model

        self._classifier = load_run_model(self, device, model, trust=trust, progress=progress)
        return self._classifier

    @property
    def peppr_names(self) -> list[str]:
        """Names of the maps that PEPPR was run along, the run's own maps first."""
        from napari_globalxai.faithfulness.stored_results import stored_results

        with reading(self.folder):
            found = {each.map_name for each in stored_results(self.folder / PEPPR_FOLDER)}
        own = [name for name in (OVERALL, *self.labels) if file_stem(name) in found]
        return own + sorted(found - {file_stem(name) for name in own})

    def peppr_fills(self, name: str) -> list[str]:
        """Return the fills that PEPPR was run with along a map, the default one first."""
        from napari_globalxai.faithfulness.stored_results import stored_results

        with reading(self.folder):
            found = stored_results(self.folder / PEPPR_FOLDER)
        return [each.fill for each in found if each.map_name == file_stem(name)]

    def peppr_result(self, name: str, fill: str | None = None) -> PepprResult:
        """Return the stored result of PEPPR along a map.

        Parameters
        ----------
        name : str
            The map.
        fill : str, optional
            By default the mean image, or else the first that there is.
        """
        from napari_globalxai.faithfulness.result import PepprResult
        from napari_globalxai.faithfulness.stored_results import check_record_is_there, result_stem

        with reading(self.folder):
            fills = self.peppr_fills(name)
            if not fills or (fill is not None and fill not in fills):
                check_record_is_there(self.folder / PEPPR_FOLDER, file_stem(name), fill)
                with_fill = "" if fill is None else f" with the fill {fill!r}"
                raise InputError(f"{self.folder}: PEPPR was not run along {name!r}{with_fill}.")
            stem = result_stem(file_stem(name), fills[0] if fill is None else fill)
            return PepprResult.load(self.folder / PEPPR_FOLDER, file_stem(name), stem)


def open_run(folder: str | Path) -> Run:
    """Open a finished run.

    Raises
    ------
    InputError
        When the folder is no run, or the run was not finished.
    """
    path = place(folder)
    if read_record_of(path, RunRecord).status != "finished":
        raise InputError(f"{path}: the run is not finished; explain it again with --resume.")
    return Run(path)
