"""A folder with a folder of images for each class, in place of a table."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from napari_globalxai.cohort.files import looks_like_image
from napari_globalxai.cohort.naming import name_key, same_names
from napari_globalxai.cohort.reading import RawTable
from napari_globalxai.cohort.wording import counted, form, named
from napari_globalxai.errors import InputError

_SPLITS = frozenset(
    ("train", "training", "val", "valid", "validation", "test", "testing", "dev", "holdout")
)
_TABLES = (".csv", ".tsv", ".txt", ".xls", ".xlsx")


def read_class_folders(folder: Path) -> RawTable:
    """Make a table of a folder that holds one folder of images for each class.

    Parameters
    ----------
    folder : pathlib.Path
        ``CLASS/image.jpeg``, or ``train/CLASS/image.jpeg`` with other splits beside it. What is
        hidden or no image by its extension is left out, and counted.

    Returns
    -------
    RawTable
        Columns ``filename``, relative to the folder, ``class``, and ``split`` where there are any.

    Raises
    ------
    InputError
        When it is not certain which folders are classes.
    """
    files = _Files(folder)
    if not files.images:
        tables = [name for name in files.others if name.lower().endswith(_TABLES)]
        more = f"; name the table, such as {folder / tables[0]}" if tables else ""
        raise InputError(
            f"{folder}: the cohort table does not exist, and the folder holds no folder of images "
            f"for each class{more}."
        )
    depth = files.depth_of_classes()
    names = dict.fromkeys(image[depth] for image in files.images)
    if twins := same_names(names):
        raise InputError(f"{folder}: the folders {twins[0]} and {twins[1]} are one class by name.")
    if len(names) == 1:
        raise InputError(
            f"{folder}: holds images in the folder {next(iter(names))} alone; name a folder with "
            "one folder for each class, or a table."
        )
    columns = {
        "filename": ["/".join(image) for image in files.images],
        "class": [image[depth] for image in files.images],
    }
    if files.has_splits:
        columns["split"] = [image[depth - 1] for image in files.images]
    return RawTable(pd.DataFrame(columns, dtype=object), frozenset(), files.warnings(names))


class _Files:
    """The files below a folder, each as the parts of its path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: list[tuple[str, ...]] = []
        self.others: list[str] = []
        self.loose: list[str] = []
        self.n_hidden = 0
        self.has_splits = False
        for parts in self._walk():
            if any(part.startswith(".") or part == "__MACOSX" for part in parts):
                self.n_hidden += 1
            elif not looks_like_image(parts[-1]):
                self.others.append("/".join(parts))
            elif len(parts) == 1:
                self.loose.append(parts[0])
            else:
                self.images.append(parts)
        self.images.sort()

    def _walk(self) -> Iterator[tuple[str, ...]]:
        # Class folders are often made of links; one that leads back to a folder would never end.
        seen: set[str] = set()
        for place, folders, names in os.walk(self.folder, followlinks=True):
            true = os.path.realpath(place)
            if true in seen:
                folders.clear()
                continue
            seen.add(true)
            above = Path(place).relative_to(self.folder).parts
            yield from ((*above, name) for name in names)

    def depth_of_classes(self) -> int:
        """Return which part of the paths names the class; refuse where two could."""
        depth = 0
        while len(self._at(depth)) == 1 and all(len(each) > depth + 2 for each in self.images):
            depth += 1
        split = {name_key(name) in _SPLITS for name in self._at(depth)}
        if split == {True}:
            self.has_splits = True
            depth += 1
        if len(split) > 1 or any(len(each) < depth + 2 for each in self.images):
            raise InputError(
                f"{self.folder}: folders of classes and of splits ({named(self._at(0))}) lie side "
                "by side; name a folder with one folder for each class, or a table."
            )
        self._refuse_repeated(depth)
        return depth

    def _at(self, depth: int) -> list[str]:
        return sorted({each[depth] for each in self.images if len(each) > depth + 1})

    def _refuse_repeated(self, depth: int) -> None:
        """Refuse the same folders in several classes: masks, sides, or the classes themselves."""
        below = {each[depth : depth + 2] for each in self.images if len(each) > depth + 2}
        count = Counter(name_key(inner) for _, inner in below)
        again = sorted({inner for _, inner in below if count[name_key(inner)] > 1})
        if again:
            raise InputError(
                f"{self.folder}: folders of one name ({named(again)}) lie in several of "
                f"{named(self._at(depth))}, so that it is not clear which are the classes; name a "
                "folder with one folder for each class, or a table."
            )

    def warnings(self, names: Iterable[str]) -> list[str]:
        """Return what was assumed and what was left out, a sentence each."""
        split = " of each split" if self.has_splits else ""
        found = [
            f"{self.folder}: has no table, so the folders{split} are taken as classes "
            f"({named(names, most=20)})."
        ]
        if self.loose:
            found.append(
                f"{self.folder}: {counted(len(self.loose), 'image')} "
                f"{form(len(self.loose), 'lies', 'lie')} in no class's folder and "
                f"{form(len(self.loose), 'is', 'are')} left out ({named(sorted(self.loose))})."
            )
        left_out = []
        if self.others:
            which = named(sorted(self.others))
            left_out.append(
                f"{counted(len(self.others), 'file')} without an image's name ({which})"
            )
        if self.n_hidden:
            left_out.append(counted(self.n_hidden, "hidden file"))
        if left_out:
            verb = form(len(self.others) + self.n_hidden, "is", "are")
            found.append(f"{self.folder}: {' and '.join(left_out)} {verb} left out.")
        return found
