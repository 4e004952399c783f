"""Keep what a stranger's file makes of memory within a bound, while it is read and tried."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

_STATUS = Path("/proc/self/status")
_lock = Lock()
_limits: list[int] = []
_before: tuple[int, int] | None = None


@contextmanager
def limited_memory(more: int) -> Iterator[None]:
    """Let this process take at most some more memory in the block; what asks for more fails there.

    Linux can do so; elsewhere nothing is limited. Of blocks inside each other, or of several
    threads, the least holds.

    Parameters
    ----------
    more : int
        Bytes beyond what is used already.
    """
    used = _used()
    limit = sys.maxsize if used is None else used + more
    _change(_limits.append, limit)
    try:
        yield
    finally:
        _change(_limits.remove, limit)


def _change(how: Callable[[int], None], limit: int) -> None:
    """Add or remove a limit, and let the least of all hold."""
    global _before
    with _lock:
        if limit == sys.maxsize:
            return
        import resource

        if not _limits:
            _before = resource.getrlimit(resource.RLIMIT_DATA)
        how(limit)
        assert _before is not None
        soft, hard = _before
        known = [each for each in (soft, hard, *_limits) if each != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min(known) if _limits else soft, hard))


def _used() -> int | None:
    """Return the bytes of this process that count, or None where that is not known."""
    if sys.platform != "linux" or not _STATUS.is_file():
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    return None
