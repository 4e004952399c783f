"""The attribution store: image-wise maps at native resolution, written once, read many times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.progress import may_stop_here
from napari_globalxai.stored_arrays import ArrayLayout, check_store, zarr_store
from napari_globalxai.stored_chunks import ChunkFiles
from napari_globalxai.unusable import damaged

_CHUNK_BYTES = 1 << 20
_MOST_IMAGES_A_CHUNK = 32


class AttributionStore:
    """A Zarr array (image, label, *cells), float32; NaN where nothing was computed.

    Attributes
    ----------
    labels : tuple of str
        Labels along the second axis.
    grid : CellGrid
        Where the cells lie in the frame.
    pooling : int
        Side of the squares of the method's own cells that were averaged into one; 1 is none.
    """

    def __init__(self, path: Path) -> None:
        # Takes a quarter of a second, which reading global maps need not wait for.
        import zarr

        self.path = path
        try:
            if not path.exists():
                raise damaged(path)
            check_store(path)
            self._array: Any = zarr.open_array(zarr_store(path), mode="r+", zarr_format=3)
            attributes: dict[str, Any] = dict(self._array.attrs)
            self.labels: tuple[str, ...] = tuple(attributes["labels"])
            self.grid = CellGrid.from_dict(attributes["grid"])
            self.pooling = int(attributes["pooling"])
            self._files = ChunkFiles(path)
            _check_layout(self._files.layout, self.labels, self.grid)
        except InputError:
            raise
        # What is not there, or is of another kind; Zarr says so in several ways.
        except (FileNotFoundError, KeyError, IndexError, TypeError, ValueError) as why:
            raise InputError(
                f"{path}: is not an attribution store; explain the cohort again."
            ) from why

    @classmethod
    def create(
        cls,
        path: Path,
        size: int,
        labels: Sequence[str],
        grid: CellGrid,
        fingerprint: str,
        pooling: int = 1,
    ) -> AttributionStore:
        """Make an empty store for `size` images, whose cells after pooling are `grid`."""
        import zarr
        from zarr.codecs import BloscCodec

        cells = grid.shape
        # One chunk holds one label of several images: small enough to look at one image, large
        # enough to go through one label of the whole cohort.
        images = max(1, min(_MOST_IMAGES_A_CHUNK, size, _CHUNK_BYTES // (math.prod(cells) * 4)))
        # All labels of these images are written together, so they share a file.
        zarr.create_array(
            zarr_store(path),
            shape=(size, len(labels), *cells),
            chunks=(images, 1, *cells),
            shards=(images, len(labels), *cells),
            dtype="float32",
            fill_value=np.nan,
            compressors=BloscCodec(cname="zstd", clevel=1),
            dimension_names=("image", "label", *_axis_names(len(cells))),
            # With the array, not after it: a run killed in between could not go on.
            attributes={
                "labels": list(labels),
                "grid": grid.to_dict(),
                "fingerprint": fingerprint,
                "pooling": pooling,
            },
            overwrite=True,
        )
        return cls(path)

    @property
    def fingerprint(self) -> str:
        """Hash of the model, method and settings that the maps were made with."""
        return str(self._array.attrs["fingerprint"])

    def __len__(self) -> int:
        return int(self._array.shape[0])

    @property
    def images_per_chunk(self) -> int:
        """Number of images that are written together."""
        return int(self._array.chunks[0])

    def grow(self, size: int) -> None:
        """Make room for `size` images; what is there stays."""
        self._array.resize((size, *self._array.shape[1:]))
        self._files = ChunkFiles(self.path)

    def clear(self, row: int) -> None:
        """Forget the maps of one image."""
        self._array[row] = np.nan

    def rows_with_maps(self, rows: Iterable[int]) -> list[int]:
        """Return those of the rows whose maps are there, by their first label."""
        asked = np.array(sorted(rows), dtype=np.int64)
        found: list[int] = []
        for part, maps in self._chunks(asked, 0):
            there = ~np.isnan(maps.reshape(len(maps), -1)).any(axis=1)
            found += part[there].tolist()
        return found

    def read_block(self, start: int) -> npt.NDArray[np.float32]:
        """Return the maps of the chunk of images from `start` on, NaN where there is none yet."""
        number = start // self.images_per_chunk
        labels = [self._block(number, label) for label in range(len(self.labels))]
        return np.stack(labels, axis=1)[: len(self) - start]

    def write(self, start: int, maps: npt.NDArray[np.float32]) -> None:
        """Write whole chunks of images, (image, label, *cells), from row `start` on."""
        self._array[start : start + len(maps)] = maps
        size = self.images_per_chunk
        numbers = range(start // size, math.ceil((start + len(maps)) / size))
        self._files.force_to_disk([self._place(number, 0) for number in numbers])

    def read(self, row: int, label: int) -> npt.NDArray[np.float32]:
        """Return the map of one image and label, (*cells)."""
        size = self.images_per_chunk
        return np.asarray(self._block(row // size, label)[row % size])

    def chunks(
        self, rows: npt.NDArray[np.int64], label: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Go through one label: give the rows of each chunk among `rows`, and their maps.

        Raises
        ------
        InputError
            When one of these images has no map, or one with gaps: averages would be without a
            number, and nothing would tell why.
        """
        for part, maps in self._chunks(rows, label):
            if np.isnan(maps).any():
                raise self.lacking(int(part[0]), label)
            yield part, maps

    def lacking(self, row: int, label: int) -> InputError:
        """Return the error of a chunk without the map of an image that was explained."""
        place = self._place(row // self.images_per_chunk, label)
        where = f"{self.path}: "
        if self._files.is_gone(place):
            where = f"{self._files.file_of(place)}: is missing, so {self.path.name} "
        return InputError(
            f"{where}lacks maps of images that were explained; explain the cohort again with "
            "--resume."
        )

    def _chunks(
        self, rows: npt.NDArray[np.int64], label: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        size = self.images_per_chunk
        for number, inside in _by_block(rows, size):
            may_stop_here()
            yield inside, self._block(number, label)[inside - number * size]

    def runs_of_chunks(
        self, rows: npt.NDArray[np.int64], label: int, most_bytes: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Go through one label as `chunks` does, several chunks at a time up to so many bytes."""
        parts: list[npt.NDArray[np.int64]] = []
        maps: list[npt.NDArray[np.float32]] = []
        size = 0
        for part, values in self.chunks(rows, label):
            if maps and size + values.nbytes > most_bytes:
                yield np.concatenate(parts), np.concatenate(maps)
                parts, maps, size = [], [], 0
            parts.append(part)
            maps.append(values)
            size += values.nbytes
        if maps:
            yield np.concatenate(parts), np.concatenate(maps)

    def _block(self, number: int, label: int) -> npt.NDArray[np.float32]:
        """Return the maps of a chunk for one label."""
        return np.asarray(self._files.read(self._place(number, label))[:, 0], np.float32)

    def _place(self, number: int, label: int) -> tuple[int, ...]:
        """Return the place of a chunk on the grid of chunks."""
        return (number, label, *(0,) * len(self.grid.shape))


def _check_layout(layout: ArrayLayout, labels: Sequence[str], grid: CellGrid) -> None:
    """Raise `ValueError` where an array does not hold such maps, a label a chunk."""
    images, *rest = layout.chunk_shape
    if (
        layout.data_type != "float32"
        or not math.isnan(layout.fill)
        or layout.shape[1:] != (len(labels), *grid.shape)
        or rest != [1, *grid.shape]
        or layout.file_shape[0] != images
    ):
        raise ValueError("no maps of these labels")


def _by_block(
    rows: npt.NDArray[np.int64], size: int
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Part rows by the blocks of `size` rows that they lie in."""
    if len(rows) == 0:
        return
    blocks = rows // size
    if (np.diff(blocks) < 0).any():
        order = np.argsort(blocks, kind="stable")
        rows, blocks = rows[order], blocks[order]
    starts = np.flatnonzero(np.diff(blocks, prepend=-1))
    for start, inside in zip(starts, np.split(rows, starts[1:]), strict=True):
        yield int(blocks[start]), inside


def _axis_names(count: int) -> tuple[str, ...]:
    """Return the names of spatial axes, as OME-Zarr calls them as far as it does."""
    known = ("z", "y", "x")
    return (*(f"axis-{number}" for number in range(count - len(known))), *known[-count:])
