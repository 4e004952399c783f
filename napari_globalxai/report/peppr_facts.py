"""What the report says about PEPPR along one map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_globalxai.faithfulness.folds import ANOTHER_RUN, CROSS_FITTED, SAME_IMAGES
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.faithfulness.verdict.outside_share import outside_sentence
from napari_globalxai.report.style import is_missing, number, percent
from napari_globalxai.runs.folder import file_stem


@dataclass(frozen=True)
class PepprRow:
    """PEPPR along one map, one label, as texts.

    Attributes
    ----------
    label, word, reason, tested : str
        The label and its verdict, empty where the map is not judged by the label.
    cells : dict of str to str
        The numbers by column.
    simple : dict of str to str
        Difference of Δ to the simple orders, with its interval.
    cautions : list of str
        What keeps the verdict from saying all.
    outside : str
        What erasing all outside the valid area did; empty where nothing lies there.
    """

    label: str
    word: str
    reason: str
    tested: str
    cells: dict[str, str]
    simple: dict[str, str]
    cautions: list[str]
    outside: str


@dataclass(frozen=True)
class PepprFacts:
    """PEPPR along one map.

    Attributes
    ----------
    name, figure : str
        The map, and the name of its figure.
    judged, others : list of PepprRow
        Labels that the map is judged by, and the rest.
    controls : str
        The orders that the map is judged by, and their number.
    whose : str
        Whose images the map was built on, as a sentence.
    settings : dict
        What was chosen.
    left_out : dict of str to str
        Labels that could not be measured, and why.
    """

    name: str
    figure: str
    judged: list[PepprRow]
    others: list[PepprRow]
    controls: str
    whose: str
    settings: dict[str, Any]
    left_out: dict[str, str]


def peppr_facts(name: str, result: PepprResult) -> PepprFacts:
    """Return what the report says about a result of PEPPR."""
    rows = {label: _peppr_row(label, areas, result) for label, areas in result.areas.items()}
    return PepprFacts(
        name=name,
        figure=f"peppr_{file_stem(name)}",
        judged=[row for label, row in rows.items() if label in result.verdict],
        others=[row for label, row in rows.items() if label not in result.verdict],
        controls=_controls(result),
        whose=_whose(result),
        settings={
            key: value
            for key, value in result.settings.items()
            if key not in ("left_out", "map_built_on_the_same_images")
        },
        left_out=dict(result.settings.get("left_out", {})),
    )


def _peppr_row(label: str, areas: dict[str, Any], result: PepprResult) -> PepprRow:
    verdict = result.verdict.get(label)
    p_values = areas.get("p_values", {})
    differences = areas.get("difference_to", {})
    return PepprRow(
        label=label,
        word=result.word(label) if verdict else "",
        reason=verdict.reason if verdict else "",
        tested=verdict.tested if verdict else "",
        cells={
            "With / without": f"{areas['positives']} / {areas['negatives']}",
            **(
                {"Patients": f"{areas['patients_with']} / {areas['patients_without']}"}
                if "patients_with" in areas
                else {}
            ),
            "Intact AUC (95 % CI)": with_interval(
                areas.get("intact_auc"), areas.get("intact_auc_ci")
            ),
            "AUC, whole images": number(areas.get("intact_auc_full")),
            "Mass outside": percent(areas.get("mass_outside")),
            "A_E": number(areas.get("area_erase")),
            "A_R": number(areas.get("area_restore")),
            "Δ (95 % CI)": with_interval(areas.get("delta"), areas.get("delta_ci")),
            **{f"p, {family}": number(p_values.get(family)) for family in result.judged_by},
            "Sufficient": fraction_text(areas, "sufficient_fraction"),
            "of it, logit gap": fraction_text(areas, "sufficient_fraction_logit_gap_share"),
            "of it, sensitivity": fraction_text(areas, "sufficient_fraction_sensitivity"),
            "Necessary": fraction_text(areas, "necessary_fraction"),
            "Blank image": number(areas.get("blank_probability"), 2),
        },
        simple={order: lead_text(differences.get(order, {})) for order in result.compared_with},
        cautions=result.cautions(label),
        outside=outside_sentence(areas["outside"]) if "outside" in areas else "",
    )


def _controls(result: PepprResult) -> str:
    """Say how many orders of which families the map is judged by."""
    families = {
        name: len(values["control_deltas"][name])
        for values in result.areas.values()
        for name in values.get("p_values", {})
    }
    if not families:
        return "no control orders"
    *before, last = (f"{count} {name}" for name, count in families.items())
    return f"{', '.join(before)} and {last} orders" if before else f"{last} orders"


def with_interval(value: float | None, interval: list[float | None] | None) -> str:
    """Return a number with its interval, as far as there are any."""
    if interval is None or any(is_missing(end) for end in interval):
        return number(value)
    # No break inside the interval, so that a narrow cell takes two lines.
    ends = "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}".join(number(end) for end in interval)
    return f"{number(value)} ({ends})"


def same_images(result: PepprResult) -> bool:
    """Tell whether the map was built on the images that PEPPR used."""
    return result.evaluated_on == SAME_IMAGES


def fraction_text(areas: dict[str, Any], name: str) -> str:
    """Return a fraction with its interval, in percent."""
    ends = areas.get(f"{name}_ci")
    text = percent(areas.get(name), 1)
    if not ends or any(is_missing(end) for end in ends):
        return text
    low, high = (percent(end, 1) for end in ends)
    return f"{text} ({low}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{high})"


def lead_text(difference: dict[str, Any]) -> str:
    """Return how much better the map is: early, and over all pixels."""
    whole = with_interval(difference.get("difference"), difference.get("ci"))
    if "early_difference" not in difference:
        return whole
    early = with_interval(difference["early_difference"], difference["early_ci"])
    return f"{early}; {whole}"


def _whose(result: PepprResult) -> str:
    return {
        CROSS_FITTED: f"Each image was tested along a map of other patients ({result.folds} "
        "folds).",
        SAME_IMAGES: "The map and PEPPR used the same images.",
        ANOTHER_RUN: "The map is that of another run.",
    }.get(
        result.evaluated_on,
        "The map was given as a file; which images it was built on is not known here.",
    )
