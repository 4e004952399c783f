"""The aligned stack: every image of a cohort in the frame, made once and kept on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec

from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.images.image_file import UnreadableImageError, one_line, split_page
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.storage import Journal, hash_value

T = TypeVar("T")

IMAGES_PER_COMMIT = 16
DECODING_THREADS = 4


@dataclass(frozen=True)
class FrameSettings:
    """What decides how an image looks in the frame.

    Attributes
    ----------
    height, width : int
        Size of the frame in pixels.
    channels : tuple of str
        Channels kept, by name.
    """

    height: int
    width: int
    channels: tuple[str, ...]


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
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        group = zarr.open_group(folder, mode="r+")
        self.images: Any = group["0"]
        self.fields: Any = group["field_of_view"]
        # Hash of the frame.
        self._frame_key = str(group.attrs.get("key", ""))
        self._journal = Journal(folder / "rows.jsonl")

    @classmethod
    def create(cls, folder: Path, size: int, frame: FrameSettings, key: str) -> AlignedStack:
        """Make an empty stack for `size` images, replacing what is there."""
        group = zarr.create_group(folder, overwrite=True)
        channels = len(frame.channels)
        group.create_array(
            "0",
            shape=(size, channels, frame.height, frame.width),
            chunks=(1, channels, frame.height, frame.width),
            dtype="uint8",
            compressors=BloscCodec(cname="zstd", clevel=1),
            dimension_names=("image", "c", "y", "x"),
        )
        group.create_array(
            "field_of_view",
            shape=(size, frame.height, frame.width),
            chunks=(1, frame.height, frame.width),
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
        group.attrs["key"] = key
        group.attrs["channels"] = list(frame.channels)
        return cls(folder)

    def __len__(self) -> int:
        return int(self.images.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frame in pixels."""
        return int(self.images.shape[2]), int(self.images.shape[3])

    @property
    def key(self) -> str:
        """Hash of the frame and of what every image was made from."""
        return hash_value([self._frame_key, sorted(self.sources().items())])

    def status(self) -> dict[int, str]:
        """Return the error of each image looked at so far; empty text where it was aligned."""
        return {entry["row"]: entry["error"] for entry in self._journal.read()}

    def sources(self) -> dict[int, str]:
        """Return what each image looked at so far was made from, see `source_of`."""
        return {entry["row"]: entry.get("source", "") for entry in self._journal.read()}

    def grow(self, size: int) -> None:
        """Make room for `size` images; those that are there stay."""
        for array in (self.images, self.fields):
            array.resize((size, *array.shape[1:]))

    def write(
        self, entries: Sequence[tuple[int, AlignedImage | str]], sources: Mapping[int, str]
    ) -> None:
        """Store aligned images, or the error that stands for one, and what each was made from."""
        for row, result in entries:
            if isinstance(result, AlignedImage):
                self.images[row], self.fields[row] = result.image, result.field
            else:
                # There may have been an image that cannot be read any more.
                self.images[row], self.fields[row] = 0, False
        self._journal.append(
            [
                {"row": row, "error": r if isinstance(r, str) else "", "source": sources[row]}
                for row, r in entries
            ]
        )

    def read(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return images as uint8 (len(rows), channel, height, width)."""
        return np.asarray(self.images.oindex[np.asarray(rows, dtype=int)])

    def coverage(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the share of images whose field of view holds each pixel, (height, width)."""
        total = np.zeros(self.shape, np.int64)
        for part in batches(rows, 256):
            total += self.fields.oindex[np.asarray(part)].sum(axis=0)
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
    """

    image: npt.NDArray[np.uint8]
    field: npt.NDArray[np.bool_]


class Aligner:
    """Brings the images of a cohort into the frame, one at a time.

    Parameters
    ----------
    cohort : Cohort
        The images and their laterality.
    frame : FrameSettings
        The frame.
    """

    def __init__(self, cohort: Cohort, frame: FrameSettings) -> None:
        # MONAI takes seconds to import; reading a table must not.
        from napari_globalxai.frame.transforms import frame_transforms

        self.cohort = cohort
        self.transforms = frame_transforms(frame.height, frame.width, frame.channels)

    def __call__(self, row: int) -> AlignedImage | str:
        """Return the aligned image of a row, or a sentence that says why there is none."""
        from napari_globalxai.frame.transforms import plain_array

        if absent := absence(self.cohort, row):
            return absent
        item = {"image": self.cohort.files[row], "laterality": self.cohort.laterality[row]}
        try:
            item = self.transforms(item)
        # Decoders fail in as many ways as files can be broken; each is one image's error.
        except Exception as why:
            return str(UnreadableImageError(self.cohort.names[row], _first_cause(why)))
        image = np.clip(np.rint(plain_array(item["image"])), 0, 255).astype(np.uint8)
        return AlignedImage(image, plain_array(item["field_of_view"])[0].astype(bool))


def align(
    cohort: Cohort,
    frame: FrameSettings,
    folder: Path,
    progress: ProgressCallback = ignore_progress,
) -> AlignedStack:
    """Bring a cohort into the frame; go on where an earlier call stopped.

    Only images that are new, or whose file has changed, are aligned.

    Parameters
    ----------
    cohort : Cohort
        The images.
    frame : FrameSettings
        The frame.
    folder : pathlib.Path
        Where the stack lives or is to live.
    progress : callable, optional
        Called after each group of images; may raise `Cancelled`.

    Returns
    -------
    AlignedStack
        Rows in the order of the cohort table; rows that failed are zero, see `status`.
    """
    stack = _open_matching(cohort, frame, folder)
    sources = dict(enumerate(source_of(cohort, row) for row in range(len(cohort))))
    seen = stack.sources()
    rows = [row for row, source in sources.items() if seen.get(row) != source]
    done = len(cohort) - len(rows)
    progress(Progress("Aligning images", done, len(cohort)))
    if not rows:
        return stack
    aligner = Aligner(cohort, frame)
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        for part in batches(rows, IMAGES_PER_COMMIT):
            stack.write(list(zip(part, pool.map(aligner, part), strict=True)), sources)
            done += len(part)
            progress(Progress("Aligning images", done, len(cohort)))
    return stack


def absence(cohort: Cohort, row: int) -> str:
    """Return a sentence that says that a row names no file that exists, or nothing."""
    if not cohort.names[row]:
        return f"row {row + 1} of {cohort.source.name} names no file."
    if not split_page(cohort.files[row])[0].is_file():
        return f"{cohort.names[row]}: the file does not exist."
    return ""


def source_of(cohort: Cohort, row: int) -> str:
    """Return what tells whether an aligned image is still that of its file.

    The file's name, size and time of change, and the eye's side; not the folder, which may move.
    """
    path = cohort.files[row]
    file, _ = split_page(path)
    stat = file.stat() if file.is_file() else None
    return hash_value(
        [
            path.name,
            cohort.laterality[row],
            (stat.st_size, stat.st_mtime_ns) if stat else None,
        ]
    )[:32]


def continues(cohort: Cohort, folder: Path) -> bool:
    """Return whether a cohort begins with the images of the stack in `folder`, in their order."""
    if not folder.exists():
        return True
    sources = AlignedStack(folder).sources()
    return all(
        row < len(cohort) and source_of(cohort, row) == source for row, source in sources.items()
    )


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Split items into lists of at most `size`."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


def _open_matching(cohort: Cohort, frame: FrameSettings, folder: Path) -> AlignedStack:
    """Open the stack in `folder` if it is of this frame, with room for all, or start a new one."""
    key = hash_value([frame.height, frame.width, list(frame.channels)])
    if folder.exists():
        try:
            group = zarr.open_group(folder, mode="r+")
        except (FileNotFoundError, ValueError, KeyError) as why:
            raise InputError(
                f"{folder}: exists but is not an aligned stack; choose another output folder."
            ) from why
        if group.attrs.get("key") == key:
            stack = AlignedStack(folder)
            if len(stack) < len(cohort):
                stack.grow(len(cohort))
            if len(stack) == len(cohort):
                return stack
    return AlignedStack.create(folder, len(cohort), frame, key)


def _first_cause(why: BaseException) -> str:
    """Return the reason in one line: MONAI wraps errors in a pipeline's traceback."""
    while not isinstance(why, UnreadableImageError):
        if why.__cause__ is None:
            return one_line(why)
        why = why.__cause__
    return why.reason
