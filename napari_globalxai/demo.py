"""The main job on the bundled phantom cohort, held against the truth that was planted in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
import torch

from napari_globalxai.addresses import is_remote, place
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.questions.region_erasure import erase_region
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.faithfulness.scores.auc_scores import roc_auc
from napari_globalxai.faithfulness.verdict.verdicts import NO_BETTER, UNDECIDED
from napari_globalxai.maps.upsampling import smooth
from napari_globalxai.models.card.model_card import read_card
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.files.networks import build_network
from napari_globalxai.models.loaders import load_model
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.report.html import write_report
from napari_globalxai.runs.peppr.evaluate import make_evaluation, peppr
from napari_globalxai.runs.pipeline import explain
from napari_globalxai.runs.run import Run
from napari_globalxai.runs.write_maps import write_tiff
from napari_globalxai.samples import sample_folder
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.statistics.regions import agreement_with_truth, share_against_area
from napari_globalxai.storage import write_json

# The label whose lesion the site's mark gives away to the shortcut model.
MARKED_LABEL = "Gla"
RANDOM_MAP = "smooth-random"
RANDOM_MAP_SIGMA = 12.0
# Fewer steps than by default, on fewer images: the demo is to be over within minutes.
PEPPR = PepprSettings(steps=12, control_steps=4, most_images=80)
# The network is smooth: with 24 points the maps agree with the truth to the same three digits.
GRADIENTS = ExplainSettings(method="integrated-gradients", method_settings={"steps": 8})

FloatImage = npt.NDArray[np.float32]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Claim:
    """One statement about the demo that its numbers bear out or not.

    Attributes
    ----------
    text : str
        The statement.
    value, bound : float
        What was measured, and what it is held against.
    holds : bool
        Whether it is borne out.
    """

    text: str
    value: float
    bound: float
    holds: bool

    @classmethod
    def at_least(cls, text: str, value: float, bound: float) -> Claim:
        """Claim that a value reaches a bound."""
        return cls(f"{text} ≥ {bound:g}", value, bound, bool(value >= bound))

    @classmethod
    def at_most(cls, text: str, value: float, bound: float) -> Claim:
        """Claim that a value stays within a bound."""
        return cls(f"{text} ≤ {bound:g}", value, bound, bool(value <= bound))


@dataclass(frozen=True)
class DemoRuns:
    """The runs of the demo.

    Attributes
    ----------
    honest : Run
        Grad-CAM of the honest model, the main run.
    gradients : Run
        Integrated gradients of the honest model.
    untrained : Run
        Grad-CAM of the same network with random weights.
    shortcut : Run
        Grad-CAM of the model that learnt the corner mark.
    """

    honest: Run
    gradients: Run
    untrained: Run
    shortcut: Run


def run_demo(
    out: Path,
    *,
    device: str = "auto",
    seed: int = 0,
    open_viewer: bool = True,
    progress: ProgressCallback,
    say: Say,
) -> list[Claim]:
    """Run the main job on the sample, compare it with the planted truth, and show it.

    Parameters
    ----------
    out : pathlib.Path
        The run folder; comparisons go into its folder ``comparisons``.
    device : str, optional
        ``auto`` or a torch device.
    seed : int, optional
        Of everything random.
    open_viewer : bool, optional
        Whether to open napari on the result where that is possible.
    progress : callable
        Receives `Progress`.
    say : callable
        Receives lines for the user.

    Returns
    -------
    list of Claim
        What was held against the truth.
    """
    if is_remote(place(out)):
        raise InputError(f"{place(out)}: the demo writes to a folder of this machine; name one.")
    sample = sample_folder()
    say(f"Sample cohort: {sample}")
    runs = explain_sample(sample, out, device=device, seed=seed, progress=progress)
    claims = truth_claims(runs, sample)
    results = {
        name: peppr(runs.honest, name, PEPPR, seed=seed, progress=progress)
        for name in ("overall", *runs.honest.labels)
    }
    claims += peppr_claims(results, runs.honest.labels)
    random_map = out / "comparisons" / f"{RANDOM_MAP}.tif"
    write_tiff(random_map, smooth_random_map(runs.honest.stack.shape, seed))
    claims += random_map_claims(
        peppr(runs.honest, str(random_map), PEPPR, seed=seed, progress=progress),
        runs.honest.labels,
    )
    claims += shortcut_claims(runs, sample, out, progress)
    report = write_report(runs.honest)
    write_report(runs.shortcut)
    write_json(out / "summary.json", {"claims": [asdict(claim) for claim in claims]})
    _say_summary(claims, results, say)
    say(f"Report: {report}")
    if open_viewer:
        _open_viewer(out, say)
    return claims


def explain_sample(
    sample: Path, out: Path, *, device: str, seed: int, progress: ProgressCallback
) -> DemoRuns:
    """Explain the sample cohort with every model and method of the demo."""
    cohort = read_cohort(sample / "cohort" / "cohort.csv")
    honest = load_model(sample / "models" / "honest.yaml", device=device)
    shortcut = load_model(sample / "models" / "shortcut.yaml", device=device)
    others = out / "comparisons"
    run = partial(explain, cohort, seed=seed, resume=True, progress=progress)
    return DemoRuns(
        honest=run(honest, out),
        gradients=run(honest, others / "integrated-gradients", GRADIENTS),
        untrained=run(
            untrained_classifier(sample / "models" / "honest.yaml", device, seed),
            others / "random-weights",
        ),
        shortcut=run(shortcut, others / "shortcut"),
    )


def untrained_classifier(card_path: Path, device: str, seed: int) -> Classifier:
    """Return the network of a card with random weights."""
    card, _ = read_card(card_path)
    if card.network is None:
        raise InputError(f"{card_path}: names no network that could be built anew.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(card.network, card_path)
    return Classifier(network, card, device=device)


def truth_claims(runs: DemoRuns, sample: Path) -> list[Claim]:
    """Hold the models' performance and the global maps against the planted truth."""
    claims = []
    images, labels = runs.honest.images, runs.honest.labels
    for label in labels:
        known = (images["status"] == "ok") & images[label].notna()
        truth = images.loc[known, label].to_numpy(dtype=float) == 1
        auc = roc_auc(truth, images.loc[known, f"logit_{label}"].to_numpy(dtype=float))
        bound = 0.90 if label == MARKED_LABEL else 0.95
        claims.append(Claim.at_least(f"AUC of the honest model for {label}", auc, bound))
    for label in labels:
        density = tifffile.imread(sample / "truth" / f"{label}.tif")
        own = agreement_with_truth(runs.honest.maps[label], density)
        claims += [
            Claim.at_least(f"Grad-CAM of {label} finds its planted lesions: AUC", own, 0.85),
            Claim.at_least(
                f"Integrated gradients of {label} find its planted lesions: AUC",
                agreement_with_truth(runs.gradients.maps[label], density),
                0.90,
            ),
        ]
        best_other = max(
            agreement_with_truth(runs.honest.maps[other], density)
            for other in labels
            if other != label
        )
        claims += [
            Claim.at_least(
                f"{label}: lead over the best other label's map", own - best_other, 0.05
            ),
            Claim.at_least(
                f"{label}: lead over random weights",
                own - agreement_with_truth(runs.untrained.maps[label], density),
                0.05,
            ),
        ]
    return claims


def peppr_claims(results: Mapping[str, PepprResult], labels: tuple[str, ...]) -> list[Claim]:
    """Hold each label's own map against PEPPR's controls."""
    claims = []
    for label in labels:
        areas = results[label].areas[label]
        claims += [
            Claim.at_most(f"PEPPR of {label}: p against {family} orders", p, 0.05)
            for family, p in areas["p_values"].items()
        ]
        claims.append(
            Claim.at_most(
                f"PEPPR of {label}: sufficient fraction", areas["sufficient_fraction"], 0.25
            )
        )
    return claims


def random_map_claims(result: PepprResult, labels: tuple[str, ...]) -> list[Claim]:
    """Hold against PEPPR that it must not call a smooth random map faithful, nor well placed."""
    return [
        Claim(
            f"A smooth random map is not faithful for {label}",
            # One map, judged by several labels.
            max(result.areas[label]["p_corrected"].values()),
            0.05,
            result.verdict[label].kind in (NO_BETTER, UNDECIDED),
        )
        for label in labels
    ]


def shortcut_claims(
    runs: DemoRuns, sample: Path, out: Path, progress: ProgressCallback
) -> list[Claim]:
    """Find the shortcut: how much of the map, and of the model's gain, lies in the mark."""
    region = tifffile.imread(sample / "truth" / "mark.tif") > 0.5
    unmarked = explain(
        read_cohort(sample / "cohort" / "cohort_unmarked.csv"),
        runs.shortcut.classifier(),
        out / "comparisons" / "shortcut-unmarked",
        labels=[MARKED_LABEL],
        resume=True,
        progress=progress,
    )
    whole = np.zeros_like(region)
    without_marks = erase_region(make_evaluation(unmarked), whole)[MARKED_LABEL].intact_auc
    misled = erase_region(make_evaluation(runs.shortcut), region)[MARKED_LABEL]
    honest = erase_region(make_evaluation(runs.honest), region)[MARKED_LABEL]
    gain = misled.intact_auc - without_marks
    share = partial(share_against_area, region=region)
    return [
        Claim.at_least(
            f"Shortcut model: the mark's share of {MARKED_LABEL}'s map against its area",
            share(runs.shortcut.maps[MARKED_LABEL]),
            3.0,
        ),
        Claim.at_most(
            f"Honest model: the mark's share of {MARKED_LABEL}'s map against its area",
            share(runs.honest.maps[MARKED_LABEL]),
            1.5,
        ),
        Claim.at_least(
            "Shortcut model: share of the gain from marks that erasing the corner takes away",
            (misled.intact_auc - misled.erased_auc) / gain if gain > 0 else float("nan"),
            0.8,
        ),
        Claim.at_most(
            "Honest model: AUC that erasing the corner takes away",
            honest.intact_auc - honest.erased_auc,
            0.02,
        ),
    ]


def smooth_random_map(shape: tuple[int, int], seed: int) -> FloatImage:
    """Return a random map as smooth as a Grad-CAM map, (height, width), from 0 up."""
    noise = np.random.default_rng([seed, 3]).standard_normal(shape).astype(np.float32)
    image = smooth(noise, RANDOM_MAP_SIGMA)
    return np.asarray(image - image.min(), np.float32)


def _say_summary(claims: list[Claim], results: Mapping[str, PepprResult], say: Say) -> None:
    say("")
    say("What the maps say, held against the planted truth")
    width = max(len(claim.text) for claim in claims)
    for claim in claims:
        mark = "ok  " if claim.holds else "FAIL"
        say(f"  {mark} {claim.text:<{width}}  {claim.value:.3f}")
    say("")
    say("Verdicts of PEPPR")
    for name, result in results.items():
        for label, verdict in result.verdict.items():
            say(f"  map {name}, label {label}: {result.word(label)} ({verdict.reason})")
            for caution in result.cautions(label):
                say(f"    caution: {caution}")
    failed = sum(not claim.holds for claim in claims)
    say("")
    say(f"{len(claims) - failed} of {len(claims)} claims hold.")


def _open_viewer(run_folder: Path, say: Say) -> None:
    """Open napari on a run, or say why not."""
    has_display = (
        sys.platform in ("win32", "darwin")
        or bool(os.environ.get("DISPLAY"))
        or bool(os.environ.get("WAYLAND_DISPLAY"))
    )
    if not has_display:
        say("There is no display, so napari is not opened.")
        return
    if find_spec("napari") is None or find_spec("qtpy") is None:
        say('napari is not installed; for the viewer: pip install "napari-globalxai[gui]".')
        return
    # By name, because nothing below the widgets may depend on Qt.
    from importlib import import_module

    import_module("napari_globalxai.widgets.demo_viewer").open_run_in_viewer(run_folder)
