"""The result of PEPPR along one map, and its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.faithfulness.orders import Mask, kept_pixels
from napari_globalxai.faithfulness.verdict import Verdict
from napari_globalxai.storage import atomic_path, read_json, read_table, write_json

CURVE_COLUMNS = (
    "map",
    "label",
    "order",
    "arm",
    "fraction",
    "metric",
    "value",
    "ci_low",
    "ci_high",
)


@dataclass(frozen=True)
class PepprResult:
    """PEPPR along one map.

    Attributes
    ----------
    map_name : str
        The map.
    curves : pandas.DataFrame
        Columns `CURVE_COLUMNS`, one row a point. For ``order`` = ``map`` the interval is a 95 %
        bootstrap over patients; for ``random`` and ``shifted`` the value is the mean over the
        controls and the interval holds the middle 95 % of them.
    areas : dict of str to dict
        By label: intact AUC, areas, Δ with interval, fractions, p-values, paired differences.
    verdict : dict of str to Verdict
        By judged label.
    settings : dict
        Everything that was chosen, and what the evaluation rests on.
    shape : tuple of int
        Height and width of the frame.
    order : numpy.ndarray
        Flat indices of the valid pixels, most important first.
    counts : numpy.ndarray
        Number of pixels at each step.
    fill : numpy.ndarray
        float32 (channel, height, width) in 0–255.
    rows : numpy.ndarray
        Images evaluated, as rows of the cohort.
    labels : tuple of str
        All labels of the model, along the last axis of the probabilities.
    probabilities : dict of str to numpy.ndarray
        By arm: float32 (step, image, label).
    """

    map_name: str
    curves: pd.DataFrame
    areas: dict[str, dict[str, Any]]
    verdict: dict[str, Verdict]
    settings: dict[str, Any]
    shape: tuple[int, int]
    order: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    fill: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    probabilities: dict[str, npt.NDArray[np.float32]]

    @property
    def fractions(self) -> npt.NDArray[np.float64]:
        """Fraction of the valid pixels at each step."""
        return np.asarray(self.counts / self.counts[-1], dtype=float)

    def kept(self, fraction: float, arm: str) -> Mask:
        """Return which pixels show the image at a fraction, bool (height, width)."""
        count = round(float(np.clip(fraction, 0, 1)) * len(self.order))
        return kept_pixels(self.order, count, arm, self.shape)

    def seen(
        self, image: npt.NDArray[np.uint8], fraction: float, arm: str
    ) -> npt.NDArray[np.uint8]:
        """Return what the model sees of an image, uint8 (channel, height, width)."""
        fill = np.rint(self.fill).astype(np.uint8)
        return np.where(self.kept(fraction, arm), image, fill)

    def save(self, folder: Path) -> None:
        """Write ``<map>.csv``, ``<map>.json`` and ``<map>.npz`` into a folder."""
        with atomic_path(folder / f"{self.map_name}.npz") as path:
            np.savez_compressed(
                path,
                shape=self.shape,
                order=self.order,
                counts=self.counts,
                fill=self.fill,
                rows=self.rows,
                labels=self.labels,
                erase=self.probabilities["erase"],
                restore=self.probabilities["restore"],
            )
        with atomic_path(folder / f"{self.map_name}.csv") as path:
            self.curves.to_csv(path, index=False)
        write_json(
            folder / f"{self.map_name}.json",
            {
                "map": self.map_name,
                "labels": {
                    label: {
                        **values,
                        **(
                            {
                                "verdict": self.verdict[label].word,
                                "reason": self.verdict[label].reason,
                            }
                            if label in self.verdict
                            else {}
                        ),
                    }
                    for label, values in self.areas.items()
                },
                "settings": self.settings,
            },
        )

    @classmethod
    def load(cls, folder: Path, map_name: str) -> PepprResult:
        """Read what `save` wrote."""
        summary = read_json(folder / f"{map_name}.json")
        areas, verdict = {}, {}
        for label, values in summary["labels"].items():
            if "verdict" in values:
                verdict[label] = Verdict(values.pop("verdict"), values.pop("reason"))
            areas[label] = values
        with np.load(folder / f"{map_name}.npz") as arrays:
            return cls(
                map_name=map_name,
                curves=read_table(folder / f"{map_name}.csv", dtype={"map": str, "label": str}),
                areas=areas,
                verdict=verdict,
                settings=summary["settings"],
                shape=(int(arrays["shape"][0]), int(arrays["shape"][1])),
                order=arrays["order"],
                counts=arrays["counts"],
                fill=arrays["fill"],
                rows=arrays["rows"],
                labels=tuple(str(label) for label in arrays["labels"]),
                probabilities={arm: arrays[arm] for arm in ("erase", "restore")},
            )
