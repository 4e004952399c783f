"""Measure what registration does on phantoms in random pose, and to the global maps.

The phantoms are the sample cohort's, posed at random: shift up to 8 %, rotation up to 10 degrees,
scale 0.9 to 1.1, changing colours and lids. A share of the sides is swapped in the table, another
one missing. For the maps, sides are right and the sample's honest model is explained; the truth is
where the lesions of many other eyes lie without any pose.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk
import torch

import napari_globalxai as gx
from napari_globalxai.faithfulness.scores.auc_scores import roc_auc
from napari_globalxai.statistics.regions import agreement_with_truth

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import posed  # noqa: E402

PHANTOM = posed.phantom_module()
LABELS = PHANTOM.LABELS
FRAME = (384, 512)
# The input of the sample's models.
INPUT = (128, 160)
TRUTH_VIEWS, TRUTH_SEED = 3000, 4242
METHODS = ("grad-cam", "integrated-gradients", "saliency")
AT_HOME = PHANTOM.View((0.0, 0.0), 0.0, 1.0, 0)


def write_cohort(cohort: Any, folder: Path, sides: Sequence[str]) -> Path:
    folder.mkdir()
    rows = []
    for row, (image, eye, side) in enumerate(zip(cohort.images, cohort.eyes, sides, strict=True)):
        (folder / f"{row:03}.jpg").write_bytes(PHANTOM.encode_jpeg(image))
        rows.append({"filename": f"{row:03}.jpg", "ID": eye.patient, "LR": side, **eye.labels})
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    return folder / "cohort.csv"


def distances(points: np.ndarray) -> np.ndarray:
    """Return how far points lie from their median, (image, landmark)."""
    return np.asarray(np.hypot(*(points - np.median(points, axis=0)).transpose(2, 0, 1)))


def print_rows(rows: list[dict[str, Any]]) -> None:
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    print()


def measure_landmarks(cohort: Any, folder: Path, swapped: float, missing: float) -> None:
    rng = np.random.default_rng(1)
    drawn = rng.random(len(cohort.eyes))
    is_swapped, is_missing = drawn < swapped, drawn > 1 - missing
    other = {"L": "R", "R": "L"}
    sides = [
        "" if is_missing[row] else other[side] if is_swapped[row] else side
        for row, side in enumerate(cohort.sides)
    ]
    table = write_cohort(cohort, folder, sides)
    rows, seconds = [], {}
    before = distances(cohort.mirrored_points() / PHANTOM.WIDTH * 100)[~is_swapped]
    rows.append(summary("as they are", before, before, "", ""))
    for method in ("none", "landmarks", "similarity", "affine"):
        out, start = folder / method, time.perf_counter()
        options = {"registration": method, "estimate_laterality": method != "none"}
        gx.align(table, out, height=FRAME[0], width=FRAME[1], **options)
        seconds[method] = time.perf_counter() - start
        if method == "none":
            continue
        images = pd.read_csv(out / "images.csv")
        suspected = images["laterality_suspected"].to_numpy(bool)
        estimated = images["laterality_source"].to_numpy() == "image"
        right = (images["laterality"].to_numpy() == np.array(cohort.sides)) & estimated
        found = f"{(suspected & is_swapped).sum()}/{is_swapped.sum()}, {suspected.sum()} named"
        after = []
        for row, points in enumerate(cohort.points):
            transform = sitk.ReadTransform(str(out / "transforms" / f"{row:06}.tfm"))
            back = transform.GetInverse()
            after.append([back.TransformPoint(point) for point in points.tolist()])
        after = distances(np.array(after) / FRAME[1] * 100)[~is_swapped]
        sides_told = f"{right.sum()}/{is_missing.sum()}"
        rows.append(summary(method, after, before, found, sides_told))
    print_rows(rows)
    plain = seconds.pop("none")
    for method, whole in seconds.items():
        extra = 1000 * (whole - plain) / len(cohort.eyes)
        print(f"{method}: {whole / plain:.1f} times the time without, {extra:.0f} ms an image more")
    print()


def summary(
    name: str, after: np.ndarray, before: np.ndarray, swapped: str, missing: str
) -> dict[str, str]:
    row = {"registration": name}
    for index, landmark in enumerate(("disc", "macula")):
        median, most = np.percentile(after[:, index], [50, 95])
        row[f"{landmark}, median and 95 %"] = f"{median:.2f}, {most:.2f}"
    worse = (after.mean(axis=1) > before.mean(axis=1)).mean() * 100
    row["worse, %"] = f"{worse:.1f}"
    row["swapped sides found"], row["missing sides told"] = swapped, missing
    return row


def truth_of(eyes: Sequence[Any], label: str) -> np.ndarray:
    """Return the density of a label's lesions with every eye in its place, at the model's input."""
    lesions = [PHANTOM.draw_lesions(eye, AT_HOME)[label] for eye in eyes if eye.labels[label]]
    mean = torch.from_numpy(np.mean(lesions, axis=0, dtype=np.float32))
    small = torch.nn.functional.interpolate(mean[None, None], INPUT, mode="area")
    return np.asarray(small[0, 0])


def without_pose(cohort: Any) -> Any:
    """Return the same eyes, each in its place: the best that registration could do."""
    views = [
        dataclasses.replace(AT_HOME, seed=seed)
        for seed in np.random.default_rng(2).integers(2**62, size=len(cohort.eyes)).tolist()
    ]
    images = [
        PHANTOM.draw(eye, view, mark=False) for eye, view in zip(cohort.eyes, views, strict=True)
    ]
    return dataclasses.replace(cohort, images=np.stack(images))


def measure_maps(cohort: Any, folder: Path, methods: Sequence[str]) -> None:
    cohorts = {"posed": cohort, "in place": without_pose(cohort)}
    tables = {
        name: write_cohort(each, folder / name, cohort.sides) for name, each in cohorts.items()
    }
    others = {eye.seed: eye for eye, _ in PHANTOM.sample_cohort(TRUTH_VIEWS, TRUTH_SEED, "truth")}
    truth = {label: truth_of(list(others.values()), label) for label in LABELS}
    cases = (("posed", "none"), ("posed", "landmarks"), ("in place", "none"))
    rows = []
    for method in methods:
        for name, registration in cases:
            out = folder / f"{name} {registration} {method}"
            model = ROOT / "sample_data" / "models" / "honest.yaml"
            run = gx.explain(tables[name], model, out=out, method=method, registration=registration)
            row = {"method": method, "images": name, "registration": registration}
            for label in LABELS:
                there = np.abs(run.maps[label])
                auc = agreement_with_truth(there, truth[label])
                like = np.corrcoef(there.ravel(), truth[label].ravel())[0, 1]
                row[label] = f"{auc:.3f}, {like:.2f}"
            aucs = [
                roc_auc(
                    run.images[label].to_numpy() == 1, run.images[f"logit_{label}"].to_numpy(float)
                )
                for label in LABELS
            ]
            rows.append({**row, "model's AUC": f"{np.mean(aucs):.3f}"})
    print("Agreement with the planted truth: ROC AUC over pixels, correlation")
    print_rows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--seed", type=int, default=777)
    parser.add_argument("--swapped", type=float, default=0.08, help="share of swapped sides")
    parser.add_argument("--missing", type=float, default=0.2, help="share of missing sides")
    parser.add_argument(
        "--methods", nargs="*", default=["grad-cam", "integrated-gradients", "saliency"]
    )
    options = parser.parse_args()
    cohort = posed.draw(options.images, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        measure_landmarks(cohort, Path(folder) / "sides", options.swapped, options.missing)
        (Path(folder) / "maps").mkdir()
        measure_maps(cohort, Path(folder) / "maps", options.methods)


if __name__ == "__main__":
    main()
