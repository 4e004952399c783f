"""No argument of a card's network may reach a file or the internet."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import NetworkCard
from napari_globalxai.models.files.networks import build_network


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fail wherever something is fetched."""

    def fetch(*args, **keywords):
        raise AssertionError("something is fetched")

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", fetch)
    monkeypatch.setattr("monai.networks.nets.hovernet.download_url", fetch, raising=False)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("HoVerNet", {"pretrained_url": "http://127.0.0.1/x"}),
        ("HoVerNet", {"pretrained_state_dict_path": "weights.pt"}),
        ("resnet18", {"checkpoint": "x.pt", "spatial_dims": 2}),
        ("DenseNet121", {"spatial_dims": 2, "norm": ["batch", {"x": "https://e.org"}]}),
        ("EfficientNetBN", {"model_name": "../efficientnet-b0"}),
        ("resnet18", {"spatial_dims": 2, "cache_dir": "here"}),
    ],
)
def test_arguments_that_reach_out_are_refused(name, arguments):
    card = NetworkCard(name=name, arguments=arguments)
    with pytest.raises(InputError, match="could load a file or something from the internet"):
        build_network(card, Path("model.yaml"))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet18", {"spatial_dims": 2, "n_input_channels": 3, "num_classes": 2}),
        (
            "DenseNet121",
            {"spatial_dims": 2, "in_channels": 3, "out_channels": 2, "pretrained": True},
        ),
        ("EfficientNetBN", {"model_name": "efficientnet-b0", "pretrained": True}),
    ],
)
def test_ordinary_ones_are_built_without_loading(name, arguments):
    card = NetworkCard(name=name, arguments=arguments)
    assert sum(each.numel() for each in build_network(card, Path("model.yaml")).parameters()) > 0
