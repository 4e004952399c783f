"""How often PEPPR is wrong over maps that say nothing, and how often right over true ones.

By default the model is a stand-in, linear in the bundled images at a quarter of their resolution,
so that thousands of orders take minutes; with ``--model honest`` or ``--model shortcut`` it is the
bundled network itself. All predictions are kept in ``--folder``, and a second run goes on there.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.stats import binom

from napari_globalxai import explain
from napari_globalxai.faithfulness.cases import Cases
from napari_globalxai.faithfulness.control_steps import control_steps
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.fills import fit_fill
from napari_globalxai.faithfulness.lattice import choose_lattice, shifted_orders
from napari_globalxai.faithfulness.orders import order_by_map, step_counts
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.faithfulness.scores import roc_auc
from napari_globalxai.faithfulness.sequential import Count
from napari_globalxai.faithfulness.surrogates import ValidArea
from napari_globalxai.faithfulness.targets import Targets
from napari_globalxai.runs.evaluate import make_evaluation
from napari_globalxai.samples import sample_folder
from napari_globalxai.settings.peppr_settings import PepprSettings

_COARSER = 4
_SIMPLE = ("centre-distance", "mean-intensity", "sd-image")
_LOOK = 24


class Pictures:
    """Images in memory."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.shape = pixels.shape[2:]

    def read(self, rows: Any) -> np.ndarray:
        return self.pixels[np.asarray(rows, int)]

    def mean_image(self, rows: Any) -> np.ndarray:
        return self.read(rows).mean(axis=0).astype(np.float32)


class LinearModel:
    """One weight a pixel and label."""

    activation = "sigmoid"
    device = torch.device("cpu")

    def __init__(self, labels: tuple[str, ...], weights: np.ndarray, offset: np.ndarray) -> None:
        self.labels = labels
        self._weights = torch.from_numpy(weights.reshape(len(labels), -1).T.astype(np.float32))
        self._offset = torch.from_numpy(offset.astype(np.float32))

    def to_input(self, images: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.asarray(images, np.float32))

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.flatten(1) @ self._weights - self._offset

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


@dataclass(frozen=True)
class Bench:
    """What is evaluated, and the maps that are known to be true."""

    evaluation: Evaluation
    true_maps: dict[str, np.ndarray]
    untrained_maps: list[np.ndarray]


def network_bench(name: str, folder: Path) -> Bench:
    """Return the bundled network, with its own maps and those of random weights."""
    from napari_globalxai.demo import untrained_classifier

    sample = sample_folder()
    cohort, card = sample / "cohort" / "cohort.csv", sample / "models" / f"{name}.yaml"
    run = explain(cohort, card, folder / name, resume=True)
    untrained = [
        explain(
            cohort, untrained_classifier(card, "cpu", seed), folder / f"random-{seed}", resume=True
        )
        for seed in range(4)
    ]
    maps = [random.maps[label] for random in untrained for label in run.labels]
    return Bench(make_evaluation(run), {label: run.maps[label] for label in run.labels}, maps)


def linear_bench(folder: Path) -> Bench:
    """Return a model that looks where the lesions were planted, on coarse images."""
    sample = sample_folder()
    run = explain(
        sample / "cohort" / "cohort.csv", sample / "models" / "honest.yaml", folder / "honest",
        resume=True,
    )  # fmt: skip
    fine = make_evaluation(run)

    def coarse(values: np.ndarray) -> np.ndarray:
        height, width = (size // _COARSER for size in values.shape[-2:])
        cut = values[..., : height * _COARSER, : width * _COARSER]
        return cut.reshape(*values.shape[:-2], height, _COARSER, width, _COARSER).mean((-3, -1))

    pixels = coarse(run.stack.read(fine.rows).astype(np.float32))
    valid = coarse(fine.valid.astype(np.float32)) > 0.5
    labels = run.labels
    truth = {
        label: coarse(tifffile.imread(sample / "truth" / f"{label}.tif")) * valid
        for label in labels
    }
    weights, true_maps = [], {}
    for index, label in enumerate(labels):
        carries = fine.truth[:, index] == 1
        contrast = pixels[carries].mean(axis=0) - pixels[~carries].mean(axis=0)
        weight = contrast * truth[label] / truth[label].max()
        scores = (pixels * weight).sum(axis=(1, 2, 3))
        weights.append(4 * weight / scores.std())
        # What each pixel adds to the distance between images with and without the label.
        true_maps[label] = gaussian_filter((weight * contrast).sum(axis=0), 1.5)
    middle = np.array([(pixels * weight).sum(axis=(1, 2, 3)).mean() for weight in weights])
    pictures = Pictures(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    rows = np.arange(len(pixels))
    evaluation = Evaluation(
        classifier=LinearModel(labels, np.stack(weights), middle),
        stack=pictures,
        rows=rows,
        truth=fine.truth,
        patients=fine.patients,
        valid=valid,
        fill=fit_fill("mean-image", pictures, rows),
        batch_size=256,
        key="linear",
    )
    return Bench(evaluation, true_maps, [])


def null_maps(bench: Bench, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Give maps that never saw the model, by kind."""
    evaluation = bench.evaluation
    valid, shape = evaluation.valid, evaluation.valid.shape
    depth = distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1]
    rim = np.clip(depth / (depth.max() / 3), 0, 1)
    around = gaussian_filter(valid.astype(float), 0.06 * shape[0])
    rng = np.random.default_rng(0)
    for share in (0.05, 0.1, 0.16):
        for _ in range(count):
            field = gaussian_filter(rng.standard_normal(shape), share * shape[0])
            above = field - field.min()
            yield f"field, {share:g} of the height", field
            yield f"field, {share:g}, fading outside", above * around
            yield f"field, {share:g}, fading at the rim", above * rim
    true = list(bench.true_maps.values())
    for number in range(count):
        offset = tuple(int(rng.integers(size)) for size in shape)
        yield "true map, shifted at random", np.roll(true[number % len(true)], offset, (0, 1))
    for image in bench.untrained_maps:
        yield "random weights", image
    mean = evaluation.stack.mean_image(evaluation.rows)
    spread = evaluation.stack.read(evaluation.rows).std(axis=0)
    for channel in range(len(mean)):
        for image in (mean[channel], -mean[channel], spread[channel], -spread[channel]):
            yield "anatomy", image


def is_faithful(areas: dict[str, Any], p: dict[str, float], high: dict[str, float]) -> bool:
    """Tell whether a label would be called faithful and specific."""
    return (
        areas["delta_ci"][0] > 0
        and p["shifted"] <= 0.05
        and high["surrogate"] < 0.05
        and all(areas["difference_to"][name]["early_ci"][0] > 0 for name in _SIMPLE)
    )


def false_positives(bench: Bench, count: int, folder: Path) -> None:
    """Print by kind how often a label, and any label, is called faithful."""
    labels = bench.evaluation.classifier.labels
    settings = PepprSettings(steps=8, controls=199, bootstrap=40, folds=1)
    found: dict[str, list[tuple[list[bool], list[bool], list[bool]]]] = defaultdict(list)
    for number, (kind, image) in enumerate(null_maps(bench, count)):
        result = run_peppr(
            bench.evaluation, f"null-{number}", image, labels, settings, cache=folder / "orders"
        )
        placed, faithful, corrected = [], [], []
        for label in labels:
            areas = result.areas[label]
            high = {name: ends[1] for name, ends in areas["p_intervals"].items()}
            both = areas["p_values"]["shifted"] <= 0.05 and high["surrogate"] < 0.05
            placed.append(both)
            faithful.append(is_faithful(areas, areas["p_values"], high))
            corrected.append(result.verdict[label].word.startswith("faithful"))
        found[kind].append((placed, faithful, corrected))
        if number % 20 == 0:
            print(f"  … {number} maps", flush=True)
    print("| null maps | maps | beats its controls, a label | called faithful, a label | bound "
          "| for any label, corrected | bound |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for kind, rows in found.items():
        beats, called, corrected = (np.array(column) for column in zip(*rows, strict=True))
        maps, pairs = len(rows), called.size
        print(
            f"| {kind} | {maps} | {beats.mean():.3f} | {called.mean():.3f} "
            f"| {binom.ppf(0.975, pairs, 0.05) / pairs:.3f} "
            f"| {corrected.any(axis=1).mean():.3f} | {binom.ppf(0.975, maps, 0.05) / maps:.3f} |",
            flush=True,
        )


def stability(bench: Bench, seeds: int, bank: int, folder: Path) -> None:
    """Print the verdicts of true maps over seeds, and the power with few patients."""
    evaluation = bench.evaluation
    labels, valid = evaluation.classifier.labels, evaluation.valid
    counts = step_counts(int(valid.sum()), 30)
    counts = counts[control_steps(counts, 6)]
    fractions = counts / counts[-1]
    area = ValidArea.of(valid)
    print("| label | shifts as good | surrogates as good | faithful in seeds | undecided "
          "| no better | controls, median | power with 10 patients |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for index, label in enumerate(labels):
        image = bench.true_maps[label]
        orders = [order_by_map(image, valid, 0)]
        lattice = choose_lattice(image, valid)
        orders += shifted_orders(image, valid, lattice, 0)
        shifts = len(orders) - 1
        orders += [
            order_by_map(area.surrogate(image, np.random.default_rng([7, draw])), valid, 0)
            for draw in range(bank)
        ]
        logits = _predictions(evaluation, orders, counts, index, folder / f"bank-{label}.npy")
        deltas = _deltas(logits, evaluation.truth[:, index] == 1, fractions)
        words, used = _words(deltas, shifts, seeds)
        few = [_power(evaluation, logits, index, fractions, shifts, seed) for seed in range(seeds)]
        reached = deltas[1:] >= deltas[0]
        as_good = f"{reached[:shifts].sum()} of {shifts} | {reached[shifts:].sum()} of {bank}"
        print(
            f"| {label} | {as_good} "
            f"| {words.count(True)} of {seeds} | {words.count(None)} | {words.count(False)} "
            f"| {shifts + int(np.median(used))} | {np.mean(few):.2f} |",
            flush=True,
        )


def _predictions(
    evaluation: Evaluation, orders: list[np.ndarray], counts: np.ndarray, index: int, path: Path
) -> np.ndarray:
    """Return one label's logits (order, arm, step, image), kept on disk."""
    if path.is_file():
        return np.load(path)
    found = []
    for order in orders:
        logits = evaluation.logits(order, counts)
        found.append(np.stack([logits[arm][:, :, index] for arm in ("erase", "restore")]))
    np.save(path, np.stack(found))
    return np.stack(found)


def _deltas(logits: np.ndarray, truth: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    auc = np.array([[[roc_auc(truth, step) for step in arm] for arm in order] for order in logits])
    return np.trapezoid(auc[:, 1] - auc[:, 0], fractions, axis=-1)


def _decide(reached: np.ndarray, shifts: int) -> tuple[bool | None, int]:
    """Judge as the package does: all shifts, then surrogates until p is clear."""
    if Count(int(reached[:shifts].sum()), shifts, shifts).decision is False:
        return False, 0
    drawn = np.cumsum(reached[shifts:])
    for tested in range(_LOOK, len(drawn) + 1, _LOOK):
        decision = Count(int(drawn[tested - 1]), tested).decision
        if decision is not None:
            return decision, tested
    return None, len(drawn)


def _words(deltas: np.ndarray, shifts: int, seeds: int) -> tuple[list[bool | None], list[int]]:
    """Return verdicts and surrogates used, each seed drawing them in another sequence."""
    reached = deltas[1:] >= deltas[0]
    words, used = [], []
    for seed in range(seeds):
        drawn = np.random.default_rng(seed).permutation(reached[shifts:])
        word, tested = _decide(np.concatenate([reached[:shifts], drawn]), shifts)
        words.append(word)
        used.append(tested)
    return words, used


def _power(
    evaluation: Evaluation,
    logits: np.ndarray,
    index: int,
    fractions: np.ndarray,
    shifts: int,
    seed: int,
) -> bool:
    """Tell whether a true map beats its controls with ten patients with the label."""
    rng = np.random.default_rng([3, seed])
    owner, truth = np.asarray(evaluation.patients), evaluation.truth[:, index] == 1
    carriers = np.unique(owner[truth])
    chosen = rng.permutation(carriers)[:10]
    use = np.isin(owner, chosen) | ~np.isin(owner, carriers)
    deltas = _deltas(logits[..., use], truth[use], fractions)
    reached = deltas[1:] >= deltas[0]
    drawn = rng.permutation(reached[shifts:])
    return _decide(np.concatenate([reached[:shifts], drawn]), shifts)[0] is True


def coverage(repeats: int) -> None:
    """Print how often 95 % intervals hold what they should, on simulated cohorts."""
    print("| patients | Δ | early Δ | intact AUC |")
    print("|---|---|---|---|")
    gains = np.array([0, 1.2, 1.8, 2.2, 2.6, 2.7, 2.7, 2.75])
    losses = np.array([2.75, 2.2, 1.6, 1.2, 0.5, 0.3, 0.1, 0])
    fractions = np.array([0, 0.033, 0.1, 0.2, 0.8, 0.9, 0.967, 1])
    settings = PepprSettings(bootstrap=200, steps=8)
    truth_of_all = np.mean(
        [_measured(gains, losses, fractions, 3000, seed, None)[0] for seed in range(5)], axis=0
    )
    for patients in (136, 40):
        held = []
        for seed in range(repeats):
            _, ends = _measured(gains, losses, fractions, patients, 100 + seed, settings)
            held.append(
                [low <= due <= high for due, (low, high) in zip(truth_of_all, ends, strict=True)]
            )
        shares = np.mean(held, axis=0)
        print(
            f"| {patients} | " + " | ".join(f"{share:.3f}" for share in shares) + " |", flush=True
        )


def _measured(
    gains: np.ndarray,
    losses: np.ndarray,
    fractions: np.ndarray,
    patients: int,
    seed: int,
    settings: PepprSettings | None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return Δ, early Δ and intact AUC of a simulated cohort with two images a patient."""
    rng = np.random.default_rng(seed)
    truth = rng.random((patients, 2)) < 0.3
    alike = rng.random(patients) < 0.5
    truth[alike, 1] = truth[alike, 0]
    carries = truth.ravel()
    shared = np.repeat(rng.normal(0, 0.6, patients), 2) + 0.7 * rng.normal(0, 0.8, 2 * patients)

    def arm(levels: np.ndarray) -> np.ndarray:
        return levels[:, None] * carries + shared + rng.normal(0, 0.5, (len(levels), len(carries)))

    restore, erase = arm(gains), arm(losses)
    erase[0], restore[0], erase[-1] = restore[-1], 0, 0
    evaluation = Evaluation(
        classifier=LinearModel(("sign",), np.zeros((1, 1)), np.zeros(1)),  # type: ignore[arg-type]
        stack=None,  # type: ignore[arg-type]
        rows=np.arange(len(carries)),
        truth=carries[:, None].astype(float),
        patients=tuple(f"{number // 2:05}" for number in range(len(carries))),
        valid=np.ones(1, bool),
        fill=None,  # type: ignore[arg-type]
        batch_size=1,
        key="simulated",
    )
    if settings is None:
        weights = PepprSettings(bootstrap=20, steps=8)
        few = replace(evaluation, patients=tuple(f"{n // 2000}" for n in range(len(carries))))
        cases = Cases.of(few, Targets.of(("sign",), ("sign",), ("sign",)), "sign", weights)
    else:
        cases = Cases.of(evaluation, Targets.of(("sign",), ("sign",), ("sign",)), "sign", settings)
    logits = {"erase": erase[:, :, None], "restore": restore[:, :, None]}
    curves = cases.curves(fractions, logits)  # type: ignore[arg-type]
    values = (curves.deltas, curves.early_deltas, curves.auc["erase"][:, 0])
    scales = ("plain", "plain", "share")
    ends = [
        cases.resamples.interval(each, scale) for each, scale in zip(values, scales, strict=True)
    ]
    return np.array([each[0] for each in values]), ends


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="linear", choices=("linear", "honest", "shortcut"))
    parser.add_argument("--folder", type=Path, default=Path("calibration"))
    parser.add_argument("--maps", type=int, default=30, help="null maps of each kind")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--bank", type=int, default=199, help="surrogates of each true map")
    parser.add_argument("--repeats", type=int, default=400, help="simulated cohorts")
    parser.add_argument("--parts", nargs="+", default=["nulls", "true", "coverage"])
    chosen = parser.parse_args()
    folder = chosen.folder
    folder.mkdir(parents=True, exist_ok=True)
    if "coverage" in chosen.parts:
        coverage(chosen.repeats)
    if not {"nulls", "true"} & set(chosen.parts):
        return
    bench = (
        linear_bench(folder) if chosen.model == "linear" else network_bench(chosen.model, folder)
    )
    if "true" in chosen.parts:
        kept = folder / f"{chosen.model}-{chosen.bank}"
        kept.mkdir(exist_ok=True)
        stability(bench, chosen.seeds, chosen.bank, kept)
    if "nulls" in chosen.parts:
        false_positives(bench, chosen.maps, folder)


if __name__ == "__main__":
    main()
