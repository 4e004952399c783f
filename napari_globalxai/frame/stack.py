"""The aligned stack: every image of a cohort in the frame, made once and kept on disk."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec

from napari_globalxai.errors import InputError
from napari_globalxai.frame.sources import FileState, Source
from napari_globalxai.frame.stack_journal import StackNotes
from napari_globalxai.progress import may_stop_here
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.storage import Journal, hash_value
from napari_globalxai.stored_arrays import ArrayLayout, check_store, zarr_store
from napari_globalxai.stored_chunks import ChunkFiles

T = TypeVar("T")
# Images that share a file, and are finished together.
_IMAGES_A_FILE = 16
_MOST_BYTES_A_FILE = 256 << 20
# Of a group whose black images have files, too.
_EVERY_FILE = "every_file_written"


class AlignedStack:
    """Images of a cohort in the frame, as an OME-Zarr group on disk.

    Pixels are kept as 8-bit, as the source files are; every computation reads the same stack, so
    that attributions and PEPPR see the same input.

    Attributes
    ----------
    images : zarr.Array
        uint8, (image, channel, height, width).
    fields : zarr.Array
        Masks of the field of view: bool, (image, height, width).
    channels : tuple of str
        Channels of the images, by name.
    frame_key : str
        `FrameSettings.key` of the frame.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            check_store(folder)
            # What lies in a file counts, not what another one says of it.
            group = zarr.open_group(
                zarr_store(folder), mode="r+", zarr_format=3, use_consolidated=False
            )
            # Else black images have no file, as have images whose file went.
            with zarr.config.set({"array.write_empty_chunks": True}):
                self.images: Any = group["0"]
                self.fields: Any = group["field_of_view"]
            self._has_every_file = group.attrs.get(_EVERY_FILE) is True
            names: Any = group.attrs.get("channels", ())
            self.frame_key = str(group.attrs.get("key", ""))
            self.channels: tuple[str, ...] = tuple(map(str, names))
            self._open_files()
        except InputError:
            raise
        except FileNotFoundError:
            if folder.is_dir():
                raise _no_images(folder) from None
            raise
        # What is of another kind; Zarr says so in several ways.
        except (KeyError, IndexError, TypeError, ValueError) as why:
            raise _no_images(folder) from why
        self._journal = Journal(folder / "rows.jsonl")

    def _open_files(self) -> None:
        self._image_files = ChunkFiles(self.folder / "0")
        self._field_files = ChunkFiles(self.folder / "field_of_view")
        _check_layouts(self.folder, self._image_files.layout, self._field_files.layout)

    @cached_property
    def _notes(self) -> StackNotes:
        """What is noted of each row; read once, and kept in step by `_note`."""
        return StackNotes(self._journal.read())

    def _note(self, entries: Sequence[dict[str, Any]]) -> None:
        known = self._notes
        known.take(self._journal.append(list(entries)))

    @classmethod
    def create(cls, folder: Path, size: int, frame: FrameSettings) -> AlignedStack:
        """Make an empty stack for `size` images, replacing what is there."""
        group = zarr.create_group(zarr_store(folder), overwrite=True)
        shape = (len(frame.channels), frame.height, frame.width)
        images = max(1, min(_IMAGES_A_FILE, _MOST_BYTES_A_FILE // math.prod(shape)))
        group.create_array(
            "0",
            shape=(size, *shape),
            chunks=(1, *shape),
            shards=(images, *shape),
            dtype="uint8",
            compressors=BloscCodec(cname="zstd", clevel=1),
            dimension_names=("image", "c", "y", "x"),
        )
        group.create_array(
            "field_of_view",
            shape=(size, *shape[1:]),
            chunks=(1, *shape[1:]),
            shards=(images, *shape[1:]),
            dtype="bool",
            compressors=BloscCodec(cname="zstd", clevel=1),
        )
        group.attrs["ome"] = {
            "version": "0.5",
            "multiscales": [
                {
                    "axes": [
                        {"name": "image"},
                        {"name": "c", "type": "channel"},
                        {"name": "y", "type": "space"},
                        {"name": "x", "type": "space"},
                    ],
                    "datasets": [
                        {
                            "path": "0",
                            "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1, 1]}],
                        }
                    ],
                }
            ],
        }
        group.attrs["key"] = frame.key
        group.attrs["channels"] = list(frame.channels)
        group.attrs[_EVERY_FILE] = True
        return cls(folder)

    def __len__(self) -> int:
        return int(self.images.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frame in pixels."""
        return int(self.images.shape[2]), int(self.images.shape[3])

    @property
    def atlas_file(self) -> Path:
        """Where the atlas lies that images are registered onto, if there is one."""
        return self.folder / "atlas.npz"

    @property
    def key(self) -> str:
        """Hash of the frame and of what every image was made from."""
        return hash_value([self.frame_key, sorted(self.sources().items())])

    def status(self) -> dict[int, str]:
        """Return the error of each image looked at so far; empty text where it was aligned."""
        return dict(self._notes.errors)

    def sources(self) -> dict[int, str]:
        """Return the key of what each image looked at so far was made from, see `Source`."""
        return dict(self._notes.sources)

    def rows_without_pixels(self) -> set[int]:
        """Return rows that are noted as aligned, but the file of whose pixels is not there.

        In stacks of earlier releases there is none either where all images of a file are black.
        """
        in_file = self._image_files.layout.file_shape[0]
        aligned = [row for row, error in self.status().items() if not error and row < len(self)]
        return {
            row
            for number, rows in groupby(sorted(aligned), key=lambda row: row // in_file)
            if self._image_files.is_gone((number * in_file, 0, 0, 0))
            or self._field_files.is_gone((number * in_file, 0, 0))
            for row in rows
        }

    def contents(self) -> dict[int, str]:
        """Return the SHA-256 of the file that each image was made from, empty where unknown."""
        return dict(self._notes.contents)

    def known_contents(self) -> dict[FileState, str]:
        """Return the contents of files looked at so far, by their states."""
        # An unreadable file has a state but no content.
        contents = self._notes.contents
        return {state: contents[row] for row, state in self._notes.states() if contents[row]}

    def facts(self) -> Mapping[int, dict[str, Any]]:
        """Return how each image was aligned.

        Returns
        -------
        mapping of int to dict
            By row: ``matrix`` from pixels (x, y, 1) of the frame to those of the file, 3 × 3;
            ``native_shape``, height and width of the file; ``laterality`` and
            ``laterality_source``; where the cohort has an atlas also ``side_confidence``,
            ``side_margin``, below 0 where the image looks like the other side; where images are
            registered ``registered``, ``registration_note``, ``likeness_before``,
            ``likeness_after``, and ``landmarks`` before registration, (x, y) in pixels of the
            frame; ``note`` where a file contradicts itself: how it was read.
        """
        return self._notes.facts()

    def grow(self, size: int) -> None:
        """Make room for `size` images; those that are there stay."""
        for array in (self.images, self.fields):
            array.resize((size, *array.shape[1:]))
        self._open_files()

    def parts(self, rows: Sequence[int]) -> Iterator[list[int]]:
        """Split rows, in ascending order, into parts of which no two share a file.

        So several processes can write side by side, each a part.
        """
        in_file = self._image_files.layout.file_shape[0]
        size = in_file * max(1, _IMAGES_A_FILE // in_file)
        for _, part in groupby(rows, key=lambda row: row // size):
            yield list(part)

    def write(self, entries: Sequence[tuple[int, Source, AlignedImage | str]]) -> None:
        """Store aligned images, or the error that stands for one, and what each was made from."""
        self.put({row: result for row, _, result in entries})
        self.note(
            [
                (row, source, result if isinstance(result, str) else result.facts)
                for row, source, result in entries
            ]
        )

    def put(self, results: Mapping[int, AlignedImage | str]) -> None:
        """Store the pixels of images, of which nothing is noted yet; none where there is one.

        Whole files are written, so that a kill leaves the old one or the new one.
        """
        size = self._image_files.layout.file_shape[0]
        for number, group in groupby(sorted(results), key=lambda row: row // size):
            start, given = number * size, set(group)
            block = range(start, min(start + size, len(self)))
            kept = [row for row in block if row not in given]
            images = np.zeros((len(block), *self.images.shape[1:]), np.uint8)
            fields = np.zeros((len(block), *self.shape), bool)
            if not self._image_files.is_gone((start, 0, 0, 0)) and kept:
                images[[row - start for row in kept]] = self.read(kept)
            if not self._field_files.is_gone((start, 0, 0)) and kept:
                fields[[row - start for row in kept]] = self.read_fields(kept)
            for row in given:
                # There may have been an image that cannot be read any more.
                if isinstance(found := results[row], AlignedImage):
                    images[row - start], fields[row - start] = found.image, found.field
            self.images[block.start : block.stop] = images
            self.fields[block.start : block.stop] = fields
            self._image_files.force_to_disk([(start, 0, 0, 0)])
            self._field_files.force_to_disk([(start, 0, 0)])

    def note(self, entries: Sequence[tuple[int, Source, dict[str, Any] | str]]) -> None:
        """Note of images whose pixels are stored how they were aligned, or their error."""
        self._note(
            [
                {
                    "row": row,
                    "error": result if isinstance(result, str) else "",
                    "source": source.key,
                    "content": source.content,
                    "state": source.state,
                    "facts": {} if isinstance(result, str) else result,
                }
                for row, source, result in entries
            ]
        )

    def note_states(self, sources: Mapping[int, Source]) -> None:
        """Note that files whose state has changed have still the content that they had."""
        if not any(source.content for source in sources.values()):
            return
        self._note(
            [
                {**self._notes.entry(row), "state": source.state}
                for row, source in sources.items()
                if source.content
            ]
        )

    def read(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return images as uint8 (len(rows), channel, height, width).

        Raises
        ------
        InputError
            When one was aligned whose file is not there any more.
        """
        images = np.empty((len(rows), *self.images.shape[1:]), np.uint8)
        for at, row in enumerate(rows):
            may_stop_here()
            images[at] = self._image_files.read((int(row), 0, 0, 0))[0]
            if not images[at].any():
                self._check_not_lost(self._image_files, (int(row), 0, 0, 0))
        return images

    def read_fields(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return masks of the field of view, bool (len(rows), height, width)."""
        fields = np.empty((len(rows), *self.shape), bool)
        for at, row in enumerate(rows):
            fields[at] = self._field_files.read((int(row), 0, 0))[0]
            if not fields[at].any():
                self._check_not_lost(self._field_files, (int(row), 0, 0))
        return fields

    def _check_not_lost(self, files: ChunkFiles, place: tuple[int, ...]) -> None:
        """Refuse what is black because its file went, which Zarr fills with zeros unsaid."""
        aligned = self._notes.errors.get(place[0]) == ""
        if self._has_every_file and aligned and files.is_gone(place):
            raise InputError(
                f"{self.folder}: a file of image {place[0] + 1} is not there any more; explain the "
                "cohort again with --resume."
            )

    def coverage(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the share of images whose field of view holds each pixel, (height, width)."""
        total = np.zeros(self.shape, np.int64)
        for part in batches(rows, 256):
            total += self.read_fields(part).sum(axis=0)
        return (total / max(1, len(rows))).astype(np.float32)

    def mean_image(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the mean of images, float32 (channel, height, width) in 0–255."""
        total = np.zeros(self.images.shape[1:], np.float64)
        for part in batches(rows, 64):
            total += self.read(part).sum(axis=0, dtype=np.int64)
        return (total / max(1, len(rows))).astype(np.float32)


@dataclass(frozen=True)
class AlignedImage:
    """One image in the frame.

    Attributes
    ----------
    image : numpy.ndarray
        uint8, (channel, height, width).
    field : numpy.ndarray
        Field of view: bool, (height, width).
    facts : dict
        How it was aligned, see `AlignedStack.facts`.
    """

    image: npt.NDArray[np.uint8]
    field: npt.NDArray[np.bool_]
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


def _check_layouts(folder: Path, images: ArrayLayout, fields: ArrayLayout) -> None:
    """Refuse arrays that are no images and their fields, an image a chunk."""
    count, *shape = images.shape
    in_file = images.file_shape[0]
    if (
        (images.data_type, fields.data_type) != ("uint8", "bool")
        or len(shape) != 3
        or fields.shape != (count, *shape[1:])
        or (images.chunk_shape, fields.chunk_shape) != ((1, *shape), (1, *shape[1:]))
        or (images.file_shape, fields.file_shape) != ((in_file, *shape), (in_file, *shape[1:]))
        or (images.fill, fields.fill) != (0, 0)
    ):
        raise _no_images(folder)


def _no_images(folder: Path) -> InputError:
    return InputError(f"{folder}: does not hold images as we write them; align them again.")


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Split items into lists of at most `size`."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
