"""From a cohort to its aligned stack: what is new or has changed is aligned, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from napari_globalxai.addresses import remove_tree
from napari_globalxai.cohort.rows_to_read import part_to_read
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError, is_out_of_memory
from napari_globalxai.execution.dask_workers import Workers
from napari_globalxai.frame.geometry import pixel_aspect
from napari_globalxai.frame.registrar import (
    NO_REGISTRATION,
    Atlas,
    FramedImage,
    Registrar,
    registrar_for,
)
from napari_globalxai.frame.reuse import ReadyImages, open_matching, open_reusable
from napari_globalxai.frame.sources import Source, SourceFinder
from napari_globalxai.frame.stack import AlignedImage, AlignedStack
from napari_globalxai.images.image_file import (
    UnreadableImageError,
    local_copy,
    one_line,
    split_page,
)
from napari_globalxai.images.memory_budget import is_memory_short
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.storage import absence_of_file

T = TypeVar("T")

DECODING_THREADS = 4
# As often is an image read whose file is written meanwhile.
_TRIES = 3


class Aligner:
    """Brings the images of a cohort into the frame, one at a time.

    Parameters
    ----------
    cohort : Cohort
        The images and their laterality.
    frame : FrameSettings
        The frame.
    atlas : Atlas, optional
        The cohort's atlas.
    """

    def __init__(self, cohort: Cohort, frame: FrameSettings, atlas: Atlas | None = None) -> None:
        # MONAI takes seconds to import; reading a table must not.
        from napari_globalxai.frame.transforms import frame_transforms

        self.cohort = cohort
        self.transforms = frame_transforms(
            frame.height,
            frame.width,
            frame.channels,
            atlas=atlas,
            registration=frame.registration,
            estimate_sides=frame.estimate_laterality,
            stored_bits=frame.stored_bits,
            fit=frame.fit,
        )

    def __call__(self, row: int) -> AlignedImage | str:
        """Return the aligned image of a row, or a sentence that says why there is none."""
        from napari_globalxai.frame.resampling import plain_array

        if absent := absence(self.cohort, row):
            return absent
        try:
            try:
                item = self._transformed(row)
            # Others are read beside it, and may have held what it needs.
            except Exception as why:
                if not is_out_of_memory(why):
                    raise
                item = self._transformed(row)
        # Decoders fail in as many ways as files can be broken; each is one image's error.
        except Exception as why:
            if is_out_of_memory(why) and is_memory_short():
                raise MemoryError(f"for {self.cohort.names[row]}") from why
            return str(UnreadableImageError(self.cohort.names[row], _first_cause(why)))
        image = np.clip(np.rint(plain_array(item["image"])), 0, 255).astype(np.uint8)
        field = plain_array(item["field_of_view"])[0].astype(bool)
        return AlignedImage(image, field, _facts(item))

    def _transformed(self, row: int) -> Mapping[str, Any]:
        with local_copy(self.cohort.files[row]) as file:
            item: Mapping[str, Any] = self.transforms(
                {
                    "image": file,
                    "laterality": self.cohort.laterality[row],
                    "laterality_source": self.cohort.laterality_source[row],
                }
            )
        return item


def _facts(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `AlignedStack.facts` tells of an item that went through the transforms."""
    from napari_globalxai.frame.resampling import frame_to_native

    image = item["image"]
    facts: dict[str, Any] = {
        "matrix": frame_to_native(image).tolist(),
        "native_shape": [int(side) for side in image.meta["native_shape"]],
        "laterality": item["laterality"],
        "laterality_source": item["laterality_source"],
    }
    if note := image.meta.get("note"):
        facts["note"] = note
    if "sides" in item:
        facts["side_confidence"] = item["sides"].confidence
        facts["side_margin"] = item["sides"].margin
    if "registration" in item:
        found = item["registration"]
        facts["registered"] = found.kept
        facts["registration_note"] = found.reason
        facts["likeness_before"], facts["likeness_after"] = found.before, found.after
        facts["landmarks"] = found.landmarks.tolist()
    return facts


def align(
    cohort: Cohort,
    frame: FrameSettings,
    folder: Path,
    progress: ProgressCallback = ignore_progress,
    *,
    reuse: Path | None = None,
    workers: Workers | None = None,
) -> AlignedStack:
    """Bring a cohort into the frame; go on where an earlier call stopped.

    Only images that are new, or whose file has other content, are aligned. Rows of the table may
    have moved, files may have other names and folders: images are known by their content.

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
    reuse : pathlib.Path, optional
        Another stack of the same frame, whose images need not be aligned again.
    workers : Workers, optional
        Processes that align images side by side; by default this one does it. The bits are the
        same.

    Returns
    -------
    AlignedStack
        Rows in the order of the cohort table; rows that failed are zero, see `status`.

    Raises
    ------
    InputError
        When `folder` holds something else, or `reuse` is no stack of this frame.
    """
    others = [] if reuse is None else [open_reusable(reuse, frame)]
    finder = SourceFinder(cohort)
    stack, former = open_matching(cohort, frame, folder, finder, progress)
    others += [former] if former is not None else []
    for each in others:
        finder.learn(each.known_contents())
    seen, gone = stack.sources(), stack.rows_without_pixels()
    rows = [
        row
        for row in range(len(cohort))
        if row in gone or finder.known_key(row) != seen.get(row, "")
    ]
    done = len(cohort) - len(rows)
    progress(Progress("Aligning images", done, len(cohort)))
    if rows:
        ready = ReadyImages(others)
        ready.take_atlas(stack)
        maker = _Maker(finder, ready)

        def learn_atlas() -> Atlas | None:
            return _atlas_for(cohort, frame, stack, progress)

        if workers is None:
            made = _here(maker, rows, lambda: Aligner(cohort, frame, learn_atlas()), stack)
        else:
            learn_atlas()
            made = _on_workers(workers, maker, rows, frame, stack)
        for count in made:
            done += count
            progress(Progress("Aligning images", done, len(cohort)))
    if former is not None:
        remove_tree(former.folder)
    return stack


def _here(
    maker: _Maker, rows: Sequence[int], make_aligner: Callable[[], Aligner], stack: AlignedStack
) -> Iterator[int]:
    """Align images in threads, and give the number of those that were finished together."""
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        for made in _ahead(pool, maker, stack.parts(rows)):
            needed = [each.row for each in made if each.result is None]
            if needed:
                # Not before it is needed, and not in a thread: atlas and MONAI take seconds,
                # and progress is to be told from here.
                maker.aligner = maker.aligner or make_aligner()
                redone = dict(zip(needed, pool.map(maker, needed), strict=True))
                made = [redone.get(each.row, each) for each in made]
            stack.write(
                [(each.row, each.source, each.result) for each in made if each.result is not None]
            )
            yield len(made)


@dataclass(frozen=True)
class _AligningTask:
    """Images that another process is to align."""

    frame: FrameSettings
    stack: Path
    made: tuple[_Made, ...]
    # Their rows alone.
    cohort: Cohort


def _on_workers(
    workers: Workers, maker: _Maker, rows: Sequence[int], frame: FrameSettings, stack: AlignedStack
) -> Iterator[int]:
    """Align images side by side, and give the number of those that were finished together.

    Where an image is there already, or can be known not to be, nobody else is asked for it.
    """
    cohort = maker.cohort
    finished: list[int] = []

    def tasks() -> Iterator[_AligningTask]:
        with ThreadPoolExecutor(DECODING_THREADS) as pool:
            for made in _ahead(pool, maker, stack.parts(rows)):
                known = [
                    replace(each, result=each.result or absence(cohort, each.row) or None)
                    for each in made
                ]
                stack.write([(each.row, each.source, each.result) for each in known if each.result])
                needed = tuple(each for each in known if each.result is None)
                finished.append(len(made) - len(needed))
                if needed:
                    part = part_to_read(cohort, [each.row for each in needed])
                    yield _AligningTask(frame, stack.folder.absolute(), needed, part)

    for task, results in workers.run(_align_elsewhere, tasks()):
        stack.note(
            [
                (
                    each.row,
                    each.source,
                    result if maker.is_still(each.row, each.source) else maker.changed(each.row),
                )
                for each, result in zip(task.made, results, strict=True)
            ]
        )
        yield len(task.made) + sum(finished)
        finished.clear()
    yield sum(finished)


def _align_elsewhere(task: _AligningTask) -> list[dict[str, Any] | str]:
    """Align images in another process: store their pixels, and return how, or their error."""
    stack = AlignedStack(task.stack)
    atlas = None
    if stack.atlas_file.is_file():
        atlas = registrar_for(task.frame.registration).load(stack.atlas_file)
    aligner = Aligner(task.cohort, task.frame, atlas)
    results = [aligner(number) for number in range(len(task.made))]
    stack.put({each.row: found for each, found in zip(task.made, results, strict=True)})
    return [found if isinstance(found, str) else found.facts for found in results]


@dataclass(frozen=True)
class _Made:
    """A row, what it is made from, and its image or error; None if there is no aligner yet."""

    row: int
    source: Source
    result: AlignedImage | str | None


class _Maker:
    """Makes the image of a row: from another stack if it has it, else from its file."""

    def __init__(self, finder: SourceFinder, ready: ReadyImages) -> None:
        self._finder, self._ready, self.cohort = finder, ready, finder.cohort
        self.aligner: Aligner | None = None

    def __call__(self, row: int) -> _Made:
        for _ in range(_TRIES):
            source = self._finder.find(row)
            found: AlignedImage | str | None = self._ready.find(source.key)
            if found is not None or self.aligner is None:
                return _Made(row, source, found)
            found = self.aligner(row)
            if self.is_still(row, source):
                return _Made(row, source, found)
        return _Made(row, source, self.changed(row))

    def is_still(self, row: int, source: Source) -> bool:
        """Return whether an image's file is what it was, now that it has been read."""
        return self._finder.find(row).key == source.key

    def changed(self, row: int) -> str:
        """Return the error of an image that was another one before it was read to its end."""
        reason = "its file changed while it was read; go on with --resume when it is whole"
        return str(UnreadableImageError(self.cohort.names[row], reason))


def _ahead(
    pool: ThreadPoolExecutor, make: Callable[[int], T], parts: Iterable[Sequence[int]]
) -> Iterator[list[T]]:
    """Yield what is made of each part while the next one is being made."""
    before: list[Future[T]] = []
    try:
        for part in parts:
            ready, before = before, [pool.submit(make, row) for row in part]
            if ready:
                yield [future.result() for future in ready]
        yield [future.result() for future in before]
    finally:
        # Whoever stops early does not wait for images that nobody asks for any more.
        for future in before:
            future.cancel()


def _atlas_for(
    cohort: Cohort, frame: FrameSettings, stack: AlignedStack, progress: ProgressCallback
) -> Atlas | None:
    """Return the stack's atlas; learnt once, so that new images are aligned like the old ones."""
    known = all(cohort.laterality) or not frame.estimate_laterality
    if frame.registration == NO_REGISTRATION and known:
        return None
    registrar = registrar_for(frame.registration)
    path = stack.atlas_file
    if path.is_file():
        return registrar.load(path)
    atlas = registrar.learn(_to_learn_from(cohort, frame, registrar, progress))
    if atlas is not None and frame.template is not None:
        atlas = _moved_onto(frame.template, atlas, cohort, frame)
    if atlas is not None:
        atlas.save(path)
    return atlas


def _to_learn_from(
    cohort: Cohort, frame: FrameSettings, registrar: Registrar, progress: ProgressCallback
) -> Iterator[FramedImage]:
    """Yield images spread over the cohort, as they were taken."""
    plain = _as_taken(cohort, frame)
    rows = spread_over(range(len(cohort)), registrar.images_to_learn_from)
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        for number, (row, found) in enumerate(zip(rows, pool.map(plain, rows), strict=True)):
            progress(Progress("Looking for landmarks", number, len(rows)))
            if isinstance(found, AlignedImage):
                # What a DICOM file says was applied already: such an image lies as left ones do.
                yield _framed(found, "L" if found.facts["laterality"] else cohort.laterality[row])


def _moved_onto(template: Path, atlas: Atlas, cohort: Cohort, frame: FrameSettings) -> Atlas:
    """Return the atlas onto which images are moved to lie as the template does."""
    alone = replace(cohort, files=(template,), names=(template.name,), laterality=("",))
    found = _as_taken(alone, frame)(0)
    if isinstance(found, str):
        raise InputError(found)
    moved = atlas.onto(_framed(found))
    if moved is None:
        raise InputError(
            f"{template}: shows no landmarks like those of the cohort; choose another template."
        )
    return moved


def spread_over(rows: Sequence[int], count: int) -> list[int]:
    """Return at most `count` rows, spread evenly over all."""
    return [int(rows[at]) for at in np.unique(np.linspace(0, len(rows) - 1, count).astype(int))]


def _framed(found: AlignedImage, side: str = "") -> FramedImage:
    aspect = pixel_aspect(found.facts["matrix"])
    return FramedImage(found.image, found.field, side=side, aspect=aspect)


def _as_taken(cohort: Cohort, frame: FrameSettings) -> Aligner:
    """Return what brings images into the frame with all colours and not mirrored."""
    nothing = ("",) * len(cohort.files)
    return Aligner(
        replace(cohort, laterality=nothing, laterality_source=nothing),
        FrameSettings(
            size=frame.size,
            channels=("red", "green", "blue"),
            stored_bits=frame.stored_bits,
            fit=frame.fit,
        ),
    )


def absence(cohort: Cohort, row: int) -> str:
    """Return a sentence that says that a row names no file that exists, or nothing."""
    if not cohort.names[row]:
        return f"row {row + 1} of {cohort.source.name} names no file."
    if why := absence_of_file(split_page(cohort.files[row])[0]):
        return f"{cohort.names[row]}: the file {why}."
    return ""


def _first_cause(why: BaseException) -> str:
    """Return the reason in one line: MONAI wraps errors in a pipeline's traceback."""
    while not isinstance(why, UnreadableImageError):
        if why.__cause__ is None:
            return one_line(why)
        why = why.__cause__
    return why.reason
