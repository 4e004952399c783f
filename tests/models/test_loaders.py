"""Weights in the files that people save, and files that must not get to act."""

import pickle
import zipfile

import numpy as np
import pytest
import tiny
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.card import NetworkCard
from napari_globalxai.models.loaders import build_network, load_model

NETWORK = {"name": "ResNet", "arguments": tiny.RESNET}


def write_card(folder, weights, **changes):
    card = {
        "weights": weights,
        "network": NETWORK,
        "labels": list(tiny.LABELS),
        "input": {"channels": 2, "height": 32, "width": 48, "mean": 0.3, "std": 0.1},
        **changes,
    }
    (folder / "model.yaml").write_text(
        yaml.safe_dump({key: value for key, value in card.items() if value is not None})
    )
    return folder / "model.yaml"


def state():
    return {key: value.contiguous() for key, value in tiny.resnet().state_dict().items()}


def prefixed():
    return {f"module.{key}": value for key, value in state().items()}


SAVED = {
    "plain.pt": lambda path: torch.save(state(), path),
    "old.pth": lambda path: torch.save(state(), path, _use_new_zipfile_serialization=False),
    "lightning.ckpt": lambda path: torch.save({"epoch": 3, "state_dict": state()}, path),
    "wrapped.pt": lambda path: torch.save({"model_state_dict": state()}, path),
    "model-key.pt": lambda path: torch.save({"model": state(), "best": 0.9}, path),
    "parallel.pt": lambda path: torch.save(prefixed(), path),
    "both.pt": lambda path: torch.save({"state_dict": prefixed()}, path),
    "safe.safetensors": lambda path: save_file(state(), path),
    "script.pt": lambda path: torch.jit.save(torch.jit.script(tiny.resnet()), str(path)),
    "trace.ts": lambda path: torch.jit.save(
        torch.jit.trace(tiny.resnet(), torch.zeros(2, 2, 32, 48)), str(path)
    ),
}


@pytest.mark.parametrize("name", SAVED)
def test_every_kind_of_file_gives_the_same_predictions(name, tmp_path):
    SAVED[name](tmp_path / name)
    model = load_model(write_card(tmp_path, name), device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 32, 48), dtype=np.uint8)
    inputs = (torch.tensor(images).float() / 255 - 0.3) / 0.1
    with torch.no_grad():
        expected = tiny.resnet()(inputs)
    np.testing.assert_allclose(model.predict(images), expected.numpy(), rtol=1e-4, atol=1e-5)
    assert model.weights == tmp_path / name


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("how", ["torch", "pickle", "safetensors name", "inside state dict"])
def test_a_pickle_does_not_get_to_act(how, tmp_path):
    trap, sprung = Trap(tmp_path / "sprung"), tmp_path / "sprung"
    path = tmp_path / ("m.safetensors" if how == "safetensors name" else "m.pt")
    if how == "torch":
        torch.save(trap, path)
    elif how == "inside state dict":
        torch.save({"state_dict": state(), "hyper_parameters": trap}, path)
    else:
        path.write_bytes(pickle.dumps(trap))
    assert not sprung.exists()
    with pytest.raises(InputError, match=rf"{path.name}: is not") as why:
        load_model(write_card(tmp_path, path.name), device="cpu")
    assert "\n" not in str(why.value)
    assert not sprung.exists()
    # The trap works: whoever trusts the file springs it.
    with open(path, "rb") as stream:  # noqa: PTH123
        if how in ("pickle", "safetensors name"):
            pickle.load(stream).close()
            assert sprung.exists()


def test_a_pickled_module_is_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(InputError, match="other pickles are not opened because they can run code"):
        load_model(write_card(tmp_path, "whole.pt"), device="cpu")


def garbage(path):
    path.write_bytes(b"not a model at all")


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    torch.save(state(), path)
    path.write_bytes(path.read_bytes()[:2000])


def broken_script(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/constants.pkl", b"nonsense")


def other_network(path):
    torch.save(nn.Linear(3, 2).state_dict(), path)


def a_list(path):
    torch.save([torch.zeros(2)], path)


def numbered(path):
    torch.save({1: torch.zeros(2)}, path)


def wrong_safetensors(path):
    weights = state()
    weights["fc.weight"] = torch.zeros(3, 10)
    save_file(weights, path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.pt", garbage, "is not TorchScript, safetensors or a plain state dict"),
        ("a.pt", empty, "is not TorchScript, safetensors or a plain state dict"),
        ("a.pt", truncated, "is not TorchScript, safetensors or a plain state dict"),
        ("a.pt", broken_script, "cannot be read as TorchScript"),
        ("a.pt", other_network, "does not fit the card's network ResNet"),
        ("a.pt", a_list, "holds no state dict"),
        ("a.pt", numbered, "does not fit the card's network ResNet"),
        ("a.safetensors", garbage, "is not a safetensors file"),
        ("a.safetensors", wrong_safetensors, "does not fit the card's network ResNet"),
    ],
)
def test_files_that_cannot_be_used(name, write, message, tmp_path):
    write(tmp_path / name)
    with pytest.raises(InputError, match=message) as why:
        load_model(write_card(tmp_path, name), device="cpu")
    assert str(why.value).startswith(str(tmp_path / name))
    assert "\n" not in str(why.value)


def test_a_state_dict_needs_its_network(tmp_path):
    torch.save(state(), tmp_path / "a.pt")
    card = write_card(tmp_path, "a.pt", network=None)
    with pytest.raises(InputError, match="must name its MONAI network under 'network'"):
        load_model(card, device="cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["a", "b", "c"]}, "2 outputs but the card names 3 labels"),
        (
            {"input": {"channels": 3, "height": 32, "width": 48}},
            r"does not take the card's input \(3, 32, 48\)",
        ),
        ({"activation": "none"}, "outputs are not probabilities"),
    ],
)
def test_a_card_that_does_not_match_its_model(changes, message, tmp_path):
    torch.save(state(), tmp_path / "a.pt")
    card = write_card(tmp_path, "a.pt", **changes)
    with pytest.raises(InputError, match=message) as why:
        load_model(card, device="cpu")
    assert str(why.value).startswith(str(card))
    assert "\n" not in str(why.value)


# ---------------------------------------------------------------- networks by name


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "torch.load",
        "__builtins__",
        "_resnet",
        "resnet",  # a module of MONAI's, not a network
        "Gone",
        "get_pretrained_resnet_medicalnet",  # downloads a file and unpickles it
        "drop_connect",
    ],
)
def test_a_card_reaches_monai_networks_only(name, tmp_path):
    with pytest.raises(InputError, match="MONAI") as why:
        build_network(NetworkCard(name=name), tmp_path / "m.pt")
    assert name in str(why.value)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ResNet", {"block": "basic"}),
        ("ResNet", {**tiny.RESNET, "block": "unheard-of"}),
        ("resnet18", {"spatial_dims": 7}),
        ("EfficientNetBN", {"model_name": "efficientnet-z9"}),
    ],
)
def test_arguments_that_a_network_does_not_take(name, arguments, tmp_path):
    with pytest.raises(InputError, match=f"MONAI's {name} does not take the card's arguments"):
        build_network(NetworkCard(name=name, arguments=arguments), tmp_path / "m.pt")


def test_no_weights_are_downloaded(tmp_path, monkeypatch):
    """EfficientNetBN would by default; the file's weights replace them anyway."""

    def refuse(*arguments, **options):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("monai.networks.nets.efficientnet.model_zoo.load_url", refuse)
    network = NetworkCard(
        name="EfficientNetBN",
        arguments={"model_name": "efficientnet-b0", "in_channels": 2, "num_classes": 2},
    )
    assert isinstance(build_network(network, tmp_path / "m.pt"), nn.Module)
