"""What of the spread of Δ is the luck of whose images the map was made of: the docs' table.

    python benchmarks/peppr_remade.py [--folder FOLDER] [--resamples N]

The models are the linear stand-ins of `peppr_calibration.py`; an image's attribution is what each
of its pixels adds to the logit, and a map the mean over images with the label, smoothed. Each of
five folds is tested along the map of the others. Δ is taken over resamples of patients with the map
as it is, over the same resamples with the map made again of each, and, with all patients, over maps
of random halves, as `--remade-maps` does.
"""

import argparse
from pathlib import Path

import numpy as np
from calibration_models import linear_bench
from scipy.ndimage import gaussian_filter

from napari_globalxai.faithfulness.folds import assign_folds
from napari_globalxai.faithfulness.orders.control_steps import control_steps
from napari_globalxai.faithfulness.orders.map_orders import order_by_map, step_counts
from napari_globalxai.faithfulness.orders.remade_maps import halves
from napari_globalxai.faithfulness.scores.auc_scores import (
    area,
    patient_resamples,
    weighted_roc_auc,
)

_FOLDS = 5


class CrossFitted:
    """Δ of a label, each fold along the map of the other folds' patients."""

    def __init__(self, evaluation, index):
        images, labels = evaluation.truth.shape
        parts = evaluation.parts.reshape(images, labels, -1)[:, index]
        self.parts, self.valid = parts, evaluation.valid
        self.truth = evaluation.truth[:, index] == 1
        self.fold_of = assign_folds(evaluation.patients, evaluation.truth, _FOLDS, 0)
        pixels = int(self.valid.sum())
        counts = step_counts(pixels, 30)
        self.counts = counts[control_steps(counts, 6)]
        self.whole = parts[:, self.valid.ravel()].sum(axis=1)

    def logits(self, made_of):
        """Restored and what is left, (image, step), along maps of weighted images."""
        restored = np.empty((len(self.truth), len(self.counts)))
        for fold in range(_FOLDS):
            weights = made_of * self.truth * (self.fold_of != fold)
            mean = (weights @ self.parts / weights.sum()).reshape(self.valid.shape)
            order = order_by_map(gaussian_filter(mean, 1.5), self.valid, 0)
            members = self.fold_of == fold
            summed = np.cumsum(self.parts[np.ix_(members, order)], axis=1, dtype=np.float64)
            restored[members] = np.pad(summed, ((0, 0), (1, 0)))[:, self.counts]
        return restored, self.whole[:, None] - restored

    def deltas(self, made_of, weights):
        """Δ by row of weights."""
        auc = [
            np.stack(
                [weighted_roc_auc(self.truth, np.round(step, 6), weights) for step in arm.T], axis=1
            )
            for arm in self.logits(made_of)
        ]
        return area(self.counts / self.counts[-1], auc[0] - auc[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("calibration"))
    parser.add_argument("--resamples", type=int, default=200)
    asked = parser.parse_args()
    print("| model | label | Δ | SD, map as it is | map made again | halves | both in quadrature |")
    print("|---|---|---|---|---|---|---|")
    for kind in ("fitted", "contrast"):
        evaluation = linear_bench(asked.folder, kind).evaluation
        for index, label in enumerate(evaluation.classifier.labels):
            tested = CrossFitted(evaluation, index)
            everyone = np.ones(len(tested.truth))
            drawn = patient_resamples(evaluation.patients, tested.truth, asked.resamples, 1)
            delta = tested.deltas(everyone, everyone[None])[0]
            fixed = tested.deltas(everyone, drawn).std(ddof=1)
            again = np.std([tested.deltas(row, row[None])[0] for row in drawn], ddof=1)
            of_halves = np.std(
                [
                    tested.deltas(half.astype(float), everyone[None])[0]
                    for half in halves(evaluation.patients, asked.resamples, 1)
                ],
                ddof=1,
            )
            both = np.hypot(fixed, of_halves)
            cells = (f"{each:.3f}" for each in (delta, fixed, again, of_halves, both))
            print(f"| {kind} | {label} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
