"""Labels of any name have files that any system takes, known before work starts."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.folder import file_stem


@pytest.mark.parametrize(
    "name", ["CON", "aux", "Nul.x", "com1", "LPT9", "x" * 250, "ü" * 130, "a."]
)
def test_a_file_name_that_no_system_refuses(name):
    stem = file_stem(name)
    assert len(f".{stem}.sd.12345678.tif".encode()) < 200
    assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", stem)
    assert not stem.endswith(".")
    assert stem != file_stem(name + "y")


def test_usual_names_stay_as_they_are():
    assert file_stem("AMD") == "AMD"
    assert file_stem("any retina/disease") == "any_retina_disease"
    assert file_stem("v1.2+x") == "v1.2+x"


def explained(tmp_path, labels):
    table = tiny.write_cohort(tmp_path / "cohort")
    frame = pd.read_csv(table, dtype=str)
    frame = frame.rename(columns=dict(zip(("left", "right"), labels, strict=True)))
    frame.to_csv(table, index=False)
    card = ModelCard(weights="none", labels=tuple(labels), input=tiny.input_card())
    model = Classifier(tiny.LinearNet(tiny.sign_weights()), card, device="cpu")
    return gx.explain(table, model, tmp_path / "run", "saliency")


@pytest.mark.parametrize("label", ["CON", "l" * 240, "überlang" * 25])
def test_such_a_label_is_explained_and_its_file_is_told(tmp_path, label):
    run = explained(tmp_path, (label, "right"))
    table = pd.read_csv(run.folder / "maps" / "maps.csv")
    (name,) = table.loc[table["map"] == label, "file"]
    assert (run.folder / "maps" / name).is_file()
    assert gx.open_run(run.folder).maps[label].shape == (tiny.HEIGHT, tiny.WIDTH)


@pytest.mark.parametrize(
    "label", ["OVERALL", "Overall", "right.sd", "MAPS", "Verdicts", "compared", "regions"]
)
def test_a_label_named_like_a_file_of_the_run_is_refused_before_work(tmp_path, label):
    with pytest.raises(InputError, match=r"is taken by a file of the run folder"):
        explained(tmp_path, (label, "right"))
    assert not (tmp_path / "run").exists()


def test_one_letter_written_in_two_ways_is_one_file():
    assert file_stem("u\u0308ber") == file_stem("\u00fcber")
    # Such labels are one already to the card.
    with pytest.raises(ValueError, match="labels must differ"):
        ModelCard(weights="none", labels=("u\u0308ber", "\u00fcber"), input=tiny.input_card())
