"""What the report says about PEPPR along one map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_globalxai.faithfulness.outside_share import outside_sentence
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.report.style import is_missing, number, percent
from napari_globalxai.runs.folder import file_stem


@dataclass(frozen=True)
class PepprRow:
    """PEPPR along one map, one label, as texts.

    Attributes
    ----------
    label, word, reason : str
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
    same_images : bool
        Whether the map was built on the images that PEPPR used.
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
    same_images: bool
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
        same_images=same_images(result),
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
        cells={
            "With / without": f"{areas['positives']} / {areas['negatives']}",
            "Intact AUC (95 % CI)": with_interval(
                areas.get("intact_auc"), areas.get("intact_auc_ci")
            ),
            "AUC, whole images": number(areas.get("intact_auc_full")),
            "Mass outside": percent(areas.get("mass_outside")),
            "A_E": number(areas.get("area_erase")),
            "A_R": number(areas.get("area_restore")),
            "Δ (95 % CI)": with_interval(areas.get("delta"), areas.get("delta_ci")),
            **{f"p, {family}": number(p_values.get(family)) for family in result.judged_by},
            "Sufficient": percent(areas.get("sufficient_fraction"), 1),
            "Necessary": percent(areas.get("necessary_fraction"), 1),
            "Blank image": number(areas.get("blank_probability"), 2),
        },
        simple={
            order: with_interval(
                differences.get(order, {}).get("difference"), differences.get(order, {}).get("ci")
            )
            for order in result.compared_with
        },
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
    return bool(result.settings.get("map_built_on_the_same_images"))
