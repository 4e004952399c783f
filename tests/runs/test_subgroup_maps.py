"""Global maps of some images of a run, against slow means over its store."""

import numpy as np
import pytest
import tifffile
import tiny

import napari_globalxai as gx
from napari_globalxai.errors import InputError
from napari_globalxai.maps.upsampling import smooth, upsample


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("subgroups")
    tiny.write_cohort(folder / "cohort", size=24)
    lines = (folder / "cohort" / "cohort.csv").read_text().splitlines()
    lines[4] = lines[4].replace("003.png", "lost.png")  # carries both labels, and fails
    (folder / "cohort" / "cohort.csv").write_text("\n".join(lines) + "\n")
    return gx.explain(
        folder / "cohort" / "cohort.csv",
        tiny.write_resnet(folder / "model"),
        folder / "run",
        aggregation={"smoothing": 1.5},
        seed=4,
    )


def test_all_images_give_the_runs_own_maps(run):
    found = run.maps_of()
    assert list(found) == list(run.maps) == ["overall", "left", "right"]
    table = run.statistics.set_index("map")
    for name, image in found.items():
        assert np.array_equal(image.mean, run.maps[name])
        assert image.label == name
        for statistic, value in image.statistics.items():
            # pandas 2 reads some numbers a last bit off.
            np.testing.assert_allclose(value, table.loc[name, statistic], rtol=1e-15)
    for label in run.labels:
        spread = tifffile.imread(run.folder / "maps" / f"{label}.sd.tif")
        assert np.array_equal(found[label].sd, spread)


@pytest.mark.parametrize("kind", ["numbers", "truth values"])
@pytest.mark.parametrize("side", ["L", "R"])
def test_some_images(kind, side, run):
    chosen = run.images["laterality"] == side
    found = run.maps_of(chosen if kind == "truth values" else np.flatnonzero(chosen)[::-1])
    native = tiny.attributions(run)
    scaled = []
    for index, label in enumerate(run.labels):
        carries = run.truth(run.labels)[:, index] == 1
        rows = [row for row in range(24) if carries[row] and chosen[row] and row != 3]
        mean = np.mean([native[row, index].clip(0).astype(np.float64) for row in rows], axis=0)
        expected = smooth(upsample(mean, run.store.grid), 1.5)
        np.testing.assert_allclose(found[label].mean, expected, rtol=1e-5, atol=1e-8)
        assert found[label].entered.tolist() == rows
        assert found[label].n == len(rows)
        if expected.any():
            scaled.append(expected / expected.sum())
    np.testing.assert_allclose(found["overall"].mean, np.mean(scaled, axis=0), rtol=1e-4)


def test_labels_can_be_chosen(run):
    found = run.maps_of(range(8), labels=["right"])
    assert list(found) == ["overall", "right"]
    assert found["overall"].n == found["right"].n


@pytest.mark.parametrize("rows", [[], np.zeros(24, bool)])
def test_no_image(rows, run):
    found = run.maps_of(rows)
    assert not found["left"].mean.any()
    assert found["left"].n == found["overall"].n == 0


@pytest.mark.parametrize(
    ("rows", "labels", "says"),
    [
        ([0, 24], None, "whole numbers from 0 to 23"),
        ([-1], None, "whole numbers from 0 to 23"),
        ([0.5], None, "whole numbers"),
        ([[0, 1]], None, "whole numbers"),
        (np.ones(5, bool), None, "each of its 24 images"),
        (["a"], None, "whole numbers"),
        (None, ["up"], "no label 'up'; its labels are left, right"),
        (None, [], "no label was chosen"),
    ],
)
def test_what_it_refuses(rows, labels, says, run):
    with pytest.raises(InputError, match=says):
        run.maps_of(rows, labels=labels)
