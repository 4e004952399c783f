"""A map is compared with the map of the same method by the model with random weights."""

import json
import sys

import numpy as np
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai import cli
from napari_globalxai.attribution.method import make_method
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.folds import assign_folds
from napari_globalxai.faithfulness.verdict.weighing import RANDOM_WEIGHTS
from napari_globalxai.models.random_weights import RandomWeights
from napari_globalxai.runs.peppr import evaluate, random_rival
from napari_globalxai.runs.tables import PATIENT

QUICK = {"steps": 4, "control_steps": 3, "controls": 1, "bootstrap": 20, "fewest_positives": 2}


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    cohort = tiny.write_cohort(folder / "cohort", size=24)
    return gx.explain(cohort, tiny.write_linear(folder), folder / "run", "saliency")


@pytest.fixture
def tested(monkeypatch):
    """What PEPPR was asked to run along, call by call."""
    calls = []
    whole = evaluate.run_peppr

    def note(*arguments, **keywords):
        calls.append(keywords["folds"])
        return whole(*arguments, **keywords)

    monkeypatch.setattr(evaluate, "run_peppr", note)
    return calls


def slow_maps(run, label, seed):
    """One image at a time: saliency of the model with random weights, as the run averages it."""
    trained = run.classifier(device="cpu")
    random = RandomWeights(trained).classifier(seed)
    index = trained.labels.index(label)
    found = {}
    for row in run.members(label):
        inputs = random.to_input(run.stack.read([row]))
        maps = make_method("saliency").attribute(random, inputs, [index]).maps
        found[row] = np.maximum(maps[0, 0].cpu().numpy(), 0)
    return found


@pytest.mark.parametrize("folds", [1, 2])
def test_it_is_made_of_the_same_patients(explained, tested, folds, tmp_path):
    result = gx.peppr(explained, "left", out=tmp_path, device="cpu", folds=folds, seed=3, **QUICK)
    each = slow_maps(explained, "left", 3)
    rows = explained.finished_rows
    patients = explained.images[PATIENT].astype(str).to_numpy()[rows]
    truth = explained.truth(explained.classifier(device="cpu").labels)[rows]
    fold_of = assign_folds(patients, truth, folds, 3)
    (parts,) = tested
    assert len(parts) == folds
    for fold, part in enumerate(parts):
        among = rows if folds == 1 else rows[fold_of != fold]
        expected = np.mean([each[row] for row in each if row in among], axis=0)
        np.testing.assert_allclose(part.rivals[RANDOM_WEIGHTS], expected, rtol=1e-4, atol=1e-7)
        assert np.ptp(expected) > 0
    assert RANDOM_WEIGHTS in result.areas["left"]["difference_to"]


def test_it_is_explained_once_and_kept(explained, tmp_path, monkeypatch):
    def peppr(name):
        return gx.peppr(explained, name, out=tmp_path, device="cpu", **QUICK)

    first = peppr("overall")
    monkeypatch.setattr(random_rival, "_explain", None)
    again = peppr("overall")
    assert again.areas == first.areas
    # The overall map is that of all labels, each of which is kept.
    assert RANDOM_WEIGHTS in peppr("right").areas["right"]["difference_to"]
    assert RANDOM_WEIGHTS in first.areas["macro mean"]["difference_to"]


def test_without_it_on_request(explained, tmp_path, monkeypatch, capsys):
    arguments = ["--no-random-weights", "--steps", "4", "--controls", "1", "--device", "cpu"]
    command = ["napari-globalxai", "peppr", str(explained.folder), "--map", "left"]
    monkeypatch.setattr(sys, "argv", [*command, "--out", str(tmp_path), *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code, capsys.readouterr().err
    said = json.loads((tmp_path / "peppr" / "left.json").read_text())
    assert RANDOM_WEIGHTS not in said["labels"]["left"]["difference_to"]
    assert "map of right" in said["labels"]["left"]["difference_to"]


def test_weights_that_cannot_be_drawn_anew_leave_it_out(explained, tmp_path, monkeypatch):
    def frozen(*_):
        raise InputError("its weights are built into its operations.")

    monkeypatch.setattr(random_rival, "RandomWeights", frozen)
    result = gx.peppr(explained, "left", out=tmp_path, device="cpu", **QUICK)
    assert RANDOM_WEIGHTS not in result.areas["left"]["difference_to"]
