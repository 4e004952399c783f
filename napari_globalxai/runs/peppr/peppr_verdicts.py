"""All verdicts of a run in one table, with p corrected for their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.orders.sequential import holm
from napari_globalxai.runs.folder import PEPPR_FOLDER, file_stem
from napari_globalxai.runs.turns import writing
from napari_globalxai.storage import write_table

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

VERDICTS_TABLE = "verdicts.csv"


def verdicts(run: Run) -> pd.DataFrame:
    """Return a row a verdict of the run's own maps: map, label, word, p and p corrected by Holm.

    A verdict needs p ≤ 0.05 against every family of controls, so its p is the largest of them.
    Those of maps from files, or of other runs, are not counted.
    """
    rows = []
    for name in run.maps:
        if not (run.folder / PEPPR_FOLDER / f"{file_stem(name)}.json").is_file():
            continue
        try:
            result = run.peppr_result(name)
        except (InputError, OSError, KeyError, ValueError):
            # Of another version, or cut short; it is tested again when it is asked for.
            continue
        for label, verdict in result.verdict.items():
            p_values = result.areas[label].get("p_values", {})
            p = max(p_values.values(), default=float("nan"))
            rows.append({"map": name, "label": label, "word": verdict.word, "p": p})
    table = pd.DataFrame(rows, columns=["map", "label", "word", "p"])
    known = np.isfinite(table["p"].to_numpy(float))
    table["p_holm"] = np.nan
    if known.any():
        table.loc[known, "p_holm"] = holm(table["p"].to_numpy(float)[known])
    return table


def write_verdicts(run: Run) -> None:
    """Write the table beside the results."""
    with writing(run.folder):
        write_table(run.folder / PEPPR_FOLDER / VERDICTS_TABLE, verdicts(run))
