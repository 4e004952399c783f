"""The regions of the frame that maps are measured in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.addresses import local_file
from napari_globalxai.errors import InputError
from napari_globalxai.images.labels_image import read_labels_image
from napari_globalxai.runs.folder import STACK_FOLDER

if TYPE_CHECKING:
    from napari_globalxai.frame.registrar import Atlas, FramedImage
    from napari_globalxai.runs.run import Run

Mask = npt.NDArray[np.bool_]

OUTSIDE = "outside-field"
RIM = "rim"
# A corner's sides as shares of the frame's, and the width of the rim.
_CORNER, _RIM = 1 / 6, 0.04
_ENDS = (("top", "bottom"), ("left", "right"))
# Of what the user drew: where at least this much lies beyond the picture, nothing is to be seen.
_MOSTLY = 0.5
# Enough to tell where disc and macula lie; as wide as landmarks are searched at.
_LEARN_FROM, _LARGEST = 32, 320


@dataclass(frozen=True)
class Places:
    """Regions of the frame by name.

    Attributes
    ----------
    regions : dict of str to numpy.ndarray
        bool (*frame); they may overlap, and none is empty.
    beyond : tuple of str
        Those in which no picture is expected: outside of the field of view, and corners.
    pictured : tuple of str
        Those of `beyond` that lie in the field of view for the most part, as corners do where it
        fills the frame: something may be seen there after all.
    remarks : tuple of str
        What could not be made, a sentence each.
    """

    regions: dict[str, Mask]
    beyond: tuple[str, ...]
    pictured: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def find_places(run: Run, regions_file: Path | None) -> Places:
    """Return the regions of a run's frame.

    Outside of the field of view, its rim and the corners of the frame always; then those of the
    user's labels image, else the zones that the modality knows, as those of an eye.
    """
    field = run.valid
    own = {}
    if regions_file is not None:
        with local_file(regions_file) as file:
            own = read_labels_image(file, field.shape)
    regions = {OUTSIDE: ~field, **corners(field.shape), RIM: _rim(field)}
    remarks: list[str] = []
    beyond = [name for name in regions if name != RIM]
    if own:
        outside = np.logical_or.reduce([regions[name] for name in beyond])
        beyond += [name for name, mask in own.items() if outside[mask].mean() >= _MOSTLY]
        regions |= own
    elif run.modality.zones:
        zones = _zones(run, field)
        if not zones:
            remarks.append("disc and macula were not found, so zones of the eye are left out")
        regions |= zones
    if not regions[OUTSIDE].any():
        remarks.append("the field of view fills the frame, so there is nothing outside of it")
    regions = {name: mask for name, mask in regions.items() if mask.any()}
    there = tuple(name for name in beyond if name in regions)
    pictured = tuple(name for name in there if field[regions[name]].mean() > 1 - _MOSTLY)
    return Places(regions, there, pictured, tuple(remarks))


def corners(shape: tuple[int, ...]) -> dict[str, Mask]:
    """Return the corners of a frame; of more than two axes each corner of the last two, throughout.

    Each takes a sixth of the height and of the width; both upper and both lower ones are a region,
    too.
    """
    height, width = shape[-2:]
    sizes = [max(1, round(_CORNER * height)), max(1, round(_CORNER * width))]
    found = {}
    for vertical in _ENDS[0]:
        for horizontal in _ENDS[1]:
            rows = slice(0, sizes[0]) if vertical == "top" else slice(height - sizes[0], height)
            columns = slice(0, sizes[1]) if horizontal == "left" else slice(width - sizes[1], width)
            mask = np.zeros(shape, dtype=bool)
            mask[..., rows, columns] = True
            found[f"corner-{vertical}-{horizontal}"] = mask
    for vertical in _ENDS[0]:
        # Where some images are mirrored, a mark lies in the one or the other.
        found[f"corners-{vertical}"] = (
            found[f"corner-{vertical}-left"] | found[f"corner-{vertical}-right"]
        )
    return found


def whereabouts(mask: Mask) -> str:
    """Return in words where a region of the frame lies, such as ``top right`` or ``centre``."""
    middles = [
        axis.mean() / length for axis, length in zip(np.nonzero(mask), mask.shape, strict=True)
    ]
    words = [
        names[0] if middle < 1 / 3 else names[1] if middle > 2 / 3 else ""
        for names, middle in zip(_ENDS, middles[-2:], strict=True)
    ]
    return " ".join(word for word in words if word) or "centre"


def _rim(field: Mask) -> Mask:
    """Return the pixels of the field near its border."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(field, 1))[(slice(1, -1),) * field.ndim]
    return np.asarray(field & (depth <= max(1.0, _RIM * field.shape[-1])))


def _zones(run: Run, field: Mask) -> dict[str, Mask]:
    """Return the zones that the modality's atlas knows; none where it cannot be learnt."""
    from napari_globalxai.frame.geometry import pixel_aspect
    from napari_globalxai.frame.registrar import KnowsZones, registrar_for

    if not (run.folder / STACK_FOLDER).is_dir():
        return {}
    registrar = registrar_for(run.modality.zones)
    matrices = [facts["matrix"] for facts in run.stack.facts().values() if "matrix" in facts]
    aspect = float(np.median([pixel_aspect(np.asarray(matrix)) for matrix in matrices] or [1.0]))
    atlas: Atlas | None = None
    if run.stack.atlas_file.is_file():
        # A damaged one is learnt again.
        with suppress(OSError, ValueError, KeyError):
            atlas = registrar.load(run.stack.atlas_file)
    if atlas is None:
        count = min(_LEARN_FROM, registrar.images_to_learn_from)
        atlas = registrar.learn(_images(run, count, aspect))
    # mypy takes two protocols for strangers.
    learnt: object = atlas
    return learnt.zones(field, aspect) if isinstance(learnt, KnowsZones) else {}


def _images(run: Run, count: int, aspect: float) -> Iterator[FramedImage]:
    """Give images of the stack, spread over the cohort, small enough to be searched as they are."""
    from PIL import Image

    from napari_globalxai.frame.registrar import FramedImage

    rows = run.finished_rows
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]
    factor = max(1.0, run.stack.shape[1] / _LARGEST)
    size = (round(run.stack.shape[1] / factor), round(run.stack.shape[0] / factor))
    for row in chosen:
        planes, field = run.stack.read([row])[0], run.stack.read_fields([row])[0]
        small = [
            np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX))
            for plane in (*planes, field.astype(np.uint8) * 255)
        ]
        yield FramedImage(np.stack(small[:-1]), small[-1] > 127, run.stack.channels, "L", aspect)


def refuse_other_axes(run: Run) -> None:
    """Refuse a run whose frame has fewer than two axes."""
    if len(run.store.grid.frame) < 2:
        raise InputError(f"{run.folder}: its maps have one axis only; there is no place to audit.")
