"""How often an audit finds what is not there, and what is: cohorts drawn from seeds, and shuffled.

    python benchmarks/audit_calibration.py
    python benchmarks/audit_calibration.py --cohorts 200 --run RUN   # a run of the honest model
    python benchmarks/audit_calibration.py --hidden   # a mark that no column tells

Every run counts once, however many findings it has: the level is of any false finding in a run.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from stored_run import Plan, write_run  # noqa: E402

import napari_globalxai as gx  # noqa: E402
from napari_globalxai.audit.measured_maps import measure_maps  # noqa: E402
from napari_globalxai.audit.places import find_places  # noqa: E402
from napari_globalxai.audit.searches import between_subgroups, beyond_the_picture  # noqa: E402
from napari_globalxai.audit.strategies import between_clusters, find_strategies  # noqa: E402
from napari_globalxai.progress import ignore_progress  # noqa: E402
from napari_globalxai.runs import tables  # noqa: E402
from napari_globalxai.settings.audit_settings import AuditSettings  # noqa: E402


def settings(**changes: object) -> AuditSettings:
    return AuditSettings(**{"permutations": 199, "bootstrap": 100, "erase": "none", **changes})


def audited(plan: Plan, chosen: AuditSettings) -> list[str]:
    """Labels of the findings of a drawn cohort."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            each.label for each in gx.audit(write_run(Path(folder) / "run", plan), chosen).findings
        ]


def hidden(plan: Plan) -> tuple[bool, bool, float]:
    """Whether a mark that no column tells is found, and parted; how much the corner holds."""
    with tempfile.TemporaryDirectory() as folder:
        result = gx.audit(write_run(Path(folder) / "run", plan), settings(), columns=())
        found = any(each.label == "L0" for each in result.findings)
        clusters = result.clusters
        table = result.regions
    parted = bool((clusters.loc[clusters["label"] == "L0", "cluster"] > 1).any())
    corner = (table["region"] == "corner-bottom-left") & (table["subgroup"] == "all")
    (ratio,) = table.loc[corner & (table["label"] == "L0"), "ratio"]
    return found, parted, float(ratio)


def without_column(count: int, images: Sequence[int]) -> None:
    print("| images | strength | the corner holds, times its share | told | parted as a cluster |")
    print("|---|---|---|---|---|")
    for size, strength, round_field in itertools.product(
        images, (0.3, 1.0, 1.5, 2.0, 3.0), (True, False)
    ):
        plan = Plan(size, shortcut=True, strength=strength, round_field=round_field)
        found = [hidden(replace(plan, seed=seed)) for seed in range(count)]
        told, parted, ratios = zip(*found, strict=True)
        shape = "round" if round_field else "whole frame"
        print(
            f"| {size}, {shape} | {strength} | {np.median(ratios):.1f} | {sum(told)} of {count} | "
            f"{sum(parted)} |",
            flush=True,
        )


def shuffled(run: gx.Run, seed: int) -> pd.DataFrame:
    """The table with every column given to another patient, as whole rows of columns."""
    images = run.images
    columns = tables.covariate_columns(images, run.labels)
    first = images.groupby(tables.PATIENT)[columns].first()
    order = np.random.default_rng(seed).permutation(len(first))
    given = first.iloc[order].set_axis(first.index)
    table = images.copy()
    table[columns] = given.loc[images[tables.PATIENT]].to_numpy()
    return table.infer_objects()


def shuffles(folder: Path, count: int) -> Iterator[tuple[bool, bool]]:
    """Whether columns of other patients go with anything, with and without a least size."""
    run = gx.open_run(folder)
    chosen = settings()
    places = find_places(run, None)
    own = run.images
    for seed in range(count):
        run.images = shuffled(run, seed)
        found = []
        for each in (chosen, chosen.model_copy(update={"least_ratio": 1.0})):
            measured = measure_maps(run, places, each, ignore_progress)
            strategies = find_strategies(measured, each, ignore_progress)
            found.append(
                bool(between_subgroups(measured, each))
                or bool(between_clusters(measured, strategies, each))
                or bool(beyond_the_picture(measured, each))
            )
        run.images = own
        yield found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=100)
    parser.add_argument("--images", type=int, nargs="+", default=[120, 400])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--hidden", action="store_true")
    asked = parser.parse_args()
    count = asked.cohorts
    if asked.hidden:
        without_column(count, asked.images)
        return
    print("| cohorts | images | with a false finding | with the shortcut found |")
    print("|---|---|---|---|")
    for images, round_field in itertools.product(asked.images, (True, False)):
        shape = "round" if round_field else "whole frame"
        plain = [Plan(images, seed=seed, round_field=round_field) for seed in range(count)]
        false = sum(bool(audited(plan, settings())) for plan in plain)
        print(f"| {count} without a shortcut, {shape} | {images} | {false} | |", flush=True)
        for strength in (0.3, 1.0):
            found = [
                audited(replace(plan, shortcut=True, strength=strength), settings())
                for plan in plain
            ]
            false = sum(any(label != "L0" for label in each) for each in found)
            right = sum("L0" in each for each in found)
            print(
                f"| {count} with one of strength {strength}, {shape} | {images} | {false} | "
                f"{right} |",
                flush=True,
            )
    if asked.run is not None:
        results = list(shuffles(asked.run, count))
        names = ("as it is", "with a least ratio of 1")
        for name, column in zip(names, zip(*results, strict=True), strict=True):
            print(
                f"| {count} times {asked.run.name}, columns shuffled, {name} | | {sum(column)} | |"
            )


if __name__ == "__main__":
    main()
