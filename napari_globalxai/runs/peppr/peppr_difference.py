"""Δ of PEPPR in two runs of the same images, and its difference over the same patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.folds import CROSS_FITTED
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray, area
from napari_globalxai.faithfulness.scores.intervals import plain_interval
from napari_globalxai.faithfulness.scores.left_out_patients import auc_without_each
from napari_globalxai.faithfulness.targets import MACRO, POOLED
from napari_globalxai.runs.tables import PATIENT

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.runs.questions.matching import Matched
    from napari_globalxai.runs.run import Run

# Rounded probabilities may tie where the model's log-odds did not.
_MOST_ROUNDING = 0.002
# `evaluation`, where they are named, imports torch.
_ARMS = ("erase", "restore")
_SAME_QUESTION = ("valid_pixels", "steps", "area")


@dataclass
class PepprDifferences:
    """Compares Δ of the maps and fills that PEPPR was run with in both of two runs.

    Parameters
    ----------
    runs : tuple of Run
        The runs.
    matched : Matched
        Their images in common.
    labels : sequence of str
        Labels that are compared.
    remarks : list of str
        What does not match, a sentence each, once `rows` was gone through.
    """

    runs: tuple[Run, Run]
    matched: Matched
    labels: Sequence[str]
    remarks: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give what ``comparison.json`` holds of PEPPR, one entry a map, fill and target."""
        first, second = self.runs
        for name in first.peppr_names:
            if name not in second.peppr_names:
                continue
            for fill in first.peppr_fills(name):
                if fill in second.peppr_fills(name):
                    results = first.peppr_result(name, fill), second.peppr_result(name, fill)
                    yield from self._along(name, fill, results)

    def _along(
        self, name: str, fill: str, results: tuple[PepprResult, PepprResult]
    ) -> Iterator[dict[str, Any]]:
        self._remark(name, results)
        pair = _Pair.of(self.runs, self.matched, results)
        if not len(pair.patients):
            self.remarks.append(f"{name}: PEPPR of the runs has no image in common.")
            return
        for target in self._targets(results):
            columns = (target,) if target in self.labels else tuple(self.labels)
            found = pair.deltas(columns, pooled=target == POOLED)
            if found is None:
                continue
            if found.images < max(len(each.rows) for each in results):
                self.remarks.append(
                    f"{name}: Δ of PEPPR is of the {found.images} images of which both runs tested "
                    f"{target} and know one truth."
                )
            elif target in self.labels:
                self._check_rounding(name, target, results, found)
            low, high = found.interval(found.first - found.second)
            yield {
                "map": name,
                "label": target,
                "fill": fill,
                "images": found.images,
                "patients": len(found.first) - 1,
                "delta_a": float(found.first[0]),
                "delta_b": float(found.second[0]),
                "difference": float(found.first[0] - found.second[0]),
                "ci_low": low,
                "ci_high": high,
                "ci_a": list(found.interval(found.first)),
                "ci_b": list(found.interval(found.second)),
                "evaluated_on_a": results[0].evaluated_on,
                "evaluated_on_b": results[1].evaluated_on,
            }

    def _targets(self, results: tuple[PepprResult, PepprResult]) -> list[str]:
        """Return the labels, and what stands for all of them, that both results measured."""
        measured = [
            target
            for target, values in results[0].areas.items()
            if "delta" in values and "delta" in results[1].areas.get(target, {})
        ]
        whole = all(set(run.labels) == set(self.labels) for run in self.runs)
        together = {MACRO, POOLED} - set(self.labels) if whole else set()
        return [target for target in measured if target in self.labels or target in together]

    def _remark(self, name: str, results: tuple[PepprResult, PepprResult]) -> None:
        """Say what keeps two results from being answers to one question."""
        on = [result.evaluated_on for result in results]
        if on[0] != on[1]:
            self.remarks.append(
                f"{name}: PEPPR of A is of {_whose(on[0])}, that of B of {_whose(on[1])}, so part "
                "of the difference in Δ may come from that."
            )
        elif on[0] != CROSS_FITTED:
            self.remarks.append(f"{name}: PEPPR of both runs is of {_whose(on[0])}.")
        differ = [
            key.replace("_", " ")
            for key in _SAME_QUESTION
            if results[0].settings.get(key) != results[1].settings.get(key)
        ]
        if differ:
            self.remarks.append(f"{name}: PEPPR of the runs differs in {' and '.join(differ)}.")

    def _check_rounding(
        self,
        name: str,
        label: str,
        results: tuple[PepprResult, PepprResult],
        found: _Deltas,
    ) -> None:
        for result, deltas in zip(results, (found.first, found.second), strict=True):
            if abs(result.areas[label]["delta"] - deltas[0]) > _MOST_ROUNDING:
                self.remarks.append(
                    f"{name}: many probabilities of {label} are 0 or 1 after rounding, so that Δ "
                    "of the kept predictions differs from that of PEPPR."
                )


def _whose(evaluated_on: str) -> str:
    if evaluated_on == CROSS_FITTED:
        return "maps of other patients (cross-fitted)"
    return f"a map that was not cross-fitted ({evaluated_on})"


@dataclass(frozen=True)
class _Pair:
    """The predictions of two runs along their maps, of the images that both tested."""

    fractions: tuple[FloatArray, FloatArray]
    # By run and arm: (step, image, label), for the labels by name.
    predicted: tuple[dict[str, FloatArray], dict[str, FloatArray]]
    names: tuple[tuple[str, ...], tuple[str, ...]]
    runs: tuple[Run, Run]
    rows: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    patients: npt.NDArray[np.str_]

    @classmethod
    def of(
        cls,
        runs: tuple[Run, Run],
        matched: Matched,
        results: tuple[PepprResult, PepprResult],
    ) -> _Pair:
        places = [{int(row): at for at, row in enumerate(result.rows)} for result in results]
        both = [
            (int(one), int(other))
            for one, other in zip(matched.first, matched.second, strict=True)
            if int(one) in places[0] and int(other) in places[1]
        ]
        rows = tuple(np.array([pair[side] for pair in both], np.int64) for side in (0, 1))
        at = [[places[side][int(row)] for row in rows[side]] for side in (0, 1)]
        predicted = tuple(
            {arm: result.probabilities[arm][:, at[side]].astype(np.float64) for arm in _ARMS}
            for side, result in enumerate(results)
        )
        return cls(
            (results[0].fractions, results[1].fractions),
            (predicted[0], predicted[1]),
            (results[0].labels, results[1].labels),
            runs,
            (rows[0], rows[1]),
            runs[0].images[PATIENT].astype(str).to_numpy(str)[rows[0]],
        )

    def deltas(self, labels: Sequence[str], *, pooled: bool) -> _Deltas | None:
        """Return Δ of both runs; None where no label has both classes."""
        truth = [
            run.truth(tuple(labels))[rows] for run, rows in zip(self.runs, self.rows, strict=True)
        ]
        alike = np.isfinite(truth[0]) & (truth[0] == truth[1])
        carries = alike & (truth[0] == 1)
        usable = np.flatnonzero(carries.any(axis=0) & (alike & ~carries).any(axis=0)).tolist()
        if not len(usable):
            return None
        some = alike[:, usable].any(axis=1)
        owner = np.unique(self.patients[some], return_inverse=True)[1]
        everyone = int(owner.max()) + 1
        carriers = [len(set(owner[column[some]])) for column in carries.T[usable]]
        cases = _Cases(carries[some][:, usable], alike[some][:, usable], owner, everyone, pooled)
        found = []
        for side in (0, 1):
            columns = [self.names[side].index(labels[at]) for at in usable]
            erase, restore = (
                np.stack([cases.auc(step[some][:, columns]) for step in self.predicted[side][arm]])
                for arm in _ARMS
            )
            found.append(area(self.fractions[side], (restore - erase).T))
        smallest = min(min(each, everyone - each) or everyone for each in carriers)
        return _Deltas(found[0], found[1], int(some.sum()), smallest)


@dataclass(frozen=True)
class _Deltas:
    """Δ of both runs, of all patients and then without each of them."""

    first: FloatArray
    second: FloatArray
    images: int
    # Patients with, or without, the label: whichever are fewer.
    smallest: int

    def interval(self, values: FloatArray) -> tuple[float, float]:
        """Return the 95 % interval that PEPPR takes for Δ."""
        low, high = plain_interval(float(values[0]), values[1:], self.smallest)
        return float(low), float(high)


@dataclass(frozen=True)
class _Cases:
    """Whose ROC AUC is taken: of one label, the mean over several, or of all pooled."""

    truth: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]
    owner: npt.NDArray[np.int64]
    patients: int
    pooled: bool

    def auc(self, scores: FloatArray) -> FloatArray:
        """Return ROC AUC of scores (image, label), whole and without each patient."""
        owners = np.broadcast_to(self.owner[:, None], self.known.shape)
        if self.pooled:
            use = self.known
            return auc_without_each(self.truth[use], scores[use], owners[use], self.patients)
        by_label = [
            auc_without_each(
                self.truth[use, label], scores[use, label], self.owner[use], self.patients
            )
            for label, use in enumerate(self.known.T)
        ]
        return np.asarray(np.mean(by_label, axis=0))
