"""Aligned images that are there already: in the stack itself, in one put by, in another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zarr

from napari_globalxai.addresses import move, remove_tree
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.sources import SourceFinder
from napari_globalxai.frame.stack import AlignedImage, AlignedStack
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.storage import atomic_path
from napari_globalxai.stored_arrays import check_store, zarr_store


class ReadyImages:
    """Images that other stacks of the same frame hold, by what they were made from."""

    def __init__(self, stacks: Sequence[AlignedStack]) -> None:
        self._stacks = stacks
        self._places: dict[str, tuple[AlignedStack, int, dict[str, Any]]] = {}
        for stack in stacks:
            facts, errors = stack.facts(), stack.status()
            for row, key in stack.sources().items():
                # What failed is tried again: the reason may name a file that has moved.
                if not errors[row]:
                    self._places[key] = stack, row, facts[row]

    def find(self, key: str) -> AlignedImage | None:
        """Return the image that was made from a source of this key, or None."""
        if key not in self._places:
            return None
        stack, row, facts = self._places[key]
        return AlignedImage(stack.read([row])[0], stack.read_fields([row])[0], facts)

    def take_atlas(self, stack: AlignedStack) -> None:
        """Let new images be registered onto the same atlas as those that are taken over."""
        for other in self._stacks:
            if other.atlas_file.is_file() and not stack.atlas_file.exists():
                with atomic_path(stack.atlas_file) as path:
                    path.write_bytes(other.atlas_file.read_bytes())


def continues(cohort: Cohort, folder: Path) -> bool:
    """Return whether a cohort begins with the images of the stack in `folder`, in their order."""
    if not folder.exists():
        return True
    stack = AlignedStack(folder)
    finder = SourceFinder(cohort)
    finder.learn(stack.known_contents())
    return all(
        row < len(cohort) and finder.find(row).key == key for row, key in stack.sources().items()
    )


def open_matching(
    cohort: Cohort,
    frame: FrameSettings,
    folder: Path,
    finder: SourceFinder,
    progress: ProgressCallback,
) -> tuple[AlignedStack, AlignedStack | None]:
    """Open the stack in `folder` if it is of this frame, with room for all, or start a new one.

    Where rows have moved, the second stack is the one that was there, to take images from.
    """
    former = folder.with_name(f"{folder.name}.former")
    if folder.exists():
        try:
            check_store(folder)
            group = zarr.open_group(
                zarr_store(folder), mode="r", zarr_format=3, use_consolidated=False
            )
        except InputError:
            raise
        except (FileNotFoundError, ValueError, KeyError) as why:
            raise InputError(
                f"{folder}: exists but is not an aligned stack; choose another output folder."
            ) from why
        # Looked at before it is opened: one that was stopped while it was made lacks its arrays.
        if group.attrs.get("key") == frame.key:
            stack = AlignedStack(folder)
            sources, contents = stack.sources(), stack.known_contents()
            finder.learn(contents)
            finder.find_all((row for row in sources if row < len(cohort)), progress)
            if not former.exists() and _rows_have_moved(len(cohort), sources, finder):
                move(folder, former)
            elif len(stack) <= len(cohort):
                if len(stack) < len(cohort):
                    stack.grow(len(cohort))
                found = {row: finder.find(row) for row in sources}
                stack.note_states(
                    {
                        row: source
                        for row, source in found.items()
                        if source.key == sources[row] and source.state not in contents
                    }
                )
                return stack, _former_at(former, frame)
    return AlignedStack.create(folder, len(cohort), frame), _former_at(former, frame)


def _former_at(folder: Path, frame: FrameSettings) -> AlignedStack | None:
    """Open a stack that was put by, in this call or in one that was stopped."""
    if not folder.exists():
        return None
    stack = AlignedStack(folder)
    if stack.frame_key == frame.key:
        return stack
    remove_tree(folder)
    return None


def _rows_have_moved(size: int, sources: Mapping[int, str], finder: SourceFinder) -> bool:
    """Return whether images of a stack are wanted in other rows than theirs."""
    if any(row >= size for row in sources):
        return True
    held = set(sources.values())
    now = {row: finder.find(row).key for row in sources}
    return any(key != sources[row] and key in held for row, key in now.items())


def open_reusable(folder: Path, frame: FrameSettings) -> AlignedStack:
    """Open a stack to take images from."""
    try:
        stack = AlignedStack(folder)
    except InputError:
        raise
    except (FileNotFoundError, ValueError, KeyError) as why:
        raise InputError(f"{folder.parent}: holds no aligned images.") from why
    if frame.is_outdated(stack.frame_key):
        raise InputError(
            f"{folder.parent}: its images were aligned by a version that read some files "
            "otherwise; align them again."
        )
    if stack.frame_key != frame.key:
        raise InputError(
            f"{folder.parent}: its images were aligned to another frame or registered otherwise; "
            "align them with this model's size, channels and fit and the same --register and "
            "--estimate-laterality."
        )
    return stack
