"""Chapters of the report that are made from what other commands left in the run."""

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
import tifffile
import tiny

import napari_globalxai as gx
from napari_globalxai.report.chapter import figure_text, interval_text, p_text
from napari_globalxai.report.chapters import collect_chapters
from napari_globalxai.report.html import write_report
from napari_globalxai.report.question_chapters import contrast_side, selected_images
from napari_globalxai.report.slice_chapter import calibration_figure
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.storage import write_json

HOSTILE = '<img src=x onerror="alert(1)"> & {{ 7 * 7 }} $\\frac{'
ORDER = (
    *("findings", "answer", "performance", "alignment", "maps", "stability", "peppr", "sanity"),
    *(
        "audit",
        "strategies",
        "slices",
        "selections",
        "contrasts",
        "images",
        "ranked",
        "comparisons",
    ),
    *("cohort", "method", "provenance"),
)


def write_audit(run):
    audit = run.folder / "audit"
    finding = {
        "label": "left", "kind": "outside-field", "where": HOSTILE, "covariate": HOSTILE,
        "value": HOSTILE, "effect": 8.25, "ci_low": 6, "ci_high": None, "p": 0.0004,
        "sentence": f"It is {HOSTILE}",
        "shown": [{"row": 2, "file": HOSTILE}, {"row": 999, "file": "none"}, "odd"],
    }  # fmt: skip
    write_json(audit / "audit.json", {"findings": [finding, finding, 7], "remarks": ["A remark."]})
    header = "label,region,subgroup,share,area_share,ratio,ci_low,ci_high\n"
    (audit / "regions.csv").write_text(
        f'{header}left,"{HOSTILE.replace(chr(34), chr(34) * 2)}",all,0.5,0.1,5,4,6\n'
        "left,rim,site B,0.5,0.1,5,4,6\n"
    )
    (audit / "clusters.csv").write_text("row,label,cluster\n0,left,1\n2,left,2\n4,left,2\n")
    (audit / "clusters").mkdir(exist_ok=True)
    for number in (1, 2):
        image = np.full(run.stack.shape, number, np.float32)
        tifffile.imwrite(audit / "clusters" / f"left-{number}.tif", image)


def write_contrast(run):
    folder = run.folder / "contrasts" / "sides"
    folder.mkdir(parents=True)
    facts = {"n_a": 4, "n_b": 5, "patients_a": 3, "patients_b": 2, "min_p": 0.012,
             "significant_share": 0.25}  # fmt: skip
    write_json(
        folder / "contrast.json",
        {"labels": {"left": facts}, "where_a": HOSTILE, "where_b": "b", "warnings": [HOSTILE]},
    )
    shape = run.stack.shape
    tifffile.imwrite(folder / "left.difference.tif", np.random.rand(*shape).astype(np.float32))
    p = np.ones(shape, np.float32)
    p[:9, :9] = 0.01
    tifffile.imwrite(folder / "left.p.tif", p)


def write_slices(run):
    gx.slices(run)
    found = {
        "label": "left", "measure": "roc_auc", "query": HOSTILE, "value": 0.625, "rest": 0.9375,
        "ci_low": -0.5, "ci_high": -0.125, "p": 0.0007, "images": 11, "patients": 7,
        "map": "worse.tif", "sentence": f"It fails where {HOSTILE}",
    }  # fmt: skip
    elsewhere = {**found, "map": "../maps/left.tif"}
    write_json(
        run.folder / "slices" / "slices.json", {"slices": [found, elsewhere, 3], "searched": 17}
    )
    image = np.random.rand(*run.stack.shape).astype(np.float32)
    tifffile.imwrite(run.folder / "slices" / "worse.tif", image)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chapters")
    tiny.write_cohort(folder / "cohort", size=24)
    run = gx.explain(
        folder / "cohort" / "cohort.csv", tiny.write_linear(folder / "model"), folder / "run",
        method="saliency",
    )  # fmt: skip
    write_audit(run)
    write_contrast(run)
    write_slices(run)
    gx.make_maps(run, HOSTILE, where="row < 12")
    gx.stability(run, splits=100, bootstrap=100)
    gx.outliers(run, top=1, neighbours=1)
    write_json(
        run.folder / "sanity" / "sanity.json",
        {"left": {"spearman": [0.1, 0.2], "p": 0.05, "verdict": "model-dependent", "reason": "r"}},
    )
    write_json(
        run.folder / "comparisons" / "other" / "comparison.json",
        {"labels": {"left": {"n": 9, "spearman": 0.5, "auc_a": 0.875, "auc_b": None}}},
    )
    return run


@pytest.fixture(scope="module")
def page(run):
    return write_report(run).read_text(encoding="utf-8")


def test_the_order_of_the_answers(page):
    anchors = re.findall(r'<h[23] id="([^"]+)"', page)
    assert [each for each in anchors if each in ORDER] == list(ORDER)


def test_every_number_is_there(run, page):
    text = re.sub(r"<[^>]+>", "|", page).replace("\N{NO-BREAK SPACE}", " ")
    for expected in ("8.2", "0.0004", "5.00 (4.00 to 6.00)", "A remark.", "0.012", "25.0 %",
                     "model-dependent", "0.875", "17 comparisons", "0.625", "0.0007",
                     "−0.500 to −0.125", "It fails where"):  # fmt: skip
        assert expected in text
    facts = json.loads((run.folder / "stability" / "stability.json").read_text())
    for each in facts["labels"].values():
        assert interval_text(each["reliability"], each["ci_low"], each["ci_high"]) in page
    assert "The maps of left fall into more than one group." in text


def test_texts_of_files_are_escaped(page):
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=") > 8
    assert "{{ 7 * 7 }}" in page
    assert "<script" not in page


def test_the_page_fetches_nothing(page):
    assert re.findall(r'(?:src|href)="(?!data:image/png|#)', page) == []
    assert "default-src 'none'" in page


def test_the_twin_says_the_same(run, page):
    twin = json.loads((run.folder / "report.json").read_text())
    chapters = twin["chapters"]
    assert chapters["findings"]["points"] == [f"It is {HOSTILE}"] * 2
    assert chapters["contrasts"]["tables"][0]["rows"][0][3] == "0.012"
    assert twin["facts"]["title"] in page
    named = {"findings", "stability", "strategies", "contrast_sides", "frame", "maps"}
    named |= {"slices", "calibration"}
    assert named <= set(twin["figures"])


def test_figures_are_png_and_svg(run, page):
    folder = run.folder / "figures"
    drawn = {path.name.removesuffix(".png") for path in folder.glob("*.png")}
    assert drawn == {path.name.removesuffix(".svg") for path in folder.glob("*.svg")}
    for path in folder.glob("*.svg"):
        assert ElementTree.fromstring(path.read_text()).tag.endswith("svg")
    before = (folder / "maps.svg").read_bytes()
    write_report(run)
    assert (folder / "maps.svg").read_bytes() == before


def test_what_was_not_run_is_said_or_left_out(tmp_path):
    tiny.write_cohort(tmp_path / "cohort", size=8)
    run = gx.explain(
        tmp_path / "cohort" / "cohort.csv", tiny.write_linear(tmp_path / "model"),
        tmp_path / "run", method="saliency",
    )  # fmt: skip
    chapters = collect_chapters(run)
    assert "audit was not run" in chapters["findings"].text[0]
    assert "was not looked at" in chapters["stability"].text[0]
    there = {name for name, chapter in chapters.items() if chapter is not None}
    assert there == {"findings", "performance", "alignment", "stability"}
    # What was measured by hand is no audit, but no silence either.
    write_json(run.folder / "regions" / "corner.json", {"name": "corner"})
    (findings,) = collect_chapters(run)["findings"].text
    assert "audit was not run" in findings
    assert "“Regions that were drawn”" in findings
    # Damaged files cost a sentence, not the report.
    for place in ("audit/audit.json", "stability/stability.json", "contrasts/x/contrast.json",
                  "audit/regions.csv", "audit/clusters.csv", "slices/slices.json",
                  "selections/y/selection.json",
                  "outliers/outliers.json", "sanity/sanity.json"):  # fmt: skip
        path = run.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"labels": 3' if path.suffix == ".json" else "a,b\n1\n2,3,4\n")
    chapters = collect_chapters(run)
    said = [warning for chapter in chapters.values() if chapter for warning in chapter.warnings]
    for name, command in (
        ("audit.json", "run `audit`"), ("stability.json", "run `stability`"),
        ("contrast.json", "run `contrast`"), ("regions.csv", "run `audit`"),
        ("clusters.csv", "run `audit`"), ("slices.json", "run `slices`"),
        ("outliers.json", "run `outliers`"), ("sanity.json", "run `sanity`"),
    ):  # fmt: skip
        assert any(f"{name} cannot be read; {command} again." in each for each in said)
    sentence = "selection.json cannot be read; make the selection again with `maps`."
    assert any(sentence in each for each in said)
    assert sum("cannot be read" in each for each in said) == 9
    assert write_report(run).is_file()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, "3"), (-2, "−2"), (1.0, "1.000"), (np.nan, "–"), (None, "–"), ("<b>", "<b>"),
     (True, "True")],
)  # fmt: skip
def test_figure_text(value, expected):
    assert figure_text(value) == expected


@pytest.mark.parametrize(("p", "expected"), [(0.05, "0.050"), (0.0004, "0.0004"), (None, "–")])
def test_p_text(p, expected):
    assert p_text(p) == expected


def test_comparisons_that_lie_elsewhere(run, tmp_path):
    """A comparison has a folder of its own; the report of either run can show it."""
    gx.compare(run, run, tmp_path / "both", permutations=19)
    page = write_report(run, tmp_path / "report", [tmp_path / "both"])
    twin = json.loads((page.parent / "report.json").read_text())
    tables = twin["chapters"]["comparisons"]["tables"]
    assert [each["title"] for each in tables] == ["other", "run (A) and run (B)"]
    stored = json.loads((tmp_path / "both" / "comparison.json").read_text())["labels"]["left"]
    assert tables[1]["rows"][0][5] == figure_text(stored["auc_a"])
    (name,) = [name for name in twin["figures"] if name.startswith("comparison_both")]
    for suffix in ("png", "svg"):
        assert (page.parent / "figures" / f"{name}.{suffix}").is_file()
        assert (tmp_path / "both" / "figures" / f"comparison_left.{suffix}").is_file()
    with pytest.raises(gx.InputError, match="holds no comparison"):
        write_report(run, tmp_path / "report", [tmp_path])


def test_a_comparison_of_other_runs_is_said_to_be_so(run, tmp_path):
    write_json(tmp_path / "x" / "comparison.json", {"run_a": "/a", "run_b": "/b", "labels": {}})
    found = collect_chapters(run, [tmp_path / "x"])["comparisons"]
    assert "a (A) and b (B): compares other runs than this one." in found.warnings


def test_calibration_is_drawn_label_by_label(run):
    table = pd.read_csv(run.folder / "slices" / "calibration.csv")
    figure = calibration_figure(table)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == list(dict.fromkeys(table["label"]))
    first = table[table["label"] == titles[0]]
    points = [
        line.get_xydata() for line in figure.axes[0].lines if len(line.get_xydata()) == len(first)
    ]
    assert any(
        np.allclose(each, first[["mean_probability", "observed"]].to_numpy()) for each in points
    )


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"where_a": "site == 'A'"}, "site == 'A'"),
        ({"where_a": "", "label_a": "AMD"}, "maps of AMD"),
        ({"where_a": "age > 60", "label_a": "AMD"}, "maps of AMD, where age > 60"),
        ({"where_a": None, "label_a": None}, "all images"),
    ],
)
def test_the_sides_of_a_contrast_in_words(record, said):
    assert contrast_side(record, "a") == said


@pytest.mark.parametrize(
    ("settings", "where", "said"),
    [
        ({"selection": "false-negatives", "threshold": 0.4}, None,
         "false negatives from a probability of 0.40"),
        ({"selection": "positives", "threshold": 0.5}, "age > 60", "positives, where age > 60"),
        ("odd", None, "all images"),
    ],
)  # fmt: skip
def test_the_images_of_a_selection_in_words(settings, where, said):
    assert selected_images({"settings": settings, "where": where}) == said


def test_drawn_regions_are_told_with_what_erasing_them_took(run):
    assert collect_chapters(run)["drawn"] is None
    folder = run.folder / "regions"
    facts = {"share": 0.24, "area_share": 0.028, "ratio": 8.57, "images": 9}
    write_json(folder / "rim.json", {"name": HOSTILE, "labels": {"left": facts, "right": 7}})
    chapter = collect_chapters(run)["drawn"]
    assert chapter.tables[0].columns[-1] == "Ratio"
    assert chapter.tables[0].rows == [[HOSTILE, "left", "24.0 %", "2.8 %", "8.6"]]
    erased = {"auc_intact": 0.98, "auc_erased": 0.94, "logit_change": -1.81}
    write_json(folder / "two.json", {"name": "two", "labels": {"left": {**facts, **erased}}})
    rows = collect_chapters(run)["drawn"].tables[0].rows
    assert rows[1][5:] == ["0.980", "0.940", "−1.810"]
    assert rows[0][5:] == ["–", "–", "–"]
    (folder / "odd.json").write_text("[")
    assert "odd.json cannot be read" in collect_chapters(run)["drawn"].warnings[0]


@pytest.fixture(params=["missing", "no map", "of another size"])
def without(request):
    """Take the use of files away until the test is over; what is said of them then, comes back."""
    kept = {}

    def take(*paths):
        for path in paths:
            kept[path] = path.read_bytes()
            path.unlink()
            if request.param == "no map":
                path.write_bytes(b"II*\0 and no more")
            elif request.param == "of another size":
                tifffile.imwrite(path, np.zeros((3, 5), np.float32))
        return "missing" if request.param == "missing" else "cannot be read"

    yield take
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("chapter", "place", "mend"),
    [
        ("strategies", "audit/clusters/left-2.tif", "run `audit` again"),
        ("contrasts", "contrasts/sides/left.p.tif", "run `contrast` again"),
        ("contrasts", "contrasts/sides/left.difference.tif", "run `contrast` again"),
        ("slices", "slices/worse.tif", "run `slices` again"),
        ("comparisons", "comparisons/whole/right.difference.tif", "run `compare` again"),
        ("selections", "selections/{}/right.tif", "make the selection again with `maps`"),
    ],
)
def test_a_map_that_a_figure_lacks_is_named(run, without, chapter, place, mend):
    """A figure without it looks as if there had been nothing to show."""
    if not (run.folder / "comparisons" / "whole").exists():
        gx.compare(run, run, run.folder / "comparisons" / "whole", permutations=19)
    before = collect_chapters(run)[chapter]
    path = run.folder / place.format(file_stem(HOSTILE))
    said = without(path)
    after = collect_chapters(run)[chapter]
    (sentence,) = set(after.warnings) - set(before.warnings)
    verb = "is " * (said == "missing")
    assert sentence.endswith(f"{path.name} {verb}{said}; {mend}.")
    assert (after.figures, after.tables) == (before.figures, before.tables)


def test_labels_of_too_few_patients_lack_no_map(run):
    folder = run.folder / "comparisons" / "few"
    gx.compare(run, run, folder, where="row < 2", permutations=19)
    assert not list(folder.glob("*.tif"))
    warnings = [each for each in collect_chapters(run)["comparisons"].warnings if "missing" in each]
    shutil.rmtree(folder)
    assert warnings == []


def test_many_maps_that_are_lost_are_one_sentence(run, without):
    said = without(*(run.folder / "audit" / "clusters").glob("left-*.tif"))
    chapter = collect_chapters(run)["strategies"]
    verb = "are " * (said == "missing")
    assert chapter.warnings == [f"left-1.tif, left-2.tif {verb}{said}; run `audit` again."]
    page = write_report(run)
    assert f"left-2.tif {verb}{said}; run `audit` again." in page.read_text(encoding="utf-8")
    twin = json.loads((run.folder / "report.json").read_text())
    assert twin["chapters"]["strategies"]["warnings"] == chapter.warnings
    assert "strategies" not in twin["figures"]
    assert "contrast_sides" in twin["figures"]


def test_lost_calibration_is_named(run):
    path = run.folder / "slices" / "calibration.csv"
    kept = path.read_bytes()
    path.unlink()
    sentence = "calibration.csv is missing; run `slices` again."
    assert sentence in collect_chapters(run)["slices"].warnings
    path.write_bytes(kept)
    assert sentence not in collect_chapters(run)["slices"].warnings
