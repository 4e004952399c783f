"""Which images of a run the model looks at elsewhere than usual, label by label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.progress import (
    JobProgress,
    Progress,
    ProgressCallback,
    ignore_progress,
    may_stop_here,
)
from napari_globalxai.runs import tables
from napari_globalxai.runs.clock import now
from napari_globalxai.runs.folder import OUTLIERS_FOLDER, file_stem
from napari_globalxai.runs.questions.selections import chosen_rows
from napari_globalxai.runs.questions.subgroup_maps import chosen_labels
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.turns import made_aside, reading
from napari_globalxai.runs.write_maps import write_tiff
from napari_globalxai.settings.outlier_settings import OutlierSettings
from napari_globalxai.statistics.image_against_map import (
    MEASURES,
    RESIDUAL,
    SIMILARITY,
    Reference,
    compare_images,
    nearest_images,
    percentiles_among,
    residuals,
)
from napari_globalxai.statistics.prepared_cells import CellReader
from napari_globalxai.storage import read_json, write_json, write_table
from napari_globalxai.unusable import as_we_write, damaged

if TYPE_CHECKING:
    import pandas as pd

OUTLIERS_FILE = "outliers.json"
_RESIDUALS = "residuals"
_COMPARING = "Comparing images with their global maps"


@dataclass(frozen=True)
class Outliers:
    """Images compared with the global maps.

    Attributes
    ----------
    folder : pathlib.Path
        Where the tables lie.
    record : dict
        Content of ``outliers.json``.
    tables : mapping of str to pandas.DataFrame
        By label, one row an image, the least like the map first.
    nearest : mapping of str to pandas.DataFrame
        By label, the nearest other images of the first ones.
    """

    folder: Path
    record: dict[str, Any]
    tables: Mapping[str, pd.DataFrame]
    nearest: Mapping[str, pd.DataFrame]


def outliers(
    run: Run | str | Path,
    settings: OutlierSettings | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> Outliers:
    """Rank images by how unlike the global map their own maps are, and keep the tables in the run.

    An image is compared with the mean of the others. Percentiles are those among the images that
    make the label's map.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    settings : OutlierSettings, optional
        What is chosen.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`.
    **keywords
        Fields of `OutlierSettings`, in place of those of `settings`.

    Returns
    -------
    Outliers

    Raises
    ------
    InputError
        When a query, a label or a setting cannot be used.
    """
    chosen = OutlierSettings.of(settings, keywords)
    run = run if isinstance(run, Run) else open_run(run)
    labels = chosen_labels(run, chosen.labels)
    rows, warnings = chosen_rows(run, chosen.where)
    folder, told = run.folder / OUTLIERS_FOLDER, JobProgress(progress)
    ranked: dict[str, pd.DataFrame] = {}
    nearest: dict[str, pd.DataFrame] = {}
    facts: dict[str, dict[str, Any]] = {}
    with made_aside(run.folder, OUTLIERS_FOLDER) as aside:
        for number, label in enumerate(labels):
            one = _OfLabel.of(run, label, chosen, rows, _Compared(told, run, labels, number))
            ranked[label], nearest[label] = one.table, one.nearest(chosen)
            one.write_residuals(aside / _RESIDUALS, chosen.top)
            write_table(aside / f"{file_stem(label)}.csv", ranked[label])
            write_table(aside / f"{file_stem(label)}.nearest.csv", nearest[label])
            facts[label] = one.facts()
            warnings += [f"{label}: {each}" for each in one.warnings()]
        record = {
            "format": 1,
            "kind": "outliers",
            "settings": chosen.model_dump(mode="json"),
            "measures": {**MEASURES, RESIDUAL: "Root of the mean squared residual (A − G) / SD"},
            "labels": facts,
            "warnings": warnings,
            "written": now(),
        }
        write_json(aside / OUTLIERS_FILE, record)
    _Compared(told, run, labels, len(labels))
    return Outliers(folder, record, ranked, nearest)


def open_outliers(run: Run) -> Outliers:
    """Open the tables that `outliers` kept in a run.

    Raises
    ------
    InputError
        When there are none.
    """
    path = run.folder / OUTLIERS_FOLDER / OUTLIERS_FILE
    with reading(run.folder):
        if not path.is_file():
            if next(path.parent.glob("*.csv"), None) is not None:
                raise damaged(path)
            raise InputError(f"{run.folder}: its images were not ranked yet; run `outliers`.")
        return _read(path)


def _read(path: Path) -> Outliers:
    from napari_globalxai.storage import read_table

    with as_we_write(path):
        record = read_json(path)
        stems = {str(label): file_stem(str(label)) for label in record["labels"]}
        text = {tables.FILE: str, tables.PATIENT: str, "nearest_file": str}
        read = {
            kind: {
                label: read_table(path.with_name(f"{stem}{kind}.csv"), (tables.FILE,), dtype=text)
                for label, stem in stems.items()
            }
            for kind in ("", ".nearest")
        }
    return Outliers(path.parent, record, read[""], read[".nearest"])


def residual_map(run: Run, label: str, row: int) -> npt.NDArray[np.float32]:
    """Return how far an image's map is from the global map, ``(A − G) / SD``, in the frame.

    Parameters
    ----------
    run : Run
        The run.
    label : str
        Which label.
    row : int
        Row of the image.

    Returns
    -------
    numpy.ndarray
        float32 (*frame), in SDs of the images that make the map; NaN where they do not differ from
        each other but the image does. Outside the field of view it goes on as at its rim.

    Raises
    ------
    InputError
        When the run has no such label, or no such image was explained.
    """
    chosen_labels(run, (label,))
    if row not in run.finished_rows:
        raise InputError(f"{run.folder}: has no explained image in row {row}.")
    reader = CellReader(run.store, run.aggregation, run.valid)
    reference = Reference.of(reader, label, run.members(label))
    ((_, image),) = _residual_maps(reader, label, np.array([row]), reference)
    return image


def _residual_maps(
    reader: CellReader, label: str, rows: npt.NDArray[np.int64], reference: Reference
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    for part in reader.counting_all().chunks(label, rows):
        away = residuals(part.values, reference)
        for row, values in zip(part.rows, away, strict=True):
            yield int(row), reader.in_frame(np.where(np.isfinite(values), values, np.nan))


class _Compared:
    """Tells how many images of all labels are compared, as if each label had all of them."""

    def __init__(
        self, progress: ProgressCallback, run: Run, labels: Sequence[str], number: int
    ) -> None:
        self._progress, images = progress, len(run.finished_rows)
        self._done, self._total = number * images, len(labels) * images
        self(0)

    def __call__(self, count: int) -> None:
        """Take how many more were compared."""
        self._done += count
        self._progress(Progress(_COMPARING, self._done, self._total))


@dataclass(frozen=True)
class _OfLabel:
    """The images of one label, compared."""

    run: Run
    label: str
    reader: CellReader
    reference: Reference
    members: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    table: pd.DataFrame

    @classmethod
    def of(
        cls,
        run: Run,
        label: str,
        chosen: OutlierSettings,
        rows: npt.NDArray[np.int64],
        tick: Callable[[int], None],
    ) -> _OfLabel:
        own = run.aggregation
        reader = CellReader(run.store, own, run.valid).keeping(run.finished_rows)
        members = run.members(label)
        reference = Reference.of(reader, label, members)
        asked = (
            own
            if chosen.selection is None
            else own.model_copy(update={"selection": chosen.selection})
        )
        rows = np.intersect1d(run.members(label, asked), rows)
        # Of members, too: percentiles are among them.
        every = np.union1d(rows, members)
        found = compare_images(reader, label, every, reference, tick=tick)
        table = _ranked(run, label, rows, members, every, found)
        return cls(run, label, reader, reference, members, rows, table)

    def first(self, count: int) -> npt.NDArray[np.int64]:
        """Return the images that are least like the map, constant maps left out."""
        known = self.table[self.table[SIMILARITY].notna()]
        return np.asarray(known[tables.ROW].head(count).to_numpy(dtype=np.int64))

    def nearest(self, chosen: OutlierSettings) -> pd.DataFrame:
        """Return the nearest other images of the outliers among all that were explained."""
        import pandas as pd

        asked, files = self.first(chosen.top), self.run.images[tables.FILE].to_numpy()
        found, likes = nearest_images(
            self.reader, self.label, asked, self.run.finished_rows, chosen.neighbours
        )
        lines = [
            (row, files[row], place + 1, other, files[other], like)
            for row, others, alike in zip(asked, found, likes, strict=True)
            for place, (other, like) in enumerate(zip(others, alike, strict=True))
            if other >= 0
        ]
        names = [tables.ROW, tables.FILE, "place", "nearest_row", "nearest_file", SIMILARITY]
        return pd.DataFrame(lines, columns=names)

    def write_residuals(self, folder: Path, count: int) -> None:
        """Write residual maps of the outliers, in the frame."""
        if self.reference.count < 2:
            return
        for row, image in _residual_maps(
            self.reader, self.label, np.sort(self.first(count)), self.reference
        ):
            may_stop_here()
            write_tiff(folder / f"{file_stem(self.label)}-{row}.tif", image)

    def facts(self) -> dict[str, Any]:
        known = self.table[SIMILARITY].dropna()
        return {
            "images": len(self.rows),
            "members": len(self.members),
            "constant": len(self.rows) - len(known),
            "median_similarity": float(known.median()) if len(known) else None,
            "outliers": self.table[[tables.ROW, tables.FILE, SIMILARITY]]
            .head(min(5, len(known)))
            .to_dict("records"),
        }

    def warnings(self) -> Sequence[str]:
        if len(self.rows) == 0:
            return ["no image was compared"]
        if len(self.members) < 2:
            return ["no other image makes the map, so that there is nothing to compare with"]
        constant = int(self.table[SIMILARITY].isna().sum())
        if constant == 1:
            return ["1 image has a constant map and no rank"]
        return [f"{constant} images have constant maps and no rank"] if constant else []


def _ranked(
    run: Run,
    label: str,
    rows: npt.NDArray[np.int64],
    members: npt.NDArray[np.int64],
    every: npt.NDArray[np.int64],
    found: Mapping[str, npt.NDArray[np.float64]],
) -> pd.DataFrame:
    """Return the table of a label, the least like its map first."""
    import pandas as pd

    images = run.images.iloc[rows]
    columns: dict[str, Any] = {
        tables.ROW: rows,
        tables.FILE: images[tables.FILE].to_numpy(),
        tables.PATIENT: images[tables.PATIENT].to_numpy(),
        "truth": run.truth((label,))[rows, 0],
        "probability": images[tables.probability_column(label)].to_numpy(dtype=float),
        "member": np.isin(rows, members),
    }
    place, of_members = np.searchsorted(every, rows), np.searchsorted(every, members)
    for name, values in found.items():
        columns[name] = values[place]
        columns[f"{name}_percentile"] = percentiles_among(values[place], values[of_members])
    table = pd.DataFrame(columns)
    # Constant maps, which have no similarity, come last.
    table = table.sort_values([SIMILARITY, tables.ROW], na_position="last", ignore_index=True)
    rank = pd.Series(np.arange(1, len(table) + 1), dtype="Int64")
    table.insert(0, "rank", rank.mask(table[SIMILARITY].isna()))
    return table
