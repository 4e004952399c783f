"""TorchScript of common networks is let through, whole families of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import stand_ins
import tiny
import torch

from napari_globalxai.errors import InputError
from napari_globalxai.models.files.script_safety import check_graphs, check_source
from napari_globalxai.models.files.weights_file import WeightsFile

PATH = Path("net.pt")
SIZES = {"vit_tiny_patch16_224": 224, "mobilevit_xxs": 128}


def check(network, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(network, str(path))
        check_source(WeightsFile(path))
        check_graphs(torch.jit.load(str(path)), path)


@pytest.mark.parametrize("how", ["script", "trace"])
def test_the_network_of_the_suite_passes(how, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = (
            torch.jit.script(tiny.resnet())
            if how == "script"
            else torch.jit.trace(tiny.resnet(), torch.zeros(2, 2, 32, 48))
        )
    check(network, tmp_path / "net.pt")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "efficientnet_b0", "mobilenetv3_small_100", "regnety_002", "ghostnet_100"),
        *("vit_tiny_patch16_224", "mobilevit_xxs", "convnext_atto", "edgenext_xx_small"),
    ],
)
def test_networks_of_timm_pass(name, tmp_path):
    with stand_ins.torchvision():
        timm = pytest.importorskip("timm")
        size = SIZES.get(name, 64)
        for how in ("script", "trace"):
            network = timm.create_model(name, num_classes=2, scriptable=how == "script").eval()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = (
                    torch.jit.script(network)
                    if how == "script"
                    else torch.jit.trace(network, torch.zeros(1, 3, size, size), check_trace=False)
                )
            check(made, tmp_path / f"{how}.pt")


def test_a_method_of_a_submodule_is_seen():
    class Inner(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

        @torch.jit.export
        def later(self, x: torch.Tensor) -> None:
            torch.save(x, "never")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.jit.script(torch.nn.Sequential(torch.nn.Sequential(Inner())))
    with pytest.raises(InputError, match=r"uses save, which does more than compute"):
        check_graphs(network, PATH)
