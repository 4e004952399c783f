"""A card before it is written: what is known, what is said, what is kept."""

import pytest
import tiny
import torch
import yaml
from saved import write_bundle

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.card_draft import draft_of, write_draft
from napari_globalxai.models.card.model_card import FILL_IN, read_card
from napari_globalxai.models.loaders import load_model

ANSWERS = {
    "labels": list(tiny.LABELS),
    "input.height": 32,
    "input.width": 48,
    "input.mean": [0.3],
    "input.std": [0.1],
    "network.name": "ResNet",
    "network.arguments": tiny.RESNET,
}


@pytest.fixture
def weights(tmp_path):
    torch.save(tiny.resnet().state_dict(), tmp_path / "m.pt")
    return tmp_path / "m.pt"


def test_what_weights_tell_is_filled_in_and_the_rest_is_asked_for(weights):
    draft = draft_of(weights)
    assert not draft.exists
    assert draft.place == weights.with_suffix(".yaml")
    assert draft.content["input"]["channels"] == 2
    assert draft.open_facts == [
        "input.height", "input.mean", "input.std", "input.width", "labels", "network.name",
    ]  # fmt: skip
    assert "still has facts to fill in" in draft.problem
    with pytest.raises(InputError, match="still has facts"):
        write_draft(draft, draft.place)
    assert not draft.place.exists()
    some = draft.with_answers({"labels": ["a", "b"], "input.height": None})
    assert "labels" not in some.open_facts
    assert "input.height" in some.open_facts


def test_a_card_that_is_written_is_read_back(weights, tmp_path):
    draft = draft_of(weights).with_answers(ANSWERS)
    assert draft.problem == ""
    assert draft.open_facts == []
    (tmp_path / "cards").mkdir()
    for target in (draft.place, tmp_path / "cards" / "m.yaml"):
        write_draft(draft, target)
        card, found = read_card(target)
        assert card.labels == tiny.LABELS
        assert found.resolve() == weights.resolve()
        assert load_model(target, device="cpu").labels == tiny.LABELS
    assert draft_of(draft.place).content["network"]["arguments"] == tiny.RESNET


def test_the_model_is_tried_with_a_card_that_is_not_written(weights):
    draft = draft_of(weights).with_answers(ANSWERS)
    assert load_model(weights, device="cpu", content=draft.content).labels == tiny.LABELS
    assert not draft.place.exists()
    other = draft.with_answers({"labels": ["a", "b", "c"]})
    with pytest.raises(InputError, match="3 labels"):
        load_model(weights, device="cpu", content=other.content)


def test_z_score_and_transforms_leave_no_scale_to_be_said(weights):
    answers = {**ANSWERS, "input.mean": None, "input.std": None}
    assert draft_of(weights).with_answers(answers).open_facts == ["input.mean", "input.std"]
    for key, value in (("per_image.scaling", "z-score"), ("transforms", [{"_target_": "Flip"}])):
        draft = draft_of(weights).with_answers(
            {**answers, "input.range": None, f"input.{key}": value}
        )
        assert draft.problem == ""
        assert "mean" not in draft.content["input"]


def test_one_kind_of_network_takes_the_place_of_another(weights):
    draft = draft_of(weights).with_answers(
        {**ANSWERS, "network.name": None, "network.timm": "resnet18"}
    )
    assert draft.content["network"] == {"timm": "resnet18", "arguments": tiny.RESNET}
    assert draft.problem == ""


def test_what_is_not_asked_for_is_kept(tmp_path):
    path = tiny.write_linear(tmp_path)
    card = yaml.safe_load(path.read_text())
    card |= {"mine": {"a": [1]}, "input": {**card["input"], "odd": 1, "per_image": "min-max"}}
    path.write_text(yaml.safe_dump(card))
    draft = draft_of(path)
    assert draft.exists
    assert draft.unknown == ["mine", "input.odd"]
    assert "mine" in draft.problem or "odd" in draft.problem
    changed = draft.with_answers({"input.per_image.scaling": "min-max", "modality": "chest X-ray"})
    assert changed.content["mine"] == {"a": [1]}
    assert changed.content["input"]["odd"] == 1
    assert draft.content == card
    mended = changed.with_answers({}, drop_unknown=True)
    assert mended.problem == ""
    write_draft(mended, path)
    assert read_card(path)[0].modality == "chest X-ray"
    assert read_card(path)[0].input.per_image.scaling == "min-max"


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "is not a YAML file"), ("- 1", "is not a model card"), ("", "is not a model card")],
)
def test_what_is_no_card_is_one_sentence(text, said, tmp_path):
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        draft_of(tmp_path / "m.yaml")


def test_a_card_of_wrong_parts_can_be_mended(tmp_path):
    (tmp_path / "m.yaml").write_text("weights: m.pt\nlabels: [No]\ninput: 3\n")
    draft = draft_of(tmp_path / "m.yaml")
    assert draft.open_facts == ["input.channels", "input.height", "input.width"]
    mended = draft.with_answers(
        {"labels": ["No"], "input.channels": 1, "input.height": 8, "input.width": 8}
    )
    assert mended.problem == ""


def test_a_bundle_tells_its_card(tmp_path):
    folder = write_bundle(tmp_path / "bundle", rest=None)
    draft = draft_of(folder)
    assert draft.is_bundle
    assert not draft.exists
    assert draft.content["input"]["mean"] == FILL_IN
    done = draft.with_answers({"input.mean": [0.3], "input.std": [0.1]})
    write_draft(done, draft.place)
    assert load_model(folder, device="cpu").labels == ("left", "right")
    assert draft_of(folder).exists
