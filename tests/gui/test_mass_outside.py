"""The red flag where mass lies outside the field of view: of maps, of differences, of two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from stored_run import Plan, write_run

from napari_globalxai.widgets.session.mass import Side, mass_outside, outside_warning

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def test_mass_outside_is_told_from_a_twentieth_on() -> None:
    field = np.ones((10, 10), bool)
    field[:, 9] = False
    image = np.zeros((10, 10))
    image[0, 0], image[0, 9] = 96, 4
    assert mass_outside(image, field) == pytest.approx(0.04)
    assert outside_warning("left", [Side("", mass_outside(image, field))]) == ""
    image[0, 9] = 24
    said = outside_warning("left", [Side("", mass_outside(image, field))])
    assert said.startswith("20 % of the mass of left lies outside the field of view")
    assert mass_outside(-image, field) == pytest.approx(0.2)
    assert mass_outside(np.zeros((10, 10)), field) == 0


def test_of_a_difference_both_sides_are_told() -> None:
    little, much = Side("A", 0.049), Side("B", 0.48)
    assert outside_warning("left", [little, little]) == ""
    for sides, shares in (
        ((little, much), "4.9 % in A and 48 % in B"),
        ((much, little), "48 % in B and 4.9 % in A"),
        ((much, much), "48 % in B and 48 % in B"),
    ):
        assert outside_warning("left", sides).startswith(f"Of the mass of left, {shares} lie ")


def written(folder: Path, plan: Plan) -> Path:
    """Write a run with what a window shows beside its maps: black images."""
    images = np.zeros((plan.images, 1, *plan.frame), np.uint8)
    tiny.make_stack(write_run(folder, plan) / "aligned.zarr", images)
    return folder


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which L0's maps of site B lie in a corner, outside of the round field."""
    plan = Plan(shortcut=True, strength=2)
    return written(tmp_path_factory.mktemp("outside") / "marked", plan)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images without the mark."""
    return written(tmp_path_factory.mktemp("outside") / "honest", Plan())


def opened_run(panels: Any, folder: Path, qtbot: Any) -> Any:
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    return panels.session.run


def share_of(run: Any, label: str, chosen: Any) -> float:
    """The share outside of the mean map of the images that carry a label, image by image."""
    rows = np.flatnonzero((run.images[label] == 1) & chosen)
    mean = np.abs(np.mean([run.image_map(int(row), label) for row in rows], axis=0))
    return float(mean[~run.valid].sum() / mean.sum())


def ask_for(panels: Any, among: str, less: str, qtbot: Any) -> None:
    """Ask for the maps of some images less those of others, in the lines of the panel."""
    more = panels.explain.maps.more
    more.expand()
    for line, query in ((more.among_line, among), (more.less_line, less)):
        line.setText(query)
        line.editingFinished.emit()
    qtbot.waitUntil(
        lambda: (
            panels.session.shown is not None
            and panels.session.shown.choice == panels.session.choice
        ),
        timeout=TIMEOUT,
    )


def test_a_mark_is_flagged_in_the_difference_of_two_selections(
    panels: Any, marked: Path, qtbot: Any
) -> None:
    run, maps = opened_run(panels, marked, qtbot), panels.explain.maps
    panels.session.choose_map("L0")
    assert maps.outside.isVisibleTo(panels.explain)
    shares = [share_of(run, "L0", run.images["site"] == site) for site in "BA"]
    assert shares[0] > 0.2
    assert shares[1] < 0.05
    ask_for(panels, "site == 'B'", "site == 'A'", qtbot)
    assert maps.outside.isVisibleTo(panels.explain)
    assert maps.outside.text().startswith(
        f"⚑ Of the mass of L0, {percent(shares[0])} in site == 'B' and "
        f"{percent(shares[1])} in site == 'A' lie outside the field of view"
    )
    panels.session.choose_map("L1")
    assert not maps.outside.isVisibleTo(panels.explain)


def test_a_mark_of_both_sides_is_flagged_though_their_difference_lacks_it(
    panels: Any, marked: Path, qtbot: Any
) -> None:
    run, maps = opened_run(panels, marked, qtbot), panels.explain.maps
    panels.session.choose_map("L0")
    ask_for(panels, "site == 'B' and sex == 'F'", "site == 'B' and sex == 'M'", qtbot)
    in_site = run.images["site"] == "B"
    for sex in "FM":
        share = share_of(run, "L0", in_site & (run.images["sex"] == sex))
        assert f"{percent(share)} in site == 'B' and sex == '{sex}'" in maps.outside.text()
    assert maps.outside.isVisibleTo(panels.explain)
    # One selection alone is a map as any other, and is named: the rest of the panel may be folded.
    ask_for(panels, "site == 'B'", "", qtbot)
    assert " of the mass of L0 (site == 'B') lies outside" in maps.outside.text()
    assert maps.more.button.accessibleName() == "Of which images: site == 'B'"
    ask_for(panels, "site == 'A'", "", qtbot)
    assert not maps.outside.isVisibleTo(panels.explain)


def test_the_run_below_is_flagged_and_so_is_the_difference(
    panels: Any, marked: Path, honest: Path, qtbot: Any
) -> None:
    run, beside = opened_run(panels, honest, qtbot), panels.explain.beside
    with qtbot.waitSignal(beside.runner.succeeded, timeout=TIMEOUT):
        beside.open_run(marked)
    panels.session.choose_map("L0")
    everywhere = np.ones(len(run.images), bool)
    shares = [share_of(each, "L0", everywhere) for each in (run, beside.layers.run)]
    assert not panels.explain.maps.outside.isVisibleTo(panels.explain)
    assert beside.outside.isVisibleTo(panels.explain)
    assert f"{percent(shares[1])} of the mass of L0 in marked lies" in beside.outside.text()
    with qtbot.waitSignal(beside.runner.succeeded, timeout=TIMEOUT):
        choose(beside, "means")
    assert (
        f"Of the mass of L0, {percent(shares[0])} in A (honest) and {percent(shares[1])} "
        "in B (marked) lie outside" in beside.outside.text()
    )
    assert beside.outside.isVisibleTo(panels.explain)
    panels.session.choose_map("L1")
    assert not beside.outside.isVisibleTo(panels.explain)
    # Of one image, as of the one above, nothing is said.
    panels.session.choose_map("L0")
    choose(beside, "image")
    assert not beside.outside.isVisibleTo(panels.explain)


def percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def choose(beside: Any, shown: str) -> None:
    beside.shown_box.setCurrentIndex(beside.shown_box.findData(shown))
    beside.shown_box.activated.emit(beside.shown_box.currentIndex())
