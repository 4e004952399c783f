"""What the report says about a run, as plain facts; the template only lays them out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from napari_globalxai.faithfulness.scores import roc_auc
from napari_globalxai.report.answers import LabelAnswer, answer
from napari_globalxai.report.members import images_by_label
from napari_globalxai.report.method_text import method_in_brief
from napari_globalxai.report.peppr_facts import PepprFacts, peppr_facts, same_images
from napari_globalxai.report.style import DASH, number
from napari_globalxai.runs.run import Run

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
    n, n_patients, n_constant : int
        Images and patients in the global map, and how many of the maps were constant.
    reliability, warning : str
        Of the global map.
    """

    label: str
    positives: int
    negatives: int
    unknown: int
    auc: str
    n: int
    n_patients: int
    n_constant: int
    reliability: str
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
    labels : list of LabelFacts
        The labels.
    peppr : list of PepprFacts
        Results of PEPPR, the run's own maps first.
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
    labels: list[LabelFacts]
    peppr: list[PepprFacts]
    disagreements: list[Disagreement]
    failed: list[tuple[str, str]]
    warnings: list[str]
    method: list[str]
    settings: str


def collect_facts(run: Run) -> ReportFacts:
    """Return what the report says about a run."""
    results = {name: run.peppr_result(name) for name in run.peppr_names}
    info = run.info
    table = file_name(info["cohort"]["table"])
    model = model_name(run)
    method = info["settings"]["method"]["name"]
    return ReportFacts(
        title=f"{model} on {table}",
        asked=(
            f"Where does the model {model} look when it finds {_listed(list(run.labels))}, over "
            f"the {info['counts']['explained']} explained {run.modality.many} of {table}, and "
            f"does its decision rest on those places? Attribution method: {method}."
        ),
        answers=[answer(run, label, results) for label in run.labels],
        cohort=_cohort_facts(run, model),
        provenance=_provenance(run),
        labels=_label_facts(run),
        peppr=[peppr_facts(name, result) for name, result in results.items()],
        disagreements=_disagreements(run),
        failed=[
            (str(file), str(error))
            for file, error, status in zip(
                run.images["file"], run.images["error"], run.images["status"], strict=True
            )
            if status != "ok"
        ],
        warnings=[str(warning) for warning in info.get("warnings", [])],
        method=method_in_brief(run, any(same_images(result) for result in results.values())),
        settings=json.dumps(
            {
                "run": {
                    **info["settings"],
                    "frame": info["frame"],
                    "model card": info["model"]["card"],
                },
                "columns of the cohort table": info["cohort"].get("columns", {}),
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
    model = run.info["model"]
    if model["card"].get("name"):
        return str(model["card"]["name"])
    weights = str(model["card"]["weights"])
    return Path(file_name(model["source"] or weights)).stem if model["source"] else weights


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _cohort_facts(run: Run, model: str) -> list[tuple[str, str]]:
    info, card = run.info, run.info["model"]["card"]
    frame, counts = info["frame"], info["counts"]
    sides = run.images["laterality"].replace("", "unknown").value_counts()
    facts = [
        ("Model", model),
        ("Outputs", f"{', '.join(card['labels'])} ({card['activation']})"),
        (
            "Input and frame",
            f"{frame['height']} × {frame['width']} pixels, {', '.join(frame['channels'])}",
        ),
        ("Cohort table", file_name(info["cohort"]["table"])),
        ("Images", f"{counts['images']}, of {info['cohort']['patients']} patients"),
        ("Explained", str(counts["explained"])),
        ("Failed", str(counts["failed"])),
    ]
    if set(sides.index) != {"unknown"}:
        counted = ", ".join(f"{side} {count}" for side, count in sides.items())
        facts.append(("Laterality", counted))
    if card.get("modality"):
        facts.insert(1, ("Modality", str(card["modality"])))
    if info["model"].get("cam_layer"):
        facts.append(("CAM layer", str(info["model"]["cam_layer"])))
    return facts


def _label_facts(run: Run) -> list[LabelFacts]:
    rows = run.finished_rows
    truth = run.truth(run.labels)[rows]
    facts = []
    # By position: the overall map comes first in the table, then the labels in the run's order.
    statistics = [row for _, row in run.statistics.iterrows()][1:]
    for index, (label, row) in enumerate(zip(run.labels, statistics, strict=True)):
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
                n=int(row["n"]),
                n_patients=int(row["n_patients"]),
                n_constant=int(row["n_constant"]),
                reliability=number(float(row["reliability"]), 2),
                warning="" if row["warning"] != row["warning"] else str(row["warning"]),
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
    info = run.info
    facts = [
        ("napari-globalxai", str(info["version"])),
        ("Code, SHA-256", str(info["code_sha256"])),
        ("Model file", str(info["model"]["source"] or DASH)),
        ("Weights, SHA-256", str(info["model"]["sha256"] or DASH)),
        ("Cohort table", str(info["cohort"]["table"])),
        ("Cohort table, SHA-256", str(info["cohort"]["sha256"])),
        ("Seed", str(info["settings"]["seed"])),
        (
            "Device and precision",
            f"{info['device']}, {info['precision']} ({info['precision_reason']})",
        ),
        ("Started", str(info["started"])),
        ("Finished", f"{info['finished']}{_duration(info['started'], info['finished'])}"),
        ("Python", f"{info['python']} on {info['platform']}"),
    ]
    packages = ", ".join(f"{name} {version}" for name, version in info["packages"].items())
    return [*facts, ("Packages", packages)]


def _duration(started: str, finished: str) -> str:
    seconds = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    # A run that was stopped and resumed spans more than it worked.
    return f" ({minutes} min {rest} s after the start)"
