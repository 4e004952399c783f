"""A statistic of another package: one class and one entry point, nothing else touched."""

import numpy as np
import pandas as pd
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.report.facts import collect_facts
from napari_globalxai.report.figures import map_panels
from napari_globalxai.report.html import write_report
from napari_globalxai.report.map_figures import maps_figure


@pytest.fixture
def run(added_package, tmp_path):
    tiny.write_cohort(tmp_path / "cohort", size=12)
    model = tiny.write_resnet(tmp_path / "model")
    return gx.explain(tmp_path / "cohort" / "cohort.csv", model, tmp_path / "run")


def share_of_peaks(run, index):
    """Its value, worked out past the package, which takes the positive part by default."""
    maps = tiny.attributions(run)[run.truth(tiny.LABELS)[:, index] == 1, index].clip(0)
    maps = maps.reshape(len(maps), -1).astype(np.float64)
    peak = maps.mean(axis=0).argmax()
    return np.mean([image.argmax() == peak and image.any() for image in maps])


def test_it_is_in_the_table(run):
    table = pd.read_csv(run.folder / "maps" / "maps.csv")
    assert list(table.columns) == [
        "map", "n", "n_patients", "n_constant", "reliability", "peak_agreement", "selection",
        "part", "scale", "smoothing", "warning", "file",
    ]  # fmt: skip
    assert np.isnan(table["peak_agreement"][0])
    for index in range(2):
        assert table["peak_agreement"][1 + index] == pytest.approx(share_of_peaks(run, index))
    again = run.maps_of()
    assert [each.statistics["peak_agreement"] for each in again.values()][1:] == list(
        table["peak_agreement"]
    )[1:]


def test_it_is_in_the_report_and_its_figures(run):
    texts = [f"{share_of_peaks(run, index):.0%}" for index in range(2)]
    facts = collect_facts(run)
    assert [statistic.heading for statistic in facts.statistics] == [
        "Images", "Patients", "Constant", "Reliability", "Same peak",
    ]  # fmt: skip
    assert [label.statistics[-1] for label in facts.labels] == texts
    page = write_report(run).read_text()
    assert 'title="From drill_package">Same peak</th>' in page
    for text in texts:
        assert f"<td>{text}</td>" in page
    panels = map_panels(run)
    assert [panel.more for panel in panels] == [
        ("Same peak –",), *((f"Same peak {text}",) for text in texts)
    ]  # fmt: skip
    figure = maps_figure(panels, run.stack.mean_image(run.finished_rows), run.valid)
    assert [axes.get_xlabel().split("\n")[1:] for axes in figure.axes[:3]] == [
        list(panel.more) for panel in panels
    ]


def test_it_is_seen_without_its_package(run, added_package):
    added_package.uninstall()
    facts = collect_facts(gx.open_run(run.folder))
    assert facts.statistics[-1].heading == "peak_agreement"
    assert facts.labels[0].statistics[-1] == f"{share_of_peaks(run, 0):.4g}"
