"""What a card only describes may change: its runs are opened and gone on with all the same."""

import numpy as np
import pytest
import tiny
import yaml

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import facts_that_matter, read_card
from napari_globalxai.runs.pipeline import explain
from napari_globalxai.runs.run import open_run
from napari_globalxai.samples import sample_folder


def change(card, **facts):
    card.write_text(yaml.safe_dump({**yaml.safe_load(card.read_text()), **facts}))


def test_a_card_without_modality_is_noted_as_before_there_was_one(tmp_path):
    card, _ = read_card(tiny.write_linear(tmp_path))
    noted = card.model_dump(mode="json")
    assert list(noted) == [
        "weights", "labels", "input", "activation", "orientation", "cam_layer", "network", "name",
    ]  # fmt: skip
    assert card.model_copy(update={"modality": "CT"}).model_dump() == {
        **card.model_dump(), "modality": "CT",
    }  # fmt: skip
    assert "name" not in facts_that_matter(noted)
    assert {**facts_that_matter(noted), "name": ""} == noted


@pytest.mark.parametrize("method", ["grad-cam", "saliency"])
@pytest.mark.parametrize("facts", [{"modality": "retina"}, {"name": "new", "modality": "CT"}])
def test_runs_of_before_are_opened_and_gone_on_with(method, facts, tmp_path):
    table, card = tiny.write_cohort(tmp_path / "cohort"), tiny.write_resnet(tmp_path / "model")
    change(card, name="old")
    first = explain(table, card, tmp_path / "run", method)
    fingerprint, journal = first.store.fingerprint, first.folder / "attributions.jsonl"
    written, maps = journal.read_bytes(), first.maps["left"].copy()
    change(card, **facts)
    assert open_run(tmp_path / "run").classifier().digest == first.info["model"]["sha256"]
    # Twice: what the second leaves is gone on with, too.
    for _ in range(2):
        again = explain(table, card, tmp_path / "run", method, resume=True)
        assert again.store.fingerprint == fingerprint
        assert journal.read_bytes() == written
        assert np.array_equal(again.maps["left"], maps)
        assert again.info["model"]["card"]["modality"] == facts["modality"]
    assert again.modality.one == ("CT" if "name" in facts else "retinal image")


def test_a_fact_that_matters_still_makes_another_model(tmp_path):
    table, card = tiny.write_cohort(tmp_path / "cohort"), tiny.write_resnet(tmp_path / "model")
    explain(table, card, tmp_path / "run", "saliency")
    change(card, activation="softmax", modality="retina")
    with pytest.raises(InputError, match="is not the model that"):
        open_run(tmp_path / "run").classifier()
    with pytest.raises(InputError, match="made with another model"):
        explain(table, card, tmp_path / "run", "saliency", resume=True)


@pytest.mark.parametrize("name", ["honest", "shortcut"])
def test_the_sample_cards_differ_from_those_of_old_runs_in_the_modality_alone(name):
    card, _ = read_card(sample_folder() / "models" / f"{name}.yaml")
    noted = card.model_dump(mode="json")
    assert noted.pop("modality") == "retina"
    old = {
        "weights": f"{name}.safetensors",
        "labels": ["AMD", "RVO", "RP", "Gla"],
        "input": {
            "channels": ["red", "green"],
            "height": 128,
            "width": 160,
            "range": [0.0, 1.0],
            "mean": [0.385, 0.224],
            "std": [0.236, 0.136],
        },
        "activation": "sigmoid",
        "orientation": "L",
        "cam_layer": "layer4",
        "network": {
            "name": "ResNet",
            "factory": None,
            "arguments": {
                "block": "basic",
                "layers": [1, 1, 1, 1],
                "block_inplanes": [8, 16, 32, 96],
                "spatial_dims": 2,
                "n_input_channels": 2,
                "num_classes": 4,
                "conv1_t_size": 7,
                "conv1_t_stride": 2,
                "no_max_pool": True,
            },
        },
        "name": f"phantom-uwf-{name}",
    }
    assert noted == old
