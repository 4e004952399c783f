"""ONNX files that were made to do harm."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import stand_ins
from hostile.case import Case
from hostile.scripts import write_card

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    # What it would take of torchvision is not needed.
    with stand_ins.torchvision():
        import onnx2pytorch  # noqa: F401
except ImportError:
    onnx = None

FORMAT = "ONNX"


def graph(nodes: list, more: list = (), functions: list = (), domains: list = ()) -> object:
    """A network of the mean of each channel, plus what the nodes make as `y`."""
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["pooled"]), *nodes]
    nodes += [
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Add", ["flat", "y"], ["out"]),
    ]
    whole = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 16, 16])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 2])],
        list(more),
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(whole, opset_imports=imports, ir_version=8)


def written(make: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        model = make(folder)
        content = model if isinstance(model, bytes) else model.SerializeToString()
        (folder / "net.onnx").write_bytes(content)
        return write_card(folder, "net.onnx")

    return write


def constant(name: str, values: list, kind: type = np.int64) -> object:
    return numpy_helper.from_array(np.array(values, kind), name)


def filled(*sides: int) -> Callable:
    return written(
        lambda folder: graph(
            [
                helper.make_node("ConstantOfShape", ["s"], ["big"]),
                helper.make_node("ReduceSum", ["big"], ["y"], keepdims=0),
            ],
            [constant("s", sides)],
        )
    )


def grown(operator: str) -> Callable:
    return written(
        lambda folder: graph(
            [
                helper.make_node(operator, ["one", "s"], ["big"]),
                helper.make_node("ReduceSum", ["big"], ["y"], keepdims=0),
            ],
            [constant("one", [[1.0]], np.float32), constant("s", [1 << 20, 1 << 20])],
        )
    )


def outside(name: str) -> Callable:
    def make(folder: Path) -> object:
        place = name.replace("ROOT", str(folder.parent))
        (folder.parent / "secret").write_bytes(bytes(8))
        if name == "linked":
            (folder / "linked").symlink_to(folder.parent / "secret")
        kept = constant("y", [0.0, 0.0], np.float32)
        kept.ClearField("raw_data")
        kept.data_location = TensorProto.EXTERNAL
        for key, value in (("location", place), ("offset", "0"), ("length", "8")):
            entry = kept.external_data.add()
            entry.key, entry.value = key, value
        return graph([], [kept])

    return written(make)


def pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "linked-pipe")
    return outside("linked-pipe")(folder)


def looped() -> object:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Add", ["v", "v"], ["w"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [2]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [2]),
        ],
    )
    return graph(
        [helper.make_node("Loop", ["m", "c", "z"], ["y"], body=body)],
        [
            constant("m", 1 << 62), constant("c", True, np.bool_),
            constant("z", [0.0, 0.0], np.float32),
        ],
    )  # fmt: skip


def foreign() -> object:
    nodes = [helper.make_node("System", ["pooled"], ["y"], domain="com.example")]
    return graph(nodes, domains=["com.example"])


def zero() -> object:
    return constant("y", [0.0, 0.0], np.float32)


CASES = [
    Case(FORMAT, tries, make, says)
    for tries, make, says in (
        ("fills 2²⁰ × 2²⁰ numbers", filled(1 << 20, 1 << 20), "makes a tensor of"),
        ("fills 16 GiB", filled(1 << 16, 1 << 16), "makes a tensor of"),
        ("fills 2⁶² numbers", filled(1 << 31, 1 << 31), "makes a tensor of"),
        ("expands one number to 2⁴⁰ and adds them", grown("Expand"), "makes a tensor of"),
        ("repeats one number 2⁴⁰ times", grown("Tile"), "wants more memory than"),
        (
            "keeps weights above its folder",
            outside("../secret"),
            "outside its folder",
        ),
        ("keeps weights at a root", outside("ROOT/secret"), "outside its folder"),
        ("keeps weights behind a link", outside("linked"), "outside its folder"),
        ("keeps weights in a pipe", pipe, "is a pipe"),
        ("keeps weights that are not there", outside("nowhere"), "net.onnx"),
        ("has a loop without an end", written(lambda folder: looped()), "has a loop"),
        (
            "uses operators of somebody else",
            written(lambda folder: foreign()),
            "of the domain 'com.example'",
        ),
        ("is a text", written(lambda folder: b"a network"), "cannot be read as ONNX"),
        (
            "is cut in the middle",
            written(lambda folder: graph([], [zero()]).SerializeToString()[:150]),
            "cannot be read as ONNX",
        ),
    )
]
