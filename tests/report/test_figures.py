"""Figures: nothing cut off, nothing blank, and the numbers of the result in them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import _pylab_helpers
from matplotlib.text import Text
from PIL import Image

from napari_globalxai.faithfulness.result import CURVE_COLUMNS, PepprResult
from napari_globalxai.faithfulness.verdict.verdicts import (
    FAITHFUL,
    NO_BETTER,
    NOT_ENOUGH_DATA,
    Verdict,
)
from napari_globalxai.report.image_figures import (
    Example,
    SimilarityRow,
    examples_figure,
    similarity_figure,
)
from napari_globalxai.report.map_figures import MapPanel, frame_figure, maps_figure, sd_figure
from napari_globalxai.report.peppr_figures import peppr_figure
from napari_globalxai.report.style import (
    name_text,
    number,
    overlay,
    percent,
    save_figure,
)

SHAPE = (24, 36)
LONG = "a very long name of a file that a clinic's export made up " * 4 + "0815.jpg"
HOSTILE = "50 $ \\frac{ & <b>疾患</b>\n_x^"


@pytest.fixture
def valid():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return ((y - 12) / 11) ** 2 + ((x - 18) / 17) ** 2 < 1


@pytest.fixture
def mean():
    return np.random.default_rng(0).uniform(20, 200, (2, *SHAPE)).astype(np.float32)


def make_map(seed=0):
    return np.random.default_rng(seed).random(SHAPE).astype(np.float32)


def make_panel(name, seed=0, **changes):
    panel = MapPanel(name, make_map(seed), 30, 20, make_map(seed + 1), 0.9)
    return replace(panel, **changes)


def make_result(labels, *, controls=19, words=(FAITHFUL,), **changes):
    """A made-up result with plausible curves."""
    q = np.linspace(0, 1, 11)
    curves, areas, verdict = [], {}, {}
    for index, label in enumerate(labels):
        orders = {"map": 4.0, "random": 1.0, "shifted": 2.0} if controls else {"map": 4.0}
        for order, power in orders.items():
            for arm, values in (
                ("restore", 1 - 0.5 * (1 - q) ** power),
                ("erase", 0.5 + 0.5 * (1 - q) ** power),
            ):
                curves += [
                    ("m", label, order, arm, at, "roc_auc", value, value - 0.05, value + 0.02)
                    for at, value in zip(q, values, strict=True)
                ]
        families = {"random": [0.0] * controls, "shifted": list(np.linspace(-0.2, 0.3, controls))}
        areas[label] = {
            "positives": 12,
            "negatives": 18,
            "intact_auc": 1.0,
            "intact_auc_ci": [0.97, 1.0],
            "area_erase": 0.612,
            "area_restore": 0.934,
            "delta": 0.322,
            "delta_ci": [0.2, 0.4],
            "sufficient_fraction": 0.17,
            "necessary_fraction": 0.83,
            "blank_probability": 0.1,
            "delta_on_control_steps": 0.345,
            "control_deltas": {name: values for name, values in families.items() if values},
            "p_values": {"random": 0.05, "shifted": 0.123} if controls else {},
            "difference_to": {},
            **changes,
        }
        verdict[label] = Verdict(words[index % len(words)], "Δ = 0.322, p = 0.123 " * 6)
    empty = np.zeros(0)
    return PepprResult(
        map_name="m",
        curves=pd.DataFrame(curves, columns=list(CURVE_COLUMNS)),
        areas=areas,
        verdict=verdict,
        settings={},
        shape=SHAPE,
        order=empty.astype(int),
        counts=empty.astype(int),
        fill=None,
        rows=empty.astype(int),
        labels=tuple(labels),
        probabilities={},
    )


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def assert_sound(figure):
    """Assert that no text runs out of the figure and that the picture is not blank."""
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for text in texts(figure):
        box = text.get_window_extent()
        # Tick labels outside the axes' limits are never drawn.
        if text.get_clip_on() or not box.width:
            continue
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{text.get_text()!r} is cut off: {box} in {width} × {height}"
    assert np.asarray(figure.canvas.buffer_rgba())[..., :3].std() > 5


def all_text(figure):
    return "\n".join(text.get_text() for text in texts(figure))


@pytest.mark.parametrize("labels", [1, 2, 4, 14])
def test_maps_for_any_number_of_labels(labels, mean, valid):
    panels = [make_panel("overall", sd=None)]
    panels += [make_panel(f"{HOSTILE} {LONG} {index}", index) for index in range(labels)]
    figure = maps_figure(panels, mean, valid)
    assert_sound(figure)
    # One panel a map, and one colour bar.
    assert len(figure.axes) == labels + 2
    assert "30 images of 20 patients" in all_text(figure)
    spread = sd_figure(panels[1:], mean, valid)
    assert_sound(spread)
    assert "0.90" in all_text(spread)


@pytest.mark.parametrize("smoothing", [0.5, 2])
def test_maps_say_that_they_were_smoothed(mean, valid, smoothing):
    panels = [make_panel("overall", sd=None), make_panel("left")]
    figure = maps_figure(panels, mean, valid, smoothing=smoothing)
    assert_sound(figure)
    assert f"smoothed by {smoothing} pixels" in all_text(figure)
    assert "smoothed" not in all_text(maps_figure(panels, mean, valid))


def test_maps_without_a_value_say_so(mean, valid):
    zero = np.zeros(SHAPE, np.float32)
    nothing = np.full(SHAPE, np.nan, np.float32)
    panels = [
        make_panel("zero", image=zero, sd=zero),
        make_panel("none", image=zero, sd=nothing, n=0, n_patients=0, reliability=float("nan")),
    ]
    figure = maps_figure(panels, mean, valid)
    assert_sound(figure)
    assert "the map is zero everywhere" in all_text(figure)
    assert "no images for this map" in all_text(figure)
    spread = sd_figure(panels, np.zeros_like(mean), np.ones_like(valid))
    assert_sound(spread)
    assert "fewer than two images" in all_text(spread)
    assert "reliability –" in all_text(spread)


def test_a_map_is_drawn_where_it_is_strong(mean, valid):
    image = np.zeros(SHAPE, np.float32)
    image[3:6, 30:33] = 2
    painted = overlay(np.full(SHAPE, 0.5), image / 2, signed=False)
    saturation = np.ptp(painted, axis=-1)
    assert (saturation > 0.1).sum() == 9
    assert (saturation[3:6, 30:33] > 0.1).all()


def test_the_two_signs_differ():
    relative = np.array([[-1.0, 0.0, 1.0]])
    left, middle, right = overlay(np.full((1, 3), 0.5), relative, signed=True)[0]
    assert np.ptp(middle) == 0
    assert np.abs(left - right).max() > 0.3


@pytest.mark.parametrize("shape", [(24, 36), (60, 20), (16, 90)])
def test_frames_of_any_shape(shape):
    coverage = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    images = np.full((3, *shape), 90, np.float32)
    figure = frame_figure(images, ("red", "green", "blue"), coverage, coverage > 0.5, 0.5)
    assert_sound(figure)
    assert "50 % of the frame is valid" in all_text(figure)


def test_peppr_shows_the_numbers_of_the_result():
    result = make_result(["AMD"])
    figure = peppr_figure(result, "AMD")
    assert_sound(figure)
    said = all_text(figure)
    for piece in (
        "AMD: faithful",
        "= 0.934",
        "= 0.612",
        "sufficient: 17.0 %",
        "necessary: 83.0 %",
        "19 random, p = 0.050",
        "19 shifted, p = 0.123",
        "this map: 0.345",
    ):
        assert piece in said
    drawn = [line.get_ydata() for axes in figure.axes for line in axes.get_lines()]
    wanted = result.curves[(result.curves["order"] == "map") & (result.curves["arm"] == "erase")]
    assert any(np.array_equal(line, wanted["value"]) for line in drawn)


def test_peppr_of_many_labels_with_every_verdict():
    words = (FAITHFUL, f"{NO_BETTER} shifts", NOT_ENOUGH_DATA)
    result = make_result([f"{HOSTILE} {index}" for index in range(8)], words=words)
    figure = peppr_figure(result, LONG)
    assert_sound(figure)
    for word in words:
        assert f": {word}\n" in all_text(figure)


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_peppr_without_controls_or_fractions(missing):
    result = make_result(["x"], controls=0, sufficient_fraction=missing, necessary_fraction=missing)
    figure = peppr_figure(result)
    assert_sound(figure)
    assert "no control orders were tested" in all_text(figure)
    assert "sufficient" not in all_text(figure)


def test_peppr_without_a_curve_for_the_judged_label():
    assert peppr_figure(replace(make_result(["x"]), verdict={"y": Verdict("w", "r")})) is None


def test_equal_controls_still_make_a_histogram():
    equal = {"random": [0.345] * 19, "shifted": [0.345] * 19}
    assert_sound(peppr_figure(make_result(["x"], control_deltas=equal)))


def test_similarity_names_the_least_similar():
    values = np.linspace(-0.4, 0.9, 12)
    files = [f"images/{index:03}.jpg" for index in range(12)]
    rows = [
        SimilarityRow("AMD", files, values),
        SimilarityRow(HOSTILE, [LONG] * 3, np.array([0.1, np.nan, 0.2])),
        SimilarityRow("none", [], np.zeros(0)),
        SimilarityRow("constant", files[:2], np.full(2, np.nan)),
    ]
    figure = similarity_figure(rows)
    assert_sound(figure)
    said = all_text(figure)
    assert "−0.40   images/000.jpg" in said
    assert "images/003.jpg" not in said
    assert said.count("no image with a value") == 2
    assert "AMD\n12 images" in said


@pytest.mark.parametrize("signed", [False, True])
def test_examples(signed):
    image = np.random.default_rng(0).integers(0, 255, (1, *SHAPE), np.uint8)
    sparse = np.zeros(SHAPE, np.float32)
    sparse[2, 3] = -1 if signed else 1
    example = Example(LONG, image, make_map() - 0.5 * signed, 0.987, 0.5)
    rows = [
        (HOSTILE, example, replace(example, attribution=np.zeros(SHAPE))),
        ("sparse", replace(example, attribution=sparse), None),
        ("failed", None, replace(example, attribution=np.full(SHAPE, np.nan))),
    ]
    figure = examples_figure(rows, ("grey",), SHAPE, signed=signed)
    assert_sound(figure)
    assert all_text(figure).count("the map is zero everywhere") == 2
    assert "probability 0.99, similarity 0.50" in all_text(figure)


def test_figures_are_drawn_in_threads_without_pyplot(tmp_path, mean, valid):
    def draw(index):
        path = tmp_path / f"{index}.png"
        save_figure(maps_figure([make_panel("a", 0)], mean, valid), path)
        return path.read_bytes()

    with ThreadPoolExecutor(3) as pool:
        files = list(pool.map(draw, range(3)))
    assert len(set(files)) == 1
    assert not _pylab_helpers.Gcf.figs
    with Image.open(tmp_path / "0.png") as picture:
        assert picture.format == "PNG"
        assert np.asarray(picture.convert("L")).std() > 5


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (-0.0421, "−0.042"), (-0.0001, "0.000"), (1, "1.000")],
)
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0 %"), (0.004, "0.4 %"), (0.17, "17 %"), (1.0, "100 %")]
)
def test_percentages(value, text):
    assert percent(value) == text


def test_names_are_drawn_as_they_are():
    assert name_text("AMD") == "AMD"
    assert name_text("a$b\nc") == r"a\$b c"
    assert name_text("疾") == "\N{REPLACEMENT CHARACTER}"
    shortened = name_text(LONG, 40)
    assert len(shortened) == 40
    assert shortened.endswith("0815.jpg")
