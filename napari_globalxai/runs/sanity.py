"""The sanity check of a run: its global maps beside those of the model with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_globalxai.attribution.method import make_method
from napari_globalxai.attribution.precision import choose_batch_size
from napari_globalxai.errors import InputError
from napari_globalxai.models.random_weights import RandomWeights
from napari_globalxai.progress import JobProgress, Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import SANITY_FOLDER
from napari_globalxai.runs.random_maps import LabelMaps, RunMaps, choose_rows
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.tables import PATIENT
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


def sanity(
    run: Run | str | Path,
    settings: SanitySettings | None = None,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    trust: bool = False,
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
    told = JobProgress(progress)
    told(Progress("Loading the model", 0, 1))
    classifier = run.classifier(device=device, model=model, trust=trust)
    told(Progress("Loading the model", 1, 1))
    worker = classifier.working_with(
        precision=run.record.precision or None,
        images_a_forward=choose_batch_size(classifier) if batch_size is None else batch_size,
    )
    check = _Check(run, chosen, told)
    found = check.compare(worker)
    folder = run.folder / SANITY_FOLDER
    write_json(folder / "settings.json", {**chosen.model_dump(), "images_by_label": check.counts})
    write_json(folder / "sanity.json", found)
    return found


@dataclass(frozen=True)
class _Step:
    """One model with random weights: its seed, and the share of the layers that are random."""

    seed: int
    share: float


class _Check:
    """The maps of a run, ready to be compared with others."""

    def __init__(self, run: Run, settings: SanitySettings, progress: ProgressCallback) -> None:
        self._run, self._settings, self._progress = run, settings, progress
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

    def compare(self, classifier: Any) -> dict[str, dict[str, Any]]:
        """Return the results by label; labels without images have none."""
        steps = list(self._steps())
        method = make_method(self._run.record.settings.method, **self._method_settings)
        layer = classifier.split.layer if method.needs_split else None
        some = self._maps.every_row[:: max(1, len(self._maps.every_row) // _FITTED_IMAGES)]
        source = RandomWeights(classifier, self._run.stack.read(some[:_FITTED_IMAGES]))
        journal = Journal(self._run.folder / SANITY_FOLDER / "finished.jsonl")
        key = self._key(classifier.digest)
        known = {
            (each["seed"], each["share"]): each["labels"]
            for each in journal.read()
            if each.get("key") == key
        }
        every = len(self._maps.every_row)
        stage, total = "Explaining with random weights", len(steps) * every
        for number, step in enumerate(steps):
            self._progress(Progress(stage, number * every, total))
            if (step.seed, step.share) in known:
                continue
            random = source.classifier(
                self._settings.seed + step.seed,
                share=step.share,
                batch_norm=self._settings.batch_norm,
                cam_layer=layer,
            )

            def tick(done: int, number: int = number) -> None:
                self._progress(Progress(stage, number * every + done, total))

            maps = self._maps.of_model(random, method, tick)
            labels = {label: self._agreement(label, each) for label, each in maps.items()}
            line = {"key": key, "seed": step.seed, "share": step.share, "labels": labels}
            known[step.seed, step.share] = journal.append([line])[0]["labels"]
        self._progress(Progress(stage, total, total))
        return {label: self._summary(label, steps, known) for label in self._maps.rows}

    def _steps(self) -> Iterator[_Step]:
        stages = self._settings.stages
        for seed in range(self._settings.seeds):
            first = 1 if seed < _CASCADES else stages
            for stage in range(first, stages + 1):
                yield _Step(seed, stage / stages)

    @property
    def _method_settings(self) -> dict[str, Any]:
        return dict(self._run.record.settings.method_settings)

    def _key(self, digest: str) -> str:
        """Return a hash of all that a finished step depends on."""
        settings = self._settings.model_dump(exclude={"seeds", "stages"})
        rows = {label: each.tolist() for label, each in self._maps.rows.items()}
        return hash_value(
            [
                *(settings, digest, self._run.store.fingerprint, self._run.stack.key, rows),
                self._run.aggregation.model_dump(),
            ]
        )

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
        self, label: str, steps: list[_Step], known: dict[tuple[int, float], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return what is written of a label."""
        whole = [known[step.seed, step.share][label] for step in steps if step.share == 1]
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
                {"seed": step.seed, "share": step.share, **known[step.seed, step.share][label]}
                for step in steps
                if step.seed < _CASCADES
            ],
        }
