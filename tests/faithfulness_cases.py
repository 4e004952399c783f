"""PEPPR on images whose answers can be worked out by hand, for several files of tests."""

import numpy as np
import tiny

from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.fills.fill_kinds import fit_fill
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.settings.peppr_settings import PepprSettings

QUICK = {"steps": 6, "control_steps": 4, "controls": 19, "bootstrap": 40, "fewest_positives": 5}


def make_evaluation(folder, classifier=None, count=24, fill="mean-image", valid=None, **changes):
    """Return an evaluation of images with a sign each."""
    images, truth = tiny.sign_images(count)
    stack = tiny.make_stack(folder / "aligned.zarr", images)
    rows = np.arange(count)
    if valid is None:
        valid = np.ones((tiny.HEIGHT, tiny.WIDTH), bool)
    values = {
        "classifier": classifier or tiny.linear_classifier(),
        "stack": stack,
        "rows": rows,
        "truth": truth,
        "patients": tuple(f"P{row // 2}" for row in rows),
        "valid": valid,
        "fill": fit_fill(fill, stack, rows) if isinstance(fill, str) else fill,
        "batch_size": 64,
        "key": "tiny",
    }
    return Evaluation(**{**values, **changes})


def sign_map(label="left", seed=0):
    """The label's sign, with noise so that no two pixels tie."""
    image = np.random.default_rng(seed).random((tiny.HEIGHT, tiny.WIDTH)) * 0.1
    image[tiny.SIGNS[label]] += 1
    return image.astype(np.float32)


def judged_run(folder, evaluation, image, **settings):
    """Run PEPPR with few steps and just enough controls."""
    chosen = PepprSettings(**{**QUICK, **settings})
    return run_peppr(evaluation, "map", image, tiny.LABELS, chosen, cache=folder / "controls")
