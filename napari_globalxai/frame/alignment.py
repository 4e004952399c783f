"""From a cohort to its aligned stack: what is new or has changed is aligned, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.geometry import swap_axes
from napari_globalxai.frame.stack import AlignedImage, AlignedStack, FrameSettings, batches
from napari_globalxai.images.image_file import UnreadableImageError, one_line, split_page
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.storage import hash_value

if TYPE_CHECKING:
    from napari_globalxai.frame.atlas import Atlas

IMAGES_PER_COMMIT = 16
DECODING_THREADS = 4
ATLAS_FILE = "atlas.npz"
# Images that the atlas is learnt from: a median over so many changes little with more.
ATLAS_IMAGES = 96


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
            frame.height, frame.width, frame.channels, atlas=atlas, registration=frame.registration
        )

    def __call__(self, row: int) -> AlignedImage | str:
        """Return the aligned image of a row, or a sentence that says why there is none."""
        from napari_globalxai.frame.transforms import plain_array

        if absent := absence(self.cohort, row):
            return absent
        try:
            item = self.transforms(
                {
                    "image": self.cohort.files[row],
                    "laterality": self.cohort.laterality[row],
                    "laterality_source": self.cohort.laterality_source[row],
                }
            )
        # Decoders fail in as many ways as files can be broken; each is one image's error.
        except Exception as why:
            return str(UnreadableImageError(self.cohort.names[row], _first_cause(why)))
        image = np.clip(np.rint(plain_array(item["image"])), 0, 255).astype(np.uint8)
        field = plain_array(item["field_of_view"])[0].astype(bool)
        return AlignedImage(image, field, _facts(item))


def _facts(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `AlignedStack.facts` tells of an item that went through the transforms."""
    from napari_globalxai.frame.transforms import frame_to_native

    image = item["image"]
    facts: dict[str, Any] = {
        "matrix": frame_to_native(image).tolist(),
        "native_shape": [int(side) for side in image.meta["native_shape"]],
        "laterality": item["laterality"],
        "laterality_source": item["laterality_source"],
    }
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
    aligner = Aligner(cohort, frame, _atlas_for(cohort, frame, stack, progress))
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        for part in batches(rows, IMAGES_PER_COMMIT):
            stack.write(list(zip(part, pool.map(aligner, part), strict=True)), sources)
            done += len(part)
            progress(Progress("Aligning images", done, len(cohort)))
    return stack


def _atlas_for(
    cohort: Cohort, frame: FrameSettings, stack: AlignedStack, progress: ProgressCallback
) -> Atlas | None:
    """Return the stack's atlas; learnt once, so that new images are aligned like the old ones."""
    if frame.registration == "none" and (not frame.estimate_sides or all(cohort.laterality)):
        return None
    from napari_globalxai.frame.atlas import Atlas

    path = stack.folder / ATLAS_FILE
    if path.is_file():
        return Atlas.load(path)
    atlas = _learn(cohort, frame, progress)
    if atlas is not None:
        atlas.save(path)
    return atlas


def _learn(cohort: Cohort, frame: FrameSettings, progress: ProgressCallback) -> Atlas | None:
    """Learn an atlas from images spread over the cohort."""
    from napari_globalxai.frame.atlas import learn_atlas
    from napari_globalxai.frame.landmarks import Picture
    from napari_globalxai.frame.transforms import aspect_of

    # As they were taken, with all colours: sides are what is to be found out.
    plain = Aligner(
        replace(cohort, laterality=("",) * len(cohort), laterality_source=("",) * len(cohort)),
        FrameSettings(frame.height, frame.width, ("red", "green", "blue")),
    )
    rows = np.unique(np.linspace(0, len(cohort) - 1, ATLAS_IMAGES).astype(int)).tolist()
    pictures, sides, aspects = [], [], []
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        for number, (row, found) in enumerate(zip(rows, pool.map(plain, rows), strict=True)):
            progress(Progress("Looking for disc and macula", number, len(rows)))
            # What a DICOM file says was applied already: such an image is a left eye now.
            if isinstance(found, AlignedImage):
                pictures.append(Picture(found.image[1], found.field))
                sides.append("L" if found.facts["laterality"] else cohort.laterality[row])
                aspects.append(aspect_of(swap_axes(found.facts["matrix"])))
    return learn_atlas(pictures, sides, aspects) if pictures else None


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


def _open_matching(cohort: Cohort, frame: FrameSettings, folder: Path) -> AlignedStack:
    """Open the stack in `folder` if it is of this frame, with room for all, or start a new one."""
    settings: list[Any] = [frame.height, frame.width, list(frame.channels)]
    if frame.registration != "none" or frame.estimate_sides:
        settings += [frame.registration, frame.estimate_sides]
    key = hash_value(settings)
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
