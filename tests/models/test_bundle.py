"""MONAI bundles: what they tell, and what must not get to act."""

import json
import stat
import zipfile

import pytest
import saved
import tiny
import torch
import yaml
from monai.bundle import ConfigParser
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.loaders import load_model


@pytest.mark.parametrize("name", ["json", "yaml"])
@pytest.mark.parametrize(
    "network",
    [
        saved.NETWORK,
        {**saved.NETWORK, "_target_": "monai.networks.nets.ResNet", "_desc_": "small"},
        {**saved.NETWORK, "_target_": "monai.networks.nets.resnet.ResNet"},
        {**saved.NETWORK, "num_classes": "@classes", "layers": "@sizes::depths"},
    ],
)
def test_folders(name, network, tmp_path):
    config = {"classes": 2, "sizes": {"depths": [1, 1, 1, 1]}, "other": "$import os"}
    folder = saved.write_bundle(tmp_path / "bundle", network=network, config=config, name=name)
    model = load_model(folder, device="cpu")
    saved.assert_is_the_network(model)
    assert model.labels == tiny.LABELS
    assert model.card.input.channels == ("red", "green")
    assert model.frame_shape == (32, 48)
    assert model.card.name == "Tiny classifier"
    assert not model.trusted


@pytest.mark.parametrize("top", ["", "tiny_bundle/"])
def test_zip_files_leave_nothing_behind(top, tmp_path):
    path = saved.zipped(saved.write_bundle(tmp_path / "bundle"), top)
    before = sorted(tmp_path.rglob("*"))
    saved.assert_is_the_network(load_model(path, device="cpu"))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_card_beside_a_zip_file_completes_it(tmp_path):
    path = saved.zipped(saved.write_bundle(tmp_path / "bundle", rest=None))
    path.with_suffix(".yaml").write_text(yaml.safe_dump({**saved.REST, "labels": ["a", "b"]}))
    model = load_model(path, device="cpu")
    assert model.labels == ("a", "b")
    saved.assert_is_the_network(model)


def test_torchscript_needs_no_configuration(tmp_path):
    folder = saved.write_bundle(tmp_path / "bundle", network={"_target_": "$gone"})
    (folder / "models" / "model.pt").unlink()
    traced = torch.jit.trace(tiny.resnet(), torch.zeros(2, 2, 32, 48))
    torch.jit.save(traced, str(folder / "models" / "model.ts"))
    saved.assert_is_the_network(load_model(folder, device="cpu"))
    saved.assert_is_the_network(load_model(saved.zipped(folder), device="cpu"))


# ---------------------------------------------------------------- what must not get to act


def acting(trap, template):
    return json.loads(json.dumps(template).replace("TRAP", str(trap)))


EXPRESSION = "$open('TRAP', 'w')"
ACTING = {
    "an argument": {**saved.NETWORK, "num_classes": "$open('TRAP', 'w') and 2"},
    "deep inside": {**saved.NETWORK, "layers": [1, 1, 1, "$len(open('TRAP', 'w').name) * 0 + 1"]},
    "behind a reference": {**saved.NETWORK, "num_classes": "@count"},
    "the whole": "$open('TRAP', 'w') and __import__('tiny').resnet()",
    "another target": {"_target_": "builtins.open", "file": "TRAP", "mode": "w"},
    "a target inside": {
        **saved.NETWORK, "num_classes": {"_target_": "builtins.open", "file": "TRAP", "mode": "w"}
    },
    "requirements": {**saved.NETWORK, "_requires_": "$open('TRAP', 'w')"},
    "a macro": {**saved.NETWORK, "num_classes": "%configs/train.json::count"},
}  # fmt: skip


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("where", ACTING)
def test_expressions_do_not_get_to_act(where, archive, tmp_path):
    trap = tmp_path / "sprung"
    config = acting(trap, {"count": "$open('TRAP', 'w') and 2", "imports": ["$import os"]})
    folder = saved.write_bundle(
        tmp_path / "bundle", network=acting(trap, ACTING[where]), config=config
    )
    path = saved.zipped(folder) if archive else folder
    with pytest.raises(InputError, match="only where you say that you trust it: --trust") as why:
        load_model(path, device="cpu")
    assert str(path) in str(why.value)
    assert "network_def" in str(why.value)
    assert "\n" not in str(why.value)
    assert not trap.exists()


def test_expressions_act_where_they_are_trusted(tmp_path):
    trap = tmp_path / "sprung"
    network = acting(trap, {**saved.NETWORK, "num_classes": "$bool(open('TRAP', 'w')) * 2"})
    folder = saved.write_bundle(tmp_path / "bundle", network=network)
    with pytest.warns(ResourceWarning):
        model = load_model(folder, device="cpu", trust=True)
    assert trap.exists()
    saved.assert_is_the_network(model)
    # MONAI's own reading of the same configuration.
    trap.unlink()
    with pytest.warns(ResourceWarning):
        built = ConfigParser({"network_def": network}).get_parsed_content("network_def")
    assert isinstance(built, nn.Module)


@pytest.mark.parametrize("archive", [False, True])
def test_pickles_in_bundles_do_not_get_to_act(archive, tmp_path):
    trap = tmp_path / "sprung"
    folder = saved.write_bundle(tmp_path / "bundle")
    torch.save(
        {"model": tiny.resnet().state_dict(), "x": saved.Trap(trap)}, folder / "models/model.pt"
    )
    with pytest.raises(InputError, match=r"model\.pt: is not .*--trust"):
        load_model(saved.zipped(folder) if archive else folder, device="cpu")
    assert not trap.exists()


@pytest.mark.parametrize(
    "entry",
    ["../outside.py", "tiny_bundle/../../outside", "/etc/outside", "C:\\outside", "a\\..\\..\\b"],
)
def test_entries_that_lead_out_of_a_zip_file(entry, tmp_path):
    path = saved.zipped(saved.write_bundle(tmp_path / "deep" / "bundle"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, "harm")
    before = sorted(tmp_path.rglob("*"))
    for trust in (False, True):
        with pytest.raises(InputError, match="leads out of the archive; it is not opened"):
            load_model(path, device="cpu", trust=trust)
    assert sorted(tmp_path.rglob("*")) == before


def test_links_in_a_zip_file(tmp_path):
    path = saved.zipped(saved.write_bundle(tmp_path / "bundle"))
    link = zipfile.ZipInfo("tiny_bundle/models/secret")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="leads out of the archive"):
        load_model(path, device="cpu")


# ---------------------------------------------------------------- bundles that lack something


def with_classes(value):
    return {**saved.NETWORK, "num_classes": value}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metadata": {}, "rest": None}, "metadata do not tell its labels and input; .* card"),
        ({"metadata": []}, "holds no mapping"),
        ({"metadata": {"network_data_format": 3}}, "not as MONAI's metadata are"),
        ({"network": {"_target_": "NoSuchNet"}}, "MONAI has no network 'NoSuchNet'"),
        ({"network": {**saved.NETWORK, "num_classes": "@gone"}}, "refers to '@gone', which is not"),
        (
            {"network": {**saved.NETWORK, "num_classes": "@network_def::num_classes"}},
            "refers to itself",
        ),
        ({"network": 3}, "names no _target_"),
        (
            {"network": {**saved.NETWORK, "num_classes": 5}},
            "does not fit the card's network ResNet",
        ),
    ],
)
def test_one_sentence_for_what_is_missing(changes, message, tmp_path):
    folder = saved.write_bundle(tmp_path / "bundle", **changes)
    with pytest.raises(InputError, match=message) as why:
        load_model(folder, device="cpu")
    assert "\n" not in str(why.value)
    assert str(folder) in str(why.value)


def test_a_bundle_without_weights_or_network(tmp_path):
    folder = saved.write_bundle(tmp_path / "bundle")
    (folder / "configs" / "inference.json").unlink()
    with pytest.raises(InputError, match="defines no network_def"):
        load_model(folder, device="cpu")
    (folder / "models" / "model.pt").unlink()
    with pytest.raises(InputError, match="has no weights; looked for"):
        load_model(folder, device="cpu")


def test_files_that_are_no_zip_files(tmp_path):
    (tmp_path / "model.zip").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="is not a zip file"):
        load_model(tmp_path / "model.zip", device="cpu")
