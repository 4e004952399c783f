"""The result of PEPPR along one map, and its files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.fills.fill_kinds import (
    Fill,
    Fitting,
    SharedFill,
    depends_on_mask,
    filled,
    filled_under,
    fit_fill,
)
from napari_globalxai.faithfulness.folds import GIVEN_MAP, SAME_IMAGES
from napari_globalxai.faithfulness.model_and_images import Images
from napari_globalxai.faithfulness.orders.map_orders import Mask, kept_pixels
from napari_globalxai.faithfulness.saved_arrays import open_arrays
from napari_globalxai.faithfulness.stored_results import DEFAULT_FILL, result_stem
from napari_globalxai.faithfulness.targets import MACRO, POOLED
from napari_globalxai.faithfulness.verdict.verdicts import Verdict, shown_word
from napari_globalxai.storage import (
    atomic_path,
    read_json,
    read_table,
    write_json,
    write_table,
)
from napari_globalxai.unusable import as_we_write

# Takes a quarter of a second to import, for which a panel of PEPPR without a result need not wait.
if TYPE_CHECKING:
    import pandas as pd

# Under which key of the JSON stands what is measured of all labels together.
_TOGETHER = {"macro": MACRO, "pooled": POOLED}

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
_GAP = 0.5
_OWN_KEYS = ("map", "labels", "settings", *_TOGETHER, "evaluated_on", "folds", "mass_outside")


@dataclass(frozen=True)
class PepprResult:
    """PEPPR along one map.

    Attributes
    ----------
    map_name : str
        The map.
    curves : pandas.DataFrame
        Columns `CURVE_COLUMNS`, one row a point. For ``order`` = ``map`` the interval is a 95 %
        one over patients, as for the orders that the map is compared with; for those that it is
        judged by the value is the mean over the family and the interval holds the middle 95 % of
        it.
    areas : dict of str to dict
        By label, and for all together (`targets.MACRO`, `targets.POOLED`) where the map is judged
        by them: intact AUC, areas, Δ with interval, fractions, p-values, paired differences.
    verdict : dict of str to Verdict
        By what the map is judged by.
    settings : dict
        Everything that was chosen, and what the evaluation rests on.
    shape : tuple of int
        Size of the frame along each spatial axis.
    order : numpy.ndarray
        Flat indices of the valid pixels, most important first.
    counts : numpy.ndarray
        Number of pixels at each step.
    fill : Fill or None
        What erased pixels show; None where it differs by image and was read from a file, see
        `fitted`.
    rows : numpy.ndarray
        Images evaluated, as rows of the cohort.
    labels : tuple of str
        All labels of the model, along the last axis of the probabilities.
    probabilities : dict of str to numpy.ndarray
        By arm: float32 (step, image, label).
    notes : dict
        What else the result says, for all labels together.
    whole : numpy.ndarray or None
        The model's own output on whole images, float32 (image, label); None in results of older
        releases, see `own_output`.
    evaluated_on : str
        Whose images the map was made of: ``cross-fitted``, ``same images`` and so on.
    folds : int
        Folds of patients; 1 without cross-fitting.
    mass_outside : float
        Share of the map's mass outside the valid area; NaN where it is not known.
    fold_orders, fold_of : numpy.ndarray or None
        Under cross-fitting the order of each fold, (fold, pixel), where they differ, and the fold
        of each of `rows`.
    """

    map_name: str
    curves: pd.DataFrame
    areas: dict[str, dict[str, Any]]
    verdict: dict[str, Verdict]
    settings: dict[str, Any]
    shape: tuple[int, ...]
    order: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    fill: Fill | None
    rows: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    probabilities: dict[str, npt.NDArray[np.float32]]
    notes: dict[str, Any] = field(default_factory=dict)
    whole: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    evaluated_on: str = SAME_IMAGES
    folds: int = 1
    mass_outside: float = float("nan")
    fold_orders: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    fold_of: npt.NDArray[np.int64] | None = field(default=None, repr=False)

    @property
    def own_output(self) -> npt.NDArray[np.float32]:
        """The model's output on intact images (image, label): whole ones, where that is known."""
        return self.probabilities["erase"][0] if self.whole is None else self.whole

    def cautions(self, label: str) -> list[str]:
        """Return what keeps the verdict on a label from saying all, in sentences."""
        return list(self.areas.get(label, {}).get("cautions", []))

    def word(self, label: str) -> str:
        """Return the verdict's word on a judged label as it is shown: never bare with a caution."""
        cautioned = bool(self.areas[label].get("cautioned"))
        return shown_word(self.verdict[label].word, cautioned=cautioned)

    @property
    def fills(self) -> tuple[str, ...]:
        """Its fill, and those that the map was tested with at the same start."""
        own = str(self.settings.get("fill", DEFAULT_FILL))
        others = (
            fill for told in self.notes.get("fills", {}).values() for fill in told.get("delta", {})
        )
        return tuple(dict.fromkeys((own, *others)))

    def agreement(self, label: str) -> str:
        """Return what all of its fills say of a label, in words; empty where it is one."""
        return str(self.notes.get("fills", {}).get(label, {}).get("sentence", ""))

    @property
    def fractions(self) -> npt.NDArray[np.float64]:
        """Fraction of the valid pixels at each step."""
        return np.asarray(self.counts / self.counts[-1], dtype=float)

    @property
    def stem(self) -> str:
        """Name of its files: the map's, and the fill's where that is not the default."""
        return result_stem(self.map_name, str(self.settings.get("fill", DEFAULT_FILL)))

    @property
    def judged_by(self) -> tuple[str, ...]:
        """Families of control orders that p-values were taken against."""
        return self._families("p_values")

    @property
    def compared_with(self) -> tuple[str, ...]:
        """Families of one order whose difference to the map was taken."""
        return self._families("difference_to")

    def _families(self, key: str) -> tuple[str, ...]:
        # Labels that could not be measured have none.
        return tuple(
            dict.fromkeys(name for values in self.areas.values() for name in values.get(key, {}))
        )

    def kept(self, fraction: float, arm: str, row: int | None = None) -> Mask:
        """Return which pixels show the image at a fraction, bool (*spatial).

        Parameters
        ----------
        fraction : float
            Fraction of the valid pixels.
        arm : str
            ``erase`` or ``restore``.
        row : int, optional
            The image: under cross-fitting its fold's own order counts. By default the map's.
        """
        count = round(float(np.clip(fraction, 0, 1)) * len(self.order))
        return kept_pixels(self.order_for(row), count, arm, self.shape)

    def order_for(self, row: int | None) -> npt.NDArray[np.int64]:
        """Return the order that an image was tested along, or the map's own."""
        if row is None or self.fold_orders is None or self.fold_of is None:
            return self.order
        place = np.flatnonzero(self.rows == row)
        return self.fold_orders[self.fold_of[place[0]]] if len(place) else self.order

    def fitted(self, images: Images, fitting: Fitting | None = None) -> PepprResult:
        """Return the result with its fill, fitted again if it differs by image or by mask.

        Where the package that offers the fill is gone, or what it must be fitted to is not given,
        the result stays without one.
        """
        if self.fill is not None:
            return self
        try:
            fill = fit_fill(str(self.settings["fill"]), images, self.rows, fitting)
        except InputError:
            return self
        return replace(self, fill=fill)

    def fill_of(
        self, row: int, image: npt.NDArray[np.uint8], kept: Mask | None = None
    ) -> npt.NDArray[np.float32]:
        """Return what is shown where an image is erased, float32 (channel, *spatial).

        Parameters
        ----------
        row : int
            The image.
        image : numpy.ndarray
            The same, uint8 (channel, *spatial).
        kept : numpy.ndarray, optional
            What is left of it, as `kept` gives; some fills depend on it.

        Raises
        ------
        InputError
            When the result has no fill, or one that depends on what is left, which is not given.
        """
        if self.fill is None:
            raise InputError(
                f"The fill {self.settings['fill']!r} differs by image and is not fitted; install "
                "the package that offers it and fit it to the images."
            )
        if depends_on_mask(self.fill):
            if kept is None:
                raise InputError(
                    f"The fill {self.fill.name!r} depends on what is left of an image; give it."
                )
            (fill,) = filled_under(self.fill, [row], image[None], kept)
        else:
            (fill,) = filled(self.fill, [row], image[None])
        return np.asarray(fill)

    def seen(
        self,
        image: npt.NDArray[np.uint8],
        fraction: float,
        arm: str,
        fill: npt.NDArray[np.float32] | None = None,
        row: int | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Return what the model sees of an image, uint8 (channel, *spatial).

        Parameters
        ----------
        image : numpy.ndarray
            The image, uint8 (channel, *spatial).
        fraction : float
            Fraction of the valid pixels.
        arm : str
            ``erase`` or ``restore``.
        fill : numpy.ndarray, optional
            `fill_of` that image; needed where it differs by image.
        row : int, optional
            As for `kept`.
        """
        if fill is None:
            if not isinstance(self.fill, SharedFill):
                raise InputError(
                    f"The fill {self.settings['fill']!r} differs by image; give the one of this "
                    "image, by fill_of."
                )
            fill = self.fill.image
        return np.where(self.kept(fraction, arm, row), image, np.rint(fill).astype(np.uint8))

    def save(self, folder: Path) -> None:
        """Write ``<map>.csv``, ``<map>.json`` and ``<map>.npz`` into a folder; see `stem`."""
        arrays: dict[str, Any] = {
            "shape": self.shape,
            "order": self.order,
            "counts": self.counts,
            "rows": self.rows,
            "labels": self.labels,
            **self.probabilities,
        }
        if self.whole is not None:
            arrays["whole"] = self.whole
        folds = {"fold_orders": self.fold_orders, "fold_of": self.fold_of}
        arrays |= {name: array for name, array in folds.items() if array is not None}
        # Others are fitted again, see `fitted`.
        if isinstance(self.fill, SharedFill):
            arrays["fill"] = self.fill.image
        with atomic_path(folder / f"{self.stem}.npz") as path:
            np.savez_compressed(path, **arrays)
        write_table(folder / f"{self.stem}.csv", self.curves)
        by_name = {name: self._told(name) for name in self.areas}
        write_json(
            folder / f"{self.stem}.json",
            {
                "map": self.map_name,
                "labels": {
                    name: told for name, told in by_name.items() if name not in _TOGETHER.values()
                },
                **self.notes,
                **{key: by_name[name] for key, name in _TOGETHER.items() if name in by_name},
                "evaluated_on": self.evaluated_on,
                "folds": self.folds,
                "mass_outside": self.mass_outside,
                "settings": self.settings,
            },
        )

    def _told(self, name: str) -> dict[str, Any]:
        """Return what the JSON tells of a label."""
        verdict = self.verdict.get(name)
        if verdict is None:
            return self.areas[name]
        words = {"verdict": verdict.word, "reason": verdict.reason, "tested": verdict.tested}
        return {**self.areas[name], **words}

    @classmethod
    def load(cls, folder: Path, map_name: str, stem: str | None = None) -> PepprResult:
        """Read what `save` wrote, under the map's name or another `stem`."""
        files = map_name if stem is None else stem
        file = folder / f"{files}.json"
        with as_we_write(file):
            summary = read_json(file)
            told = dict(summary["labels"])
            told |= {name: summary[key] for key, name in _TOGETHER.items() if key in summary}
            areas, verdict = {}, {}
            for label, values in told.items():
                if "verdict" in values:
                    words = [values.pop(key, "") for key in ("verdict", "reason", "tested")]
                    verdict[label] = Verdict(*words)
                areas[label] = values
            settings = summary["settings"]
            outside = summary.get("mass_outside")
        with open_arrays(folder / f"{files}.npz") as arrays:
            return cls(
                map_name=map_name,
                curves=read_table(
                    folder / f"{files}.csv", CURVE_COLUMNS, dtype={"map": str, "label": str}
                ),
                areas=areas,
                verdict=verdict,
                settings=settings,
                shape=tuple(int(length) for length in arrays["shape"]),
                order=arrays["order"],
                counts=arrays["counts"],
                fill=SharedFill(arrays["fill"]) if "fill" in arrays else None,
                rows=arrays["rows"],
                labels=tuple(str(label) for label in arrays["labels"]),
                probabilities={arm: arrays[arm] for arm in ("erase", "restore")},
                notes={key: summary[key] for key in summary if key not in _OWN_KEYS},
                whole=arrays.get("whole", None),
                # Version 0.1 knew maps of the same images, and files of which it knew nothing.
                evaluated_on=summary.get("evaluated_on") or _origin(settings),
                folds=summary.get("folds", 1),
                mass_outside=float("nan") if outside is None else outside,
                fold_orders=arrays.get("fold_orders"),
                fold_of=arrays.get("fold_of"),
            )


def _origin(settings: dict[str, Any]) -> str:
    return SAME_IMAGES if settings.get("map_built_on_the_same_images") else GIVEN_MAP


def evaluated_part(curve: pd.DataFrame) -> pd.DataFrame:
    """Return a curve without an end behind a gap, over which a line would be invented.

    Orders that a map is judged by are evaluated in the first fifth, and at the ends.

    Parameters
    ----------
    curve : pandas.DataFrame
        Rows of one curve, by rising ``fraction``.
    """
    fractions = curve["fraction"].to_numpy(float)
    is_cut = len(fractions) > 2 and fractions[-1] - fractions[-2] > _GAP
    return curve.iloc[:-1] if is_cut else curve
