"""TorchScript is code: look at what it would do before any of it runs.

Reading such a file compiles its code, and runs what the file's classes want to be run when they are
read. So the code is held against the operators that compute as text, before PyTorch sees it, and as
graphs, before the network is used: what passes can give wrong numbers, but can reach nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.files.networks import TRUST
from napari_globalxai.models.files.script_operators import COMPUTING
from napari_globalxai.models.files.weights_file import WeightsFile

_LISTED = 3
# The importer looks names of files up whatever their case.
_CODE = "code/"
_DEBUG = ".debug_pkl"
# Run while a file is read, or written again.
_ON_READING = re.compile(rb"\b(__setstate__|__getstate__)\b")
_SPACE = rb"(?:\s|\\\n|#[^\n]*\n)*"
_AFTER_A_DOT = re.compile(rb"\." + _SPACE + rb"([A-Za-z_]\w*)")
_OF_A_NAMESPACE = re.compile(
    rb"\bops" + _SPACE + rb"\." + _SPACE + rb"(\w+)" + _SPACE + rb"\." + _SPACE + rb"(\w+)"
)
_TEXT = re.compile(rb"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'", re.DOTALL)
_GLUED = re.compile(rb"([\"'])" + _SPACE + rb"[\"']")
_SPECIAL_CLASS = re.compile(rb"torch[.\s]+classes[.\s]")
# Loops that turn more often do not end in useful time.
_MOST_TURNS = 1 << 20


def check_source(file: WeightsFile) -> None:
    """Refuse TorchScript whose text names operators that do more than compute, or more.

    Parameters
    ----------
    file : WeightsFile
        An archive of TorchScript.

    Raises
    ------
    InputError
        When it must be trusted.
    """
    # PyTorch's own reader: another could see other entries than what will be run.
    reader = torch._C.PyTorchFileReader(file.source())
    found: list[str] = []
    for name in reader.get_all_records():
        place = name.casefold()
        is_code = place.startswith(_CODE)
        if place.endswith(_DEBUG) or not (is_code or place.endswith(".pkl")):
            continue
        content = bytes(reader.get_record(name))
        if is_code:
            found += _in_text(content)
        if _SPECIAL_CLASS.search(content):
            found.append("torch.classes")
    _refuse(file.path, found)


def check_graphs(module: nn.Module, path: Path) -> None:
    """Refuse a TorchScript network with operators that do more than compute in any method.

    Parameters
    ----------
    module : torch.jit.ScriptModule
        The network.
    path : pathlib.Path
        Its file, for messages.

    Raises
    ------
    InputError
        When it must be trusted.
    """
    found: list[str] = []
    for part in module.modules():
        compiled: Any = getattr(part, "_c", None)
        if compiled is None:
            continue
        for name in compiled._method_names():
            graph = compiled._get_method(name).graph.copy()
            torch._C._jit_pass_inline(graph)
            for node in nodes_of(graph):
                kind = node.kind()
                if kind not in COMPUTING:
                    found.append(kind.removeprefix("aten::"))
            if _turns(graph) > _MOST_TURNS:
                found.append("a loop without an end")
    _refuse(path, found)


def nodes_of(block: Any) -> Iterator[Any]:
    """Give all nodes of a graph or block, with those of blocks and graphs inside them."""
    for node in block.nodes():
        yield node
        for inner in (*node.blocks(), *_graphs_in(node)):
            yield from nodes_of(inner)


def _graphs_in(node: Any) -> Iterator[Any]:
    for name in node.attributeNames():
        kind = node.kindOf(name)
        if kind == "g":
            yield node.g(name)
        elif kind == "gs":
            yield from node.gs(name)


def _turns(block: Any) -> int:
    """Return how often the innermost loop of a block turns at most, as far as that is written."""
    most = 1
    for node in block.nodes():
        inside = max((_turns(inner) for inner in node.blocks()), default=1)
        if node.kind() == "prim::Loop":
            turns = next(iter(node.inputs())).node()
            if turns.kind() == "prim::Constant" and turns.kindOf("value") == "i":
                inside *= max(1, int(turns.i("value")))
        most = max(most, inside)
    return most


def _in_text(text: bytes) -> Iterator[str]:
    """Give the names in a text of code that are operators which do more than compute."""
    other = _other_operators()
    for word in _AFTER_A_DOT.findall(text):
        if word in other:
            yield word.decode()
    for space, word in _OF_A_NAMESPACE.findall(text):
        kind = b"::".join((space, word)).decode(errors="replace")
        # The language's own are seen in the graphs.
        if space not in (b"prim", b"aten") and kind not in COMPUTING:
            yield kind
    yield from (name.decode() for name in _ON_READING.findall(text))
    if re.search(rb"\bgetattr\b", text):
        # By which a name can be given as a text, with letters by their numbers, and in pieces.
        for groups in _TEXT.findall(_GLUED.sub(b"", text)):
            plain = _unescaped(groups[0] or groups[1])
            if plain in other:
                yield plain.decode()


def _unescaped(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    try:
        return text.decode("unicode_escape").encode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        return text


@cache
def _other_operators() -> frozenset[bytes]:
    """Names of PyTorch's own operators that are not among those that compute.

    Those of other namespaces, of which any package may have made some, are not called by their name
    alone; a class may have one of them, such as ``Attention``.
    """
    computing = {kind.partition("::")[2] for kind in COMPUTING}
    kinds = [schema.name.partition("::") for schema in torch._C._jit_get_all_schemas()]
    names = {name for space, _, name in kinds if space in ("aten", "prim")}
    return frozenset(name.encode() for name in names - computing)


def _refuse(path: Path, found: Iterable[str]) -> None:
    names = list(dict.fromkeys(found))
    if names:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        raise InputError(
            f"{path}: its TorchScript uses {', '.join(names[:_LISTED])}{more}, "
            f"{'which does' if len(names) == 1 else 'which do'} more than compute; {TRUST}."
        )
