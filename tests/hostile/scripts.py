"""TorchScript that tries to do more than compute."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from hostile.case import Case, add_zeros, sprung
from torch import Tensor, nn

FORMAT = "TorchScript"
HEAD = "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
PLAIN = "    return torch.mean(x, [2, 3])\n"


def write_card(folder: Path, weights: str, **more: object) -> list[str]:
    """Write a card of two channels and labels beside weights; return what looks at the model."""
    card = {
        "weights": weights,
        "labels": ["a", "b"],
        "input": {"channels": 2, "height": 16, "width": 16, "mean": 0.5, "std": 0.5},
        **more,
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return ["layers", "--model", str(folder / "model.yaml")]


class Plain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean([2, 3])


def save(module: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), str(path))


def source(code: str, *, first: str = "") -> Callable[[Path], list[str]]:
    """A network whose code, as the file holds it, was written by hand; PATH stands for the trap."""

    def make(folder: Path) -> list[str]:
        save(Plain(), folder / "plain.pt")
        text = f"{first}{HEAD}{code}".replace("PATH", str(sprung(folder)))
        with (
            zipfile.ZipFile(folder / "plain.pt") as whole,
            zipfile.ZipFile(folder / "net.pt", "w") as changed,
        ):
            for entry in whole.infolist():
                content = whole.read(entry)
                if entry.filename.endswith("scripts.py"):
                    qualified = text.replace("class Net(", "class Plain(")
                    content = qualified.replace("__torch__.Net", "__torch__.hostile.scripts.Plain")
                    content = content.replace(
                        "__torch__.helper", "__torch__.hostile.scripts.helper"
                    )
                    content = content.encode()
                if not entry.filename.endswith(".debug_pkl"):
                    changed.writestr(entry.filename, content)
        return write_card(folder, "net.pt")

    return make


def forward(*lines: str, first: str = "", more: str = "") -> Callable[[Path], list[str]]:
    body = "".join(f"    {line}\n" for line in lines)
    code = f"  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n{body}{PLAIN}{more}"
    return source(code, first=first)


METHOD = "  def other(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n"
FILE = '    t = torch.from_file("PATH", True, 10)\n'
USED = "x = torch.add(x, torch.sum(t))"
SETSTATE = (
    "  def __getstate__(self: __torch__.Net) -> Dict[str, Optional[bool]]:\n"
    '    return {"training": self.training}\n'
    "  def __setstate__(self: __torch__.Net,\n    state: Dict[str, Optional[bool]]) -> NoneType:\n"
    '    _0 = ops.aten.save(1, "PATH")\n    self.training = True\n    return None\n'
)
FUNCTION = (
    'def helper(x: Tensor) -> Tensor:\n  t = torch.from_file("PATH", True, 10)\n'
    "  return torch.add(x, torch.sum(t))\n"
)


def swollen(folder: Path) -> list[str]:
    save(Plain(), folder / "net.pt")
    add_zeros(folder / "net.pt", "net/data/9")
    return write_card(folder, "net.pt")


def cut(folder: Path) -> list[str]:
    save(Plain(), folder / "whole.pt")
    content = (folder / "whole.pt").read_bytes()
    (folder / "net.pt").write_bytes(content[: len(content) // 2])
    return write_card(folder, "net.pt")


REFUSED = "more than compute; it can run code"
CASES = [
    Case(FORMAT, tries, make, says)
    for tries, make, says in (
        (
            "writes a file through torch.from_file in forward",
            forward('t = torch.from_file("PATH", True, 10)', USED),
            f"uses from_file, which does {REFUSED}",
        ),
        (
            "writes a file through torch.save in forward",
            forward('_0 = torch.save(x, "PATH")'),
            f"uses save, which does {REFUSED}",
        ),
        ("the same in a method that nobody calls", forward(more=METHOD + FILE + PLAIN), REFUSED),
        (
            "the same behind a condition",
            forward("if torch.gt(torch.size(x, 0), 100000):", '  _0 = torch.save(x, "PATH")'),
            REFUSED,
        ),
        ("the same in a function", forward("x = __torch__.helper(x)", first=FUNCTION), REFUSED),
        ("the same while the file is read", forward(more=SETSTATE), "__getstate__"),
        (
            "reaches the operator by getattr",
            forward('t = getattr(torch, "from_file")("PATH", True, 10)', USED),
            "from_file",
        ),
        (
            "the same with a name in pieces",
            forward('t = getattr(torch, "from" "_file")("PATH", True, 10)', USED),
            "from_file",
        ),
        (
            "the same with letters by number",
            forward('t = getattr(torch, "from\\137file")("PATH", True, 10)', USED),
            "from_file",
        ),
        (
            "calls the operator by another name",
            forward("f = torch.from_file", 't = f("PATH", True, 10)', USED),
            "from_file",
        ),
        (
            "writes the name with a comment inside",
            forward("t = torch. \\", '   from_file("PATH", True, 10)', USED),
            "from_file",
        ),
        (
            "calls it as a method of a text",
            forward('t = ("PATH").from_file(True, 10)'),
            "from_file",
        ),
        (
            "calls another machine",
            forward('_0 = ops.prim.rpc_async("w", "f", (x,), {})'),
            "rpc_async",
        ),
        ("uses operators of another library", forward("_0 = ops.c10d.send(x)"), "c10d::send"),
        (
            "makes an object of a class of C++",
            forward("_0 = __torch__.torch.classes.quantized.LinearPackedParamsBase()"),
            "torch.classes",
        ),
        ("prints to the terminal", forward("_0 = print(x)"), "prim::Print"),
        ("turns gradients off", forward("_0 = torch.set_grad_enabled(False)"), "set_grad_enabled"),
        ("sets the seed of everybody", forward("_0 = torch.manual_seed(1)"), "manual_seed"),
        (
            "has a loop without an end",
            forward("while True:", "  x = torch.add(x, 1)"),
            "a loop without an end",
        ),
        (
            "counts to ten to the twelfth",
            forward("for i in range(1000000000000):", "  x = torch.add(x, 1)"),
            "a loop without an end",
        ),
        (
            "counts to a million a million times",
            forward(
                "k = 0",
                "for i in range(1000000):",
                "  for j in range(1000000):",
                "    k = torch.add(k, j)",
                "x = torch.add(x, k)",
            ),
            "a loop without an end",
        ),
        (
            "counts further than it says beforehand",
            forward(
                "n = torch.mul(torch.size(x, 2), 1000000000)",
                "for i in range(n):",
                "  x = torch.add(x, 1)",
            ),
            "calls more than 65536 operators",
        ),
        (
            "adds up four terabytes that are one number",
            forward(
                "y = torch.expand(torch.ones([1]), [1048576, 1048576])",
                "x = torch.add(x, torch.sum(y))",
            ),
            "makes a tensor of 1099511627776 numbers",
        ),
        (
            "pads a text to a terabyte while it is compiled",
            forward('s = ("a").ljust(1099511627776, "b")'),
            "ljust",
        ),
        (
            "wants four terabytes",
            forward("y = torch.ones([1048576, 1048576])"),
            "",
        ),
        (
            "wants sixteen gibibytes",
            forward("y = torch.ones([65536, 65536])", "x = torch.add(x, torch.sum(y))"),
            "",
        ),
        ("raises an error", forward('ops.prim.RaiseException("no")'), ""),
        ("swells from a megabyte to 288 MiB", swollen, "would swell from"),
        ("is cut in the middle", cut, "net.pt: is not TorchScript"),
    )
]

ARMED = [
    case
    for case in CASES
    if case.tries.startswith(("writes", "reaches", "the same", "calls the"))
    and "condition" not in case.tries
    and "nobody" not in case.tries
]
