"""Read YAML and JSON that somebody else wrote: plain values, of a bounded size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

# Aliases make a kilobyte stand for billions of values; no card has as many as this.
_MOST_VALUES = 100_000
_DEEPEST = 100


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: the last would count, and the reader sees the first."""

    # Before keys are merged from elsewhere, where a second one is meant.
    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        _refuse_twins([key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        return node


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
        When it cannot be read, has a key twice, is nested too deeply, or stands for too many
        values.
    """
    try:
        if is_json:
            value = json.loads(content, object_pairs_hook=_without_twins)
        else:
            # Safe: it is the safe loader, which only refuses more.
            value = yaml.load(content.decode(), _Loader)
    except yaml.YAMLError as why:
        raise ValueError(" ".join(str(why).split())) from why
    except RecursionError as why:
        raise ValueError("it is nested too deeply") from why
    _count(value, 0, 0)
    return value


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_twins([key for key, _ in pairs])
    return dict(pairs)


def _refuse_twins(keys: Sequence[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"{key!r} stands twice in one place; leave one of them out")
        seen.add(key)


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
