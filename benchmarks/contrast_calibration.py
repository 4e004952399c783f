"""Contrasts on cohorts in which nothing differs, and on planted differences; and their speed.

Each patient has several images, and some patients were seen on both sides. Prints how often p is at
most 0.05 with its 95 % interval, the power by the size of the difference, and the processor time
of permutations at the size of a real cohort.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy import stats

from napari_globalxai.statistics.cluster_enhancement import enhance
from napari_globalxai.statistics.contrasts import (
    AdjustedDifference,
    MeanDifference,
    Sides,
    mean_by_patient,
    permute,
)

SHAPE = (8, 10)
CELLS = SHAPE[0] * SHAPE[1]
DESIGNS = {"apart": 0.0, "mixed": 0.3, "everyone on both": 1.0}


def cohort(rng, both, shift=0.0, patients=40, images=110, unequal=False):
    """Return both sides, and an age that maps depend on; the shift lies in nine cells."""
    patient = rng.integers(0, patients, images)
    home = (np.arange(patients) < (patients // 4 if unequal else patients // 2))[patient]
    side = np.where(rng.random(images) < both, rng.random(images) < 0.5, home)
    age = rng.normal(0, 1, patients)[patient] + 0.2 * rng.normal(0, 1, images)
    level = rng.normal(0, 1, (patients, CELLS))[patient] + 0.3 * age[:, None]
    maps = np.maximum(level + rng.normal(0, 1, (images, CELLS)), 0)
    patch = np.zeros(SHAPE)
    patch[2:5, 3:6] = shift
    maps += np.where(side[:, None], patch.ravel(), 0)
    names = np.char.add("P", patient.astype(str))

    def sides(values):
        return Sides.of(
            *(
                mean_by_patient(values[side == each], names[side == each].tolist())
                for each in (1, 0)
            )
        )

    return sides(maps), sides(age[:, None])


def rejects(rng, both, score, adjusted, **kind):
    sides, ages = cohort(rng, both, **kind)
    comparison = AdjustedDifference(sides, ages) if adjusted else MeanDifference(sides)
    enhanced = (lambda t: enhance(t, SHAPE, 0.05)) if score == "tfce" else (lambda t: t)
    made = permute(
        sides, comparison, permutations=99, seed=int(rng.integers(1 << 30)), score=enhanced
    )
    return bool(made.p.min() <= 0.05)


def show(name, found):
    low, high = stats.binomtest(sum(found), len(found)).proportion_ci(method="wilson")
    print(
        f"{name}: {np.mean(found):.3f} ({low:.3f} to {high:.3f}; {len(found)} cohorts)", flush=True
    )


def speed(images=13_000, patients=5_376, labels=8, cells=192, permutations=1000):
    rng = np.random.default_rng(0)
    patient = rng.integers(0, patients, images)
    side = np.where(rng.random(images) < 0.1, rng.random(images) < 0.5, patient % 2 == 0)
    names = np.char.add("P", patient.astype(str))
    began = time.process_time()
    for _ in range(labels):
        maps = rng.random((images, cells), dtype=np.float32)
        sides = Sides.of(
            *(mean_by_patient(maps[side == each], names[side == each].tolist()) for each in (1, 0))
        )
        permute(sides, MeanDifference(sides), permutations=permutations, seed=0)
    print(
        f"{permutations} permutations of {images} images, {labels} labels, {cells} cells: "
        f"{time.process_time() - began:.1f} s of processor time"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000)
    repeats = parser.parse_args().repeats
    speed()
    for score in ("max-t", "tfce"):
        for adjusted in (False, True):
            for name, both in DESIGNS.items():
                rng = np.random.default_rng(1)
                found = [rejects(rng, both, score, adjusted) for _ in range(repeats)]
                show(f"null, {name}, {score}{', age adjusted for' * adjusted}", found)
    rng = np.random.default_rng(2)
    found = [rejects(rng, 0.0, "max-t", False, unequal=True) for _ in range(repeats)]
    show("null, one side three times as large, max-t", found)
    for shift in (0.25, 0.35, 0.5):
        for score in ("max-t", "tfce"):
            rng = np.random.default_rng(3)
            found = [rejects(rng, 0.3, score, False, shift=shift) for _ in range(repeats // 2)]
            show(f"power, mixed, shift {shift}, {score}", found)


if __name__ == "__main__":
    main()
