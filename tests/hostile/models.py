"""Weights, cards and bundles that were made to do harm."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import saved
import tiny
import torch
from hostile.case import Case, add_zeros, sprung
from hostile.scripts import write_card

NETWORK = {"name": "ResNet", "arguments": tiny.RESNET}
NO_PICKLE = "is not TorchScript, safetensors or a plain state dict; if it is a pickled module"


def weights(name: str, write: Callable[[Path], object], **card: object) -> Callable:
    def make(folder: Path) -> list[str]:
        write(folder / name)
        return write_card(folder, name, **{"network": NETWORK, **card})

    return make


def trap(path: Path) -> saved.Trap:
    return saved.Trap(sprung(path.parent))


def many_mappings(path: Path) -> None:
    """A thousand ways to each of a thousand mappings, four deep."""
    inner: dict = {"weight": torch.zeros(1)}
    for _ in range(4):
        inner = {str(number): inner for number in range(1000)}
    torch.save(inner, path)


def changed(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    """The weights of a network, one of which is changed."""

    def write(path: Path) -> None:
        state = dict(tiny.resnet().state_dict())
        torch.save({**state, "fc.weight": change(state["fc.weight"])}, path)

    return write


class Reaching:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.called = function, arguments

    def __reduce__(self) -> tuple:
        return self.called


def deep_pickle(path: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")


def safetensors(header: bytes, length: int | None = None, data: bytes = b"") -> Callable:
    def write(path: Path) -> None:
        size = len(header) if length is None else length
        path.write_bytes(struct.pack("<Q", size) + header + data)

    return weights("net.safetensors", write)


def claimed(shape: list[int], offsets: list[int]) -> bytes:
    return json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()


WEIGHTS = [
    Case("Pickle", tries, make, says)
    for tries, make, says in (
        (
            "writes a file when it is unpickled",
            weights("net.pt", lambda path: torch.save(trap(path), path)),
            NO_PICKLE,
        ),
        (
            "the same in a plain pickle",
            weights("net.pkl", lambda path: path.write_bytes(pickle.dumps(trap(path)))),
            NO_PICKLE,
        ),
        (
            "the same called safetensors",
            weights("a.safetensors", lambda path: path.write_bytes(pickle.dumps(trap(path)))),
            "is not a safetensors file",
        ),
        (
            "the same called a program of torch.export",
            weights("net.pt2", lambda path: path.write_bytes(pickle.dumps(trap(path)))),
            "is a program of torch.export",
        ),
        (
            "the same called ONNX",
            weights("net.onnx", lambda path: path.write_bytes(pickle.dumps(trap(path)))),
            "ONNX",
        ),
        (
            "the same beside good weights",
            weights(
                "net.ckpt",
                lambda path: torch.save(
                    {"state_dict": tiny.resnet().state_dict(), "hyper_parameters": trap(path)}, path
                ),
            ),
            NO_PICKLE,
        ),
        (
            "runs a command of the shell",
            weights(
                "net.pt",
                lambda path: torch.save(
                    Reaching(os.system, f"touch '{sprung(path.parent)}'"), path
                ),
            ),
            NO_PICKLE,
        ),
        (
            "loads another file by torch.load",
            weights("net.pt", lambda path: torch.save(Reaching(torch.load, "x.pt"), path)),
            NO_PICKLE,
        ),
        (
            "removes a folder",
            weights(
                "net.pt", lambda path: torch.save(Reaching(shutil.rmtree, str(path.parent)), path)
            ),
            NO_PICKLE,
        ),
        ("lists in lists, 100 000 deep", weights("net.pt", deep_pickle), "net.pt"),
        (
            "mappings that share mappings, 10¹² ways through them",
            weights("net.pt", many_mappings),
            "does not fit",
        ),
        (
            "whole numbers for weights",
            weights("net.pt", changed(lambda one: one.to(torch.int8))),
            "is no dense tensor",
        ),
        ("a sparse tensor", weights("net.pt", changed(torch.Tensor.to_sparse)), "(torch.sparse"),
        (
            "a tensor without numbers",
            weights("net.pt", changed(lambda one: one.to("meta"))),
            "meta",
        ),
        (
            "one number that claims to be four terabytes",
            weights(
                "net.pt",
                lambda path: torch.save(
                    {"fc.weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, path
                ),
            ),
            "does not fit",
        ),
        (
            "nothing but zeros",
            weights("net.pt", lambda path: path.write_bytes(bytes(1 << 20))),
            "net.pt",
        ),
        ("an empty file", weights("net.pt", lambda path: path.write_bytes(b"")), "net.pt"),
        (
            "a text",
            weights("net.pt", lambda path: path.write_text("weights, really")),
            "net.pt",
        ),
    )
] + [
    Case("Safetensors", tries, make, says)
    for tries, make, says in (
        ("a header of 16 exbibytes", safetensors(b"{}", 2**64 - 1), "is not a safetensors file"),
        ("a header of 2 GiB", safetensors(b"{}", 1 << 31), "is not a safetensors file"),
        (
            "a tensor larger than the file",
            safetensors(claimed([1 << 20, 1 << 20], [0, 1 << 42])),
            "is not a safetensors file",
        ),
        (
            "offsets before the beginning",
            safetensors(claimed([1], [-4, 0])),
            "is not a safetensors file",
        ),
        (
            "a shape whose size overflows",
            safetensors(claimed([2**63, 4], [0, 0])),
            "is not a safetensors file",
        ),
        ("JSON 100 000 deep", safetensors(b"[" * 100_000), "is not a safetensors file"),
    )
]


# ---------------------------------------------------------------- cards


def card(text: str) -> Callable:
    def make(folder: Path) -> list[str]:
        (folder / "model.yaml").write_text(text.replace("PATH", str(sprung(folder))))
        return ["layers", "--model", str(folder / "model.yaml")]

    return make


def network(**network: object) -> Callable:
    return weights(
        "net.pt", lambda path: torch.save(tiny.resnet().state_dict(), path), network=network
    )


def asked(value: object) -> Callable:
    """A card with other weights, which are there."""

    def make(folder: Path) -> list[str]:
        return write_card(folder, value, network=NETWORK)  # type: ignore[arg-type]

    return make


def pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "net.pt")
    return write_card(folder, "net.pt", network=NETWORK)


def own_file(folder: Path) -> list[str]:
    (folder / "own.py").write_text(f"open({str(sprung(folder))!r}, 'w')\n")
    make = network(factory="own.py:make")
    return make(folder)


def laughs() -> str:
    names = "abcdefghijklmnop"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, after in itertools.pairwise(names):
        lines.append(f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]")
    return "\n".join(lines) + "\n"


def size(height: int, **more: object) -> Callable:
    content = {"channels": 2, "height": height, "width": height, "mean": 0.5, "std": 0.5, **more}
    return weights(
        "net.pt", lambda path: torch.save(tiny.resnet().state_dict(), path), input=content
    )


def twice(line: str) -> Callable:
    """A card with a line more."""

    def make(folder: Path) -> list[str]:
        command = size(16)(folder)
        with (folder / "model.yaml").open("a") as stream:
            stream.write(line)
        return command

    return make


def labelled(label: str) -> Callable:
    """A card whose first label is such a one, and the other's twin is missing."""
    return weights(
        "net.pt", lambda path: torch.save(tiny.resnet().state_dict(), path),
        labels=[label, f"{label} "],
    )  # fmt: skip


CARDS = [
    Case("Card", tries, make, says)
    for tries, make, says in (
        (
            "an object of Python",
            card("!!python/object/apply:os.system ['touch PATH']\n"),
            "is not a YAML file",
        ),
        (
            "the same inside",
            card("labels: !!python/object/new:open ['PATH', 'w']\n"),
            "is not a YAML file",
        ),
        ("aliases that stand for 10¹⁶ values", card(laughs()), "stands for more than"),
        ("lists 5000 deep", card("labels: " + "[" * 5000), "is not a YAML file"),
        ("an alias of itself", card("a: &a [*a]\n"), "is not a YAML file"),
        ("a number of a million digits", card("mean: " + "9" * 1_000_000), "model.yaml"),
        ("a text of 5 MB", card("labels: [" + "a" * 5_000_000 + "]\n"), "model.yaml"),
        ("a key that is a list", card("? [a, b]\n: 1\n"), "model.yaml"),
        ("control characters", card("\x00\x01\x02"), "model.yaml"),
        ("a date for weights", asked("2020-01-01"), "model.yaml"),
        ("weights that are a device", asked("/dev/zero"), "is a device"),
        ("weights of the kernel", asked("/proc/kmsg"), "belongs to the system"),
        ("weights that are a pipe", pipe, "is a pipe"),
        ("weights that are a folder", asked(".."), "is a folder"),
        (
            "a network that downloads",
            network(name="HoVerNet", arguments={"pretrained_url": "http://127.0.0.1/x"}),
            "could load a file or something from the internet",
        ),
        (
            "a network that reads a file",
            network(name="HoVerNet", arguments={"pretrained_state_dict_path": "/etc/passwd"}),
            "could load a file or something from the internet",
        ),
        ("a function of Python as network", network(name="os.system"), "MONAI has no network"),
        ("a function of somebody's own", own_file, "it can run code"),
        ("a factory of a package", network(factory="os:system"), "it can run code"),
        ("a name of timm's with a path", network(timm="../../x"), "timm"),
        (
            "a network of a million times a million weights",
            network(
                name="DenseNet121",
                arguments={"spatial_dims": 2, "in_channels": 2, "out_channels": 2,
                           "init_features": 1_000_000},
            ),
            "does not take the card's arguments",
        ),
        (
            "a network of ten to the ninth layers",
            network(
                name="DenseNet121",
                arguments={"spatial_dims": 2, "in_channels": 2, "out_channels": 2,
                           "block_config": [1_000_000_000]},
            ),
            "far larger than its weights",
        ),
        ("a frame of 200 000 × 200 000", size(200_000), "wants more memory than"),
        ("a frame of a height below zero", size(-5), "model.yaml"),
        ("a mean that is no number", size(16, mean=float("nan")), "no number of at most"),
        ("a mean beyond every sum", size(16, mean=1e308), "no number of at most"),
        ("a height beyond whole numbers", size(10**20), "height is wrong"),
        ("a height that is true", size(True), "which is no number"),
        ("labels twice, the second ones turned round", twice("labels: [b, a]\n"), "stands twice"),
        ("a label that is empty", labelled(""), "a label is empty"),
        ("a label that steers the terminal", labelled("\x1b]0;x\x07\x9b2J"), "\\x1b]0;x"),
    )
]  # fmt: skip


# ---------------------------------------------------------------- bundles


def bundle(change: Callable[[Path], object]) -> Callable:
    def make(folder: Path) -> list[str]:
        path = saved.write_bundle(folder / "bundle")
        return ["layers", "--model", str(change(path) or path)]

    return make


def entry(name: str, content: bytes = b"x", mode: int = 0) -> Callable:
    def change(path: Path) -> Path:
        archive = saved.zipped(path)
        with zipfile.ZipFile(archive, "a") as whole:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            whole.writestr(info, content)
        return archive

    return change


def swelling(path: Path) -> Path:
    archive = saved.zipped(path)
    add_zeros(archive, "tiny_bundle/models/other.pt")
    return archive


def lying(path: Path) -> Path:
    """An entry that claims in the directory to be smaller than what comes out."""
    archive = saved.zipped(path)
    add_zeros(archive, "tiny_bundle/models/model.safetensors")
    content = bytearray(archive.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", 1000)
    archive.write_bytes(content)
    return archive


def config(content: object, *, name: str = "inference.json") -> Callable:
    def change(path: Path) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (path / "configs" / name).write_text(text.replace("PATH", str(sprung(path.parent))))

    return change


BUNDLES = [
    Case("MONAI bundle", tries, bundle(change), says)
    for tries, change, says in (
        (
            "runs Python in its configuration",
            config({"imports": ["$open('PATH', 'w')"], "network_def": "$open('PATH', 'w')"}),
            "it can run code",
        ),
        (
            "calls a function by _target_",
            config({"network_def": {"_target_": "os.system", "command": "touch PATH"}}),
            "bundle",
        ),
        (
            "calls one among a network's arguments",
            config({"network_def": {**saved.NETWORK, "act": "$open('PATH', 'w')"}}),
            "it can run code",
        ),
        (
            "calls one in its preprocessing",
            config({"network_def": saved.NETWORK, "preprocessing": {
                "_target_": "Compose", "transforms": [{"_target_": "os.system", "command": "x"}]}}),
            "",
        ),
        ("names itself", config({"network_def": "@network_def"}), "bundle"),
        ("JSON 100 000 deep", config("[" * 100_000), "bundle"),
        ("an entry above its folder", entry("../sprung"), "leads out of the archive"),
        ("an entry with a root", entry("/tmp/sprung"), "leads out of the archive"),
        ("an entry with a drive", entry("C:\\sprung"), "leads out of the archive"),
        (
            "an entry that is a link",
            entry("tiny_bundle/link", b"/etc/passwd", stat.S_IFLNK | 0o777),
            "leads out of the archive",
        ),
        ("swells to 288 MiB", swelling, "would swell from"),
        ("an entry larger than it says", lying, "bundle"),
    )
]  # fmt: skip

CASES = [*WEIGHTS, *CARDS, *BUNDLES]
