"""How many forwards it saves to place the steps of a map's curves where they bend.

    python benchmarks/peppr_steps.py RUN [--map LABEL] [--dense N]

RUN is a run of the bundled cohort, such as `napari-globalxai demo` makes. The truth is a fixed grid
of ``--dense`` steps; steps are placed, and fixed, along the same order, each image along the map of
all. The stand-ins of `peppr_calibration.py` are measured with ``--linear``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from calibration_models import linear_bench

import napari_globalxai as gx
from napari_globalxai.faithfulness.evaluation import Course, Evaluation
from napari_globalxai.faithfulness.orders.control_steps import control_steps
from napari_globalxai.faithfulness.orders.controls import Question
from napari_globalxai.faithfulness.orders.map_orders import order_by_map, step_counts
from napari_globalxai.faithfulness.orders.refinement import refined_course
from napari_globalxai.faithfulness.scores.crossings import necessary_fraction, sufficient_fraction
from napari_globalxai.faithfulness.targets import Targets
from napari_globalxai.runs.peppr.evaluate import make_evaluation
from napari_globalxai.settings.peppr_settings import PepprSettings

_TOLERANCES = (0.01, 0.005, 0.003)
_FIXED = (12, 16, 20, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="with --linear its folder is worked in")
    parser.add_argument("--map", default="AMD")
    parser.add_argument("--dense", type=int, default=200)
    parser.add_argument("--linear", action="store_true")
    asked = parser.parse_args()
    if asked.linear:
        errors = []
        for kind in ("fitted", "contrast"):
            bench = linear_bench(asked.run, kind)
            errors += [
                _errors(bench.evaluation, label, image, asked.dense)
                for label, image in bench.true_maps.items()
            ]
    else:
        run = gx.open_run(asked.run)
        errors = [_errors(make_evaluation(run), asked.map, run.maps[asked.map], asked.dense)]
    print("| steps | forwards an image | Δ, mean and largest error | sufficient | necessary |")
    print("|---|---|---|---|---|")
    for name in errors[0]:
        each = np.array([found[name] for found in errors])
        mean, largest = each.mean(axis=0), each.max(axis=0)
        told = [f"{a:.4f}, {b:.4f}" for a, b in zip(mean[1:], largest[1:], strict=True)]
        print(f"| {name} | {mean[0]:.0f} | {' | '.join(told)} |")


def _errors(
    evaluation: Evaluation, label: str, image: np.ndarray, dense: int
) -> dict[str, list[float]]:
    """Return, by way to place steps, forwards an image and what Δ and fractions are off by."""
    order = order_by_map(image, evaluation.valid, 0)
    targets = Targets.of(evaluation.classifier.labels, [label], (label,))
    question = Question(targets, (label,), adaptive=True, up_to=1.0)
    usual = step_counts(order.size, PepprSettings().steps)
    half = usual[np.argmin(np.abs(usual / order.size - 0.5))]
    first = np.union1d(usual[control_steps(usual, PepprSettings().control_steps)], half)

    def measured(course: Course) -> np.ndarray:
        erase, restore = targets.curves(evaluation.roc_auc_curves(course.logits))[..., 0]
        fractions, intact = course.fractions, float(erase[0])
        return np.array(
            [
                np.trapezoid(restore - erase, fractions),
                sufficient_fraction(fractions, restore, intact),
                necessary_fraction(fractions, erase, intact),
            ]
        )

    def fixed(steps: int) -> Course:
        return evaluation.course(order, step_counts(order.size, steps), lambda done, total: None)

    truth = measured(fixed(dense))
    courses = {f"{steps}, fixed": fixed(steps) for steps in _FIXED}
    for tolerance in _TOLERANCES:
        with tempfile.TemporaryDirectory() as folder:
            courses[f"placed, within {tolerance:g}"], _ = refined_course(
                evaluation,
                order,
                first,
                question,
                len(usual) - 1,
                tolerance,
                Path(folder),
                lambda done, total: None,
            )
    return {
        name: [2 * (len(course.counts) - 2), *np.abs(measured(course) - truth)]
        for name, course in courses.items()
    }


if __name__ == "__main__":
    main()
