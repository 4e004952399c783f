"""Read YAML and JSON that somebody else wrote: plain values, of a bounded size."""

from __future__ import annotations

import json
from typing import Any

import yaml

# Aliases make a kilobyte stand for billions of values; no card has as many as this.
_MOST_VALUES = 100_000
_DEEPEST = 100


def parse_text(content: bytes, *, is_json: bool = False) -> Any:
    """Return what a text holds.

    Parameters
    ----------
    content : bytes
        YAML, UTF-8, or JSON.
    is_json : bool, optional
        Whether it is JSON.

    Raises
    ------
    ValueError
        When it cannot be read, is nested too deeply, or stands for too many values.
    """
    try:
        value = json.loads(content) if is_json else yaml.safe_load(content.decode())
    except yaml.YAMLError as why:
        raise ValueError(" ".join(str(why).split())) from why
    except RecursionError as why:
        raise ValueError("it is nested too deeply") from why
    _count(value, 0, 0)
    return value


def _count(value: Any, count: int, depth: int) -> int:
    """Count values, each as often as it is referred to."""
    count += 1
    if count > _MOST_VALUES:
        raise ValueError(f"it stands for more than {_MOST_VALUES} values")
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inside:
        count = _count(each, count, depth + 1)
    return count
