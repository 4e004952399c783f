"""A large cohort from a cold start to the report, beside one of a tenth of its size.

    python benchmarks/load.py [--images 13000] [--size 32 48] [--peppr] [--keep FOLDER]

Draws the cohort and a tiny network, then runs each command in a process of its own: explain, the
maps of a subgroup, if asked for PEPPR along one map by its defaults, the report, and opening the
run as Python and as napari do. Prints processor seconds, the peak of memory and what lies on the
disk, and how many times as much the large cohort takes; ten times is linear. The time to start
Python and to import torch is in it, as it is for a user, but not where a run is opened.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

NETWORK = {
    "block": "basic", "layers": [1, 1, 1, 1], "block_inplanes": [4, 6, 8, 10], "spatial_dims": 2,
    "n_input_channels": 2, "num_classes": 4, "conv1_t_size": 3, "conv1_t_stride": 1,
    "no_max_pool": True,
}  # fmt: skip
LABELS = ("AMD", "RVO", "RP", "Gla")
# Imports are left out of these two: a session has them already.
OPEN = """
import sys, time, resource
import napari_globalxai.runs.run as runs
import pandas, scipy.stats, tifffile, zarr, numcodecs.blosc
import napari_globalxai.frame.stack, napari_globalxai.maps.store, napari_globalxai.frame.placement
began = time.process_time()
run = runs.open_run(sys.argv[1])
_ = run.images, run.maps["overall"], run.image_map(0, run.labels[0]), run.stack.read([0])
print(time.process_time() - began)
"""
VIEW = OPEN.replace("run = runs.open_run(sys.argv[1])", "run = view.open_view(sys.argv[1]).run")
VIEW = VIEW.replace(
    "import sys", "import napari_globalxai.widgets.session.run_view as view\nimport sys"
)


@dataclass(frozen=True)
class Cost:
    """What a step has taken."""

    seconds: float
    mebibytes: float


def write_inputs(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Draw a cohort and a network: in a process of its own, whose memory others would inherit."""
    import numpy as np
    import torch
    import yaml
    from monai.networks.nets import ResNet
    from PIL import Image
    from safetensors.torch import save_file

    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = ["filename,ID,LR,site," + ",".join(LABELS)]
    for row in range(count):
        truth = rng.integers(0, 2, len(LABELS))
        image = rng.integers(60, 90, (*size, 3), dtype=np.uint8)
        for label in np.flatnonzero(truth):
            image[8 * label % size[0] :][:8, 10 * label : 10 * label + 8] += 60
        Image.fromarray(image).save(folder / "images" / f"{row}.png", compress_level=1)
        lines.append(
            f"images/{row}.png,P{row // 2},{'LR'[row % 2]},{'AB'[row % 3 == 0]},"
            + ",".join(map(str, truth))
        )
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    torch.manual_seed(0)
    network = ResNet(**NETWORK).eval()
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, folder / "tiny.safetensors")
    card = {
        "weights": "tiny.safetensors",
        "network": {"name": "ResNet", "arguments": NETWORK},
        "labels": list(LABELS),
        "input": {
            "channels": 2, "height": size[0], "width": size[1], "mean": 0.3, "std": 0.1,
        },
        "activation": "sigmoid",
        "cam_layer": "layer4",
    }  # fmt: skip
    (folder / "model.yaml").write_text(yaml.safe_dump(card))


def measure(*command: str) -> tuple[Cost, str]:
    """Run a command in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), told


def steps(folder: Path, count: int, size: tuple[int, int], peppr: bool) -> dict[str, Cost]:
    """Return what each step costs with a cohort of a size."""
    inputs = folder / "cohort"
    measure(__file__, "--draw", str(inputs), "--images", str(count), "--size", *map(str, size))
    table, model = str(inputs / "cohort.csv"), str(inputs / "model.yaml")
    run = str(folder / "run")
    commands = {
        "explain": ("explain", table, "--model", model, "--out", run),
        "maps of a subgroup": ("maps", run, "--name", "b", "--where", "site == 'B'"),
        "PEPPR of a tenth": (
            "peppr", run, "--map", "AMD", "--most-images", str(count // 10),
        ),
        "PEPPR, one label": ("peppr", run, "--map", "AMD"),
        "report": ("report", run),
    }  # fmt: skip
    if not peppr:
        commands = {name: each for name, each in commands.items() if each[0] != "peppr"}
    costs = {}
    for name, (command, *more) in commands.items():
        costs[name], _ = measure("-m", "napari_globalxai", command, *more)
        print(f"{count} images, {name}: {costs[name]}", file=sys.stderr, flush=True)
    for name, code in (("opened in Python", OPEN), ("read for napari", VIEW)):
        whole, told = measure("-c", code, run)
        costs[name] = Cost(float(told), whole.mebibytes)
    return costs


def on_disk(folder: Path) -> tuple[int, float]:
    """Return the number of files and folders of a run, and its MiB."""
    found = list((folder / "run").rglob("*"))
    return len(found), sum(path.stat().st_size for path in found if path.is_file()) / (1 << 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=13_000)
    parser.add_argument("--size", type=int, nargs=2, default=(32, 48))
    parser.add_argument("--keep", type=Path, help="leave cohorts and runs in this folder")
    parser.add_argument("--peppr", action="store_true", help="PEPPR as well, which takes longest")
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.draw:
        write_inputs(asked.draw, asked.images, tuple(asked.size))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        found = {}
        for count in (asked.images // 10, asked.images):
            found[count] = steps(folder / str(count), count, tuple(asked.size), asked.peppr)
        few, many = found
        print(f"| step | {few} images | {many} images | times |\n| --- | --- | --- | --- |")
        for name, small in found[few].items():
            large = found[many][name]
            times = large.seconds / max(small.seconds, 1e-9)
            print(
                f"| {name} | {small.seconds:.2f} s, {small.mebibytes:.0f} MiB "
                f"| {large.seconds:.2f} s, {large.mebibytes:.0f} MiB | {times:.1f} |"
            )
        cells = [f"{n} files and folders, {size:.0f} MiB" for n, size in map(
            on_disk, (folder / str(few), folder / str(many)))]  # fmt: skip
        print(f"| on the disk | {cells[0]} | {cells[1]} | |")


if __name__ == "__main__":
    main()
