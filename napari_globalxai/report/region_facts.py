"""What the report says about regions that were kept and erased."""

from __future__ import annotations

from pathlib import Path

from napari_globalxai.faithfulness.questions.stored_regions import stored_tests
from napari_globalxai.report.peppr_facts import with_interval
from napari_globalxai.report.style import number, percent


def region_facts(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the report's table, as texts by column.

    Parameters
    ----------
    folder : pathlib.Path
        Of the results of PEPPR; there need not be any.
    """
    rows = []
    for path in sorted(folder.glob("regions*.json")):
        found = [(test, row) for test in stored_tests(path) for row in test.rows]
        for test, row in found:
            intervals = {
                name: with_interval(
                    row[f"{name}_change"], [row[f"{name}_ci_low"], row[f"{name}_ci_high"]]
                )
                for name in ("auc", "logit", "probability")
            }
            first = "" if row["ranked"] == "alone" else "first to "
            rows.append(
                {
                    "Label": str(row["label"]),
                    "Region": f"{first}{test.name_of(str(row['region']))}",
                    "Arm": str(row["arm"]),
                    "Fill": str(test.settings["fill"]),
                    "Share of the map": percent(row["share"], 1),
                    "Share of the frame": percent(row["area_share"], 1),
                    "AUC, whole": number(row["auc_intact"]),
                    "AUC": number(row["auc"]),
                    "Change of AUC": intervals["auc"],
                    "Change of logit": intervals["logit"],
                    "Change of probability": intervals["probability"],
                }
            )
    return rows
