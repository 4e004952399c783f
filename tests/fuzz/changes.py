"""Files that are changed at random, from whole ones on."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import strategies as st

EDGES = (
    b"",
    b"\0",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\0\0\0\x80",
    b"-1",
    b"1e999",
    b"NaN",
    b"{}",
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(), st.text(max_size=8),
    st.sampled_from(["../../x", "/dev/zero", "http://127.0.0.1:1/x", "$x", "@x", "%x", "\0", "=1"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip


@st.composite
def changed_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw a file of which a few places were overwritten, taken out, put in or cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        new = draw(st.sampled_from(EDGES) | st.binary(max_size=8))
        match draw(st.sampled_from(("overwrite", "insert", "remove", "cut", "repeat"))):
            case "overwrite":
                content[at : at + len(new)] = new
            case "insert":
                content[at:at] = new
            case "remove":
                del content[at : at + draw(st.integers(1, 64))]
            case "cut":
                del content[at:]
            case "repeat":
                content[at:at] = content[max(0, at - draw(st.integers(1, 64))) : at]
    return bytes(content)


@st.composite
def changed_values(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw a YAML or JSON file of which a few values are others, or gone, or have other names."""
    is_json = whole.lstrip()[:1] in b"{["
    content = json.loads(whole) if is_json else yaml.safe_load(whole)
    for _ in range(draw(st.integers(1, 2))):
        content = _changed(draw, content)
    return (json.dumps(content) if is_json else yaml.safe_dump(content)).encode(errors="replace")


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 5)) == 0:
        return draw(VALUES)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    match draw(st.sampled_from(("change", "change", "change", "remove", "add"))):
        case "remove":
            del value[key]
        case "add" if isinstance(value, dict):
            value[draw(st.text(max_size=6))] = draw(VALUES)
        case _:
            value[key] = _changed(draw, value[key])
    return value


def changed(whole: bytes, is_text: bool) -> st.SearchStrategy[bytes]:
    """Return files near a whole one."""
    return changed_bytes(whole) | changed_values(whole) if is_text else changed_bytes(whole)
