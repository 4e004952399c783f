"""Figures of PEPPR: curves along the map over those of the controls, and Δ against theirs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from napari_globalxai.faithfulness.orders.order_families import FamilyLook, family_look
from napari_globalxai.faithfulness.result import PepprResult, evaluated_part
from napari_globalxai.faithfulness.verdict.verdicts import (
    NECESSARY_SHARE,
    SUFFICIENT_SHARE,
    over_the_first,
)
from napari_globalxai.report.style import (
    BLUE,
    BODY,
    GREY,
    INK,
    SMALL,
    TITLE,
    VERMILLION,
    is_missing,
    name_text,
    new_figure,
    note,
    number,
    percent,
    plain,
    verdict_colour,
)

_ARM_COLOURS = {"restore": BLUE, "erase": VERMILLION}
_ROW_HEIGHT = 3.1
_HISTOGRAM_BINS = 18


def peppr_figure(result: PepprResult, title: str | None = None) -> Figure | None:
    """Draw PEPPR along one map, one row a judged label.

    Parameters
    ----------
    result : PepprResult
        The result.
    title : str, optional
        Name of the map for people; by default the result's.

    Returns
    -------
    Figure or None
        None where no judged label has a curve.
    """
    drawn = set(result.curves["label"].astype(str))
    labels = [label for label in result.verdict if label in drawn]
    if not labels:
        return None
    figure = new_figure(len(labels) * _ROW_HEIGHT + 0.75)
    figure.suptitle(
        f"PEPPR along the map “{name_text(title or result.map_name, 50)}”", fontsize=TITLE + 1
    )
    families = [family_look(name) for name in result.judged_by]
    rows = figure.subfigures(len(labels), 1, squeeze=False)[:, 0]
    for label, part in zip(labels, rows, strict=True):
        word, areas = result.word(label), result.areas[label]
        said = "; ".join([result.verdict[label].reason, *result.cautions(label)])
        reason = "\n".join(textwrap.wrap(said, 125))
        part.suptitle(
            f"{name_text(label)}: {word}\n{reason}",
            fontsize=BODY,
            color=verdict_colour(word),
            x=0.012,
            ha="left",
        )
        axes = part.subplots(1, 3, width_ratios=[1.15, 1.15, 1])
        curves = result.curves[
            (result.curves["label"].astype(str) == label) & (result.curves["metric"] == "roc_auc")
        ]
        for arm, at in zip(("restore", "erase"), axes[:2], strict=True):
            _draw_arm(at, arm, curves, areas, families)
        bottom = min(at.get_ylim()[0] for at in axes[:2])
        for at in axes[:2]:
            at.set_ylim(bottom, 1.03)
        _draw_controls(axes[2], areas, families)
    figure.legend(handles=_legend(families), loc="outside lower center", ncols=5, fontsize=SMALL)
    return figure


def _draw_arm(
    axes: Axes,
    arm: str,
    curves: pd.DataFrame,
    areas: dict[str, Any],
    families: Sequence[FamilyLook],
) -> None:
    """Draw one arm of one label: the map's curve over the controls' bands."""
    plain(axes)
    of_arm = curves[curves["arm"] == arm]
    lowest = [0.5]
    for look in families:
        part = of_arm[of_arm["order"] == look.name].sort_values("fraction")
        if part.empty:
            continue
        q, value, low, high = _columns(evaluated_part(part))
        axes.fill_between(q, low, high, color=look.colour, alpha=0.22, linewidth=0)
        axes.plot(q, value, color=look.colour, linewidth=1, linestyle=(0, (4, 2)))
        lowest.append(float(np.nanmin(low)))
    q, value, low, high = _columns(of_arm[of_arm["order"] == "map"].sort_values("fraction"))
    colour = _ARM_COLOURS[arm]
    axes.fill_between(q, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(q, value, color=colour, linewidth=1.8)
    lowest += [float(np.nanmin(value)), float(np.nanmin(np.append(low, 1.0)))]
    intact = areas["intact_auc"]
    if not is_missing(intact):
        axes.axhline(intact, color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)))
    axes.axhline(0.5, color=GREY, linewidth=0.7)
    if arm == "restore":
        share, fraction, word = SUFFICIENT_SHARE, areas["sufficient_fraction"], "sufficient"
    else:
        share, fraction, word = 1 - NECESSARY_SHARE, areas["necessary_fraction"], "necessary"
    if not is_missing(fraction):
        _mark(
            axes, fraction, 0.5 + share * (intact - 0.5), f"{word}: {percent(fraction, 1)}", colour
        )
    area = areas["area_restore" if arm == "restore" else "area_erase"]
    symbol = "R" if arm == "restore" else "E"
    verb = "Restoring" if arm == "restore" else "Erasing"
    axes.set_title(f"{verb}: area A$_{symbol}$ = {number(area)}", fontsize=BODY)
    axes.set_xlabel(f"valid area {arm}d, strongest first", fontsize=BODY)
    axes.set_ylabel("ROC AUC", fontsize=BODY)
    axes.set_xlim(-0.01, 1.01)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_ylim(min(lowest) - 0.03, 1.03)


def _mark(axes: Axes, fraction: float, level: float, text: str, colour: str) -> None:
    """Mark the fraction at which a curve reaches a level."""
    axes.plot([fraction, fraction], [0, level], color=colour, linewidth=1, linestyle=":")
    axes.plot([fraction], [level], marker="D", color=colour, markersize=5, markeredgecolor="white")
    right = fraction < 0.55
    axes.annotate(
        text,
        (fraction, level),
        xytext=(9 if right else -9, -13),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=SMALL,
        color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
    )


def _draw_controls(axes: Axes, areas: dict[str, Any], families: Sequence[FamilyLook]) -> None:
    """Draw how the map's Δ compares with those of the controls."""
    plain(axes)
    axes.grid(False, axis="x")
    own = areas["delta_on_control_steps"]
    deltas, colours, names = [], [], []
    for look in families:
        values = _finite(areas["control_deltas"].get(look.name, []))
        if len(values):
            deltas.append(values)
            colours.append(look.colour)
            p = areas["p_values"].get(look.name)
            names.append(f"{len(values)} {look.name}, p = {number(p)}")
    axes.set_title("Δ against the controls", fontsize=BODY)
    part = over_the_first(areas.get("judged_up_to", 1))
    axes.set_xlabel(rf"$\Delta$ = A$_R$ − A$_E$ {part}", fontsize=BODY)
    if not deltas or is_missing(own):
        axes.set_yticks([])
        axes.set_xticks([])
        note(axes, "no control orders were tested")
        return
    everything = np.concatenate([*deltas, [own]])
    # Controls may all be equal; bins need a width all the same.
    margin = max(0.06 * float(np.ptp(everything)), 0.01)
    edges = np.linspace(everything.min() - margin, everything.max() + margin, _HISTOGRAM_BINS + 1)
    heights, _, _ = axes.hist(deltas, bins=edges.tolist(), color=colours, label=names)
    highest = float(np.max(heights))
    own_label = f"this map: {number(own)}"
    axes.plot([own, own], [0, 1.05 * highest], color=INK, linewidth=2, label=own_label)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel("control orders", fontsize=BODY)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    # Room for the legend above the bars, a line a family and one for the map.
    axes.set_ylim(0, (1.2 + 0.2 * len(deltas)) * highest)
    axes.legend(loc="upper left", fontsize=SMALL - 0.5, frameon=False, borderaxespad=0.2)


def _columns(part: pd.DataFrame) -> tuple[npt.NDArray[np.float64], ...]:
    columns = ("fraction", "value", "ci_low", "ci_high")
    return tuple(np.asarray(part[name], dtype=float) for name in columns)


def _finite(values: list[float | None]) -> npt.NDArray[np.float64]:
    found = np.array([value for value in values if value is not None], dtype=float)
    return np.asarray(found[np.isfinite(found)])


def _legend(families: Sequence[FamilyLook]) -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=BLUE, linewidth=1.8, label="restoring along the map"),
        Line2D([], [], color=VERMILLION, linewidth=1.8, label="erasing along the map"),
        *(Patch(color=look.colour, alpha=0.4, label=look.within) for look in families),
        Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)), label="intact images"),
    ]
