"""PEPPR image by image: each along its own map. Another question than the cohort's.

The cohort's curves ask whether one map of the places holds for all images; these ask whether each
image's own map names what the model saw in that image. Restoring is known as insertion, erasing as
deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import ARMS, Evaluation
from napari_globalxai.faithfulness.fills.fill_kinds import Fill, depends_on_mask, filled
from napari_globalxai.faithfulness.model_and_images import Images, Predictor
from napari_globalxai.faithfulness.numbers_in_words import in_interval, in_percent
from napari_globalxai.faithfulness.orders.map_orders import (
    Mask,
    kept_pixels,
    order_by_map,
    step_counts,
)
from napari_globalxai.faithfulness.predictions.kept_images import KeptImages
from napari_globalxai.faithfulness.predictions.masked_prediction import predict_masked
from napari_globalxai.faithfulness.questions.stored_images import keep_curves
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray, area
from napari_globalxai.faithfulness.scores.intervals import mean_interval
from napari_globalxai.faithfulness.stored_results import result_stem
from napari_globalxai.plain_text import numeral
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.storage import hash_value, write_json, write_table

QUESTION = (
    "Each image along its own map, mean and spread over images. This is not the cohort's PEPPR: it "
    "says nothing of the global map."
)
_QUANTILES = {"5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95}
ImageMap = Callable[[int], npt.NDArray[np.floating]]


@dataclass(frozen=True)
class ImageAnswer:
    """What became of one image.

    Attributes
    ----------
    probabilities : numpy.ndarray
        Of the label, (arm, step).
    is_constant : bool
        Whether its own map has one value only.
    """

    probabilities: FloatArray
    is_constant: bool


@dataclass(frozen=True)
class ImageQuestion:
    """What is asked of each image, in this process or another.

    Attributes
    ----------
    index : int
        The label's place among those of the model.
    image_map : callable
        Gives the map (*spatial) of a row of the cohort.
    valid : numpy.ndarray
        Pixels that are ranked, bool (*spatial).
    counts : numpy.ndarray
        Numbers of pixels erased or restored.
    seed : int
        Of the order of pixels of equal value.
    batch_size : int
        Masks a forward.
    """

    index: int
    image_map: ImageMap
    valid: Mask
    counts: npt.NDArray[np.int64]
    seed: int
    batch_size: int

    def answer(self, model: Predictor, images: Images, fill: Fill, row: int) -> ImageAnswer:
        """Erase and restore one image along its own map."""
        image = np.nan_to_num(np.asarray(self.image_map(row), np.float64))
        order = order_by_map(image, self.valid, self.seed)
        kept = [
            kept_pixels(order, int(count), arm, images.shape)
            for arm in ARMS
            for count in self.counts
        ]
        logits = self._predict(model, images, fill, row, kept)
        probability = model.probabilities(logits)[:, self.index]
        return ImageAnswer(
            probability.reshape(len(ARMS), len(self.counts)), bool(np.ptp(image[self.valid]) == 0)
        )

    def _predict(
        self, model: Predictor, images: Images, fill: Fill, row: int, kept: list[Mask]
    ) -> npt.NDArray[np.float32]:
        """Return logits (mask, label) of one image, many masks a forward where it is possible."""
        if depends_on_mask(fill) or getattr(model, "scales_each_image", False):
            return predict_masked(model, images, [row], kept, fill, batch_size=1)[:, 0]
        pixels = images.read([row])
        image, blank = (model.to_input(each) for each in (pixels, filled(fill, [row], pixels)))
        found = []
        with torch.inference_mode():
            for start in range(0, len(kept), self.batch_size):
                masks = torch.from_numpy(np.stack(kept[start : start + self.batch_size]))
                shown = torch.where(masks[:, None].to(model.device), image, blank)
                found.append(model.logits(shown).cpu().numpy())
        return np.concatenate(found)


@dataclass(frozen=True)
class PerImageResult:
    """Insertion and deletion of images along their own maps, for one label.

    Attributes
    ----------
    label : str
        The label.
    rows : numpy.ndarray
        Images, as rows of the cohort: those that carry the label.
    fractions : numpy.ndarray
        Of the valid pixels, (step,).
    probabilities : dict of str to numpy.ndarray
        By arm: (image, step).
    constant : int
        Images whose own map has one value only, so that their order is random.
    patients : tuple of str
        Of those images.
    settings : dict
        What was chosen, and what the result rests on.
    """

    label: str
    rows: npt.NDArray[np.int64]
    fractions: FloatArray
    probabilities: dict[str, FloatArray]
    constant: int
    patients: tuple[str, ...]
    settings: dict[str, Any]

    @property
    def areas(self) -> dict[str, FloatArray]:
        """Area under each image's curves, (image,): insertion, deletion and their difference."""
        deletion, insertion = (area(self.fractions, self.probabilities[arm]) for arm in ARMS)
        return {"insertion": insertion, "deletion": deletion, "delta": insertion - deletion}

    def summary(self) -> dict[str, Any]:
        """Return mean with interval and spread over images."""
        found: dict[str, Any] = {"images": len(self.rows), "constant_maps": self.constant}
        for name, values in self.areas.items():
            found[name] = {
                "mean": float(values.mean()),
                "mean_ci": mean_interval(values, self.patients).tolist(),
                "sd": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
                "quantiles": {
                    word: float(np.quantile(values, share)) for word, share in _QUANTILES.items()
                },
            }
        found["share_above_zero"] = float((self.areas["delta"] > 0).mean())
        found["curves"] = {
            "fraction": self.fractions.tolist(),
            **{
                arm: {
                    "mean": values.mean(axis=0).tolist(),
                    "sd": values.std(axis=0, ddof=min(1, len(values) - 1)).tolist(),
                }
                for arm, values in self.probabilities.items()
            },
        }
        return found

    @property
    def sentence(self) -> str:
        """What it comes to, in words."""
        found = self.summary()
        delta, above = found["delta"], in_percent(found["share_above_zero"])
        return (
            f"{self.label}, image by image along their own maps: mean Δ of the probability "
            f"{numeral(delta['mean'])} ({in_interval(*delta['mean_ci'])}), SD {delta['sd']:.3f} "
            f"over {len(self.rows)} images, above 0 in {above}"
        )


def run_per_image(
    evaluation: Evaluation,
    label: str,
    image_map: ImageMap,
    settings: PepprSettings,
    *,
    cache: Path | None = None,
    maps_key: str = "",
    progress: ProgressCallback = ignore_progress,
) -> PerImageResult:
    """Erase and restore each image that carries a label along its own map.

    Parameters
    ----------
    evaluation : Evaluation
        Model, images, truth, valid area and fill.
    label : str
        The label.
    image_map : callable
        Gives the map (*spatial) of a row of the cohort; where others predict, it must be such as
        can be pickled.
    settings : PepprSettings
        Steps and seed.
    cache : pathlib.Path, optional
        Folder for what became of the images, which a test that was stopped goes on from.
    maps_key : str, optional
        Hash of what the images' maps depend on; needed where a folder is given.
    progress : callable, optional
        May raise `Cancelled`.

    Raises
    ------
    InputError
        When no image carries the label.
    """
    index = evaluation.classifier.labels.index(label)
    chosen = np.flatnonzero(evaluation.truth[:, index] == 1)
    if not len(chosen):
        raise InputError(f"No image carries {label}, so none can be tested along its own map.")
    counts = step_counts(int(evaluation.valid.sum()), settings.steps)
    question = ImageQuestion(
        index, image_map, evaluation.valid, counts, settings.seed, evaluation.batch_size
    )
    depends_on = [evaluation.identity, maps_key, label, counts.tolist(), settings.seed]
    # Of each image its curves, and whether its map is constant.
    shape = len(chosen), len(ARMS) * len(counts) + 1
    kept = KeptImages(cache, hash_value(depends_on)[:32], shape)
    stage, missing = f"Single images with {label}", list(kept.missing)
    before = len(chosen) - len(missing)
    progress(Progress(stage, before, len(chosen)))
    answers = _answers(evaluation, question, evaluation.rows[chosen[missing]].tolist())
    for done, (number, answer) in enumerate(answers, start=before + 1):
        numbers = [*answer.probabilities.ravel(), float(answer.is_constant)]
        kept.put(missing[number], np.asarray(numbers, np.float64))
        progress(Progress(stage, done, len(chosen)))
    values = kept.values[:, :-1].reshape(len(chosen), len(ARMS), len(counts))
    patients = [evaluation.patients[at] for at in chosen]
    return PerImageResult(
        label,
        evaluation.rows[chosen],
        np.asarray(counts / counts[-1]),
        {arm: values[:, number] for number, arm in enumerate(ARMS)},
        int(kept.values[:, -1].sum()),
        tuple(patients),
        {**settings.model_dump(), "patients": len(set(patients))},
    )


def _answers(
    evaluation: Evaluation, question: ImageQuestion, rows: list[int]
) -> Iterator[tuple[int, ImageAnswer]]:
    """Give the places of rows and their answers: here in their order, elsewhere as they come."""
    if evaluation.elsewhere is not None:
        yield from evaluation.elsewhere.answers(evaluation, question, rows)
        return
    for number, row in enumerate(rows):
        model, stack = evaluation.classifier, evaluation.stack
        yield number, question.answer(model, stack, evaluation.fill, row)


def save_per_image(
    folder: Path, stem: str, results: list[PerImageResult], files: dict[int, str]
) -> Path:
    """Write ``<map>.per-image.csv``, ``.json`` and curves into a folder; return the table's path.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    stem : str
        Name of the map.
    results : list of PerImageResult
        One a label.
    files : dict of int to str
        Names of the images by row.
    """
    # Takes half a second to import.
    import pandas as pd

    name = f"{result_stem(stem, str(results[0].settings['fill']))}.per-image"
    rows = [
        {
            "label": result.label,
            "row": int(row),
            "file": files.get(int(row), ""),
            **{kind: float(values[at]) for kind, values in result.areas.items()},
        }
        for result in results
        for at, row in enumerate(result.rows)
    ]
    write_table(folder / f"{name}.csv", pd.DataFrame(rows))
    write_json(
        folder / f"{name}.json",
        {
            "question": QUESTION,
            "per_image": {result.label: result.summary() for result in results},
            "settings": results[0].settings,
        },
    )
    keep_curves(
        folder, name, {result.label: (result.rows, result.probabilities) for result in results}
    )
    return folder / f"{name}.csv"
