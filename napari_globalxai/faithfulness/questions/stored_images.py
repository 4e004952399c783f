"""What PEPPR image by image left in a run, read without the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.saved_arrays import open_arrays
from napari_globalxai.faithfulness.stored_results import fill_stem
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.storage import atomic_path, read_json, read_table
from napari_globalxai.unusable import as_we_write

SUFFIX = ".per-image.json"
_ARMS = ("erase", "restore")
_AREAS = ("insertion", "deletion", "delta")
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class StoredImages:
    """Images of one label, each tested along its own map.

    Attributes
    ----------
    map_name : str
        The map that was named, as its files call it.
    label : str
        The label.
    rows : numpy.ndarray
        Images, as rows of the cohort.
    areas : dict of str to numpy.ndarray
        ``insertion``, ``deletion`` and ``delta`` of each image.
    curves : dict of str to numpy.ndarray or None
        By arm, float32 (image, step); None in results of older releases.
    summary : dict
        Means with intervals and spreads over images.
    settings : dict
        What was chosen.
    """

    map_name: str
    label: str
    rows: npt.NDArray[np.int64]
    areas: dict[str, Floats]
    curves: dict[str, Floats] | None
    summary: dict[str, Any]
    settings: dict[str, Any]

    @property
    def fill(self) -> str:
        """What erased pixels showed."""
        return self.chosen.fills[0]

    @property
    def chosen(self) -> PepprSettings:
        """What was chosen, as settings."""
        known = PepprSettings.model_fields
        return PepprSettings.of(
            None, {name: value for name, value in self.settings.items() if name in known}
        )

    def place(self, row: int) -> int | None:
        """Return where an image stands, None where it was not tested."""
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else None


def keep_curves(
    folder: Path, name: str, curves: Mapping[str, tuple[npt.NDArray[np.int64], Mapping[str, Any]]]
) -> None:
    """Write each image's own curves beside the table.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    name : str
        Name of the files, without a suffix.
    curves : mapping of str to (numpy.ndarray, mapping)
        By label: rows, and by arm the probabilities (image, step).
    """
    arrays: dict[str, Any] = {"labels": np.asarray(list(curves))}
    for number, (rows, by_arm) in enumerate(curves.values()):
        arrays[f"rows_{number}"] = rows
        arrays |= {f"{arm}_{number}": np.asarray(by_arm[arm], np.float32) for arm in _ARMS}
    with atomic_path(folder / f"{name}-curves.npz") as path:
        np.savez_compressed(path, **arrays)


def stored_images(folder: Path) -> list[StoredImages]:
    """Return what lies in a folder, a label each; files that cannot be read are left out."""
    found: list[StoredImages] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found += _read(path)
        except (InputError, OSError):
            continue
    return found


def _read(path: Path) -> list[StoredImages]:
    name = path.name.removesuffix(SUFFIX)
    with as_we_write(path):
        told = read_json(path)
        fill = str(told["settings"]["fill"])
        table = read_table(
            path.with_name(f"{name}.per-image.csv"), ("label", "row", *_AREAS), dtype={"label": str}
        )
        curves = _curves(path.with_name(f"{name}.per-image-curves.npz"))
        found = []
        for label, summary in told["per_image"].items():
            own = table[table["label"] == label]
            rows, by_arm = curves.get(label, (np.empty(0), None))
            found.append(
                StoredImages(
                    name.removesuffix(f".{fill_stem(fill)}"),
                    label,
                    own["row"].to_numpy(np.int64),
                    {kind: own[kind].to_numpy(float) for kind in _AREAS},
                    # Another result's, of which the rest was written over.
                    by_arm if np.array_equal(rows, own["row"]) else None,
                    dict(summary),
                    dict(told["settings"]),
                )
            )
    return found


def _curves(path: Path) -> dict[str, tuple[Any, dict[str, Floats]]]:
    if not path.is_file():
        return {}
    with open_arrays(path) as arrays:
        return {
            str(label): (
                arrays[f"rows_{number}"],
                {arm: arrays[f"{arm}_{number}"] for arm in _ARMS},
            )
            for number, label in enumerate(arrays["labels"])
        }
