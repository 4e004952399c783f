"""The card that is written for a model, filled in, and read again."""

import pytest
import saved
import tiny
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.card_template import write_card_template
from napari_globalxai.models.loaders import load_model


def state():
    return {key: value.contiguous() for key, value in tiny.resnet().state_dict().items()}


WRITE = {
    "m.safetensors": lambda path: save_file(state(), path),
    "m.pt": lambda path: torch.save(state(), path),
    "m.ts": lambda path: torch.jit.save(
        torch.jit.trace(tiny.resnet(), torch.zeros(2, 2, 32, 48)), str(path)
    ),
}


def fill_in(path):
    """As a user would, by what the placeholders ask for."""
    card = yaml.safe_load(path.read_text())
    card["labels"] = list(tiny.LABELS)
    known = {"height": 32, "width": 48, "mean": 0.3, "std": 0.1, "channels": 2}
    for fact, value in card["input"].items():
        if value == "FILL IN":
            card["input"][fact] = known[fact]
    if "network" in card:
        card["network"] = {"name": "ResNet", "arguments": tiny.RESNET}
    path.write_text(yaml.safe_dump(card))


@pytest.mark.parametrize("name", WRITE)
def test_what_weights_tell_is_there_and_the_rest_is_asked_for(name, tmp_path):
    WRITE[name](tmp_path / name)
    path, missing = write_card_template(tmp_path / name)
    assert path == tmp_path / "m.yaml"
    card = yaml.safe_load(path.read_text())
    assert card["weights"] == name
    # The names in safetensors are sorted, and this network's layers are all about as narrow.
    told = name != "m.safetensors"
    assert card["input"]["channels"] == (2 if told else "FILL IN")
    assert ("input.channels" in missing) != told
    assert card["labels"] == ["FILL IN 1", "FILL IN 2"]
    assert {"labels", "input.height", "input.width", "input.mean", "input.std"} <= set(missing)
    assert ("network" in missing) == (name != "m.ts")
    assert "# in the order of the model's outputs" in path.read_text()
    with pytest.raises(InputError, match=r"still has facts to fill in: input\.") as why:
        load_model(tmp_path / name, device="cpu")
    assert str(path) in str(why.value)
    fill_in(path)
    assert load_model(tmp_path / name, device="cpu").labels == tiny.LABELS


def test_safetensors_of_a_common_network(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3), nn.Linear(16, 5))
    save_file(network.state_dict(), tmp_path / "m.safetensors")
    path, _ = write_card_template(tmp_path / "m.safetensors")
    card = yaml.safe_load(path.read_text())
    assert card["input"]["channels"] == 3
    assert len(card["labels"]) == 5


def test_bundles_tell_more(tmp_path):
    folder = saved.write_bundle(tmp_path / "bundle", rest=None)
    path, missing = write_card_template(folder)
    assert path == folder / "model.yaml"
    assert missing == ["input.mean", "input.std"]
    card = yaml.safe_load(path.read_text())
    assert card["labels"] == ["left", "right"]
    assert card["input"]["channels"] == ["red", "green"]
    fill_in(path)
    card = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({key: card[key] for key in ("labels", "input")}))
    saved.assert_is_the_network(load_model(folder, device="cpu"))


def test_what_is_not_trusted_is_not_opened_for_it(tmp_path):
    trap = tmp_path / "sprung"
    torch.save(saved.Trap(trap), tmp_path / "m.pt")
    path, missing = write_card_template(tmp_path / "m.pt")
    assert "labels" in missing
    assert "input.channels" in missing
    assert not trap.exists()
    torch.save(tiny.resnet(), tmp_path / "whole.pt")
    path, _ = write_card_template(tmp_path / "whole.pt", trust=True)
    assert yaml.safe_load(path.read_text())["input"]["channels"] == 2


def test_a_card_is_not_written_over(tmp_path):
    WRITE["m.pt"](tmp_path / "m.pt")
    write_card_template(tmp_path / "m.pt")
    with pytest.raises(InputError, match="is there already; --force writes over it"):
        write_card_template(tmp_path / "m.pt")
    write_card_template(tmp_path / "m.pt", force=True)
    out, _ = write_card_template(tmp_path / "m.pt", tmp_path / "other.yaml")
    assert out.is_file()


def test_models_that_there_are_not(tmp_path):
    with pytest.raises(InputError, match="the model does not exist"):
        write_card_template(tmp_path / "m.pt")
    with pytest.raises(InputError, match="is a folder but no MONAI bundle"):
        write_card_template(tmp_path)


def test_a_missing_card_names_the_command(tmp_path):
    WRITE["m.ts"](tmp_path / "m.ts")
    with pytest.raises(InputError, match=r"napari-globalxai card m\.ts"):
        load_model(tmp_path / "m.ts", device="cpu")
