"""Quality control from a table to a page, on phantoms with planted faults."""

import json

import numpy as np
import pandas as pd
import posed
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_globalxai.cli import main
from napari_globalxai.errors import InputError
from napari_globalxai.report.quality_page import write_quality_report
from napari_globalxai.runs.inputs.quality_control import check_quality, open_quality

DARK, BLURRED, HIDDEN, SWAPPED, TURNED = 4, 9, 15, 20, 26
FAULTS = {
    DARK: "dark",
    BLURRED: "blurred",
    HIDDEN: "field of view small or hidden",
    TURNED: "unlike the other images",
}
SIZE = {"height": 128, "width": 160}


def faulty(phantoms):
    """Spoil some images."""
    images = phantoms.images.copy()
    images[DARK] = images[DARK] // 8
    images[BLURRED] = gaussian_filter(images[BLURRED].astype(float), (4, 4, 0))
    images[HIDDEN, :, :170] = 0
    images[TURNED] = images[TURNED, ::-1, ::-1]
    sides = list(phantoms.sides)
    sides[SWAPPED] = "L" if sides[SWAPPED] == "R" else "R"
    return posed.Posed(images, sides, phantoms.points), sides


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    cohort, sides = faulty(posed.draw(32, seed=77))
    path = cohort.write(tmp_path_factory.mktemp("faulty"), sides)
    with path.open("a") as stream:
        stream.write("gone.png,L,0\n")
    return path


@pytest.fixture(scope="module")
def quality(table, tmp_path_factory):
    return check_quality(table, tmp_path_factory.mktemp("quality") / "out", **SIZE)


def test_planted_faults_are_found_and_named(quality):
    images = quality.images
    for row, fault in FAULTS.items():
        assert fault in images["outlier_reasons"][row].split("; "), images.loc[row]
    assert images["laterality_suspected"][SWAPPED]
    # An eye upside down has its macula on the other side, too.
    assert set(np.flatnonzero(images["laterality_suspected"])) <= {SWAPPED, TURNED, HIDDEN}
    assert set(FAULTS) | {SWAPPED} <= set(quality.outliers.index)
    assert len(quality.outliers) <= 10


def test_the_table_has_the_worst_first(quality):
    written = pd.read_csv(quality.folder / "quality.csv")
    assert len(written) == 33
    suspected = written["laterality_suspected"].to_numpy()
    assert suspected[: suspected.sum()].all()
    scores = written["outlier_score"].to_numpy()[suspected.sum() : -1]
    assert (np.diff(scores) <= 0).all()
    assert written["file"].iloc[-1] == "gone.png"
    assert list(quality.images["file"])[:3] == ["000.png", "001.png", "002.png"]


def test_counts_are_those_of_the_table(quality):
    images, counts = quality.images, quality.info["counts"]
    assert counts["images"] == 33
    assert counts["unreadable"] == 1
    assert counts["laterality suspected"] == images["laterality_suspected"].sum()
    assert counts["outliers"] == (images["outlier_score"] > 3.5).sum()
    for reason, number in quality.info["outlier_reasons"].items():
        assert number == images["outlier_reasons"].str.contains(reason).sum()
    assert sum("gone.png" in problem for problem in quality.info["problems"]) == 1
    assert quality.mean.shape == quality.sd.shape == (3, 128, 160)
    rows = np.flatnonzero(images["status"] == "ok")
    np.testing.assert_allclose(quality.mean, quality.stack.read(rows).mean(axis=0), rtol=1e-6)


def test_registration_makes_the_mean_sharper(quality, table, tmp_path):
    plain = check_quality(table, tmp_path / "out", registration="none", **SIZE)
    assert quality.info["sharpness"] > 1.5 * plain.info["sharpness"]
    assert "not registered" not in plain.info["counts"]
    left = quality.images.query("status == 'ok' and registered == False").index
    assert set(left) <= {DARK, BLURRED, HIDDEN, SWAPPED, TURNED}
    assert quality.info["counts"]["not registered"] == len(left)
    likeness = quality.images[["likeness_before", "likeness_after"]].median()
    assert quality.info["likeness"] == pytest.approx(likeness.to_list())
    assert open_quality(quality.folder).info == quality.info
    # Sides are compared whether images are registered or not.
    assert plain.images["laterality_suspected"][SWAPPED]


def test_the_page_names_problems_and_images(quality):
    page = write_quality_report(quality).read_text()
    assert "may be of the other side" in page
    assert "gone.png" in page
    assert page.count("data:image/png;base64,") == 3
    assert f"{SWAPPED:03}.png" in page


def test_names_are_escaped(tmp_path):
    cohort = posed.draw(2, seed=1)
    folder = tmp_path / "c"
    folder.mkdir()
    name = "<script>alert(1)</script>.png".replace("/", "_")
    Image.fromarray(cohort.images[0]).save(folder / name)
    (folder / "cohort.csv").write_text(f"filename,LR,A\n{name},L,0\n<b>gone</b>.png,L,1\n")
    page = write_quality_report(check_quality(folder / "cohort.csv", tmp_path / "o", **SIZE))
    text = page.read_text()
    assert "<script>" not in text
    assert "<b>gone" not in text
    assert "&lt;b&gt;gone" in text
    assert "Sides could not be compared" in text


def test_from_the_command_line(table, tmp_path, capsys, monkeypatch):
    arguments = ["check", str(table), "--out", str(tmp_path / "out"), "--size", "64x80"]
    monkeypatch.setattr("sys.argv", ["napari-globalxai", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "sharpness of the mean image: 0." in said
    assert "may be of the other side" in said
    assert "gone.png" in said
    assert f"Quality control: {tmp_path / 'out' / 'quality.html'}" in said
    assert json.loads((tmp_path / "out" / "run.json").read_text())["frame"]["height"] == 64
    monkeypatch.setattr("sys.argv", ["napari-globalxai", "check", str(table), "--strict"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "gone.png" in capsys.readouterr().out


def test_a_folder_without_quality_control(tmp_path):
    with pytest.raises(InputError, match=r"holds no quality control, it has no quality\.json"):
        open_quality(tmp_path)
