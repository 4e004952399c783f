"""Pages and prints of images that are no eyes say nothing of eyes; those of the phantom do."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
import tiny
import yaml
from PIL import Image

from napari_globalxai import cli
from napari_globalxai.report.html import write_report
from napari_globalxai.report.quality_page import write_quality_report
from napari_globalxai.runs.inputs.quality_control import check_quality, open_quality
from napari_globalxai.runs.pipeline import explain
from napari_globalxai.runs.run import open_run
from napari_globalxai.samples import sample_folder

OF_EYES = re.compile(r"\b(eye|eyes|eyed|disc|discs|macula|fundus|retina\w*|lids?|vessels)\b", re.I)


def visible(page):
    """The text of a page, without what it is drawn with."""
    text = re.sub(r"(?s)<style.*?</style>|<[^>]+>", " ", page.read_text(encoding="utf-8"))
    return " ".join(unescape(text).split())


def draw_chests(folder, count=14):
    """Grey pictures of two dark lungs in a bright chest; the sign of `right` in some."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[: tiny.HEIGHT, : tiny.WIDTH]
    folder.mkdir(parents=True)
    table = []
    for number in range(count):
        image = 150 + rng.normal(0, 6, rows.shape)
        for middle in (15, 33):
            shift = rng.integers(-1, 2, 2)
            inside = ((rows - 16 - shift[0]) / 11) ** 2 + ((columns - middle - shift[1]) / 6) ** 2
            image[inside < 1] -= 80
        if number % 2:
            image[tiny.SIGNS["right"]] += 40
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        table.append({"filename": f"{number}.png", "ID": f"P{number // 2}", "right": number % 2})
    pd.DataFrame(table).assign(left=0).to_csv(folder / "cohort.csv", index=False)
    return folder / "cohort.csv"


@pytest.fixture(scope="module")
def chests(tmp_path_factory):
    return draw_chests(tmp_path_factory.mktemp("chests") / "cohort")


def write_model(folder, **facts):
    path = tiny.write_linear(folder)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **facts}))
    return path


@pytest.mark.parametrize("facts", [{}, {"modality": "chest X-ray"}])
def test_a_report_of_chests_says_nothing_of_eyes(facts, tmp_path):
    # Too few to learn anything from, which is said as well.
    chests = draw_chests(tmp_path / "cohort", count=6)
    model = write_model(tmp_path / "model", **facts)
    run = explain(
        chests, model, tmp_path / "run", "saliency",
        registration="landmarks", estimate_laterality=True,
    )  # fmt: skip
    text = visible(write_report(open_run(run.folder)))
    assert not OF_EYES.findall(text)
    noun = facts.get("modality", "image")
    assert f"over the 6 explained {noun}s of cohort.csv" in text
    assert f"Every {noun} was brought into one frame; none was mirrored." in text
    assert f"The side of 6 {noun}s was not estimated" in text
    assert f"The {noun}s are too few, or have too little in common" in text
    assert ("Modality chest X-ray" in text) is bool(facts)
    assert "Laterality" not in text


def test_the_phantoms_report_speaks_of_eyes(tmp_path):
    sample = sample_folder()
    table = pd.read_csv(sample / "cohort" / "cohort.csv", dtype=str).head(8)
    table["filename"] = [str(sample / "cohort" / name) for name in table["filename"]]
    table.to_csv(tmp_path / "cohort.csv", index=False)
    model = sample / "models" / "honest.yaml"
    run = explain(tmp_path / "cohort.csv", model, tmp_path / "run", labels=["RP"])
    text = visible(write_report(run))
    assert "Every retinal image was brought into one frame in left-eye orientation" in text
    assert "with right eyes mirrored" in text
    assert "over the 8 explained retinal images of cohort.csv" in text


def test_a_report_of_sides_that_are_no_eyes_tells_what_was_mirrored(tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort", size=8)
    model = write_model(tmp_path / "model", modality="mammogram")
    text = visible(write_report(explain(table, model, tmp_path / "run", "saliency")))
    assert not OF_EYES.findall(text)
    assert "Every mammogram was brought into one frame, those of right sides mirrored" in text
    assert "Laterality L 5, R 3" in text


@pytest.mark.parametrize("column", ["LR", "eye"])
def test_a_quality_page_speaks_of_eyes_where_the_table_does(column, tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort", size=12)
    table.write_text(table.read_text().replace(",LR,", f",{column},"))
    size = {"height": tiny.HEIGHT, "width": tiny.WIDTH}
    quality = check_quality(table, tmp_path / "out", **size)
    # As if one fitted its mirror image far better.
    path = quality.folder / "quality.csv"
    images = pd.read_csv(path, dtype={"patient": str})
    images.loc[0, "laterality_suspected"] = True
    images.to_csv(path, index=False)
    text = visible(write_quality_report(open_quality(quality.folder)))
    if column == "eye":
        assert "may be of the other eye" in text
        assert "show no disc and macula in common" in text
        assert "to learn where disc and macula lie; none was registered" in text
    else:
        assert not OF_EYES.findall(text)
        assert "may be of the other side" in text
        assert "show no landmarks in common" in text
        assert "to learn where landmarks lie; none was registered" in text


def test_commands_on_chests_say_nothing_of_eyes(chests, tmp_path, monkeypatch, capfd):
    model = write_model(tmp_path / "model")
    size = ["--size", f"{tiny.HEIGHT}x{tiny.WIDTH}"]
    for arguments in (
        ["check", chests, "--out", tmp_path / "check", *size],
        ["align", chests, "--out", tmp_path / "align", *size],
        ["explain", chests, "--model", model, "--out", tmp_path / "run", "--method", "saliency"],
        ["report", tmp_path / "run"],
        ["card", model.with_name("linear.pt"), "--out", tmp_path / "card.yaml", "--trust"],
    ):
        monkeypatch.setattr("sys.argv", ["napari-globalxai", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = "".join(capfd.readouterr())
        assert not end.value.code, said
        assert said
        assert not OF_EYES.findall(said)
    assert not OF_EYES.findall((tmp_path / "card.yaml").read_text())
    assert not OF_EYES.findall(visible(tmp_path / "check" / "quality.html"))


@pytest.mark.parametrize("command", ["align", "check", "explain", "peppr", "card", "demo"])
def test_help_says_nothing_of_eyes(command, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["napari-globalxai", command, "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    assert not OF_EYES.findall(capsys.readouterr().out)
