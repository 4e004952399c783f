"""Model cards: what they may leave out, and one sentence for each thing they get wrong."""

import pytest
import yaml

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import InputCard, NetworkCard, read_card

GOOD = {
    "weights": "model.pt",
    "labels": ["AMD", "RVO"],
    "input": {"channels": 2, "height": 32, "width": 48, "mean": 0.3, "std": 0.1},
}


def write(folder, content, name="model.yaml"):
    (folder / "model.pt").write_bytes(b"")
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (folder / name).write_text(text)
    return folder / name


def test_defaults_and_short_forms(tmp_path):
    card, weights = read_card(write(tmp_path, GOOD))
    assert weights == tmp_path / "model.pt"
    assert card.labels == ("AMD", "RVO")
    assert card.input.channels == ("red", "green")
    assert card.input.mean == (0.3, 0.3)
    assert card.input.std == (0.1, 0.1)
    assert card.input.range == (0, 1)
    assert (card.activation, card.orientation, card.cam_layer) == ("sigmoid", "L", None)


@pytest.mark.parametrize(
    ("count", "names"), [(1, ("grey",)), (2, ("red", "green")), (3, ("red", "green", "blue"))]
)
def test_number_of_channels(count, names):
    card = InputCard(channels=count, height=4, width=4, mean=list(range(count)))
    assert card.channels == names
    assert card.mean == tuple(range(count))


@pytest.mark.parametrize("given", ["model.pt", "model.yaml", "."])
def test_card_is_found_from_the_weights_or_the_folder(given, tmp_path):
    write(tmp_path, GOOD)
    card, weights = read_card(tmp_path / given)
    assert card.weights == "model.pt"
    assert weights.name == "model.pt"


def test_card_with_the_weights_own_name_comes_first(tmp_path):
    write(tmp_path, {**GOOD, "labels": ["other"]})
    write(tmp_path, GOOD, "best.yml")
    (tmp_path / "best.pt").write_bytes(b"")
    card, weights = read_card(tmp_path / "best.pt")
    assert card.labels == ("AMD", "RVO")
    assert weights.name == "best.pt"  # whatever the card says


def changed(**changes):
    return {**GOOD, **changes}


def changed_input(**changes):
    return {**GOOD, "input": {**GOOD["input"], **changes}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("labels: [unclosed", "is not a YAML file"),
        ("\x00", "is not a YAML file"),
        ("- a list", "is not a model card"),
        ("", "is not a model card"),
        ({key: value for key, value in GOOD.items() if key != "labels"}, "labels is wrong"),
        (changed(labels=[]), "labels is wrong"),
        (changed(labels="AMD"), "labels is wrong"),
        (changed(labels=["AMD", "amd"]), "labels must differ"),
        (changed(labels=["AMD", " "]), "a label is empty"),
        (f"{yaml.safe_dump(GOOD)}labels: [RVO, AMD]\n", "'labels' stands twice"),
        (changed(labels=["A b", "A_b"]), "labels must differ"),
        (changed(labels=["1", "01"]), "labels must differ"),
        ("weights: w.pt\nlabels: [No, Mild]", "YAML reads a label as False.*put labels in quotes"),
        ("weights: w.pt\nlabels: [Yes, 'off']", "YAML reads a label as True.*put labels in quo"),
        ("weights: w.pt\nlabels: [0, 1, 2]", "YAML reads a label as 0.*put labels in quotes"),
        ("weights: w.pt\nlabels: [x, 010, 1.0]", "YAML reads a label as 8.*put labels in quotes"),
        ("weights: w.pt\nlabels: [x, null]", "YAML reads a label as None.*put labels in quotes"),
        (changed(activation="relu"), "activation is wrong.*'sigmoid', 'softmax' or 'none'"),
        (changed(labels=["AMD"], activation="softmax"), "softmax of one output is 1 for every"),
        (changed(orientation="R"), "orientation is wrong"),
        (changed(layer="layer4"), "layer is wrong"),
        (changed(weights="gone.pt"), "weights gone.pt do not exist"),
        (changed_input(channels=4), "number of channels is 1, 2 or 3"),
        (changed_input(channels=["red", "infrared"]), "input.channels.1 is wrong"),
        (changed_input(height=0), "input.height is wrong"),
        (changed_input(height=True), "height is wrong: it is true, which is no number"),
        (changed_input(height=10**20), "input.height is wrong"),
        (changed_input(channels=True), "channels is wrong: it is true, which is no number"),
        (changed_input(std=True), "it is true, which is no number"),
        (changed_input(mean=[0.1, False]), "it is false, which is no number"),
        (changed_input(mean=float("nan")), "it is nan, but no number of at most"),
        (changed_input(std=float("inf")), "it is inf, but no number of at most"),
        (changed_input(range=[0, 1e308]), "it is 1e\\+308, but no number of at most"),
        (changed_input(std=0), "std must be positive"),
        (changed_input(mean=[0.1, 0.2, 0.3]), "mean has 3 values for 2 channels"),
        (changed_input(range=[1, 1]), "range must not be empty"),
        (changed(network={"arguments": {}}), "network is wrong: give one of name"),
    ],
)
def test_one_sentence_for_each_mistake(content, message, tmp_path):
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=message) as why:
        read_card(path)
    assert str(why.value).startswith(str(path))
    assert "\n" not in str(why.value)


def test_the_number_of_further_mistakes_is_told(tmp_path):
    path = write(tmp_path, {**changed_input(height=-1), "activation": "relu"})
    with pytest.raises(InputError, match="and 1 more"):
        read_card(path)


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"gone\.yaml: the model does not exist"):
        read_card(tmp_path / "gone.yaml")
    with pytest.raises(InputError, match=r"model\.yaml: the model does not exist"):
        read_card(tmp_path)
    (tmp_path / "alone.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"needs a model card beside it, alone\.yaml"):
        read_card(tmp_path / "alone.pt")


def test_a_network_of_monai_is_noted_as_before_there_was_timm():
    """Runs are known again by the card that they noted."""
    noted = {"name": "resnet34", "factory": None, "arguments": {"num_classes": 2}}
    card = NetworkCard.model_validate(noted)
    assert card.model_dump(mode="json") == noted
    by_timm = NetworkCard(timm="convnext_tiny")
    assert by_timm.model_dump(mode="json")["timm"] == "convnext_tiny"
    assert NetworkCard.model_validate(by_timm.model_dump(mode="json")) == by_timm
