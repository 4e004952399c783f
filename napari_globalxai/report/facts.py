"""What the report says about a run, as plain facts; the template only lays them out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from napari_globalxai.faithfulness.scores.auc_scores import roc_auc
from napari_globalxai.report.answers import LabelAnswer, answer
from napari_globalxai.report.members import images_by_label
from napari_globalxai.report.method_text import method_in_brief
from napari_globalxai.report.more_tables import MoreTable, more_tables
from napari_globalxai.report.peppr_facts import PepprFacts, peppr_facts, same_images
from napari_globalxai.report.style import DASH, number
from napari_globalxai.runs.folder import PEPPR_FOLDER
from napari_globalxai.runs.run import Run
from napari_globalxai.statistics.recorded_statistics import (
    WARNING,
    RecordedStatistic,
    recorded_statistics,
)

LEAST_SIMILAR_LISTED = 5


@dataclass(frozen=True)
class LabelFacts:
    """One label of the cohort and its global map.

    Attributes
    ----------
    label : str
        The label.
    positives, negatives, unknown : int
        Explained images by their true label.
    auc : str
        ROC AUC of the intact model on them.
    statistics : list of str
        Of the global map, in the order of `ReportFacts.statistics`.
    warning : str
        Of the global map.
    """

    label: str
    positives: int
    negatives: int
    unknown: int
    auc: str
    statistics: list[str]
    warning: str


@dataclass(frozen=True)
class Disagreement:
    """An image whose map is unlike its label's global map."""

    label: str
    file: str
    truth: str
    probability: str
    similarity: str


@dataclass(frozen=True)
class ReportFacts:
    """Everything that the report says.

    Attributes
    ----------
    title, asked : str
        Headline, and what was asked in one sentence.
    answers : list of LabelAnswer
        The plain-language answer, label by label.
    cohort, provenance : list of (str, str)
        Facts to list.
    statistics : list of RecordedStatistic
        What was computed of each global map.
    labels : list of LabelFacts
        The labels.
    peppr : list of PepprFacts
        Results of PEPPR, the run's own maps first.
    more_tables : list of MoreTable
        What else PEPPR was asked: regions, several maps, images one by one, the published way.
    disagreements : list of Disagreement
        The least similar images of each label.
    failed : list of (str, str)
        Images that could not be explained, and their errors.
    warnings : list of str
        What to keep in mind.
    method : list of str
        The method in brief, a paragraph each.
    settings : str
        All settings as JSON.
    """

    title: str
    asked: str
    answers: list[LabelAnswer]
    cohort: list[tuple[str, str]]
    provenance: list[tuple[str, str]]
    statistics: list[RecordedStatistic]
    labels: list[LabelFacts]
    peppr: list[PepprFacts]
    more_tables: list[MoreTable]
    disagreements: list[Disagreement]
    failed: list[tuple[str, str]]
    warnings: list[str]
    method: list[str]
    settings: str


def collect_facts(run: Run) -> ReportFacts:
    """Return what the report says about a run."""
    results = {name: run.peppr_result(name) for name in run.peppr_names}
    record = run.record
    statistics = recorded_statistics(run.statistics.columns)
    table = file_name(record.cohort.table)
    model = model_name(run)
    method = record.settings.method
    return ReportFacts(
        title=f"{model} on {table}",
        asked=(
            f"Where does the model {model} look when it finds {_listed(list(run.labels))}, over "
            f"the {record.counts.explained} explained {run.modality.many} of {table}, and does "
            f"its decision rest on those places? Attribution method: {method}."
        ),
        answers=[answer(run, label, results) for label in run.labels],
        cohort=_cohort_facts(run, model),
        provenance=_provenance(run),
        statistics=statistics,
        labels=_label_facts(run, statistics),
        peppr=[peppr_facts(name, result) for name, result in results.items()],
        more_tables=more_tables(run.folder / PEPPR_FOLDER),
        disagreements=_disagreements(run),
        failed=[
            (str(file), str(error))
            for file, error, status in zip(
                run.images["file"], run.images["error"], run.images["status"], strict=True
            )
            if status != "ok"
        ],
        warnings=list(record.warnings),
        method=method_in_brief(
            run,
            any(same_images(result) for result in results.values()),
            list(dict.fromkeys(name for each in results.values() for name in each.judged_by)),
        ),
        settings=json.dumps(
            {
                "run": {
                    **record.settings.model_dump(mode="json"),
                    "frame": record.frame.model_dump(mode="json"),
                    "model card": record.model.card.model_dump(mode="json"),
                },
                "columns of the cohort table": record.cohort.columns,
                "PEPPR": {name: result.settings for name, result in results.items()},
            },
            indent=2,
            ensure_ascii=False,
        ),
    )


def file_name(path: str) -> str:
    """Return the last part of a path written on any system."""
    return PureWindowsPath(path).name if "\\" in path else PurePosixPath(path).name


def model_name(run: Run) -> str:
    """Return the model's name for people: the card's, else its file's."""
    model = run.record.model
    if model.card.name:
        return model.card.name
    return Path(file_name(model.source)).stem if model.source else str(model.card.weights)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _cohort_facts(run: Run, model: str) -> list[tuple[str, str]]:
    record, card = run.record, run.record.model.card
    frame, counts = record.frame, record.counts
    sides = run.images["laterality"].replace("", "unknown").value_counts()
    facts = [
        ("Model", model),
        ("Outputs", f"{', '.join(card.labels)} ({card.activation})"),
        (
            "Input and frame",
            f"{frame.height} × {frame.width} pixels, {', '.join(frame.channels)}",
        ),
        ("Cohort table", file_name(record.cohort.table)),
        ("Images", f"{counts.images}, of {record.cohort.patients} patients"),
        ("Explained", str(counts.explained)),
        ("Failed", str(counts.failed)),
    ]
    if set(sides.index) != {"unknown"}:
        counted = ", ".join(f"{side} {count}" for side, count in sides.items())
        facts.append(("Laterality", counted))
    if card.modality:
        facts.insert(1, ("Modality", card.modality))
    if record.model.cam_layer:
        facts.append(("CAM layer", record.model.cam_layer))
    return facts


def _label_facts(run: Run, statistics: list[RecordedStatistic]) -> list[LabelFacts]:
    rows = run.finished_rows
    truth = run.truth(run.labels)[rows]
    facts = []
    # By position: the overall map comes first in the table, then the labels in the run's order.
    table = run.statistics.to_dict("records")[1:]
    for index, (label, row) in enumerate(zip(run.labels, table, strict=True)):
        known = np.isfinite(truth[:, index])
        carries = truth[known, index] == 1
        probability = run.images[f"probability_{label}"].to_numpy(dtype=float)[rows][known]
        facts.append(
            LabelFacts(
                label=label,
                positives=int(carries.sum()),
                negatives=int((~carries).sum()),
                unknown=int((~known).sum()),
                auc=number(roc_auc(carries, probability)) if len(carries) else DASH,
                statistics=[each.text(row[each.name]) for each in statistics],
                warning="" if row[WARNING] != row[WARNING] else str(row[WARNING]),
            )
        )
    return facts


def _disagreements(run: Run) -> list[Disagreement]:
    words = {1.0: "yes", 0.0: "no"}
    return [
        Disagreement(
            label=images.label,
            file=images.files[at],
            truth=words.get(float(images.truth[at]), "unknown"),
            probability=number(float(images.probability[at])),
            similarity=number(float(images.similarity[at])),
        )
        for images in images_by_label(run)
        for at in images.least_similar_first[:LEAST_SIMILAR_LISTED]
    ]


def _provenance(run: Run) -> list[tuple[str, str]]:
    record = run.record
    facts = [
        ("napari-globalxai", record.version),
        ("Code, SHA-256", record.code_sha256),
        ("Model file", record.model.source or DASH),
        ("Weights, SHA-256", record.model.sha256 or DASH),
        ("Cohort table", record.cohort.table),
        ("Cohort table, SHA-256", record.cohort.sha256),
        ("Seed", str(record.settings.seed)),
        (
            "Device and precision",
            f"{record.device}, {record.precision} ({record.precision_reason})",
        ),
        ("Started", record.started),
        ("Finished", f"{record.finished}{_duration(record.seconds)}"),
        ("Python", f"{record.python} on {record.platform}"),
    ]
    packages = ", ".join(f"{name} {version}" for name, version in record.packages.items())
    return [*facts, ("Packages", packages)]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    # A run that was stopped and resumed spans more than it worked.
    return f" ({minutes} min {rest} s after the start)"
