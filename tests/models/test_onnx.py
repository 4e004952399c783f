"""ONNX files, as both exporters of PyTorch write them, answer and explain as their network."""

import hashlib
import sys
import warnings

import architectures
import numpy as np
import pytest
import stand_ins
import tiny
import torch
import yaml

from napari_globalxai.attribution.method import make_method
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.card_template import write_card_template
from napari_globalxai.models.files.weights import read_weights
from napari_globalxai.models.files.weights_file import WeightsFile
from napari_globalxai.models.loaders import load_model

pytest.importorskip("onnx")
with stand_ins.torchvision():
    pytest.importorskip("onnx2pytorch")


def export(network, path, *, exporter, shape, batch=True):
    example = torch.zeros(2, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "newer":
            sizes = ({0: torch.export.Dim("batch")},) if batch else None
            torch.onnx.export(
                network, (example,), path, dynamo=True, dynamic_shapes=sizes, verbose=False
            )
        else:
            sizes = {"images": {0: "batch"}, "logits": {0: "batch"}} if batch else None
            torch.onnx.export(
                network, (example,), path, dynamo=False, dynamic_axes=sizes,
                input_names=["images"], output_names=["logits"],
            )  # fmt: skip
    return path


def write_model(folder, exporter="older", **changes):
    shape = (2, tiny.HEIGHT, tiny.WIDTH)
    export(tiny.resnet(), folder / "resnet.onnx", exporter=exporter, shape=shape, **changes)
    card = {
        "weights": "resnet.onnx",
        "labels": list(tiny.LABELS),
        "input": {"channels": 2, "height": tiny.HEIGHT, "width": tiny.WIDTH, "mean": 0.3},
    }
    (folder / "resnet.yaml").write_text(yaml.safe_dump(card))
    return folder / "resnet.onnx"


@pytest.mark.parametrize("exporter", ["older", "newer"])
@pytest.mark.parametrize(
    "name", [name for name in architectures.ARCHITECTURES if name[:5] != "MONAI"]
)
def test_same_logits_cells_and_maps_as_the_network(name, exporter, tmp_path):
    shape = (2, architectures.HEIGHT, architectures.WIDTH)
    network = architectures.make(name)
    path = export(network, tmp_path / "model.onnx", exporter=exporter, shape=shape)
    model = architectures.classifier(read_weights(WeightsFile(path), trust=False))
    plain = architectures.classifier(network)
    inputs = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model.logits(inputs), network(inputs), rtol=1e-3, atol=1e-4)
    assert model.cell_grid.measured
    np.testing.assert_allclose(model.cell_grid.y, plain.cell_grid.y, atol=1e-6)
    np.testing.assert_allclose(model.cell_grid.x, plain.cell_grid.x, atol=1e-6)
    # Of the random SEResNet rounding alone, as by folding, changes gradients by 8e-3.
    methods = [] if name == "SEResNet" else ["saliency", "input-x-gradient"]
    if name not in ("DenseNet", "Swin"):
        # These have a last map, before or behind the one of a module, that no module gives.
        methods += ["grad-cam", "layer-cam"]
    for method in methods:
        found = make_method(method).attribute(model, inputs, [1, 0]).maps
        expected = make_method(method).attribute(plain, inputs, [1, 0]).maps
        assert float((found - expected).norm() / expected.norm()) < 1e-3


@pytest.mark.parametrize("exporter", ["older", "newer"])
def test_a_model_with_its_card(exporter, tmp_path):
    model = load_model(write_model(tmp_path, exporter), device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (3, 2, tiny.HEIGHT, tiny.WIDTH))
    with torch.no_grad():
        expected = tiny.resnet()(model.to_input(images))
    np.testing.assert_allclose(model.predict(images), expected, rtol=1e-3, atol=1e-4)
    assert make_method("deep-lift").attribute(model, model.to_input(images), [0]).maps.any()


def test_the_template_of_a_card(tmp_path):
    path = write_model(tmp_path)
    (tmp_path / "resnet.yaml").unlink()
    card, missing = write_card_template(path)
    content = yaml.safe_load(card.read_text())
    assert content["weights"] == "resnet.onnx"
    assert content["input"]["channels"] == 2
    assert len(content["labels"]) == 2
    assert "input.height" in missing


def test_a_batch_of_fixed_size_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not take a batch of any size; export it with"):
        load_model(write_model(tmp_path, batch=False), device="cpu")


def test_damaged_files(tmp_path):
    path = write_model(tmp_path)
    whole = path.read_bytes()
    for content in (b"", b"no protobuf", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"resnet\.onnx: cannot be read as ONNX \(") as why:
            load_model(path, device="cpu")
        assert "\n" not in str(why.value)


def test_weights_in_a_file_of_their_own(tmp_path):
    import onnx

    path = write_model(tmp_path)
    expected = load_model(path, device="cpu").predict(np.full((1, 2, 32, 48), 100))
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").stat().st_size > 1000
    np.testing.assert_array_equal(
        load_model(path, device="cpu").predict(np.full((1, 2, 32, 48), 100)), expected
    )


@pytest.mark.parametrize("absolute", [False, True])
def test_weights_outside_of_the_folder_are_not_read(absolute, tmp_path):
    import onnx

    folder = tmp_path / "model"
    folder.mkdir()
    path = write_model(folder)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (folder / "weights.bin").rename(tmp_path / "weights.bin")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = str(tmp_path / "weights.bin") if absolute else "../weights.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="outside its folder"):
        load_model(path, device="cpu")


def test_an_operation_that_is_not_known(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    node = helper.make_node("Detect", ["images"], ["out"], domain="a.company")
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2])
        for name in ("images", "out")
    ]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("a.company", 1)]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=opsets), tmp_path / "odd.onnx")
    with pytest.raises(InputError, match="which is not ONNX's own"):
        read_weights(WeightsFile(tmp_path / "odd.onnx"), trust=False)


def test_without_the_extra(tmp_path, monkeypatch):
    path = write_model(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx2pytorch", None)
    with pytest.raises(InputError, match=r"pip install 'napari-globalxai\[onnx\]'"):
        load_model(path, device="cpu")


def test_another_file_of_weights_is_another_model(tmp_path):
    import onnx

    path = write_model(tmp_path)
    assert load_model(path, device="cpu").digest == hashlib.sha256(path.read_bytes()).hexdigest()
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    before = load_model(path, device="cpu").digest
    assert load_model(path, device="cpu").digest == before
    content = bytearray((tmp_path / "weights.bin").read_bytes())
    content[-1] ^= 1
    (tmp_path / "weights.bin").write_bytes(content)
    assert load_model(path, device="cpu").digest != before


class WithAge(torch.nn.Module):
    def forward(self, images, age):
        return images.mean(dim=(2, 3)) + age


def test_a_second_input_is_refused(tmp_path):
    example = torch.zeros(2, 2, 8, 8), torch.zeros(2, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            WithAge(), example, tmp_path / "two.onnx", dynamo=False, input_names=["images", "age"]
        )
    with pytest.raises(InputError, match=r"takes 2 inputs \(images, age\)"):
        read_weights(WeightsFile(tmp_path / "two.onnx"), trust=False)


def test_values_whose_names_look_alike_are_kept_apart(tmp_path):
    """Of x = 1: (x + 1) and (x + 10) and (x + 100), times a weight of 5 that is named like them."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = {"w_1": 5.0, "one": 1.0, "ten": 10.0, "hundred": 100.0}
    nodes = [
        helper.make_node("Add", ["x", "one"], ["w.1"]),
        helper.make_node("Add", ["x", "ten"], ["w/1"]),
        helper.make_node("Add", ["x", "hundred"], ["w_1_1"]),
        helper.make_node("Add", ["w.1", "w/1"], ["..."]),
        helper.make_node("Add", ["...", "w_1_1"], ["sum"]),
        helper.make_node("Mul", ["sum", "w_1"], ["out"]),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("x", "out")
    ]
    constants = [numpy_helper.from_array(np.float32([v]), k) for k, v in weights.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "sums.onnx")
    network = read_weights(WeightsFile(tmp_path / "sums.onnx"), trust=False)
    assert float(network(torch.ones(1, 1))) == 5 * (2 + 11 + 101)
