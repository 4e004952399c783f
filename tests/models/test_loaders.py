"""Weights in the files that people save, and files that must not get to act."""

import io
import pickle
import re
import zipfile

import numpy as np
import pytest
import saved
import tiny
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

import napari_globalxai as gx
from napari_globalxai.attribution.method import make_method
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import NetworkCard
from napari_globalxai.models.files.networks import build_network
from napari_globalxai.models.loaders import load_model

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


@pytest.mark.parametrize("how", ["torch", "pickle", "safetensors name", "inside state dict"])
def test_a_pickle_does_not_get_to_act(how, tmp_path):
    trap, sprung = saved.Trap(tmp_path / "sprung"), tmp_path / "sprung"
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
    with pytest.raises(InputError, match="if it is a pickled module, it can run code"):
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
    with pytest.raises(InputError, match="must name its network under 'network'"):
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


# ---------------------------------------------------------------- files that need trust


def images(count=3):
    return np.random.default_rng(0).integers(0, 256, (count, 2, 32, 48), dtype=np.uint8)


def expected_logits():
    with torch.no_grad():
        return tiny.resnet()((torch.tensor(images()).float() / 255 - 0.3) / 0.1).numpy()


def export(path, *, dynamic=True):
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    program = torch.export.export(
        tiny.resnet(), (torch.zeros(2, 2, 32, 48),), dynamic_shapes=shapes
    )
    torch.export.save(program, path)


FACTORY = """
import tiny
made = []

def make(**arguments):
    made.append(arguments)
    return tiny.ResNet(**arguments)
"""


def own_factory(path):
    torch.save(state(), path)
    (path.parent / "mine.py").write_text(FACTORY)


NEED_TRUST = {
    "module.pt": (lambda path: torch.save(tiny.resnet(), path), {}),
    "program.pt2": (export, {"network": None}),
    "state.pt": (
        own_factory,
        {"network": {"factory": "mine.py:make", "arguments": tiny.RESNET}},
    ),
    "package.pt": (
        own_factory,
        {"network": {"factory": "tiny:ResNet", "arguments": tiny.RESNET}},
    ),
}


@pytest.mark.parametrize("name", NEED_TRUST)
def test_what_can_run_code_needs_trust(name, tmp_path):
    write, changes = NEED_TRUST[name]
    write(tmp_path / name)
    card = write_card(tmp_path, name, **changes)
    with pytest.raises(InputError, match="only where you say that you trust it: --trust") as why:
        load_model(card, device="cpu")
    assert name in str(why.value)
    assert "\n" not in str(why.value)
    model = load_model(card, device="cpu", trust=True)
    np.testing.assert_allclose(model.predict(images()), expected_logits(), rtol=1e-4, atol=1e-5)
    assert model.trusted
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


@pytest.mark.parametrize("name", ["module.pt", "program.pt2", "state.pt"])
def test_gradients_flow_and_the_network_is_split(name, tmp_path):
    write, changes = NEED_TRUST[name]
    write(tmp_path / name)
    model = load_model(write_card(tmp_path, name, **changes), device="cpu", trust=True)
    plain = load_model(tiny.write_resnet(tmp_path / "plain"), device="cpu")
    for method in ("saliency", "grad-cam"):
        given, wanted = (
            make_method(method).attribute(each, each.to_input(images()), [0, 1]).maps
            for each in (model, plain)
        )
        np.testing.assert_allclose(given, wanted, rtol=1e-3, atol=1e-6)


def test_a_trap_springs_only_where_it_is_trusted(tmp_path):
    trap = tmp_path / "sprung"
    torch.save({"state_dict": state(), "extra": saved.Trap(trap)}, tmp_path / "m.pt")
    card = write_card(tmp_path, "m.pt")
    with pytest.raises(InputError, match="--trust"):
        load_model(card, device="cpu")
    assert not trap.exists()
    with pytest.warns(ResourceWarning):
        load_model(card, device="cpu", trust=True)
    assert trap.exists()


@pytest.mark.parametrize("name", ["sample_inputs", "formula", "operator"])
def test_a_program_does_not_get_to_act_either(name, tmp_path):
    """PyTorch unpickles its example, and evaluates its formulas and names of operators."""
    export(tmp_path / "good.pt2")
    trap = tmp_path / "sprung"
    with (
        zipfile.ZipFile(tmp_path / "good.pt2") as good,
        zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad,
    ):
        for entry in good.namelist():
            content = good.read(entry)
            if name == "sample_inputs" and "sample_inputs" in entry:
                stream = io.BytesIO()
                torch.save((saved.Trap(trap),), stream)
                content = stream.getvalue()
            elif name == "formula" and entry.endswith("model.json"):
                act = f"open('{trap}', 'w')"
                content = re.sub(rb'"expr_str": "[^"]*"', f'"expr_str": "{act}"'.encode(), content)
            elif name == "operator" and entry.endswith("model.json"):
                content = content.replace(b"torch.ops.aten.relu.default", b"torch.os.getcwd")
            bad.writestr(entry, content)
    with pytest.raises(InputError, match="it can run code"):
        load_model(write_card(tmp_path, "bad.pt2", network=None), device="cpu")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("gone.py:make", "cannot be imported"),
        ("no_such_package:make", "cannot be imported"),
        ("tiny:no_such_function", "cannot be imported"),
        ("tiny:input_card", "does not take the card's arguments"),
        ("os:getcwd", "is wrong|does not take"),
    ],
)
def test_factories_that_cannot_be_used(factory, message, tmp_path):
    torch.save(state(), tmp_path / "m.pt")
    network = {"factory": factory, "arguments": tiny.RESNET}
    with pytest.raises(InputError, match=message) as why:
        load_model(write_card(tmp_path, "m.pt", network=network), device="cpu", trust=True)
    assert "\n" not in str(why.value)


def test_a_program_for_one_batch_size_says_how_to_export_it(tmp_path):
    export(tmp_path / "fixed.pt2", dynamic=False)
    with pytest.raises(InputError, match="batch of any size"):
        load_model(write_card(tmp_path, "fixed.pt2", network=None), device="cpu", trust=True)


# ---------------------------------------------------------------- facts against the model


def test_the_number_of_channels_that_it_takes_is_said(tmp_path):
    torch.save(state(), tmp_path / "a.pt")
    card = write_card(tmp_path, "a.pt", input={"channels": 3, "height": 32, "width": 48})
    with pytest.raises(InputError, match="its first layer takes 2 channels"):
        load_model(card, device="cpu")


@pytest.mark.parametrize(
    ("last", "activation", "odd"),
    [
        (nn.Sigmoid(), "sigmoid", True),
        (nn.Softmax(dim=1), "softmax", True),
        (nn.Sigmoid(), "none", False),
        (nn.Identity(), "sigmoid", False),
    ],
)
def test_probabilities_that_would_be_squashed_again_are_noticed(last, activation, odd, tmp_path):
    network = nn.Sequential(tiny.resnet(), last)
    torch.jit.save(torch.jit.trace(network, torch.zeros(2, 2, 32, 48)), str(tmp_path / "a.ts"))
    card = write_card(tmp_path, "a.ts", network=None, activation=activation)
    warnings = load_model(card, device="cpu").warnings
    assert len(warnings) == odd
    assert all("look like probabilities already" in warning for warning in warnings)


def test_a_run_that_names_another_model_does_not_open_it(tmp_path, monkeypatch):
    """The hash is held against the file before anything in it is read."""
    run = gx.explain(
        tiny.write_cohort(tmp_path / "cohort", 8),
        tiny.write_linear(tmp_path / "model"),
        tmp_path / "run",
        "saliency",
        device="cpu",
    )
    other = tiny.write_linear(tmp_path / "other", tiny.sign_weights() * 2)
    monkeypatch.setattr("torch.jit.load", lambda *args, **keywords: pytest.fail("it was opened"))
    again = gx.open_run(run.folder)
    with pytest.raises(InputError, match=r"is not the model that .* was made with"):
        again.classifier(model=other, device="cpu")
    with pytest.raises(InputError, match="its run was made with another model; choose another"):
        gx.explain(
            tmp_path / "cohort" / "cohort.csv", other, run.folder, "saliency",
            device="cpu", resume=True,
        )  # fmt: skip
