"""A fill and a family of orders of another package: one class and one entry point each."""

import json
import shutil
import sys
import types

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from matplotlib.colors import to_hex
from matplotlib.text import Text

import napari_globalxai as gx
from napari_globalxai.catalogue import FILLS, ORDERS, Entry
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.fills.fill_kinds import fit_fill
from napari_globalxai.faithfulness.orders.order_families import family_look
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.faithfulness.predictions.kept_predictions import ControlCache
from napari_globalxai.faithfulness.questions.region_erasure import erase_region
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.report.html import write_report
from napari_globalxai.report.peppr_figures import peppr_figure
from napari_globalxai.settings.declared import declared_fields
from napari_globalxai.settings.peppr_settings import PepprSettings

QUICK = {"steps": 6, "control_steps": 4, "controls": 3, "bootstrap": 20, "fewest_positives": 2}


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    cohort = tiny.write_cohort(folder / "cohort", size=24)
    return gx.explain(cohort, tiny.write_linear(folder), folder / "run", "saliency").folder


@pytest.fixture
def tested(explained, added_package, tmp_path):
    """A run that was tested while the package was there."""
    run = gx.open_run(shutil.copytree(explained, tmp_path / "run"))
    gx.peppr(run, "left", fill="own-colour", device="cpu", **{**QUICK, "controls": 19})
    return run


def make_evaluation(folder, fill, count=12):
    images, truth = tiny.sign_images(count)
    stack = tiny.make_stack(folder / "aligned.zarr", images)
    rows = np.arange(count)
    return Evaluation(
        classifier=tiny.linear_classifier(),
        stack=stack,
        rows=rows,
        truth=truth,
        patients=tuple(f"P{row}" for row in rows),
        valid=np.ones((tiny.HEIGHT, tiny.WIDTH), bool),
        fill=fit_fill(fill, stack, rows),
        batch_size=5,
        key="tiny",
    )


def sign_map():
    image = np.random.default_rng(0).random((tiny.HEIGHT, tiny.WIDTH)) * 0.1
    image[tiny.SIGNS["left"]] += 1
    return image


def drawn_text(figure):
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def test_new_fills_are_choices(added_package):
    (fill,) = (field for field in declared_fields(PepprSettings) if field.name == "fill")
    assert list(fill.choices) == [
        "mean-image", "mean-colour", "black", "blur", "noisy-linear", "neighbour",
        "local-neighbour", "own-colour", "white",
    ]  # fmt: skip
    assert fill.choices["own-colour"] == "From drill_package"
    assert PepprSettings(fill="white").fill == "white"


def test_json_and_csv_hold_them(tested):
    summary = json.loads((tested.folder / "peppr" / "left.own-colour.json").read_text())
    assert summary["settings"]["fill"] == "own-colour"
    left = summary["labels"]["left"]
    assert list(left["p_values"]) == ["shifted", "surrogate", "striped"]
    assert len(left["control_deltas"]["striped"]) == 19
    assert "top-first" in left["difference_to"]
    assert "against striped orders" in left["reason"]
    table = pd.read_csv(tested.folder / "peppr" / "left.own-colour.csv")
    assert list(dict.fromkeys(table["order"])) == [
        "map", "shifted", "surrogate", "striped", "random", "reversed", "centre-distance",
        "mean-intensity", "sd-image", "top-first", "map of right", "map of images without left",
        "map of random weights",
    ]  # fmt: skip


def test_a_new_family_has_its_say_in_the_verdict(tested):
    areas = tested.peppr_result("left").areas["left"]
    own, deltas = areas["delta_on_control_steps"], areas["control_deltas"]["striped"]
    expected = (1 + sum(delta >= own for delta in deltas)) / 20
    assert areas["p_values"]["striped"] == pytest.approx(expected)


def test_figure_and_report_show_them(tested):
    figure = peppr_figure(tested.peppr_result("left"), "left")
    figure.canvas.draw()
    assert "striped orders" in drawn_text(figure)
    assert "19 striped, p = " in drawn_text(figure)
    colours = {to_hex(line.get_color()) for at in figure.axes for line in at.get_lines()}
    assert "#2a7f62" in colours
    page = write_report(tested).read_text(encoding="utf-8")
    for piece in (
        "p, striped",
        "fill: own-colour",
        "19 shifted, 19 surrogate and 19 striped orders",
        '<th scope="col">top-first</th>',
        "striped orders (from drill_package)",
    ):
        assert piece in page


def test_a_result_outlives_the_package(tested, added_package):
    added_package.uninstall()
    assert "striped" not in ORDERS.entries
    result = tested.peppr_result("left")
    assert result.judged_by == ("shifted", "surrogate", "striped")
    figure = peppr_figure(result)
    figure.canvas.draw()
    assert "19 striped, p = " in drawn_text(figure)
    look = family_look("striped")
    assert look.title == "striped"
    assert look.colour not in {family_look(name).colour for name in ("surrogate", "shifted")}
    assert "p, striped" in write_report(tested).read_text(encoding="utf-8")
    gone = result.fitted(tested.stack)
    assert gone.fill is None
    with pytest.raises(InputError, match="fill 'own-colour' differs by image"):
        gone.seen(tested.stack.images[0], 0.5, "erase")
    with pytest.raises(InputError, match="install the package that offers it"):
        gone.fill_of(0, tested.stack.images[0])


# ---------------------------------------------------------------- fills that differ by image


def test_a_fill_by_image_against_slow_predictions(added_package, tmp_path):
    evaluation = make_evaluation(tmp_path, "own-colour")
    settings = PepprSettings(**{**QUICK, "controls": 1})
    result = run_peppr(
        evaluation, "map", sign_map(), tiny.LABELS, settings, cache=tmp_path / "controls"
    )
    order = np.argsort(-sign_map().ravel())
    for arm in ("erase", "restore"):
        for step, count in enumerate(result.counts):
            chosen = np.zeros(order.size, bool)
            chosen[order[:count]] = True
            keeps = (chosen == (arm == "restore")).reshape(tiny.HEIGHT, tiny.WIDTH)
            for row in evaluation.rows:
                image = evaluation.stack.images[int(row)].astype(np.float64)
                seen = np.empty_like(image)
                for channel in range(2):
                    own = image[channel].sum() / image[channel].size
                    seen[channel] = np.where(keeps, image[channel], own)
                with torch.no_grad():
                    inputs = torch.tensor((seen[None] / 255 - 0.3) / 0.1).float()
                    slow = evaluation.classifier.network(inputs).sigmoid().numpy()[0]
                np.testing.assert_allclose(result.probabilities[arm][step, row], slow, atol=2e-6)
                shown = result.seen(
                    evaluation.stack.images[int(row)],
                    count / order.size,
                    arm,
                    result.fill_of(int(row), evaluation.stack.images[int(row)]),
                )
                assert np.abs(shown - seen).max() <= 0.51
    erase, restore = (result.probabilities[arm] for arm in ("erase", "restore"))
    assert np.array_equal(erase[0], restore[-1])
    assert np.array_equal(erase[-1], restore[0])
    # Each image has a blank of its own, and the report states their mean.
    assert len(np.unique(restore[0], axis=0)) == len(evaluation.rows)
    for index, label in enumerate(tiny.LABELS):
        assert result.areas[label]["blank_probability"] == pytest.approx(
            restore[0][:, index].mean(), abs=1e-6
        )
    whole = np.ones((tiny.HEIGHT, tiny.WIDTH), bool)
    erased = erase_region(evaluation, whole)["left"].erased_auc
    last = result.curves.query("order == 'map' and label == 'left' and metric == 'roc_auc'")
    assert erased == last[last["arm"] == "erase"]["value"].iloc[-1]


def test_a_result_with_a_fill_by_image_survives_its_files(added_package, tmp_path):
    evaluation = make_evaluation(tmp_path, "own-colour")
    settings = PepprSettings(fill="own-colour", **QUICK)
    result = run_peppr(
        evaluation, "map", sign_map(), tiny.LABELS, settings, cache=tmp_path / "controls"
    )
    result.save(tmp_path / "peppr")
    with np.load(tmp_path / "peppr" / "map.own-colour.npz") as arrays:
        assert "fill" not in arrays
    again = PepprResult.load(tmp_path / "peppr", "map", "map.own-colour").fitted(evaluation.stack)
    image = evaluation.stack.images[4]
    fill = again.fill_of(4, image)
    assert np.array_equal(fill, result.fill_of(4, image))
    assert np.array_equal(
        again.seen(image, 0.2, "erase", fill), result.seen(image, 0.2, "erase", fill)
    )


def test_another_shared_fill_is_one_blank(added_package, tmp_path):
    evaluation = make_evaluation(tmp_path, "white")
    result = run_peppr(
        evaluation, "map", sign_map(), tiny.LABELS, PepprSettings(**QUICK), cache=tmp_path / "c"
    )
    assert len(np.unique(result.probabilities["restore"][0], axis=0)) == 1
    assert (result.seen(evaluation.stack.images[2], 0, "restore") == 255).all()
    for label in tiny.LABELS:
        curve = result.curves.query(f"label == '{label}' and metric == 'roc_auc'")
        assert (curve[(curve["arm"] == "restore") & (curve["fraction"] == 0)]["value"] == 0.5).all()


def test_controls_of_different_fills_are_kept_apart(added_package, tmp_path):
    seen = {}
    for fill in ("own-colour", "white", "mean-image", "mean-colour"):
        evaluation = make_evaluation(tmp_path / fill, fill)
        order = np.arange(tiny.HEIGHT * tiny.WIDTH)
        own = evaluation.course(order, np.array([0, 100, len(order)]), lambda done, total: None)
        cache = ControlCache(evaluation, own, tmp_path / "controls")
        cache.logits(np.roll(order, 5))
        seen[fill] = set((tmp_path / "controls").glob("*"))
        cache.logits(np.roll(order, 5))
        assert set((tmp_path / "controls").glob("*")) == seen[fill]
    assert [len(files) for files in seen.values()] == [1, 2, 3, 4]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01", b"rubbish"])
def test_what_a_power_cut_spoilt_is_evaluated_again(tmp_path, content):
    evaluation = make_evaluation(tmp_path, "mean-image")
    order = np.arange(tiny.HEIGHT * tiny.WIDTH)
    own = evaluation.course(order, np.array([0, 100, len(order)]), lambda done, total: None)
    cache = ControlCache(evaluation, own, tmp_path / "controls")
    other = np.roll(order, 5)
    logits, (areas,) = cache.logits(other), cache.roc_auc_curves([other])
    for file in (tmp_path / "controls").iterdir():
        file.write_bytes(content)
    again = cache.logits(other)
    assert all(np.array_equal(again[arm], logits[arm]) for arm in logits)
    assert np.array_equal(next(cache.roc_auc_curves([other])), areas)
    # Of another shape, as after an error elsewhere.
    for file in (tmp_path / "controls").iterdir():
        np.save(file, np.zeros(3))
    assert np.array_equal(next(cache.roc_auc_curves([other])), areas)


# ---------------------------------------------------------------- packages that are wrong


class Whole:
    """Gives one image less than it should."""

    name, per_image = "whole", True

    def __init__(self, images, rows):
        pass

    def of(self, rows, pixels):
        return pixels[:-1].astype(np.float32)


class Flat(Whole):
    """Forgets the axis of images."""

    name, per_image = "flat", False

    def of(self, rows, pixels):
        return pixels[0].astype(np.float32)


class Nameless:
    per_image = False


class Twice:
    """Ranks a pixel twice and another not at all."""

    name, title, colour, judged = "twice", "Twice", "#123456", True

    def orders(self, ranking):
        order = ranking.order.copy()
        order[0] = order[1]
        yield order


class Colourless:
    name, title, judged = "colourless", "Colourless", True

    def orders(self, ranking):
        yield ranking.order


def offer(monkeypatch, catalogue, name, kind):
    """Put a class of this file into a catalogue, under an importable name."""
    module = types.ModuleType("wrong_package")
    module.Offered = kind
    monkeypatch.setitem(sys.modules, "wrong_package", module)
    monkeypatch.setitem(catalogue.own, name, Entry("wrong_package:Offered", "Wrong"))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Whole, r"fill 'whole' gave shape \(4, 2, 32, 48\) where \(5, 2, 32, 48\) is due"),
        (Flat, r"fill 'flat' gave shape \(2, 32, 48\) where \(1, 2, 32, 48\) is due"),
        (Nameless, "The fill 'wrong' declares no name; mend the package"),
    ],
)
def test_fills_that_break_the_protocol(kind, message, monkeypatch, tmp_path):
    offer(monkeypatch, FILLS, "wrong", kind)
    with pytest.raises(InputError, match=message):
        make_evaluation(tmp_path, "wrong").logits(np.arange(1536), np.array([0, 5, 1536]))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Twice, "orders 'wrong' gave an order that does not hold every valid pixel once"),
        (Colourless, "family of orders 'wrong' declares no colour; mend the package"),
    ],
)
def test_families_that_break_the_protocol(kind, message, monkeypatch, tmp_path):
    offer(monkeypatch, ORDERS, "wrong", kind)
    evaluation = make_evaluation(tmp_path, "black")
    with pytest.raises(InputError, match=message):
        run_peppr(
            evaluation, "map", sign_map(), tiny.LABELS, PepprSettings(**QUICK), cache=tmp_path / "c"
        )


class Few:
    """Gives fewer orders than were asked for."""

    name, title, colour, judged = "few", "Few", "#123456", True
    given = 4

    def orders(self, ranking):
        rng = np.random.default_rng(0)
        for _ in range(self.given):
            yield rng.permutation(ranking.order)


class NoneAtAll(Few):
    given = 0


@pytest.mark.parametrize("kind", [Few, NoneAtAll])
def test_a_family_with_too_few_orders_gives_no_verdict(kind, monkeypatch, tmp_path):
    offer(monkeypatch, ORDERS, "few", kind)
    settings = PepprSettings(**{**QUICK, "controls": 19})
    result = run_peppr(
        make_evaluation(tmp_path, "black", count=40),
        "map",
        sign_map(),
        tiny.LABELS,
        settings,
        cache=tmp_path / "c",
    )
    assert result.verdict["left"].word == "not enough data"
    assert f"{kind.given} controls cannot give p ≤ 0.05" in result.verdict["left"].reason
