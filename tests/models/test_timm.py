"""Networks of timm, by name, with weights in a file."""

import sys

import pytest
import stand_ins
import torch
import yaml

from napari_globalxai.attribution.method import make_method
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import InputCard, ModelCard, NetworkCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.files.networks import build_network
from napari_globalxai.models.loaders import load_model

with stand_ins.torchvision():
    timm = pytest.importorskip("timm")

HEIGHT, WIDTH = 64, 96
SIZE = {"img_size": [HEIGHT, WIDTH]}
SMALL = {"depth": 3, "embed_dim": 48, "num_heads": 3}


def write_model(folder, name, arguments, weights="model.pt"):
    arguments = {"in_chans": 2, "num_classes": 2, **arguments}
    torch.manual_seed(0)
    network = timm.create_model(name, **arguments).eval()
    torch.save(network.state_dict(), folder / weights)
    card = {
        "weights": weights,
        "labels": ["a", "b"],
        "input": {"channels": 2, "height": HEIGHT, "width": WIDTH},
        "network": {"timm": name, "arguments": arguments},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return network


@pytest.mark.parametrize(
    ("name", "arguments", "layer", "first"),
    [
        ("resnet18", {}, "layer4", 0.0),
        ("efficientnet_b0", {}, "bn2", 0.0),
        ("convnext_atto", {}, "norm_pre", 15.5),
        ("vit_tiny_patch16_224", SIZE, "blocks.10", 7.5),
        ("vit_base_patch16_siglip_gap_224", {**SIZE, **SMALL}, "norm", 7.5),
        ("swin_tiny_patch4_window7_224", {**SIZE, "window_size": 2}, "norm", 15.5),
    ],
)
def test_a_network_by_name(name, arguments, layer, first, tmp_path):
    network = write_model(tmp_path, name, arguments)
    model = load_model(tmp_path / "model.yaml", device="cpu")
    inputs = torch.randn(2, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model.logits(inputs), network(inputs), rtol=1e-3, atol=1e-4)
    assert model.split.layer == layer
    assert model.cell_grid.measured
    assert model.cell_grid.y[0] == pytest.approx(first)
    maps = make_method("grad-cam").attribute(model, inputs, [0, 1]).maps
    assert maps.shape == (2, 2, *model.cell_grid.shape)
    assert maps.any()


@pytest.mark.parametrize(
    ("name", "layer"), [("efficientnet_b0", "blocks.4"), ("mobilenetv3_small_100", "blocks.3")]
)
def test_small_images_leave_the_deepest_stage_that_has_cells(name, layer):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=2).eval()
    card = ModelCard(
        weights="", labels=("a", "b"), input=InputCard(channels=3, height=28, width=28)
    )
    model = Classifier(network, card, device="cpu")
    assert model.split.layer == layer
    assert model.cell_grid.shape == (2, 2)
    assert any("has 2 × 2 cells" in sentence for sentence in model.warnings)


@pytest.mark.parametrize(
    "name", ["hf-hub:someone/model", "local-dir:/tmp/x", "../resnet18", "timm/resnet18", "gone", ""]
)
def test_nothing_but_names_of_timm(name, tmp_path, monkeypatch):
    """Names with a colon or a slash would make timm fetch a model and its configuration."""
    monkeypatch.setattr(timm, "create_model", lambda *args, **kwargs: pytest.fail("was called"))
    with pytest.raises(InputError, match="timm has no model"):
        build_network(NetworkCard(timm=name), tmp_path / "m.pt")


@pytest.mark.parametrize("argument", ["checkpoint_path", "pretrained", "pretrained_cfg"])
def test_arguments_that_load_other_weights_are_refused(argument, tmp_path):
    with pytest.raises(InputError, match=f"the argument {argument} of timm would load"):
        build_network(
            NetworkCard(timm="resnet18", arguments={argument: "x"}), tmp_path / "m.pt", trust=True
        )


def test_arguments_that_it_does_not_take(tmp_path):
    with pytest.raises(InputError, match=r"timm's resnet18 does not take the card's arguments \("):
        build_network(NetworkCard(timm="resnet18", arguments={"wings": 2}), tmp_path / "m.pt")


def test_weights_of_another_network(tmp_path):
    write_model(tmp_path, "resnet18", {})
    card = yaml.safe_load((tmp_path / "model.yaml").read_text())
    card["network"]["timm"] = "resnet26"
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(InputError, match="does not fit the card's network resnet26"):
        load_model(tmp_path / "model.yaml", device="cpu")


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"pip install 'napari-globalxai\[timm\]'"):
        build_network(NetworkCard(timm="resnet18"), tmp_path / "m.pt")
