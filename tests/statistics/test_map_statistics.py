"""What a statistic declares, and what a broken one costs."""

import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from napari_globalxai.catalogue import STATISTICS, Catalogue, Entry
from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.runs.write_maps import table_of_maps
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics import recorded_statistics
from napari_globalxai.statistics.global_map import OVERALL, Averaging
from napari_globalxai.statistics.recorded_statistics import declared_statistics

GRID = CellGrid.tiling((3, 4), (6, 8))
OWN = ["n", "n_patients", "n_constant", "reliability"]
PATIENTS = ["A", "A", "B", "C", "C", "D"]


class Kept:
    """Keeps what it was given; says how many cells of the mean are above nought."""

    name = "kept"
    heading = "Kept"
    format = "d"

    def __init__(self):
        self.contexts = []

    def measure(self, context):
        self.contexts.append(context)
        return float("nan") if context.is_overall else int((context.whole.mean > 0).sum())


@pytest.fixture
def maps():
    values = np.random.default_rng(0).normal(0, 1, (6, 2, *GRID.shape)).astype(np.float32)
    values[1, 0] = values[3, 1] = 2.0
    return values


@pytest.fixture
def store(maps, tmp_path):
    store = AttributionStore.create(tmp_path / "store.zarr", 6, ("a", "b"), GRID, "print")
    store.write(0, maps)
    return store


@pytest.fixture
def added(monkeypatch):
    """Have statistics as another package would add them."""

    def add(**classes):
        module = ModuleType("added_statistics")
        monkeypatch.setitem(sys.modules, "added_statistics", module)
        entries = dict(STATISTICS.own)
        for name, value in classes.items():
            setattr(module, name, value)
            entries[name] = Entry(f"added_statistics:{name}", "From added_statistics")
        more = Catalogue(STATISTICS.noun, STATISTICS.plural, STATISTICS.group, STATISTICS.own)
        monkeypatch.setattr(type(more), "entries", property(lambda self: entries))
        monkeypatch.setattr(recorded_statistics, "STATISTICS", more)

    return add


def test_the_own_statistics_are_declared_under_their_names():
    declared = declared_statistics()
    assert [statistic.name for statistic in declared[:4]] == OWN == list(STATISTICS.own)
    for statistic in declared:
        assert statistic.heading
        assert format(1, statistic.format)


@pytest.mark.parametrize("choice", ["counted", "left-out"])
def test_what_a_statistic_sees_of_a_label(choice, maps, store):
    kept = Kept()
    settings = AggregationSettings(part="signed", constant_maps=choice)
    valid = np.ones(GRID.frame, bool)
    averaging = Averaging(
        store, PATIENTS, settings, 5, valid, statistics=(*declared_statistics(), kept)
    )
    rows = np.array([0, 1, 2, 4])
    result = averaging.label_map("a", rows)
    (context,) = kept.contexts
    entered = [0, 1, 2, 4] if choice == "counted" else [0, 2, 4]
    assert (context.name, context.seed, context.n_constant) == ("a", 5, 1)
    assert context.selected.tolist() == rows.tolist()
    assert context.entered.tolist() == entered
    assert [context.patients[row] for row in context.entered] == [PATIENTS[row] for row in entered]
    mean = maps[entered, 0].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(context.whole.mean, mean, rtol=1e-9)
    assert np.array_equal(context.image, result.mean)
    assert context.valid is valid
    assert int(context.by_patient.sizes.sum()) == len(entered)
    np.testing.assert_allclose(
        context.by_patient.sums.sum(axis=0), len(entered) * mean.ravel(), rtol=1e-9
    )
    assert context.compared.all()
    for _ in range(2):  # as often as it likes
        seen = list(context.maps())
        assert np.concatenate([part for part, _ in seen]).tolist() == entered
        assert np.array_equal(np.concatenate([each for _, each in seen]), maps[entered, 0])
    assert result.statistics == {
        "n": len(entered),
        "n_patients": 3,
        "n_constant": 1,
        "reliability": result.reliability,
        "kept": int((mean > 0).sum()),
    }


def test_what_a_statistic_sees_of_the_overall_map(store):
    kept = Kept()
    settings = AggregationSettings(part="signed", constant_maps="left-out")
    averaging = Averaging(store, PATIENTS, settings, statistics=(*declared_statistics(), kept))
    labels = [
        averaging.label_map("a", np.array([0, 1, 2])),
        averaging.label_map("b", np.array([2, 3])),
    ]
    overall = averaging.overall_map(labels)
    context = kept.contexts[-1]
    assert context.is_overall
    assert context.selected.tolist() == [0, 1, 2, 3]
    assert context.entered.tolist() == [0, 2]
    assert list(context.maps()) == []
    assert context.by_label == {"a": labels[0].statistics, "b": labels[1].statistics}
    assert (overall.label, overall.n, overall.n_patients, overall.n_constant) == (OVERALL, 4, 3, 2)
    assert -1 <= overall.reliability <= 1
    assert np.isnan(overall.sd).all()


def test_whole_numbers_stay_whole_in_the_table(store, tmp_path):
    averaging = Averaging(
        store, PATIENTS, AggregationSettings(), statistics=(*declared_statistics(), Kept())
    )
    labels = [averaging.label_map(label, np.arange(6)) for label in "ab"]
    table = table_of_maps([averaging.overall_map(labels), *labels], averaging.settings)
    assert list(table.columns) == [
        "map", *OWN, "kept", "selection", "part", "scale", "smoothing", "warning", "file",
    ]  # fmt: skip
    table.to_csv(tmp_path / "maps.csv", index=False)
    written = pd.read_csv(tmp_path / "maps.csv", dtype=str, keep_default_na=False)
    assert written["n"].tolist() == ["6", "6", "6"]
    assert written["kept"].tolist() == ["", "12", "12"]


@pytest.mark.parametrize(
    ("spec", "value", "text"),
    [
        ("d", 12, "12"), ("d", 12.0, "12"), ("d", float("nan"), "–"), ("d", None, "–"),
        ("d", 2.5, "2.5"), (".2f", -0.456, "−0.46"), (".2f", -0.001, "0.00"), (".1f", 3, "3.0"),
        (".0%", 0.254, "25%"), (".2e", -12345.0, "−1.23e+04"), ("g", float("inf"), "–"),
    ],
)  # fmt: skip
def test_numbers_as_text(spec, value, text):
    shown = recorded_statistics.RecordedStatistic("x", "X", spec, "")
    assert shown.text(value) == text


def test_columns_that_nobody_declares_go_by_their_names():
    columns = ["map", "n", "gone_now", "reliability", "selection", "part", "scale", "warning"]
    shown = recorded_statistics.recorded_statistics(columns)
    assert [(each.name, each.heading) for each in shown] == [
        ("n", "Images"),
        ("gone_now", "gone_now"),
        ("reliability", "Reliability"),
    ]
    assert shown[1].text(0.123456) == "0.1235"


class Other(Kept):
    name = "other"


class NoFormat:
    name = "broken"
    heading = "Broken"

    def measure(self, context):
        return 0


class BadFormat(NoFormat):
    format = ".2q"


class Taken(NoFormat):
    name = "warning"
    format = "d"


@pytest.mark.parametrize(
    ("name", "statistic", "says"),
    [
        ("broken", Other, "'broken' calls itself 'other'"),
        ("broken", NoFormat, "no proper name, heading and format"),
        ("broken", BadFormat, "no proper name, heading and format"),
        ("warning", Taken, "none of map, selection"),
    ],
)
def test_a_declaration_that_cannot_be_used(name, statistic, says, added):
    added(**{name: statistic})
    with pytest.raises(InputError, match=says):
        declared_statistics()
    if name == "broken":
        # What was recorded with it can still be looked at.
        (shown,) = recorded_statistics.recorded_statistics(["broken"])
        assert shown.heading == "broken"


class Failing(NoFormat):
    name = "failing"
    format = "d"

    def measure(self, context):
        return 1 / 0


@pytest.mark.parametrize("label", ["a", "b"])
def test_a_statistic_that_fails_is_named(label, added, store):
    added(failing=Failing)
    averaging = Averaging(store, PATIENTS, AggregationSettings())
    says = f"'failing' failed on the map '{label}' .ZeroDivisionError.*uninstall"
    with pytest.raises(InputError, match=says):
        averaging.label_map(label, np.arange(6))
