"""What `peppr` can be asked beside the curves along one map, and what it prints."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.addresses import place
from napari_globalxai.cli import machine_answers as answers
from napari_globalxai.cli.printing import say
from napari_globalxai.errors import InputError
from napari_globalxai.settings.peppr_question import PAPER, PepprQuestion

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.settings.peppr_settings import PepprSettings


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
    map_from, out = how.pop("map_from", None), how.pop("out", None)
    out = None if out is None else place(out)
    if out is not None and not question.is_plain:
        raise InputError(
            "--out takes the curves along one map; leave it out, or what else is asked."
        )
    if question.clash:
        raise InputError(question.clash)
    if question.protocol == PAPER:
        return {**said, **_as_published(run, question, settings, **how)}
    if question.per_image:
        return {**said, **_test_images(run, question, settings, **how)}
    if question.regions is not None:
        said["regions"], said["regions_kept"] = _test_regions(run, question, settings, **how)
        if question.one_map is None:
            return said
    if question.compares:
        return {**said, **_compare(run, question, settings, **how)}
    from napari_globalxai.runs.peppr.evaluate import peppr

    result = peppr(run, question.one_map or "overall", settings, map_from=map_from, out=out, **how)
    say_verdicts(result)
    say(f"Results: {(out or run) / 'peppr' / result.stem}.csv, .json")
    return {**said, **answers.of_peppr(run, result.map_name, result.stem, out)}


def say_verdicts(result: PepprResult) -> None:
    """Print the verdicts of PEPPR, and beneath each what it does not say."""
    from napari_globalxai.faithfulness.verdict.outside_share import outside_sentence

    for label, verdict in result.verdict.items():
        say(f"{result.map_name} for {label}: {result.word(label)} ({verdict.reason})")
        if verdict.tested:
            say(f"  {verdict.tested}.")
        for caution in result.cautions(label):
            say(f"  caution: {caution}")
        if agreement := result.agreement(label):
            say(f"  fills: {agreement}")
        if outside := result.areas[label].get("outside"):
            say(f"  outside: {outside_sentence(outside)}")
    if spared := result.settings.get("predictions_spared", 0):
        tested = ", ".join(
            f"{count} {name}" for name, count in result.settings["controls_tested"].items()
        )
        say(f"  {tested} orders sufficed, which spared {spared} predictions of an image.")


def _test_regions(
    run: Path, question: PepprQuestion, settings: PepprSettings, **how: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from napari_globalxai.faithfulness.questions.stored_regions import ALONE, stored_tests
    from napari_globalxai.runs.peppr.evaluate_regions import peppr_regions

    results = peppr_regions(run, str(question.regions), question.one_map, settings, **how)
    kept: list[dict[str, Any]] = []
    for result in results:
        for row in result.rows:
            if row.ranked == ALONE:
                say(f"{row.sentence} (fill {result.settings['fill']})")
        tests = stored_tests(place(run) / "peppr" / f"{result.stem}.json")
        kept += [row for test in tests for row in test.rows]
        others = [Path(test.file).stem for test in tests[:-1]]
        beside = f", beside {', '.join(others)}" if others else ""
        say(f"Results: {run / 'peppr' / result.stem}.csv, .json{beside}")
    return [row.cells() for result in results for row in result.rows], kept


def _test_images(
    run: Path, question: PepprQuestion, settings: PepprSettings, **how: Any
) -> dict[str, Any]:
    from napari_globalxai.faithfulness.questions.per_image import QUESTION
    from napari_globalxai.runs.peppr.evaluate_otherwise import peppr_images

    results = peppr_images(run, question.one_map or "overall", settings, **how)
    say(QUESTION)
    by_fill: dict[str, dict[str, Any]] = {}
    for result in results:
        fill = str(result.settings["fill"])
        of_fill = f" (fill {fill})" if len(settings.fills) > 1 else ""
        say(f"{result.sentence}{of_fill}.")
        by_fill.setdefault(fill, {})[result.label] = result.summary()
    first = by_fill[settings.fills[0]]
    return {"question": QUESTION, "per_image": first, "per_image_by_fill": by_fill}


def _as_published(
    run: Path, question: PepprQuestion, settings: PepprSettings, **how: Any
) -> dict[str, Any]:
    from napari_globalxai.faithfulness.questions.paper_protocol import CHOSEN
    from napari_globalxai.runs.peppr.evaluate_otherwise import peppr_as_published

    _say_fill(settings)
    result = peppr_as_published(run, settings, **how)
    for sentence in result.sentences:
        say(sentence)
    say("What the sources leave open, and was chosen:")
    for line in CHOSEN:
        say(f"  {line}")
    say(f"Results: {run / 'peppr' / result.stem}.csv, .json")
    return {"protocol": "paper", "chosen": list(CHOSEN), "labels": result.labels}


def _say_fill(settings: PepprSettings) -> None:
    if settings.first_fill_alone:
        say(settings.first_fill_alone)


def _compare(
    run: Path, question: PepprQuestion, settings: PepprSettings, **how: Any
) -> dict[str, Any]:
    from napari_globalxai.report.comparison_figure import write_comparison_figure
    from napari_globalxai.runs.peppr.compare_maps import compare_maps

    _say_fill(settings)
    result = compare_maps(
        run, question.maps or ("overall",), settings, against=question.against, **how
    )
    for pair in result.pairs:
        say(f"{pair.sentence}.")
    for caution in result.cautions:
        say(f"  caution: {caution}")
    figure = write_comparison_figure(run, [asdict(each) for each in result.maps])
    say(f"Results: {run / 'peppr' / 'compared'}.csv, .json, {figure}")
    return {"pairs": result.rows, "figure": figure}
