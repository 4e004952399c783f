"""Images of a run that lie in another folder by now, proved by the content of their files."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from napari_globalxai.addresses import place
from napari_globalxai.errors import InputError
from napari_globalxai.images.image_file import is_there, split_page
from napari_globalxai.runs import tables
from napari_globalxai.storage import hash_file

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


class MovedImageError(InputError):
    """An image that is not where the run says."""


def find_image(run: Run, row: int, folder: str | Path) -> Path:
    """Return where an image of a run is now.

    Parameters
    ----------
    run : Run
        The run.
    row : int
        Row of the image.
    folder : str or pathlib.Path
        Where the images are now, or any folder above that from which they have the same way.

    Raises
    ------
    MovedImageError
        When the image is not there, or is another one.
    """
    root, image = place(folder), run.images.iloc[row]
    known = run.stack.contents().get(row, "")
    others = []
    for tail in _tails(str(image[tables.FILE]), str(image[tables.PATH])):
        path = root / tail
        if not is_there(path):
            continue
        if known and hash_file(split_page(path)[0]) == known:
            return path
        others.append(path)
    if others:
        raise MovedImageError(
            f"{others[0]}: has other content than the image that {run.folder} was made of; choose "
            "the folder of its images."
        )
    raise MovedImageError(
        f"{root}: does not hold {image[tables.FILE]}; choose the folder of the run's images."
    )


def _tails(file: str, path: str) -> list[str]:
    """Return what may stand below the folder: the table's own words, and ever less of the path."""
    # A run may have been made on another system.
    parts = re.split(r"[/\\]+", path)[1:]
    tails = [file, *("/".join(parts[start:]) for start in range(len(parts)))]
    # What is no way down would leave the folder.
    return [
        tail
        for tail in dict.fromkeys(tails)
        if tail and not PurePath(tail).is_absolute() and ".." not in PurePath(tail).parts
    ]
