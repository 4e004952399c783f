"""How much each fill moves the model by itself, and what PEPPR says with it: the docs' table.

    python benchmarks/fills.py RUN [--map LABEL] [--steps N] [--controls N] [--fill NAME ...]

RUN is a run of the bundled cohort, such as `napari-globalxai demo` makes. With no controls there
is no verdict, but Δ and the fill's own shift. CPU seconds are those of this process.
"""

import argparse
import time
from pathlib import Path

import napari_globalxai as gx
from napari_globalxai.catalogue import FILLS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--map", default="AMD")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--controls", type=int, default=0)
    parser.add_argument("--fill", nargs="+", default=list(FILLS.own))
    asked = parser.parse_args()
    run = gx.open_run(asked.run)
    print("| fill | Δ | sufficient | necessary | shift in gaps | blank AUC | verdict | CPU, s |")
    print("|---|---|---|---|---|---|---|---|")
    for fill in asked.fill:
        start = time.process_time()
        result = gx.peppr(
            run,
            asked.map,
            fill=fill,
            steps=asked.steps,
            controls=asked.controls,
            control_steps=4,
            device="cpu",
        )
        seconds = time.process_time() - start
        areas = result.areas[asked.map]
        shift = areas["fill_shift"]
        low, high = areas["delta_ci"]
        print(
            f"| `{fill}` | {areas['delta']:.3f} ({low:.3f} to {high:.3f}) "
            f"| {areas['sufficient_fraction']:.3f} | {areas['necessary_fraction']:.3f} "
            f"| {shift['in_gaps']:.2f} | {shift['blank_auc']:.2f} "
            f"| {result.word(asked.map)} | {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
