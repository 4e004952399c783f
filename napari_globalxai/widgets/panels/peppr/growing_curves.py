"""Curves of PEPPR that grow while a map is tested."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.session.session import OVERALL, plain_viewer
from napari_globalxai.widgets.session.viewer_jobs import TESTING, runner_of

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.evaluation import Evaluation, LogitsByArm
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.faithfulness.scores.auc_scores import FloatArray
    from napari_globalxai.faithfulness.targets import Targets
    from napari_globalxai.runs.run import Run

_MILLISECONDS_BETWEEN = 1000
_MIDDLE = (0.025, 0.975)
_NOT_YET = float("nan")


class GrowingCurves:
    """What PEPPR along one map has come to; told in the thread that predicts.

    Parameters
    ----------
    map_name : str
        The map.
    settings : PepprSettings
        What was chosen.
    judged : sequence of str, optional
        What the map is judged by; by default its own label, or all together.
    """

    def __init__(
        self, map_name: str, settings: PepprSettings, judged: Sequence[str] | None = None
    ) -> None:
        self.map_name = map_name
        self._judged = judged
        self._settings = settings
        self._lock = threading.Lock()
        self._course: tuple[Evaluation, FloatArray, LogitsByArm] | None = None
        self._controls: dict[str, list[FloatArray]] = defaultdict(list)
        self._at = np.empty(0)
        self.told = 0

    def on_map(self, name: str) -> None:
        """Go on with another map: there is one."""

    def on_course(self, evaluation: Evaluation, fractions: FloatArray, logits: LogitsByArm) -> None:
        """Take what is predicted along the map so far."""
        with self._lock:
            before = self._course
            if before is not None and before[0].identity == evaluation.identity:
                # Steps between those that are known come later.
                new = ~np.isin(before[1], fractions)
                fractions = np.concatenate([before[1][new], fractions])
                rising = np.argsort(fractions)
                fractions = fractions[rising]
                logits = {
                    arm: np.concatenate([before[2][arm][new], values])[rising]
                    for arm, values in logits.items()
                }
            elif before is not None:
                # The next of several fills.
                self._controls.clear()
            self._course = (evaluation, fractions, logits)
            self.told += 1

    def on_control(self, family: str, fractions: FloatArray, curves: FloatArray) -> None:
        """Take the curves of one more control."""
        with self._lock:
            self._controls[family].append(curves)
            self._at = fractions
            self.told += 1

    def result(self, label: str) -> PepprResult | None:
        """Return a result of what there is, of which one label has curves; None before any.

        Parameters
        ----------
        label : str
            The label; another one where it cannot be measured. To be called in a worker.
        """
        import pandas as pd

        from napari_globalxai.faithfulness.cases import Cases
        from napari_globalxai.faithfulness.result import CURVE_COLUMNS, PepprResult

        with self._lock:
            course, at = self._course, self._at
            controls = {name: np.stack(every) for name, every in self._controls.items()}
        if course is None or len(course[1]) < 2:
            return None
        evaluation, fractions, logits = course
        targets = self._targets(evaluation)
        label = label if label in targets.names else self._first(targets)
        cases = Cases.of(evaluation, targets, label, self._settings, crossings=False)
        own = cases.curves(fractions, logits)
        rows = _rows("map", fractions, own.auc, cases.resamples.interval)
        areas: dict[str, dict[str, Any]] = {
            name: {"intact_auc": _NOT_YET, "p_values": dict.fromkeys(controls, _NOT_YET)}
            for name in targets.names
        }
        place, up_to = targets.names.index(label), self._settings.judged_up_to
        deltas: dict[str, list[float]] = {}
        for family, every in controls.items():
            deltas[family] = targets.deltas(every, at, up_to)[:, place].tolist()
            rows += _family_rows(family, at, targets.curves(every)[..., place])
        there = np.flatnonzero(np.isin(fractions, at))
        whole = len(there) == len(at) > 0
        areas[label] |= {
            "intact_auc": float(own.auc["erase"][0, 0]),
            "delta_on_control_steps": float(own.at(there).deltas_up_to(up_to)[0])
            if whole
            else _NOT_YET,
            "control_deltas": deltas,
            "judged_up_to": up_to,
        }
        curves = pd.DataFrame(rows).assign(map=self.map_name, label=label)
        nothing = np.empty(0, np.int64)
        return PepprResult(
            map_name=self.map_name,
            curves=curves[list(CURVE_COLUMNS)],
            areas=areas,
            verdict={},
            settings={},
            shape=evaluation.stack.shape,
            order=nothing,
            counts=nothing,
            fill=None,
            rows=evaluation.rows,
            labels=evaluation.classifier.labels,
            probabilities={},
        )

    def _targets(self, evaluation: Evaluation) -> Targets:
        from napari_globalxai.faithfulness.targets import MACRO, Targets

        labels, truth = evaluation.classifier.labels, evaluation.truth
        usable = [
            label
            for label, known in zip(labels, truth.T, strict=True)
            if (known == 1).any() and (known == 0).any()
        ]
        own = (MACRO,) if self.map_name == OVERALL else (self.map_name,)
        judged = own if self._judged is None else self._judged
        return Targets.of(labels, usable, judged, evaluation.together)

    def _first(self, targets: Targets) -> str:
        """Return what the map is judged by, or else what can be measured."""
        if self.map_name in targets.labels:
            return self.map_name
        return targets.names[len(targets.labels) if targets.together else 0]


def _rows(order: str, fractions: Any, auc: Any, interval_of: Any) -> list[dict[str, Any]]:
    """Return a row a point of the map's own curves."""
    rows = []
    for arm, values in auc.items():
        low, high = interval_of(values, "share")
        rows += _points(order, arm, fractions, values[0], low, high)
    return rows


def _family_rows(family: str, fractions: FloatArray, curves: FloatArray) -> list[dict[str, Any]]:
    """Return the mean of a family's curves (order, arm, step), and the middle of them."""
    from napari_globalxai.faithfulness.evaluation import ARMS

    rows = []
    for arm, values in zip(ARMS, np.moveaxis(curves, 1, 0), strict=True):
        low, high = np.quantile(values, _MIDDLE, axis=0)
        rows += _points(family, arm, fractions, values.mean(axis=0), low, high)
    return rows


def _points(order: str, arm: str, fractions: Any, *columns: Any) -> list[dict[str, Any]]:
    where = {"order": order, "arm": arm, "metric": "roc_auc"}
    return [
        {**where, "fraction": fraction, "value": value, "ci_low": low, "ci_high": high}
        for fraction, value, low, high in zip(fractions, *columns, strict=True)
    ]


class GrowingMaps:
    """What PEPPR along several maps has come to, which are compared; told as `GrowingCurves` are.

    Parameters
    ----------
    settings : PepprSettings
        What was chosen.
    judged : sequence of str
        What maps are judged by beside labels.
    """

    def __init__(self, settings: PepprSettings, judged: Sequence[str] = ()) -> None:
        self._settings, self._judged = settings, judged
        self._maps: list[GrowingCurves] = []
        # Of maps that are finished, by place and label.
        self._known: dict[tuple[int, str], PepprResult | None] = {}

    @property
    def told(self) -> int:
        """How often something was told."""
        return sum(each.told for each in self._maps)

    def on_map(self, name: str) -> None:
        """Go on with another map."""
        self._maps.append(GrowingCurves(name, self._settings, self._judged))

    def on_course(self, evaluation: Evaluation, fractions: FloatArray, logits: LogitsByArm) -> None:
        """Take what is predicted along the map so far."""
        self._maps[-1].on_course(evaluation, fractions, logits)

    def on_control(self, family: str, fractions: FloatArray, curves: FloatArray) -> None:
        """Take no controls: maps are compared without."""

    def result(self, label: str) -> SideBySide | None:
        """Return what there is of all maps; see `GrowingCurves.result`."""
        if not self._maps:
            return None
        *finished, last = self._maps
        newest = last.result(label)
        # What label the first one came to is that of the others.
        shown = label if newest is None else str(newest.curves["label"].iloc[0])
        found = []
        for place, each in enumerate(finished):
            if (place, shown) not in self._known:
                self._known[place, shown] = each.result(shown)
            found.append(self._known[place, shown])
        every = [result for result in (*found, newest) if result is not None]
        return SideBySide(every[-1], tuple(every[:-1])) if every else None


@dataclass(frozen=True)
class SideBySide:
    """What several maps have come to.

    Attributes
    ----------
    result : PepprResult
        Of the map at work.
    others : tuple of PepprResult
        Of those before it.
    """

    result: PepprResult
    others: tuple[PepprResult, ...]


class CurvesUnderWay:
    """Asks now and then what a test under way has come to; one a viewer and job.

    Attributes
    ----------
    grown : psygnal.Signal
        A `PepprResult` of what there is, with curves of the label that is looked at; `SideBySide`
        where maps are compared.
    result : PepprResult, SideBySide or None
        The last of them: also of a test that was stopped, until there is a finished one.
    label : str
        The label that is looked at.
    """

    grown = Signal(object)

    def __init__(self) -> None:
        self.result: Any = None
        self._run: Run | None = None
        self._label = ""
        self._curves: GrowingCurves | GrowingMaps | None = None
        self._seen: tuple[int, str] = (0, "")
        self._reads = LatestOnly()
        self._reads.ready.connect(self._on_read)
        self._timer = QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN)
        self._timer.timeout.connect(self._ask)

    @property
    def label(self) -> str:
        """The label that is looked at."""
        return self._label

    @label.setter
    def label(self, label: str) -> None:
        self._label = label
        self._ask()

    def of(self, run: Run | None, map_name: str) -> PepprResult | None:
        """Return what there is of a run's map."""
        found: PepprResult | None = self.of_run(run)
        return found if found is not None and found.map_name == map_name else None

    def of_run(self, run: Run | None) -> Any:
        """Return what there is of a run."""
        return self.result if run is self._run else None

    def start(self, run: Run, map_name: str, settings: PepprSettings) -> GrowingCurves:
        """Look on at a test, and return what is to be told of it."""
        curves = GrowingCurves(map_name, settings)
        self.look_on(run, curves)
        return curves

    def look_on(self, run: Run, curves: GrowingCurves | GrowingMaps) -> None:
        """Look on at what is to be told of a test."""
        self.result, self._run, self._seen = None, run, (0, "")
        self._curves = curves
        self._timer.start()

    def stop(self) -> None:
        """Look on no more; what came last is still asked for, and kept."""
        self._timer.stop()
        self._ask()

    def forget(self) -> None:
        """Keep nothing: there is a finished result."""
        self._timer.stop()
        self._curves = self.result = self._run = None

    def _ask(self) -> None:
        curves, label = self._curves, self._label
        if curves is not None and (curves.told, label) != self._seen and not self._reads.is_running:
            self._seen = (curves.told, label)
            self._reads.request(curves, lambda: curves.result(label))

    def _on_read(self, curves: object, result: PepprResult | SideBySide | None) -> None:
        if curves is self._curves and result is not None:
            self.result = result
            self.grown.emit(result)
            # Another label may be looked at by now.
            QTimer.singleShot(0, self._ask)


_under_way: WeakKeyDictionary[Any, dict[str, CurvesUnderWay]] = WeakKeyDictionary()


def curves_under_way(viewer: Any, job: str = TESTING) -> CurvesUnderWay:
    """Return what looks on at the tests of a viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    job : str, optional
        Which job does them.
    """
    plain = plain_viewer(viewer)
    known = _under_way.setdefault(plain, {})
    if job not in known:
        curves = known[job] = CurvesUnderWay()
        runner = runner_of(plain, job)
        runner.cancelled.connect(curves.stop)
        runner.failed.connect(lambda sentence: curves.stop())
        runner.succeeded.connect(lambda found: curves.stop())
    return known[job]
