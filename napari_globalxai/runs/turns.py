"""Commands that write into one folder, or read it, take turns: no result is a mixture of two.

Whoever writes makes all files aside, and moves them in while nobody else writes or reads there; a
reader therefore sees all files of one command, and the last to write wins. The system gives up the
lock of a process that ends, however it ends, and no file is left of it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_globalxai.addresses import is_remote, remove_tree, upload
from napari_globalxai.errors import InputError
from napari_globalxai.runs.lock import only_writer
from napari_globalxai.storage import ASIDE

if sys.platform != "win32":
    import fcntl

_WORD_AFTER, _PAUSE = 1.0, 0.02
# Of a result, what tells what its other files are: goes first, and comes last.
_RECORDS = ".json"
_OURS = (".csv", ".json", ".tif")
# By thread: the folders that it holds, and whether alone.
_held = threading.local()
Release = Callable[[], None]


@contextmanager
def reading(home: Path) -> Iterator[None]:
    """Read files of a folder that belong together, while nobody writes there.

    Parameters
    ----------
    home : pathlib.Path
        The run folder, or another that a command writes to; at an address, nothing is awaited.
    """
    if is_remote(home):
        yield
        return
    with _turn(home, alone=False):
        yield


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Write into a folder while nobody else writes or reads there; wait for it if need be.

    Parameters
    ----------
    home : pathlib.Path
        The run folder, or another that is there.

    Raises
    ------
    InputError
        When the folder is at an address, and another process is writing there.
    """
    with _turn(home, alone=True):
        yield


@contextmanager
def writing_throughout(home: Path) -> Iterator[None]:
    """Do a long job alone that writes all the while into a folder at an address.

    Elsewhere nothing is held: such jobs may meet in a folder until they write their results.
    """
    if not is_remote(home):
        yield
        return
    with writing(home):
        yield


@contextmanager
def made_aside(home: Path, part: str = "", *, whole: bool = True) -> Iterator[Path]:
    """Give an empty folder; what the block writes there becomes a part of a folder at its end.

    Parameters
    ----------
    home : pathlib.Path
        The run folder, or another, which need not exist.
    part : str
        Where the files belong within it.
    whole : bool
        Whether they are all that a command keeps there; else files of other names stay.

    Raises
    ------
    InputError
        When a link leads out of the folder.
    """
    check_within(home, part)
    if is_remote(home):
        with tempfile.TemporaryDirectory() as made:
            yield Path(made)
            with writing(home):
                _put(Path(made), home / part, whole)
        return
    was_there = home.exists()
    home.mkdir(parents=True, exist_ok=True)
    with writing(home):
        _sweep(home)
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=home))
        release = _try_lock(aside, alone=True)
    try:
        yield aside
        with writing(home):
            _put(aside, home / part, whole)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if release is not None:
            release()
        if not was_there:
            with suppress(OSError):
                home.rmdir()


def check_within(home: Path, part: str) -> None:
    """Refuse to clear and write where a link in a folder of somebody else's leads.

    Parameters
    ----------
    home : pathlib.Path
        The folder, which may be a link itself: the user named it.
    part : str
        What lies in it.

    Raises
    ------
    InputError
        When a part of the way is a link.
    """
    place = home
    for name in Path(part).parts:
        place = place / name
        if not is_remote(place) and place.is_symlink():
            raise InputError(
                f"{place}: is a link to another place, where nothing is overwritten; put a folder "
                "there, or delete the link."
            )


def _put(made: Path, target: Path, whole: bool) -> None:
    """Move files to where they belong, those that tell of the others last."""
    files = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    records = [file for file in files if file.suffix == _RECORDS]
    for part in {file.parent.as_posix() for file in files}:
        check_within(target, part)
    for file in records:
        (target / file).unlink(missing_ok=True)
    if whole:
        _forget(target)
    for file in [*(each for each in files if each.suffix != _RECORDS), *records]:
        place = target / file
        if is_remote(place):
            upload(made / file, place)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            (made / file).replace(place)


def _forget(target: Path) -> None:
    """Take away what an earlier command left, but not what a person put beside it."""
    if is_remote(target):
        remove_tree(target)
        return
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                path.rmdir()
        elif path.suffix in _OURS:
            path.unlink()


def _sweep(home: Path) -> None:
    """Take away what commands left that were killed while they wrote."""
    for path in home.glob(f"{ASIDE}*"):
        if (release := _try_lock(path, alone=True)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            release()


@contextmanager
def _turn(home: Path, *, alone: bool) -> Iterator[None]:
    """Hold a folder; whoever holds it in this thread need not wait for it again."""
    held: dict[str, bool] = _held.__dict__.setdefault("folders", {})
    key = str(home) if is_remote(home) else os.path.realpath(home)
    if key in held:
        if alone and not held[key]:
            raise RuntimeError(f"{home}: is being read by who wants to write there")
        yield
        return
    with only_writer(home) if is_remote(home) else _held_by_us(home, alone=alone):
        held[key] = alone
        try:
            yield
        finally:
            del held[key]


@contextmanager
def _held_by_us(home: Path, *, alone: bool) -> Iterator[None]:
    release = _wait_for(home, alone=alone)
    try:
        yield
    finally:
        release()


def _wait_for(home: Path, *, alone: bool) -> Release:
    began, told = time.monotonic(), False
    while (release := _try_lock(home, alone=alone)) is None:
        if not told and time.monotonic() - began > _WORD_AFTER:
            told = True
            logging.getLogger(__name__).warning(
                "%s: another command is at work there; waiting for it.", home
            )
        time.sleep(_PAUSE)
    return release


def _try_lock(folder: Path, *, alone: bool) -> Release | None:
    """Lock a folder, for this process alone or for all that read; return None if it is taken."""
    if sys.platform == "win32":
        return _try_file_lock(folder, alone=alone)
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        # What is not there, or may not be looked at, is nobody's turn.
        return _nothing
    try:
        fcntl.flock(handle, fcntl.LOCK_NB | (fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        # Some disks of the net lock no folders.
        os.close(handle)
        return _try_file_lock(folder, alone=alone)
    return lambda: os.close(handle)


def _try_file_lock(folder: Path, *, alone: bool) -> Release | None:
    """Lock a file of this machine that stands for a folder, which keeps out who would write.

    There is no such lock for all that read; they wait for whoever is writing when they begin.
    """
    from filelock import FileLock, Timeout

    name = hashlib.sha256(os.path.realpath(folder).encode(errors="replace")).hexdigest()[:24]
    lock = FileLock(Path(tempfile.gettempdir(), f"napari-globalxai-{name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    if not alone:
        lock.release()
        return _nothing
    return lock.release


def _nothing() -> None:
    pass
