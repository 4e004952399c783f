"""What `peppr` can be asked beside the curves along one map, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_globalxai.cli import machine_answers as answers
from napari_globalxai.cli.printing import say

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.settings.peppr_settings import PepprSettings

RegionsOption = Annotated[
    Path | None,
    typer.Option(
        help="Keep and erase whole regions instead: a labels image of the frame's size, TIFF, PNG, "
        "npy or NIfTI. With --map, both."
    ),
]


@dataclass(frozen=True)
class PepprQuestion:
    """What is asked.

    Attributes
    ----------
    map_name : str or None
        The map; None where none was named.
    regions : pathlib.Path or None
        A labels image.
    """

    map_name: str | None
    regions: Path | None = None


def ask_peppr(
    run: Path, question: PepprQuestion, settings: PepprSettings, **how: Any
) -> dict[str, Any]:
    """Ask PEPPR, print what it answers, and return it for machines.

    Parameters
    ----------
    run : pathlib.Path
        The run folder.
    question : PepprQuestion
        What is asked.
    settings : PepprSettings
        What is chosen.
    **how
        Model, device, batch size, trust and progress, as for `peppr`.
    """
    said: dict[str, Any] = {"run": run}
    map_from = how.pop("map_from", None)
    if question.regions is not None:
        said["regions"] = _test_regions(run, question, settings, **how)
        if question.map_name is None:
            return said
    from napari_globalxai.runs.evaluate import peppr

    result = peppr(run, question.map_name or "overall", settings, map_from=map_from, **how)
    say_verdicts(result)
    say(f"Results: {run / 'peppr' / result.stem}.csv, .json")
    return {**said, **answers.of_peppr(run, result.map_name, result.stem)}


def say_verdicts(result: PepprResult) -> None:
    """Print the verdicts of PEPPR, and beneath each what it does not say."""
    from napari_globalxai.faithfulness.outside_share import outside_sentence

    for label, verdict in result.verdict.items():
        say(f"{result.map_name} for {label}: {result.word(label)} ({verdict.reason})")
        if verdict.tested:
            say(f"  {verdict.tested}.")
        for caution in result.cautions(label):
            say(f"  caution: {caution}")
        if agreement := result.notes.get("fills", {}).get(label):
            say(f"  fills: {agreement['sentence']}")
        if outside := result.areas[label].get("outside"):
            say(f"  outside: {outside_sentence(outside)}")
    if spared := result.settings.get("predictions_spared", 0):
        tested = ", ".join(
            f"{count} {name}" for name, count in result.settings["controls_tested"].items()
        )
        say(f"  {tested} orders sufficed, which spared {spared} predictions of an image.")


def _test_regions(
    run: Path, question: PepprQuestion, settings: PepprSettings, **how: Any
) -> list[dict[str, Any]]:
    from napari_globalxai.faithfulness.region_tests import ALONE
    from napari_globalxai.runs.evaluate_regions import peppr_regions

    results = peppr_regions(run, str(question.regions), question.map_name, settings, **how)
    for result in results:
        for row in result.rows:
            if row.ranked == ALONE:
                say(f"{row.sentence} (fill {result.settings['fill']})")
        say(f"Results: {run / 'peppr' / result.stem}.csv, .json")
    return [row.cells() for result in results for row in result.rows]
