"""Runs written without any model: maps drawn from a seed, with a shortcut where one is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.runs.record import (
    CohortRecord,
    FrameRecord,
    ModelRecord,
    RunCounts,
    RunRecord,
    RunSettings,
    write_record,
)


@dataclass(frozen=True)
class Plan:
    """What is drawn.

    Attributes
    ----------
    images, labels : int
        How many; each patient has two images.
    cells : tuple of int
        Cells of the maps.
    frame : tuple of int
        Size of the frame.
    shortcut : bool
        Whether the first label's maps of site B's images lie in a corner, by `strength`.
    """

    images: int = 240
    labels: int = 3
    cells: tuple[int, int] = (8, 10)
    frame: tuple[int, int] = (64, 80)
    shortcut: bool = False
    strength: float = 1.0
    seed: int = 0
    prevalence: float = 0.4
    round_field: bool = True


def write_run(folder: Path, plan: Plan | None = None) -> Path:
    """Write a finished run; return its folder."""
    plan = plan or Plan()
    rng = np.random.default_rng(plan.seed)
    folder.mkdir(parents=True, exist_ok=True)
    labels = tuple(f"L{number}" for number in range(plan.labels))
    images = _images(plan, labels, rng)
    grid = CellGrid.tiling(plan.cells, plan.frame)
    store = AttributionStore.create(folder / "attributions.zarr", plan.images, labels, grid, "x")
    size = store.images_per_chunk
    marked = images["site"].to_numpy() == "B"
    for start in range(0, plan.images, size):
        store.write(start, _maps(plan, grid, marked[start : start + size], rng))
    images.to_csv(folder / "images.csv", index_label="row")
    (folder / "maps").mkdir(exist_ok=True)
    _write_global_maps(folder, store, images, labels)
    tifffile.imwrite(folder / "coverage.tif", _field(plan).astype(np.float32))
    card = ModelCard(
        weights="none", labels=labels, input=InputCard(channels=("red",), height=plan.frame[0],
        width=plan.frame[1], mean=(0.5,), std=(0.2,)),
    )  # fmt: skip
    write_record(
        folder,
        RunRecord(
            status="finished",
            started="2026-01-01T00:00:00+00:00",
            finished="2026-01-01T00:01:00+00:00",
            cohort=CohortRecord(
                table="cohort.csv", sha256="0", images=plan.images, patients=plan.images // 2
            ),
            frame=FrameRecord(height=plan.frame[0], width=plan.frame[1], channels=("red",)),
            model=ModelRecord(source=str(folder / "gone.yaml"), sha256="0", card=card),
            settings=RunSettings(labels=labels, part="positive"),
            counts=RunCounts(images=plan.images, explained=plan.images),
        ),
    )
    return folder


def _images(plan: Plan, labels: tuple[str, ...], rng: np.random.Generator) -> pd.DataFrame:
    patient = np.arange(plan.images) // 2
    count = int(patient.max()) + 1
    names = [f"i{row:06}.png" for row in range(plan.images)]
    table: dict[str, object] = {
        "file": names,
        "path": names,
        "laterality": np.where(np.arange(plan.images) % 2, "R", "L"),
        "laterality_source": "table",
        "patient": [f"P{each:06}" for each in patient],
    }
    for label in labels:
        truth = (rng.random(plan.images) < plan.prevalence).astype(int)
        logit = rng.normal(0, 1, plan.images) + 2.0 * truth - 1
        table[label] = truth
        table[f"probability_{label}"] = 1 / (1 + np.exp(-logit))
        table[f"logit_{label}"] = logit
    table["status"], table["error"] = "ok", ""
    table["site"] = rng.choice(["A", "B"], count)[patient]
    table["sex"] = rng.choice(["F", "M"], count)[patient]
    table["age"] = rng.integers(30, 90, count)[patient]
    table["camera"] = rng.choice(["x", "y", "z"], plan.images)
    return pd.DataFrame(table)


def _maps(plan: Plan, grid: CellGrid, marked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blobs around a place of each label, and noise; float32 (image, label, cells)."""
    rows, columns = np.meshgrid(*grid.centres, indexing="ij")
    height, width = plan.frame
    shape = (len(marked), plan.labels)
    angle = 2 * np.pi * np.arange(plan.labels) / plan.labels
    down = (0.5 + 0.2 * np.sin(angle)) * height + rng.normal(0, 0.04 * height, shape)
    across = (0.5 + 0.2 * np.cos(angle)) * width + rng.normal(0, 0.04 * width, shape)
    square = (rows - down[..., None, None]) ** 2 + (columns - across[..., None, None]) ** 2
    maps = np.exp(-square / (2 * (0.12 * height) ** 2))
    maps *= rng.gamma(4, 0.25, shape)[..., None, None]
    maps += 0.02 * rng.random((*shape, *grid.shape))
    if plan.shortcut:
        corner = np.exp(-((rows - height) ** 2 + columns**2) / (2 * (0.1 * height) ** 2))
        maps[:, 0] += plan.strength * marked[:, None, None] * corner
    return maps.astype(np.float32)


def _field(plan: Plan) -> np.ndarray:
    if not plan.round_field:
        return np.ones(plan.frame, bool)
    rows, columns = np.mgrid[: plan.frame[0], : plan.frame[1]]
    middle = [(side - 1) / 2 for side in plan.frame]
    return np.hypot((rows - middle[0]) / middle[0], (columns - middle[1]) / middle[1]) <= 1


def _write_global_maps(
    folder: Path, store: AttributionStore, images: pd.DataFrame, labels: tuple[str, ...]
) -> None:
    for number, label in enumerate(labels):
        members = np.flatnonzero(images[label].to_numpy() == 1)
        total = np.zeros(store.grid.shape)
        for _, maps in store.chunks(members, number):
            total += np.maximum(maps, 0).sum(axis=0, dtype=np.float64)
        mean = upsample(total / max(1, len(members)), store.grid)
        tifffile.imwrite(folder / "maps" / f"{label}.tif", mean)
    pd.DataFrame({"map": labels, "n": 1, "n_patients": 1}).to_csv(
        folder / "maps" / "maps.csv", index=False
    )
