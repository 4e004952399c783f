"""Where the files of a cohort lie, though the table may write it otherwise."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from napari_globalxai.addresses import is_address, is_in_store_of, is_remote, place
from napari_globalxai.cohort.wording import counted, form, named
from napari_globalxai.images.image_file import is_there
from napari_globalxai.storage import is_regular

_IMAGE_SUFFIXES = frozenset(
    (
        *(".bmp", ".dcm", ".dicom", ".gif", ".jp2", ".jpg", ".pgm", ".png", ".pnm", ".ppm"),
        *(".tif", ".webp"),
    )
)


def looks_like_image(name: str) -> bool:
    """Return whether a name is an image's by its extension, with or without a page: x.tif#2."""
    key = _key(re.sub(r"#\d+$", "", name.strip()), is_file=True)
    return os.path.splitext(key)[1] in _IMAGE_SUFFIXES  # noqa: PTH122


def find_files(
    source: Path, names: Sequence[str], root: Path, warnings: list[str]
) -> tuple[Path, ...]:
    r"""Return a path for each file entry: as written, or the only file that must be meant.

    Where there is no file as written, leading folders are left out, one after the other, and the
    case of names, .jpeg for .jpg, .tiff for .tif and a missing extension do not count. What fits
    more than one file, or a file that another entry has, stays as written.

    Parameters
    ----------
    source : pathlib.Path
        The table's file, for messages.
    names : sequence of str
        Entries, with ``/`` or ``\``; empty where there is none. A ``\`` may also belong to a name.
    root : pathlib.Path
        Folder that relative entries start from.
    warnings : list of str
        Gets a sentence on the files found otherwise than as written, and one on ambiguous ones.
    """
    slashed = [_with_slashes(name, root) for name in names]
    written = {name: _as_written(name, root) for name in slashed if name}
    # Text in place of Path objects: a big cohort has thousands of files.
    missing = [name for name, path in written.items() if not is_there(path)]
    search = _Search(root)
    fitting = {name: fits for name in missing if (fits := search.fits(name))}
    claims = Counter(path for fits in fitting.values() for path in fits)
    claims.update(path for name, path in written.items() if name not in fitting)
    found = {
        name: fits[0] for name, fits in fitting.items() if len(fits) == 1 and claims[fits[0]] == 1
    }
    if found:
        example, path = next(iter(found.items()))
        warnings.append(
            f"{source}: {counted(len(found), 'file')} "
            f"{form(len(found), 'does', 'do')} not lie where the table says but could be "
            "found with leading folders left out or names spelt otherwise (the first: "
            f"{example} is {path}); look whether that is right."
        )
    if ambiguous := [name for name in fitting if name not in found]:
        warnings.append(
            f"{source}: {counted(len(ambiguous), 'file')} "
            f"{form(len(ambiguous), 'does', 'do')} not lie where the table says, and it is "
            f"not clear which file is meant ({named(ambiguous)}); correct the table or "
            "--image-root."
        )
    paths = {**written, **found}
    return tuple(paths.get(name, root) for name in slashed)


def _with_slashes(name: str, root: Path) -> str:
    r"""Return an entry with ``/`` between folders: the ``\`` of Windows, unless a file has it."""
    if "\\" not in name or is_there(_as_written(name, root)):
        return name
    return name.replace("\\", "/")


def _as_written(name: str, root: Path) -> Path:
    """Return the path of an entry; an address only where the person gave that store.

    Who made the table could otherwise let us ask any store for anything.
    """
    if is_address(name):
        return place(name) if is_in_store_of(name, root) else root / name.replace("://", "/")
    return root / name


class _Search:
    """Looks for files by their names; lists a folder once, and only those on the way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[Path, dict[str, list[Path]]] = {}

    def fits(self, name: str) -> list[Path]:
        """Return the files that fit an entry with as few leading folders left out as can be."""
        parts = [part for part in PurePosixPath(name).parts if part != "/"]
        for start in range(len(parts)):
            if fits := self._below(self.root, parts[start:]):
                return fits
        return []

    def _below(self, folder: Path, parts: Sequence[str]) -> list[Path]:
        first, *rest = parts
        found = self._listing(folder).get(_key(first, is_file=not rest), [])
        if rest:
            return [path for each in found for path in self._below(each, rest)]
        return [path for path in found if is_regular(path)]

    def _listing(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._folders:
            listing: dict[str, list[Path]] = {}
            try:
                if is_remote(folder):
                    names = [each.name for each in folder.iterdir()]
                else:
                    names = os.listdir(folder)  # noqa: PTH208 - a tenth of iterdir's time
            except OSError:
                names = []
            for name in names:
                # As a folder, as a file, and as an image's name without its extension.
                stem, suffix = os.path.splitext(_key(name, is_file=True))  # noqa: PTH122
                keys = {_key(name), _key(name, is_file=True)}
                if suffix in _IMAGE_SUFFIXES:
                    keys.add(stem)
                for key in keys:
                    listing.setdefault(key, []).append(folder / name)
            self._folders[folder] = listing
        return self._folders[folder]


def _key(name: str, is_file: bool = False) -> str:
    """Return what is equal for spellings of one name; archives of macOS decompose accents."""
    key = unicodedata.normalize("NFC", name).casefold()
    if is_file:
        key = re.sub(r"\.jpeg$", ".jpg", re.sub(r"\.tiff$", ".tif", key))
    return key
