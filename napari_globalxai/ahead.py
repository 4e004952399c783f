"""Work that is done in a thread of its own while its last result is in use."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def made_ahead(items: Iterator[_Item]) -> Generator[_Item, None, None]:
    """Give items in turn, each made while the one before it is in use.

    One more than is asked for is made. What making an item raises is raised where it is asked for.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
