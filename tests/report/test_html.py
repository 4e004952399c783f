"""The report of real runs: every label, verdict and number on one self-contained page."""

import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
import yaml
from PIL import Image

import napari_globalxai as gx
from napari_globalxai.report.answers import place_in_words
from napari_globalxai.report.facts import file_name
from napari_globalxai.report.html import write_report
from napari_globalxai.report.peppr_facts import fraction_text, lead_text, with_interval
from napari_globalxai.report.style import number

VOID = {"br", "img", "link", "meta", "hr", "input"}
HOSTILE_FILE = '<script>alert("1")</script> & $x$ 疾患.png'
HOSTILE_LABELS = ("<b>bold</b> & “x”", "$\\frac{", "none", "疾患")
QUICK = {"steps": 6, "control_steps": 4, "bootstrap": 20}
EVERY_RUN = {"frame", "maps", "sd", "similarity", "examples"}


class Page(HTMLParser):
    """Text, elements and attributes of a page; asserts that elements are closed in order."""

    def __init__(self, path):
        super().__init__()
        self.open, self.elements, self.pieces, self.cells = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.pieces.append(data)
        if "td" in self.open or "th" in self.open:
            self.cells[-1] += data

    @property
    def text(self):
        return " ".join("".join(self.pieces).split())

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)


def write_model(folder, labels, weight):
    """Write a linear model of any labels and return its card."""
    card = yaml.safe_load(tiny.write_linear(folder, weight).read_text())
    card["labels"] = list(labels)
    path = folder / "linear.yaml"
    path.write_text(yaml.safe_dump(card, allow_unicode=True), encoding="utf-8")
    return path


def explain(folder, labels, weight, truth, extra_files=()):
    """Explain a cohort of noise with any labels; files that are named but missing fail."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    files = []
    for row in range(len(truth)):
        pixels = rng.integers(40, 200, (tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)
        files.append(f"images/{'long ' * 30}{row:03}.png")
        Image.fromarray(pixels).save(folder / files[-1])
    table = pd.DataFrame({"filename": [*files, *extra_files]})
    table["ID"] = [f"P{row // 2}" for row in range(len(table))]
    for label, values in zip(labels, np.transpose(truth), strict=True):
        table[label] = [*values, *[1] * len(extra_files)]
    table.to_csv(folder / "cohort.csv", index=False)
    cohort = gx.read_cohort(folder / "cohort.csv", label_columns=list(labels))
    return gx.explain(
        cohort,
        write_model(folder / "model", labels, weight),
        folder / "run",
        method="integrated-gradients",
        method_settings={"steps": 4},
    )


@pytest.fixture(scope="module")
def faithful(tmp_path_factory):
    """A run with one verdict by its own map, one by the overall map, and a map from a file."""
    folder = tmp_path_factory.mktemp("faithful") / "cohort"
    cohort = tiny.write_cohort(folder, size=40)
    with cohort.open("a") as table:
        table.write("images/gone.png,P99,L,50,1,0\n")
    run = gx.explain(
        cohort,
        tiny.write_linear(folder),
        folder / "run",
        "integrated-gradients",
        method_settings={"steps": 4},
        aggregation={"smoothing": 1.5},
    )
    gx.peppr(run, "left", controls=199, **QUICK)
    gx.peppr(run, "overall", controls=19, folds=1, **QUICK)
    shutil.copy(run.folder / "maps" / "right.tif", folder / "given.tif")
    gx.peppr(run, str(folder / "given.tif"), controls=1, **QUICK)
    return run, Page(write_report(run))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Names that break markup and formulas; one label without positives, one without negatives."""
    truth = np.random.default_rng(1).integers(0, 2, (24, len(HOSTILE_LABELS)))
    truth[:, 2], truth[:, 3] = 0, 1
    weight = torch.randn(4, 2, tiny.HEIGHT, tiny.WIDTH, generator=torch.manual_seed(0)) * 1e-3
    folder = tmp_path_factory.mktemp("hostile") / "cohort"
    run = explain(folder, HOSTILE_LABELS, weight, truth, [HOSTILE_FILE])
    for name in ("overall", *HOSTILE_LABELS[:3]):
        gx.peppr(run, name, controls=0, judge_labels=True, **QUICK)
    return run, Page(write_report(run))


def test_every_verdict_and_number_is_on_the_page(faithful):
    run, page = faithful
    assert run.peppr_names == ["overall", "left", "given"]
    for name in run.peppr_names:
        result = run.peppr_result(name)
        for label, areas in result.areas.items():
            assert label in page.cells
            for wanted in (
                number(areas["area_erase"]),
                number(areas["area_restore"]),
                with_interval(areas["delta"], areas["delta_ci"]),
                with_interval(areas["intact_auc"], areas["intact_auc_ci"]),
                fraction_text(areas, "sufficient_fraction"),
                fraction_text(areas, "necessary_fraction"),
                number(areas["p_values"]["shifted"]),
                lead_text(areas["difference_to"]["centre-distance"]),
            ):
                assert wanted in page.cells
        for label, verdict in result.verdict.items():
            assert f"{label}: {verdict.word} – {verdict.reason}. {verdict.tested}." in page.text


def test_the_plain_answer_comes_first(faithful):
    run, page = faithful
    # In this cohort the label's sign is all that differs, so brightness serves as well.
    word = "well placed, but no better than mean intensity"
    assert run.peppr_result("left").verdict["left"].word.startswith(word)
    answer = page.text.index(f"left: {word}")
    # In words first: what it rests on comes after where the map is strong.
    plain = page.text.index("Not shown: its own map is well placed, but no better than")
    strong = page.text.index("Its global map is strongest at")
    numbers = page.text.index("The verdict in numbers: Δ = ")
    assert answer < plain < strong < numbers
    assert "Δ = " not in page.text[plain:strong]
    assert answer < page.text.index("Global maps")
    # PEPPR was not run along the map of the other label, and the overall map is judged by both.
    assert "right: not tested PEPPR was not run along this map" in page.text
    assert "The overall map was tested for all labels together" in page.text
    # The planted signs: left of the centre and right of it.
    assert "strongest at the left of the frame" in page.text


def test_what_the_numbers_rest_on(faithful):
    run, page = faithful
    for wanted in (
        run.info["model"]["sha256"],
        run.info["code_sha256"],
        run.info["cohort"]["sha256"],
        run.info["started"],
        run.info["finished"],
        run.info["packages"]["torch"],
        "cpu, float32",
        "our protocol",
        "The global maps and PEPPR used the same images",
        "Each image was tested along a map of other patients (5 folds)",
        "which images it was built on is not known",
        '"smoothing": 1.5',
        "The map is smoothed with a Gaussian of 1.5 pixels",
        "strongest 5, 10 and 20 % of it. Smoothed with a Gaussian of 1.5 pixels (SD)",
        "41, of 21 patients",
    ):
        assert wanted in page.text


def test_failed_images_and_least_similar_images_are_listed(faithful):
    run, page = faithful
    failed = run.images[run.images["status"] != "ok"].iloc[0]
    assert failed["file"] in page.cells
    assert failed["error"] in page.cells
    assert "1 image could not be explained" in page.text
    members = run.images[(run.images["left"] == 1) & (run.images["status"] == "ok")]
    least = members.sort_values("similarity_left").iloc[0]
    at = page.cells.index(least["file"])
    assert page.cells[at - 1] == "left"
    assert page.cells[at + 3] == number(least["similarity_left"])


def test_the_page_needs_nothing_but_itself(faithful):
    run, page = faithful
    figures = sorted((run.folder / "figures").glob("*.png"))
    wanted = EVERY_RUN | {f"peppr_{name}" for name in ("overall", "left", "given")}
    assert {path.stem for path in figures} == wanted
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == len(figures)
    for attributes in images:
        assert attributes["src"].startswith("data:image/png;base64,")
        assert attributes["alt"]
    for _, attributes in page.elements:
        assert attributes.get("href", "#").startswith("#")
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    for path in figures:
        with Image.open(path) as picture:
            assert picture.width >= 800
            assert np.asarray(picture.convert("L")).std() > 5
    assert not list(run.folder.glob(".report*"))


def test_hostile_names_are_text(hostile):
    run, page = hostile
    assert page.count("script") == 0
    assert page.count("b") == 0
    assert HOSTILE_FILE in page.cells
    for label in HOSTILE_LABELS:
        assert label in page.cells
    # Names too long for a figure stand in full on the page.
    assert sum(cell.startswith("images/long long") for cell in page.cells) == 15
    assert set(run.images["file"]) > {cell for cell in page.cells if cell.startswith("images/")}


def test_labels_of_one_class_are_left_out_and_said_so(hostile):
    run, page = hostile
    assert "none was left out: 0 images with and 24 without it" in page.text
    assert "none: not enough data Cannot say, along its own map: 0 patients with" in page.text
    assert "Its global map is zero everywhere." in page.text
    assert "24 / 0" in page.cells
    # A label's own map that no curve can judge has no figure, but its verdict is there.
    assert not (run.folder / "figures" / "peppr_none.png").exists()
    assert not {"nan", "None", "NaN"} & set(page.text.split())


def test_without_peppr(tmp_path):
    labels = [f"label {index}" for index in range(14)]
    truth = np.random.default_rng(2).integers(0, 2, (16, 14))
    weight = torch.randn(14, 2, tiny.HEIGHT, tiny.WIDTH, generator=torch.manual_seed(0)) * 1e-3
    run = explain(tmp_path / "cohort", labels, weight, truth)
    page = Page(write_report(run))
    assert "PEPPR was not run" in page.text
    # Nobody asked for it.
    assert '"smoothing": 0.0' in page.text
    assert "moothed" not in page.text
    for label in labels:
        assert f"{label}: not tested" in page.text
    assert {path.stem for path in (run.folder / "figures").glob("*")} == EVERY_RUN


def test_one_label_and_a_model_that_looks_nowhere(tmp_path):
    weight = torch.zeros(1, 2, tiny.HEIGHT, tiny.WIDTH)
    run = explain(tmp_path / "cohort", ["sign"], weight, np.arange(12)[:, None] % 2)
    gx.peppr(run, "sign", controls=2, **QUICK)
    page = Page(write_report(run))
    assert not run.maps["sign"].any()
    assert "Its global map is zero everywhere." in page.text
    assert "sign: not enough data" in page.text
    assert "No image has a defined similarity." in page.text
    assert (run.folder / "figures" / "peppr_sign.png").is_file()
    # Writing it again gives the same page.
    before = (run.folder / "report.html").read_bytes()
    assert write_report(gx.open_run(run.folder)).read_bytes() == before


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [(0, 0, "upper left"), (9, 15, "centre"), (19, 15, "bottom"), (9, 29, "right"), (1, 14, "top")],
)
def test_places_in_words(row, column, place):
    image = np.zeros((20, 30), np.float32)
    image[row, column] = -1
    text = place_in_words(image, np.ones((20, 30), bool))
    assert f"strongest at the {place} of the frame" in text
    assert "0.2 % of the valid area hold half" in text
    assert "outside" not in text
    assert "100 % of the mass lie outside" in place_in_words(image, image == 0)


def test_file_names_of_any_system():
    assert file_name("/data/set/cohort.csv") == "cohort.csv"
    assert file_name("C:\\data\\cohort.csv") == "cohort.csv"
