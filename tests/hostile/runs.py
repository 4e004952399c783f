"""Run folders that somebody changed before passing them on."""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
import tiny
from hostile.case import Case
from hostile.scripts import forward

import napari_globalxai as gx


@functools.cache
def finished() -> Path:
    """A small run, made once."""
    base = Path(tempfile.mkdtemp())
    table = tiny.write_cohort(base / "cohort", 8)
    gx.explain(table, tiny.write_linear(base / "model"), base / "run", "saliency", device="cpu")
    return base / "run"


def changed(change: Callable[[Path], object], *command: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        run = shutil.copytree(finished(), folder / "run")
        change(run)
        name, *more = command or ("report",)
        return [name, str(run), *more]

    return make


def record(**values: object) -> Callable[[Path], object]:
    """Change values of ``run.json`` by their keys, joined by ``__``."""

    def change(run: Path) -> None:
        content = json.loads((run / "run.json").read_text())
        for key, value in values.items():
            *places, last = key.split("__")
            inner = content
            for place in places:
                inner = inner[place]
            inner[last] = value
        (run / "run.json").write_text(json.dumps(content))

    return change


def text(name: str, content: str | bytes) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def device(name: str) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        (run / name).unlink()
        (run / name).symlink_to("/dev/zero")

    return change


def pipe(name: str) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        (run / name).unlink()
        os.mkfifo(run / name)

    return change


def array(name: str, **values: object) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        path = run / name / "zarr.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def other_model(run: Path) -> None:
    """The record names a network that writes a file; so does its hash."""
    import hashlib

    forward('t = torch.from_file("PATH", True, 10)', "x = torch.add(x, torch.sum(t))")(run.parent)
    digest = hashlib.sha256((run.parent / "net.pt").read_bytes()).hexdigest()
    record(model__source=str(run.parent / "model.yaml"), model__sha256=digest)(run)


@functools.cache
def huge_tiff() -> bytes:
    """400 megapixels in 2 MB."""
    part = np.zeros((2000, 2000), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.tif"
        tifffile.imwrite(
            path, data=(part for _ in range(100)), shape=(20_000, 20_000), dtype=np.float32,
            compression="zlib", tile=part.shape, metadata=None,
        )  # fmt: skip
        return path.read_bytes()


def huge_map(name: str) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).write_bytes(huge_tiff())

    return change


def leads_out(name: str) -> Callable[[Path], object]:
    """Put a link to a folder of somebody else's in place of one of the run."""

    def change(run: Path) -> None:
        away = run.parent / "away"
        away.mkdir()
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).symlink_to(away, target_is_directory=True)

    return change


def old_zarr(run: Path) -> None:
    store = run / "attributions.zarr"
    shutil.rmtree(store)
    store.mkdir()
    (store / ".zarray").write_text(
        json.dumps({"zarr_format": 2, "shape": [8, 2, 4, 4], "chunks": [8, 2, 4, 4],
                    "dtype": "|O", "compressor": None, "fill_value": 0, "order": "C",
                    "filters": [{"id": "pickle", "protocol": 5}]})
    )  # fmt: skip


def attribute(name: str, value: object) -> Callable[[Path], object]:
    """Change what the maps say of themselves."""

    def change(run: Path) -> None:
        path = run / "attributions.zarr" / "zarr.json"
        content = json.loads(path.read_text())
        content["attributes"][name] = value
        path.write_text(json.dumps(content))

    return change


def row(change: Callable[[list[str]], object]) -> Callable[[Path], object]:
    """Change the lines of the table of images."""

    def apply(run: Path) -> None:
        lines = (run / "images.csv").read_text().splitlines(keepends=True)
        change(lines)
        (run / "images.csv").write_text("".join(lines))

    return apply


def cell(column: str, value: str) -> Callable[[Path], object]:
    """Change a value of the first image."""

    def change(lines: list[str]) -> None:
        fields = lines[1].split(",")
        fields[lines[0].split(",").index(column)] = value
        lines[1] = ",".join(fields)

    return row(change)


NAMED = ("maps", "--name", "some")
OTHER = [{"name": "numcodecs.pickle", "configuration": {}}]
CASES = [
    Case("Run folder", tries, make, says)
    for tries, make, says in (
        ("arrays of an old Zarr that unpickles", changed(old_zarr), "is of an old version of Zarr"),
        (
            "a codec that unpickles",
            changed(array("attributions.zarr", codecs=OTHER)),
            "which we do not write",
        ),
        (
            "the same inside the images",
            changed(array("aligned.zarr/0", codecs=OTHER)),
            "which we do not write",
        ),
        (
            "an array of objects",
            changed(array("attributions.zarr", data_type={"name": "object"})),
            "is not as we write it",
        ),
        (
            "maps of 2⁴⁰ images",
            changed(array("attributions.zarr", shape=[1 << 40, 2, 32, 48])),
            "run",
        ),
        (
            "images of a million by a million",
            changed(array("aligned.zarr/0", shape=[8, 2, 1 << 20, 1 << 20])),
            "run",
        ),
        ("a record that is a device", changed(device("run.json")), "run"),
        ("a record that is a pipe", changed(pipe("run.json")), "run"),
        ("a table that is a device", changed(device("images.csv")), "is a device"),
        ("a table that is a pipe", changed(pipe("images.csv")), "is a pipe"),
        ("a map that is a pipe", changed(pipe("maps/overall.tif")), "is a pipe"),
        ("a map that is a text", changed(text("maps/overall.tif", "no map")), "overall.tif"),
        ("a coverage of 400 megapixels in 2 MB", changed(huge_map("coverage.tif")),
         "coverage.tif"),
        ("a spread of 400 megapixels in 2 MB", changed(huge_map("maps/left.sd.tif")),
         "left.sd.tif"),
        ("a map to be tested of 400 megapixels in 2 MB",
         changed(huge_map("x.tif"), "peppr", "--map", "run/x.tif"), "is 20000 × 20000 pixels"),
        ("figures behind a link that leads out", changed(leads_out("figures")), "is a link"),
        ("selections behind a link that leads out",
         changed(leads_out("selections"), "maps", "--name", "some"), "is a link"),
        ("residual maps behind a link that leads out",
         changed(leads_out("outliers/residuals"), "outliers"), "is a link"),
        ("results of PEPPR behind a link that leads out",
         changed(leads_out("peppr"), "peppr", "--map", "left"), "is a link"),
        ("JSON 100 000 deep", changed(text("run.json", "[" * 100_000)), "run.json"),
        ("a record that is a list", changed(text("run.json", "[]")), "run.json"),
        ("a record with a number for the model", changed(record(model=1)), "run.json"),
        ("a record of a later version", changed(record(format=99)), "newer version"),
        ("labels with paths", changed(record(settings__labels=["../../../etc/passwd"])), "run"),
        ("no images", changed(text("images.csv", "")), "images.csv"),
        ("a table of other columns", changed(text("images.csv", "a,b\n1,2\n")), "images.csv"),
        ("a list of maps with a path", changed(
            text("maps/maps.csv", "map,images\n../../../../etc/passwd,1\n")), "run"),
        ("a network that writes a file, with its hash", changed(other_model, "peppr"),
         "more than compute"),
        ("a network elsewhere", changed(record(model__source="/dev/zero"), "peppr"), "zero"),
        ("a network at an address", changed(
            record(model__source="http://127.0.0.1:1/model.yaml"), "peppr"), "model.yaml"),
        ("a table with a row left out", changed(row(lambda lines: lines.pop(1)), *NAMED),
         "images.csv"),
        ("a table with its last row left out", changed(row(lambda lines: lines.pop()), *NAMED),
         "images.csv"),
        ("a table with a row twice", changed(row(lambda lines: lines.append(lines[1])), *NAMED),
         "images.csv"),
        ("a truth of 2", changed(cell("left", "2"), *NAMED), "images.csv"),
        ("a probability of 5", changed(cell("probability_left", "5"), *NAMED), "images.csv"),
        ("maps of another run", changed(attribute("fingerprint", "0"), *NAMED), "of another run"),
        ("maps whose labels are turned round",
         changed(attribute("labels", ["right", "left"]), *NAMED), "of another run"),
        ("maps whose cells lie nowhere", changed(
            attribute("grid", {"centres": [[float("nan")] * 32, [0.0] * 48], "frame": [32, 48],
                               "measured": True}), *NAMED), "is not an attribution store"),
        ("maps that are gone", changed(
            lambda run: shutil.rmtree(run / "attributions.zarr" / "c"), *NAMED),
         "lacks maps of images that were explained"),
        ("a time that is none", changed(record(started="<script>")), "run.json"),
        ("a journal of nonsense", changed(
            lambda run: [path.write_bytes(b"\xff{]\n" * 1000) for path in run.rglob("*.jsonl")]),
         ""),
    )
]  # fmt: skip
