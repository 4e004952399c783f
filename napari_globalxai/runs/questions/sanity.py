"""The sanity check of a run: its global maps beside those of the model with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_globalxai.attribution.method import Method, make_method
from napari_globalxai.attribution.precision import choose_batch_size
from napari_globalxai.errors import InputError
from napari_globalxai.execution.dask_workers import SAME_AGAIN, Workers, check_workers, open_workers
from napari_globalxai.execution.kept import IN_THIS_PROCESS
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.elsewhere import ModelElsewhere
from napari_globalxai.models.random_weights import RandomWeights
from napari_globalxai.progress import JobProgress, Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import SANITY_FOLDER
from napari_globalxai.runs.questions.random_maps import LabelMaps, RunMaps, choose_rows
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.tables import PATIENT
from napari_globalxai.runs.turns import made_aside
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.sanity_settings import SanitySettings
from napari_globalxai.statistics.random_model_maps import (
    Halves,
    cross_agreement,
    judge_dependence,
    rank_correlations,
    rank_p,
    self_agreement,
    structural_similarity,
)
from napari_globalxai.storage import Journal, hash_value, write_json

# How many images running statistics are fitted to, and how many seeds go down stage by stage.
_FITTED_IMAGES = 32
_CASCADES = 3
_STAGE = "Explaining with random weights"


def sanity(
    run: Run | str | Path,
    settings: SanitySettings | None = None,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    trust: bool = False,
    workers: WorkerSettings | int | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> dict[str, dict[str, Any]]:
    """Compare the global maps of a run with those of its model with random weights.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    settings : SanitySettings, optional
        What is chosen.
    model : str or pathlib.Path, optional
        Where the model is, if it has moved since.
    device, batch_size : optional
        As in `DeviceSettings`.
    trust : bool, optional
        As for `load_model`, where the model is not loaded yet.
    workers : WorkerSettings or int, optional
        Processes that share the work, or how many; by default this one does it. The bits are the
        same.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`. What was finished is kept, and the same call
        goes on from there.
    **keywords
        Fields of `SanitySettings`, in place of those of `settings`.

    Returns
    -------
    dict of str to dict
        By label, what ``sanity/sanity.json`` holds: ``spearman`` and ``ssim`` of the global map
        with that of each seed; ``p``, ``verdict`` and ``reason``; the same agreements for signed
        and absolute maps; and the stages of the first seeds, from the answer down.

    Raises
    ------
    InputError
        When the model cannot be used, or its weights cannot be drawn anew.
    """
    chosen = SanitySettings.of(settings, keywords)
    if not isinstance(run, Run):
        run = open_run(run)
    check_workers(workers)
    told = JobProgress(progress)
    classifier = run.classifier(device=device, model=model, trust=trust, progress=told)
    worker = classifier.working_with(
        precision=run.record.precision or None,
        images_a_forward=choose_batch_size(classifier) if batch_size is None else batch_size,
    )
    check = _Check(run, chosen)
    with open_workers(workers, told, SAME_AGAIN) as processes:
        found = check.compare(worker, told, processes)
    with made_aside(run.folder, SANITY_FOLDER, whole=False) as aside:
        settled = {**chosen.model_dump(), "images_by_label": check.counts}
        write_json(aside / "settings.json", settled)
        write_json(aside / "sanity.json", found)
    return found


@dataclass(frozen=True)
class _Step:
    """One model with random weights: its seed, and the share of the layers that are random."""

    seed: int
    share: float


class _Check:
    """The maps of a run, ready to be compared with others."""

    def __init__(self, run: Run, settings: SanitySettings) -> None:
        self.run, self.settings = run, settings
        patients = run.images[PATIENT].astype(str).tolist()
        rows = {
            label: choose_rows(run.members(label), patients, settings.images, settings.seed)
            for label in run.labels
        }
        self.counts = {label: len(each) for label, each in rows.items()}
        rows = {label: each for label, each in rows.items() if len(each)}
        if not rows:
            raise InputError(
                f"{run.folder}: no image stands behind any of its maps; explain images that carry "
                "a label, or choose others with --select."
            )
        self._maps = RunMaps(run, rows)
        self._patients = {label: [patients[row] for row in each] for label, each in rows.items()}
        self._halves = {
            label: Halves.draw(each, settings.splits, settings.seed)
            for label, each in self._patients.items()
        }
        self._trained = self._maps.trained()

    def compare(
        self, classifier: Classifier, progress: ProgressCallback, workers: Workers | None
    ) -> dict[str, dict[str, Any]]:
        """Return the results by label; labels without images have none."""
        steps = list(self._steps())
        journal = Journal(self.run.folder / SANITY_FOLDER / "finished.jsonl")
        key = self._key(classifier.digest)
        known = {
            _Step(each["seed"], each["share"]): each["labels"]
            for each in journal.read()
            if each.get("key") == key
        }
        missing = [step for step in steps if step not in known]
        every = len(self._maps.every_row)
        total = len(steps) * every
        finished = (len(steps) - len(missing)) * every
        progress(Progress(_STAGE, finished, total))
        if workers is None:

            def tick(done: int) -> None:
                progress(Progress(_STAGE, finished + done, total))

            random = _Randomised(self, classifier)
            made: Iterator[tuple[_Step, dict[str, dict[str, float]]]] = (
                (step, random.agreement(step, tick)) for step in missing
            )
        else:
            made = self._on_workers(workers, classifier, missing)
        for step, labels in made:
            line = {"key": key, "seed": step.seed, "share": step.share, "labels": labels}
            known[step] = journal.append([line])[0]["labels"]
            finished += every
            progress(Progress(_STAGE, finished, total))
        return {label: self._summary(label, steps, known) for label in self._maps.rows}

    def _on_workers(
        self, workers: Workers, classifier: Classifier, steps: list[_Step]
    ) -> Iterator[tuple[_Step, dict[str, dict[str, float]]]]:
        """Give the steps as they are finished, and what they came to."""
        # So that workers know where the cells lie, and none of them has to find it out.
        _method_of(self.run).grid(classifier)
        model = ModelElsewhere.of(classifier)
        job = _Job(self.run.folder.absolute(), self.settings, model)
        tasks = (_Task(job, step) for step in steps)
        for task, labels in workers.run(_agreement_elsewhere, tasks):
            yield task.step, labels

    @property
    def every_row(self) -> list[int]:
        """All images behind any of the maps."""
        return self._maps.every_row

    def _steps(self) -> Iterator[_Step]:
        stages = self.settings.stages
        for seed in range(self.settings.seeds):
            first = 1 if seed < _CASCADES else stages
            for stage in range(first, stages + 1):
                yield _Step(seed, stage / stages)

    def _key(self, digest: str) -> str:
        """Return a hash of all that a finished step depends on."""
        settings = self.settings.model_dump(exclude={"seeds", "stages"})
        rows = {label: each.tolist() for label, each in self._maps.rows.items()}
        return hash_value(
            [
                *(settings, digest, self.run.store.fingerprint, self.run.stack.key, rows),
                self.run.aggregation.model_dump(),
            ]
        )

    def agreements(
        self, random: Classifier, method: Method, tick: Callable[[int], None]
    ) -> dict[str, dict[str, float]]:
        """Return by label how like the run's map that of a model with random weights is."""
        maps = self._maps.of_model(random, method, tick)
        return {label: self._agreement(label, each) for label, each in maps.items()}

    def _agreement(self, label: str, random: LabelMaps) -> dict[str, float]:
        """Return how like the run's map of a label another one is."""
        own, inside = self._trained[label], self._maps.valid
        pairs = {
            "spearman": (own.mean, random.mean),
            "spearman_signed": (own.signed, random.signed),
            "spearman_absolute": (own.absolute, random.absolute),
        }
        return {
            name: float(rank_correlations(*(each[inside][None] for each in pair))[0])
            for name, pair in pairs.items()
        } | {
            "ssim": structural_similarity(own.mean, random.mean),
            "between_halves": cross_agreement(
                self._half_means(label, own), self._half_means(label, random)
            ),
        }

    def _half_means(self, label: str, maps: LabelMaps) -> tuple[Any, Any]:
        return self._halves[label].means(maps.maps[:, self._maps.valid], maps.keep)

    def _summary(
        self, label: str, steps: list[_Step], known: dict[_Step, dict[str, Any]]
    ) -> dict[str, Any]:
        """Return what is written of a label."""
        whole = [known[step][label] for step in steps if step.share == 1]
        reliability = self_agreement(self._half_means(label, self._trained[label]))
        agreements = [each["between_halves"] for each in whole]
        p = rank_p(reliability, agreements)
        patients = len(set(self._patients[label]))
        judged = judge_dependence(patients, reliability, agreements, p)
        names = ("spearman", "ssim", "spearman_signed", "spearman_absolute", "between_halves")
        return {
            **{name: [each[name] for each in whole] for name in names[:2]},
            "p": p,
            "verdict": judged.verdict,
            "reason": judged.reason,
            "images": len(self._maps.rows[label]),
            "patients": patients,
            "reliability": reliability,
            **{name: [each[name] for each in whole] for name in names[2:]},
            "constant": [not np.any(each["spearman"]) for each in whole],
            "stages": [
                {"seed": step.seed, "share": step.share, **known[step][label]}
                for step in steps
                if step.seed < _CASCADES
            ],
        }


class _Randomised:
    """Makes the models of steps out of the trained one, and compares their maps."""

    def __init__(self, check: _Check, classifier: Classifier) -> None:
        settings, run = check.settings, check.run
        self._check = check
        self._method = _method_of(run)
        self._layer = classifier.split.layer if self._method.needs_split else None
        # What models with random weights share with the trained one is found once.
        self._method.grid(classifier)
        every = check.every_row
        some = every[:: max(1, len(every) // _FITTED_IMAGES)]
        self._source = RandomWeights(classifier, run.stack.read(some[:_FITTED_IMAGES]))
        self._settings = settings

    def agreement(
        self, step: _Step, tick: Callable[[int], None] = lambda done: None
    ) -> dict[str, dict[str, float]]:
        """Return by label how like the run's map that of a step's model is."""
        random = self._source.classifier(
            self._settings.seed + step.seed,
            share=step.share,
            batch_norm=self._settings.batch_norm,
            cam_layer=self._layer,
        )
        return self._check.agreements(random, self._method, tick)


def _method_of(run: Run) -> Method:
    recorded = run.record.settings
    return make_method(recorded.method, **dict(recorded.method_settings))


@dataclass(frozen=True)
class _Job:
    """What another process needs to compare maps of models with random weights."""

    run: Path
    settings: SanitySettings
    model: ModelElsewhere

    def prepare(self) -> _Randomised:
        return _Randomised(_Check(open_run(self.run), self.settings), self.model.load())


@dataclass(frozen=True)
class _Task:
    """A step that another process is to do."""

    job: _Job
    step: _Step


def _agreement_elsewhere(task: _Task) -> dict[str, dict[str, float]]:
    """Do a step in this process, whose model stays for the next one."""
    with IN_THIS_PROCESS.lend(task.job, task.job.prepare) as random:
        return random.agreement(task.step)
