"""What reads files that others give us: each takes any bytes and answers in one way of two.

Either it reads what is there, or it raises `InputError` in one sentence.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import tifffile
import tiny
import yaml
from PIL import Image

import napari_globalxai as gx
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import Aligner
from napari_globalxai.images.readers import read_stored
from napari_globalxai.images.regions_file import read_regions
from napari_globalxai.models.card.model_card import read_card
from napari_globalxai.models.loaders import load_model
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.statistics.query import parse_query

FRAME = FrameSettings(height=8, width=9, channels=("red", "green"))
PICTURE = np.random.default_rng(0).integers(0, 255, (10, 12, 3), dtype=np.uint8)
REGIONS = np.zeros((10, 12), np.uint8)
REGIONS[2:5] = 1


@dataclass(frozen=True)
class Target:
    """A reader, and whole files to begin from.

    Attributes
    ----------
    read : callable
        Is given a file.
    seeds : dict of str to bytes
        Whole files, by the name that the file is to have.
    is_text : bool
        Whether whole values are changed as well as bytes.
    """

    read: Callable[[Path], object]
    seeds: dict[str, bytes]
    is_text: bool = False


def picture(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, kind, **options)
    return stream.getvalue()


def tiff(values: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def by_itk(name: str, values: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
        return path.read_bytes()


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, REGIONS)
    return stream.getvalue()


def image(path: Path) -> None:
    found = _aligner(path)(0)
    if isinstance(found, str):
        assert "\n" not in found
    else:
        assert found.image.shape == (2, *FRAME.size)
    assert read_stored(path).dtype == np.uint8


def _aligner(path: Path) -> Aligner:
    cohort = _cohort()
    return Aligner(type(cohort)(**{**vars(cohort), "files": (path,), "names": (path.name,)}), FRAME)


@functools.cache
def _cohort():
    with tempfile.TemporaryDirectory() as folder:
        return read_cohort(tiny.write_cohort(Path(folder) / "cohort", 1))


def network(path: Path) -> None:
    load_model(path, device="cpu", precision="float32")


def card(path: Path) -> None:
    read_card(path)
    network(path)


def bundle(path: Path) -> None:
    network(path.parents[1])


def query(path: Path) -> None:
    parse_query(path.read_bytes().decode(errors="replace"))


def saved_model(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write = tiny.write_linear if name.endswith(".pt") else tiny.write_resnet
        write(Path(folder))
        return (Path(folder) / name).read_bytes()


def saved_archive(name: str) -> bytes:
    """Stored, not packed: so that changed bytes reach what lies inside."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for part, content in (
            ("configs/metadata.json", METADATA),
            ("configs/inference.json", INFO),
        ):
            archive.writestr(f"{name}/{part}", content)
    return stream.getvalue()


METADATA = json.dumps(
    {"network_data_format": {
        "inputs": {"image": {"num_channels": 2, "spatial_shape": [8, 9]}},
        "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "left", "1": "right"}}},
    }}
).encode()  # fmt: skip
INFO = json.dumps(
    {"network_def": {"_target_": "ResNet", **tiny.RESNET},
     "preprocessing": {"_target_": "Compose", "transforms": [
         {"_target_": "ScaleIntensityd", "keys": "image"}]}}
).encode()  # fmt: skip
CARD = yaml.safe_dump(
    {"weights": "resnet.safetensors", "network": {"name": "ResNet", "arguments": tiny.RESNET},
     "labels": ["left", "right"], "activation": "sigmoid", "cam_layer": "layer4",
     "input": {"channels": 2, "height": 8, "width": 9, "mean": 0.3, "std": [0.1, 0.2]}}
).encode()  # fmt: skip
TABLE = (
    b"filename;patient;LR;age;AMD;RVO\n"
    b"a.png;p1;L;60;1;0\nb.png;p1;R;60;0;1\nc.png;p2;OD;;1;\n'=d.png;p3;links;7,5;0;1\n"
)
TARGETS = {
    "image": Target(
        image,
        {
            "x.png": picture("PNG"), "x.jpg": picture("JPEG"), "x.bmp": picture("BMP"),
            "x.gif": picture("GIF"), "x.tif": tiff(PICTURE, compression="zlib"),
            "y.tif": tiff(PICTURE[..., 0].astype(np.uint16) * 257, tile=(16, 16)),
            "x.dcm": by_itk("x.dcm", PICTURE[..., 0]),
        },
    ),
    "regions": Target(
        lambda path: read_regions(path, (10, 12)),
        {"x.tif": tiff(REGIONS), "x.nii": by_itk("x.nii", REGIONS), "x.npy": npy()},
    ),
    "table": Target(lambda path: read_cohort(path), {"x.csv": TABLE}),
    "card": Target(card, {"model.yaml": CARD}, is_text=True),
    "bundle": Target(
        bundle, {"b/configs/metadata.json": METADATA, "b/configs/inference.json": INFO}, True
    ),
    "archive": Target(network, {"b.zip": saved_archive("b")}),
    "weights": Target(
        lambda path: network(path.with_name("model.yaml")),
        {name: saved_model(name) for name in ("resnet.safetensors", "linear.pt")},
    ),
    "query": Target(
        query,
        {"x": b"site == 'B' and `age at visit` > 60.5 or not sex in ['f', 'm'] and (a + 2) * b"},
    ),
}  # fmt: skip


def companions(folder: Path, name: str) -> None:
    """Write what a file needs beside it."""
    if name in ("model.yaml", "resnet.safetensors"):
        (folder / "resnet.safetensors").write_bytes(TARGETS["weights"].seeds["resnet.safetensors"])
        (folder / "model.yaml").write_bytes(CARD)
    elif name == "linear.pt":
        content = {**yaml.safe_load(CARD), "weights": name}
        del content["network"], content["cam_layer"]
        content["input"] |= {"height": tiny.HEIGHT, "width": tiny.WIDTH}
        (folder / "model.yaml").write_text(yaml.safe_dump(content))
    elif name.startswith("b/"):
        (folder / "b" / "configs").mkdir(parents=True)
        for each, content in TARGETS["bundle"].seeds.items():
            (folder / each).write_bytes(content)


def try_file(target: Target, name: str, content: bytes, must_be_read: bool = False) -> None:
    """Give a file to a reader; anything but an answer or a sentence is raised."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        companions(Path(folder), name)
        path.write_bytes(content)
        with contextlib.nullcontext() if must_be_read else contextlib.suppress(InputError):
            target.read(path)


@functools.cache
def finished_run() -> Path:
    """A small run with PEPPR, made once."""
    base = Path(tempfile.mkdtemp())
    table = tiny.write_cohort(base / "cohort", 12)
    model = tiny.write_linear(base / "model")
    gx.explain(table, model, base / "run", "saliency", device="cpu")
    gx.peppr(base / "run", map="left", steps=4, control_steps=3, controls=3, bootstrap=20)
    return base / "run"


def files_of_run() -> list[str]:
    run = finished_run()
    return sorted(
        path.relative_to(run).as_posix()
        for path in run.rglob("*")
        if path.is_file() and "cache" not in path.relative_to(run).as_posix()
    )


def try_run(name: str, content: bytes) -> None:
    """Read all of a run of which one file is another one."""
    path = finished_run() / name
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        run = gx.open_run(finished_run())
        _ = run.images, run.statistics, run.performance, run.valid, dict(run.maps)
        _ = run.stack.read([0, 11]), run.stack.coverage([0, 11]), run.placements
        _ = run.image_map(0, "left"), run.members("left"), run.maps_of(where="age > 3")
        if run.peppr_names:
            run.peppr_result("left")
    except InputError:
        pass
    finally:
        path.write_bytes(before)
