"""Weights in what training frameworks save around them: the right ones, or a sentence."""

import numpy as np
import pytest
import tiny
import torch
import yaml
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.loaders import load_model

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 2, 32, 48), dtype=np.uint8)


def state(seed=0):
    return {key: value.contiguous() for key, value in tiny.resnet(seed).state_dict().items()}


def prefixed(prefix, seed=0):
    return {prefix + key: value for key, value in state(seed).items()}


def load(folder, **changes):
    card = {
        "weights": "m.pt",
        "network": {"name": "ResNet", "arguments": tiny.RESNET},
        "labels": list(tiny.LABELS),
        "input": {"channels": 2, "height": 32, "width": 48, "mean": 0.3, "std": 0.1},
        **changes,
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return load_model(folder / "model.yaml", device="cpu")


def assert_has_weights(model, seed):
    with torch.no_grad():
        expected = tiny.resnet(seed)((torch.tensor(IMAGES).float() / 255 - 0.3) / 0.1)
    np.testing.assert_allclose(model.predict(IMAGES), expected.numpy(), rtol=1e-4, atol=1e-5)


def compiled():
    return torch.compile(tiny.resnet()).state_dict()


def parallel_and_compiled():
    return torch.nn.DataParallel(torch.compile(tiny.resnet())).state_dict()


def averaged():
    return AveragedModel(tiny.resnet()).state_dict()


def inner_compiled():
    network = tiny.resnet()
    network.layer2 = torch.compile(network.layer2)
    return network.state_dict()


def lightning():
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.5",
        "state_dict": prefixed("model."),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}],
        "callbacks": {},
    }


# What is saved, and what is stripped of its names.
ONE_SET = {
    "net key": (lambda: {"net": state(), "epoch": 3}, None),
    "weights key": (lambda: {"weights": state()}, None),
    "model_state": (lambda: {"model_state": state()}, None),
    "nested": (lambda: {"checkpoint": {"model": {"state_dict": state()}}}, None),
    "model.": (lambda: prefixed("model."), "'model.'"),
    "net.": (lambda: {"state_dict": prefixed("net.")}, "'net.'"),
    "module.model.backbone.": (
        lambda: prefixed("module.model.backbone."),
        "'module.model.backbone.'",
    ),
    "torch.compile": (compiled, "'_orig_mod.'"),
    "DataParallel and torch.compile": (parallel_and_compiled, "'_orig_mod.' and 'module.'"),
    "a compiled stage": (inner_compiled, "'_orig_mod.'"),
    "AveragedModel": (averaged, "'module.'"),
    "Lightning": (lightning, "'model.'"),
    "beside an optimiser": (
        lambda: {
            "model": state(),
            "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": []},
        },
        None,
    ),
}


@pytest.mark.parametrize("name", ONE_SET)
def test_weights_are_found_and_what_is_stripped_is_said(name, tmp_path):
    make, stripped = ONE_SET[name]
    torch.save(make(), tmp_path / "m.pt")
    model = load(tmp_path)
    assert_has_weights(model, 0)
    said = [sentence for sentence in model.warnings if "stripped" in sentence]
    assert len(said) == (stripped is not None)
    assert all(f"{stripped} was stripped" in sentence for sentence in said)


def test_prefixes_in_safetensors(tmp_path):
    save_file(prefixed("model."), tmp_path / "m.safetensors")
    assert_has_weights(load(tmp_path, weights="m.safetensors"), 0)


# What is saved with the weights of seeds 0 and 1; the name of each.
TWO_SETS = {
    "state_dict_ema": (
        lambda: {"state_dict_ema": state(1), "state_dict": state(0)},
        ("state_dict", "state_dict_ema"),
    ),
    "model and ema": (
        lambda: {"epoch": 1, "model": state(0), "ema": {"module": state(1)}},
        ("model", "ema.module"),
    ),
    "prefixes": (
        lambda: {"state_dict": prefixed("net_ema.", 1) | prefixed("net.", 0)},
        ("state_dict.net", "state_dict.net_ema"),
    ),
    "teacher and student": (
        lambda: {"teacher": prefixed("module.", 1), "student": prefixed("module.", 0)},
        ("student", "teacher"),
    ),
}


@pytest.mark.parametrize("name", TWO_SETS)
def test_which_of_two_sets_is_said_and_the_card_chooses(name, tmp_path):
    make, (first, second) = TWO_SETS[name]
    torch.save(make(), tmp_path / "m.pt")
    model = load(tmp_path)
    assert_has_weights(model, 0)
    assert any(
        f"several sets of weights that fit; {first} is taken, not {second}: weights_key" in said
        for said in model.warnings
    )
    for key, seed in ((first, 0), (second, 1), (second.partition(".")[0], None)):
        chosen = load(tmp_path, weights_key=key)
        if seed is not None:
            assert_has_weights(chosen, seed)
            assert not any("several sets" in said for said in chosen.warnings)
            assert chosen.card.weights_key == key


def test_a_running_average_alone_is_taken(tmp_path):
    network = AveragedModel(tiny.resnet(1), multi_avg_fn=get_ema_multi_avg_fn(0.9))
    torch.save({"ema": network.state_dict()}, tmp_path / "m.pt")
    assert_has_weights(load(tmp_path), 1)


def test_what_lies_beside_the_weights_is_named(tmp_path):
    extra = {"criterion.pos_weight": torch.ones(2), "metric.total": torch.zeros(1)}
    torch.save({"state_dict": prefixed("model.") | extra}, tmp_path / "m.pt")
    model = load(tmp_path)
    assert_has_weights(model, 0)
    assert any("criterion.pos_weight, metric.total beside" in said for said in model.warnings)


def test_a_key_that_names_no_weights(tmp_path):
    torch.save({"state_dict": state(0), "ema": state(1)}, tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"weights_key 'swa' .* there are state_dict, ema\."):
        load(tmp_path, weights_key="swa")
    torch.save(tiny.resnet(), tmp_path / "whole.pt")
    torch.jit.save(torch.jit.script(tiny.resnet()), str(tmp_path / "m.pt"))
    with pytest.raises(InputError, match="whole network, so the card's weights_key 'ema'"):
        load(tmp_path, weights_key="ema")


def without(name):
    return {key: value for key, value in state().items() if not key.startswith(name)}


MISFITS = {
    "missing": (lambda: without("layer4.0.conv"), r"missing: layer4\.0\.conv1\.weight, "),
    "unexpected": (
        lambda: {**state(), "head2.weight": torch.zeros(2, 2)},
        r"\(unexpected: head2\.weight\)",
    ),
    "both": (
        lambda: {f"model.{key}".replace("fc.", "top."): value for key, value in state().items()},
        r"\(missing: fc\.weight, fc\.bias; unexpected: top\.weight, top\.bias\)",
    ),
    "shape": (
        lambda: {"net": {**state(), "fc.weight": torch.zeros(3, 10)}},
        r"\(of another shape: fc\.weight is 3 × 10, not 2 × 10\)",
    ),
    "many": (lambda: {"a.weight": torch.zeros(2)}, r"missing: .*, .*, .* and \d+ more; unexpected"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_listed(name, tmp_path):
    make, message = MISFITS[name]
    torch.save(make(), tmp_path / "m.pt")
    with pytest.raises(InputError, match=message) as why:
        load(tmp_path)
    assert "does not fit the card's network ResNet" in str(why.value)
    assert "\n" not in str(why.value)


def test_a_key_that_is_not_given_leaves_no_trace_in_the_card():
    card = {"weights": "w", "labels": ["a"], "input": {"channels": 1, "height": 8, "width": 8}}
    assert "weights_key" not in ModelCard(**card).model_dump(mode="json")
    assert ModelCard(**card, weights_key="ema").model_dump(mode="json")["weights_key"] == "ema"


OTHER_NUMBERS = {
    "int8": lambda weight: (weight * 100).to(torch.int8),
    "bool": lambda weight: weight > 0,
    "float8_e4m3fn": lambda weight: weight.to(torch.float8_e4m3fn),
    "complex64": lambda weight: weight.to(torch.complex64),
    "sparse_coo": lambda weight: weight.to_sparse(),
    "meta": lambda weight: weight.to("meta"),
}


@pytest.mark.parametrize("kind", OTHER_NUMBERS)
def test_weights_that_are_numbers_of_another_kind_are_refused(kind, tmp_path):
    """PyTorch would convert them without a word: a quantised model without its scales."""
    weights = state()
    weights["fc.weight"] = OTHER_NUMBERS[kind](weights["fc.weight"])
    torch.save(weights, tmp_path / "m.pt")
    with pytest.raises(InputError, match=rf"m.pt: fc.weight is no dense .*{kind}.*float32\.$"):
        load(tmp_path)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_in_other_formats_of_floats_are_taken(kind, tmp_path):
    weights = {key: value.to(kind) if value.is_floating_point() else value
               for key, value in state().items()}  # fmt: skip
    torch.save(weights, tmp_path / "m.pt")
    same = {key: value.float() for key, value in weights.items()}
    taken = load(tmp_path).network.state_dict()
    torch.testing.assert_close(taken["fc.weight"], same["fc.weight"], rtol=0, atol=0)
