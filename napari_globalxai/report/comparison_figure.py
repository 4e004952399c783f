"""The figure of several maps side by side: Δ with its interval, a row a map, a part a label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from napari_globalxai.report.style import (
    BLUE,
    BODY,
    GREY,
    name_text,
    new_figure,
    plain,
    save_figure,
)

_ROW, _HEAD = 0.32, 1.0


def comparison_figure(maps: Sequence[dict[str, Any]]) -> Figure:
    """Draw the Δ of several maps.

    Parameters
    ----------
    maps : sequence of dict
        With ``name``, ``label``, ``delta``, ``ci_low`` and ``ci_high``.
    """
    labels = list(dict.fromkeys(str(each["label"]) for each in maps))
    rows = [[each for each in maps if each["label"] == label] for label in labels]
    figure = new_figure(sum(_HEAD + _ROW * len(each) for each in rows))
    heights = [_HEAD + _ROW * len(each) for each in rows]
    parts = figure.subplots(len(labels), 1, squeeze=False, sharex=True, height_ratios=heights)
    for axes, label, own in zip(parts[:, 0], labels, rows, strict=True):
        plain(axes)
        places = list(range(len(own)))[::-1]
        for place, each in zip(places, own, strict=True):
            axes.plot([each["ci_low"], each["ci_high"]], [place, place], color=BLUE, linewidth=1.6)
            axes.plot([each["delta"]], [place], marker="o", color=BLUE, markersize=5)
        axes.axvline(0, color=GREY, linewidth=0.7)
        axes.set_yticks(places, [name_text(str(each["name"]), 40) for each in own], fontsize=BODY)
        axes.set_ylim(-0.6, len(own) - 0.4)
        axes.set_title(name_text(label), fontsize=BODY, loc="left")
    parts[-1, 0].set_xlabel(r"$\Delta$ = A$_R$ − A$_E$, 95 % interval over patients", fontsize=BODY)
    return figure


def write_comparison_figure(run: Path, maps: Sequence[dict[str, Any]]) -> Path:
    """Write ``figures/peppr_comparison.png`` and ``.svg`` of a run; return the first."""
    figure = comparison_figure(maps)
    path = run / "figures" / "peppr_comparison.png"
    save_figure(figure, path)
    return path
