"""What `explain` refuses of a table and a model, `check` lists before, in the same words."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import tiny
import torch
from torch import nn
from typer.testing import CliRunner

import napari_globalxai as gx
from napari_globalxai.cli.commands import app
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.inputs.check import check_inputs
from napari_globalxai.settings.explain_settings import ExplainSettings


def cohort_of(folder: Path, labels: tuple[str, str]) -> gx.Cohort:
    table = tiny.write_cohort(folder / "cohort", 8)
    frame = pd.read_csv(table, dtype=str)
    frame.rename(columns=dict(zip(tiny.LABELS, labels, strict=True))).to_csv(table, index=False)
    return gx.read_cohort(table, label_columns=list(labels))


def model_of(labels: tuple[str, str], network: nn.Module | None = None) -> Classifier:
    card = ModelCard(weights="none", labels=labels, input=tiny.input_card())
    return Classifier(network or tiny.LinearNet(tiny.sign_weights()), card, device="cpu")


class Squared(nn.Module):
    """Multiplies activations, for which DeepLIFT has no rule."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = tiny.LinearNet(tiny.sign_weights())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.inner(images)
        return found * found


SALIENCY = {"method": "saliency"}
CASES = {
    "overall": (("overall", "b"), SALIENCY, None, "'overall' is taken by a file"),
    "Overall": (("a", "Overall"), SALIENCY, None, "'Overall' is taken by a file"),
    "maps": (("maps", "b"), SALIENCY, None, "'maps' is taken by a file"),
    "a map's SD": (("a", "a.sd"), SALIENCY, None, "'a.sd' is taken by a file"),
    "a map's standard error": (("a", "A.SE"), SALIENCY, None, "'A.SE' is taken by a file"),
    "no file names": (("a/b", "a?b"), SALIENCY, None, "'a?b' is taken by a file"),
    "unknown label": (
        ("a", "b"), {**SALIENCY, "labels": ("c",)}, None, "The model has no label 'c'"
    ),
    "no label": (("a", "b"), {**SALIENCY, "labels": ()}, None, "No label was chosen"),
    "no split": (("a", "b"), {}, None, "No layer with a spatial output"),
    "no ReLU": (("a", "b"), {"method": "guided-backprop"}, None, "The model has no ReLU"),
    "captum": (("a", "b"), {"method": "captum:Deconvolution"}, None, "no ReLU"),
    "no rule": (("a", "b"), {"method": "deep-lift"}, Squared, "deep-lift does not add up"),
    "odd setting": (
        ("a", "b"), {**SALIENCY, "method_settings": {"steps": 3}}, None, "does not take"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_explain_refuses_is_listed_by_check(tmp_path: Path, case: str) -> None:
    labels, chosen, network, words = CASES[case]
    settings = ExplainSettings(**chosen)
    cohort, model = cohort_of(tmp_path, labels), model_of(labels, network and network())
    with pytest.raises(InputError) as why:
        gx.explain(cohort, model, tmp_path / "run", settings)
    sentence = str(why.value)
    assert words in sentence
    problems = check_inputs(cohort, model, settings).problems
    # By how much a rule misses depends on the image that it is tried on.
    without_numbers = [re.sub(r"by [\d.e+-]+", "", each) for each in (sentence, *problems)]
    assert without_numbers[1:].count(without_numbers[0]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_no_table_can_hold_are_told_before_anything_is_computed(tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "cohort", 4)
    for number, label in enumerate(("a", "b", "a", "b")):
        folder = tmp_path / "classes" / label
        folder.mkdir(parents=True, exist_ok=True)
        name = os.fsdecode(b"caf\xe9.png") if number == 2 else f"{number}.png"
        shutil.copy(table.parent / "images" / f"00{number}.png", folder / name)
    cohort, model = gx.read_cohort(tmp_path / "classes"), model_of(("a", "b"))
    with pytest.raises(InputError, match=r"caf.udce9\.png' has letters that are no text") as why:
        gx.explain(cohort, model, tmp_path / "run", "saliency")
    assert not (tmp_path / "run").exists()
    assert str(why.value) in check_inputs(cohort, model).problems


def test_what_explain_takes_has_no_such_problem(tmp_path: Path) -> None:
    cohort, model = cohort_of(tmp_path, ("a", "b")), model_of(("a", "b"))
    problems = check_inputs(cohort, model, ExplainSettings(method="saliency")).problems
    assert not [each for each in problems if "label name" in each or "method" in each]


def test_the_command_lists_a_label_that_is_called_overall(tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "cohort", 8)
    table.write_text(table.read_text().replace(",left,", ",overall,"))
    card = tiny.write_linear(tmp_path / "model")
    card.write_text(card.read_text().replace("- left", "- overall"))
    asked = ["check", str(table), "--model", str(card), "--method", "saliency", "--json"]
    answer = json.loads(CliRunner().invoke(app, asked).stdout)
    assert [each for each in answer["problems"] if "'overall' is taken by a file" in each]
