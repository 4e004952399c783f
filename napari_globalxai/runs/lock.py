"""One run at a time writes into a run folder at an address, which several machines may see."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_globalxai.addresses import is_remote, write_new
from napari_globalxai.errors import InputError
from napari_globalxai.runs.clock import now
from napari_globalxai.runs.folder import LOCK_FILE


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Write into a folder alone, where it is at an address; see that nobody else does.

    The lock is written on condition that there is none. What a process of this machine left behind
    that is gone by now is taken over; what another machine left is for a person to judge.

    Raises
    ------
    InputError
        When another run is writing there.
    """
    if not is_remote(folder):
        yield
        return
    lock = folder / LOCK_FILE
    own = {"host": platform.node(), "process": os.getpid(), "since": now()}
    content = json.dumps(own).encode()
    try:
        _write(lock, content)
    except FileExistsError:
        owner = _owner(lock)
        if not _is_gone(owner):
            raise InputError(
                f"{lock}: process {owner.get('process')} on {owner.get('host')} has been writing "
                f"here since {owner.get('since')}; wait for it, or, if it has ended, delete the "
                "lock and give the command again, explain's with --resume."
            ) from None
        lock.unlink(missing_ok=True)
        _write(lock, content)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _write(lock: Path, content: bytes) -> None:
    try:
        write_new(lock, content)
    except FileExistsError:
        raise
    # Each kind of store has errors of its own, and a library's beneath them.
    except Exception as why:
        reason = " ".join(str(why).split()).rstrip(".") or type(why).__name__
        raise InputError(
            f"{lock.parent}: cannot be written to ({reason}); look at the address and at who may "
            "write there."
        ) from why


def _owner(lock: Path) -> dict[str, Any]:
    try:
        found = json.loads(lock.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_gone(owner: dict[str, Any]) -> bool:
    """Return whether a process of this machine has a lock, and is no more."""
    import psutil

    process = owner.get("process")
    return (
        owner.get("host") == platform.node()
        and isinstance(process, int)
        and not psutil.pid_exists(process)
    )
