"""The bundled cohort is what its scripts draw, and stays small."""

import importlib
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.models.loaders import load_model

SAMPLE = Path(__file__).parent.parent / "sample_data"
LABELS = ("AMD", "RVO", "RP", "Gla")


@pytest.fixture
def phantom(monkeypatch):
    """The module that draws."""
    monkeypatch.syspath_prepend(str(SAMPLE / "scripts"))
    yield importlib.import_module("phantom")
    for name in ("phantom", "framing", "draw_cohort"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["cohort", "cohort_unmarked", "cohort_independent"])
def test_tables_are_complete(name):
    cohort = read_cohort(SAMPLE / "cohort" / f"{name}.csv")
    assert len(cohort) >= 240
    assert cohort.label_columns == LABELS
    assert all(path.is_file() for path in cohort.files)
    assert set(cohort.laterality) == {"L", "R"}
    assert len(set(cohort.patients)) < len(cohort)
    assert set(cohort.table["site"]) == {"A", "B"}
    truth = cohort.truth(LABELS)
    assert (truth.sum(axis=1) > 1).any()
    assert (truth.sum(axis=1) == 0).any()


def test_mark_gives_the_label_away_in_one_table_alone():
    marked = read_cohort(SAMPLE / "cohort" / "cohort.csv").table
    at_site = marked[marked["site"] == "B"]
    assert (at_site["mark"] == at_site["Gla"]).all()
    assert (marked.loc[marked["site"] == "A", "mark"] == "0").all()
    assert (read_cohort(SAMPLE / "cohort" / "cohort_unmarked.csv").table["mark"] == "0").all()
    independent = read_cohort(SAMPLE / "cohort" / "cohort_independent.csv").table
    assert set(independent.loc[independent["mark"] == "1", "Gla"]) == {"0", "1"}


def test_script_draws_the_committed_images(phantom):
    draw_cohort = importlib.import_module("draw_cohort")
    table = read_cohort(SAMPLE / "cohort" / "cohort.csv")
    drawn = phantom.sample_cohort(draw_cohort.N_IMAGES, draw_cohort.COHORT_SEED, "P")
    for row, (eye, view) in islice(enumerate(drawn), 4):
        image = phantom.draw(eye, view, mark=table.table["mark"][row] == "1")
        committed = np.asarray(Image.open(table.files[row]).convert("RGB"), dtype=int)
        # JPEG keeps each pixel to within a few grey levels.
        assert np.abs(committed - image).mean() < 3
        assert {label: int(table.table[label][row]) for label in LABELS} == eye.labels


def test_images_are_two_coloured():
    for path in read_cohort(SAMPLE / "cohort" / "cohort.csv").files[:20]:
        colours = np.asarray(Image.open(path).convert("RGB"), dtype=float).mean(axis=(0, 1))
        assert colours[2] < 0.1 * colours[1] < colours[0]


@pytest.mark.parametrize("label", [*LABELS, "mark"])
def test_truth_lies_in_the_frame(label):
    density = tifffile.imread(SAMPLE / "truth" / f"{label}.tif")
    assert (density.shape, density.dtype, density.max()) == ((128, 160), "float32", 1)


@pytest.mark.parametrize("name", ["honest", "shortcut"])
def test_models_are_small_and_load(name):
    assert (SAMPLE / "models" / f"{name}.safetensors").stat().st_size < 2_000_000
    classifier = load_model(SAMPLE / "models" / f"{name}.yaml", device="cpu")
    assert classifier.labels == LABELS
    assert classifier.frame_shape == (128, 160)


def test_sample_stays_small():
    files = [path for path in SAMPLE.rglob("*") if "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 8_000_000
