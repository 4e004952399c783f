"""The engine inside a MONAI evaluation: loaders and MetaTensors in, MetaTensors out."""

import numpy as np
import pytest
import tiny
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.transforms import Compose, EnsureTyped, LoadImaged, NormalizeIntensityd, Transposed

from napari_globalxai import Explainer, load_model
from napari_globalxai.attribution.cam import GradCam
from napari_globalxai.attribution.method import make_method
from napari_globalxai.attribution.precision import choose_batch_size
from napari_globalxai.errors import InputError
from napari_globalxai.maps.upsampling import upsample


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(tiny.write_resnet(tmp_path_factory.mktemp("model")), device="cpu")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort"), size=6)


def loader(table, *, normalised):
    """A loader as somebody writes it who has never heard of this package."""
    steps = [
        LoadImaged("image", ensure_channel_first=True),
        Transposed("image", (0, 2, 1)),  # MONAI loads photographs as width by height
        EnsureTyped("image", dtype=torch.float32),
    ]
    if normalised:
        steps.append(NormalizeIntensityd("image", subtrahend=0.3 * 255, divisor=0.1 * 255))
    files = [
        {"image": str(path), "name": path.stem} for path in sorted(table.parent.glob("images/*"))
    ]
    data = Dataset(files, Compose([*steps, lambda item: {**item, "image": item["image"][:2]}]))
    return DataLoader(data, batch_size=4)


@pytest.mark.parametrize("name", ["grad-cam", "saliency"])
@pytest.mark.parametrize("normalised", [True, False])
def test_batches_of_a_monai_loader(name, normalised, model, table):
    method = make_method(name)
    explain = Explainer(model, method, normalised=normalised)
    batches = list(explain.batches(loader(table, normalised=normalised)))
    assert [len(batch["attribution"]) for batch in batches] == [4, 2]
    for batch in batches:
        maps = batch["attribution"]
        assert isinstance(maps, MetaTensor)
        assert maps.shape == (len(batch["name"]), 2, tiny.HEIGHT, tiny.WIDTH)
        assert maps.dtype == torch.float32
        images = batch["image"].as_tensor()
        inputs = images if normalised else model.to_input(images)
        expected = method.attribute(model, inputs, [0, 1])
        np.testing.assert_allclose(
            maps.as_tensor().numpy(),
            upsample(expected.maps.numpy(), method.grid(model)),
            rtol=1e-4,
            atol=1e-6,
        )
        np.testing.assert_allclose(batch["logits"], expected.logits, atol=1e-5)


def test_meta_data_and_affine_travel_along(model, table):
    batch = next(Explainer(model).batches(loader(table, normalised=True)))
    maps, images = batch["attribution"], batch["image"]
    assert torch.equal(maps.affine, images.affine)
    single = decollate_batch(batch)
    assert [item["attribution"].meta["filename_or_obj"] for item in single] == [
        item["image"].meta["filename_or_obj"] for item in single
    ]
    assert single[0]["attribution"].shape == (2, tiny.HEIGHT, tiny.WIDTH)


def test_chosen_labels_and_plain_tensors(model):
    images = torch.rand(3, 2, tiny.HEIGHT, tiny.WIDTH)
    both, logits = Explainer(model)(images)
    one, _ = Explainer(model, labels=["right"])(images)
    np.testing.assert_allclose(one, both[:, 1:], rtol=1e-4, atol=1e-7)
    assert logits.shape == (3, 2)


class Greedy(GradCam):
    """Notes how many images come together, and runs out of memory above two."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def attribute(self, model, inputs, labels):
        self.sizes.append(len(inputs))
        if len(inputs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().attribute(model, inputs, labels)


def test_a_loaders_batch_is_taken_in_parts(model):
    images = torch.rand(5, 2, tiny.HEIGHT, tiny.WIDTH)
    whole, logits = Explainer(model, batch_size=5)(images)
    greedy = Greedy()
    explain = Explainer(model, greedy, batch_size=4)
    for _ in range(2):
        maps, parts_logits = explain(images)
        np.testing.assert_allclose(maps, whole, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(parts_logits, logits, rtol=1e-5, atol=1e-6)
    # What did not fit once is not tried again.
    assert greedy.sizes == [4, 2, 2, 1, 2, 2, 1]
    assert model.images_a_forward != 4


def test_how_many_go_together_is_found(model):
    greedy = Greedy()
    explain = Explainer(model, greedy)
    assert explain.classifier.images_a_forward == choose_batch_size(model)
    explain(torch.rand(2, 2, tiny.HEIGHT, tiny.WIDTH))
    assert greedy.sizes == [2]


def test_what_does_not_fit_is_said(model):
    with pytest.raises(InputError, match="no label 'up'; its labels are left, right"):
        Explainer(model, labels=["up"])
    with pytest.raises(InputError, match=r"shape \(3, 2, 48, 32\), but the model takes"):
        Explainer(model)(torch.rand(3, 2, tiny.WIDTH, tiny.HEIGHT))
    with pytest.raises(InputError, match=r"shape \(0, 2, 32, 48\)"):
        Explainer(model)(torch.rand(0, 2, tiny.HEIGHT, tiny.WIDTH))
    with pytest.raises(InputError, match="batch size -1 is not 1 or more"):
        Explainer(model, batch_size=-1)
