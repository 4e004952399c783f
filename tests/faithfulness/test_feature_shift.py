"""How far a fill moves the features that go into a network's last layer, against slow loops."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from faithfulness_cases import judged_run, make_evaluation, sign_map
from hooks import hooks_of
from torch import nn

from napari_globalxai.faithfulness.fills.feature_shift import Features, distance
from napari_globalxai.faithfulness.fills.fill_shift import fill_cautions
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.penultimate import penultimate_of

CARD = ModelCard(weights="", labels=tiny.LABELS, input=tiny.input_card())


def classifier_of(network):
    torch.manual_seed(3)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return Classifier(network.eval(), CARD, device="cpu")


class Tokens(nn.Module):
    """Its last layer sees a row a token, and runs once more before that."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(2, 5, 8, stride=8)
        self.mix = nn.Linear(5, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        self.head(tokens)
        return self.head(self.mix(tokens)).mean(dim=1)


def pooled():
    return nn.Sequential(
        nn.Conv2d(2, 4, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    )  # fmt: skip


def convolved():
    """The last convolution gives the labels, the mean over places comes after it."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 5, stride=4), nn.Tanh(), nn.Conv2d(6, 2, 1), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )  # fmt: skip


BY_HAND = {
    "4": (pooled, lambda network, images: network[:4](images)),
    "2": (convolved, lambda network, images: network[:2](images).mean(dim=(2, 3))),
    "head": (
        Tokens,
        lambda network, images: network.mix(
            network.patches(images).flatten(2).transpose(1, 2)
        ).mean(dim=1),
    ),
}


@pytest.mark.parametrize("layer", list(BY_HAND))
def test_features_are_what_goes_into_the_last_layer(layer):
    make, by_hand = BY_HAND[layer]
    model = classifier_of(make())
    found, missing = penultimate_of(model)
    assert not missing
    assert found.layer == layer
    images = torch.randn(3, 2, tiny.HEIGHT, tiny.WIDTH)
    with torch.no_grad():
        expected = by_hand(model.network, images)
        features = found.logits(images)
        # What listened is gone.
        again = model.logits(images)
    assert features.shape == (3, len(found.labels)) == expected.shape
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(again, model.network(images))
    assert hooks_of(model.network) == []


def test_models_without_features_say_why(tmp_path):
    found, missing = penultimate_of(tiny.linear_classifier())
    assert found is None
    assert "no last linear layer" in missing
    script = torch.jit.script(pooled().eval())
    found, missing = penultimate_of(Classifier(script, CARD, device="cpu"))
    assert found is None
    assert "TorchScript" in missing
    assert penultimate_of(object())[0] is None
    result = judged_run(tmp_path, make_evaluation(tmp_path, count=40), sign_map(), controls=0)
    assert result.areas["left"]["fill_shift"]["features"] == {
        "missing": "the network has no last linear layer or convolution that takes a row an image"
    }


def slow_distance(real, others):
    gaps = [np.mean(other) - np.mean(own) for own, other in zip(real.T, others.T, strict=True)]
    spread = sum(np.std(own, ddof=1) ** 2 for own in real.T)
    return sum(gap**2 for gap in gaps) ** 0.5 / spread**0.5


def test_distance_by_hand():
    rng = np.random.default_rng(0)
    real, others = rng.normal(size=(9, 4)), rng.normal(1, 2, size=(5, 4))
    assert distance(real, others) == pytest.approx(slow_distance(real, others))
    assert distance(real, real) == 0
    # Neither another scale nor another origin counts.
    assert distance(3 * real + 7, 3 * others + 7) == pytest.approx(distance(real, others))
    assert distance(real[:, :1], real[:, :1] + real[:, :1].std(ddof=1)) == pytest.approx(1)
    assert np.isnan(distance(np.ones((3, 2)), others[:, :2]))


@pytest.mark.parametrize("folds", [1, 3])
def test_the_shift_of_features_image_by_image(tmp_path, folds):
    model = classifier_of(pooled())
    evaluation = make_evaluation(tmp_path, model, count=40, fill="black", batch_size=7)
    if folds > 1:
        evaluation = replace(evaluation, fold_of=np.arange(40) // 2 % folds)
    rng = np.random.default_rng(1)
    orders = np.stack([rng.permutation(tiny.HEIGHT * tiny.WIDTH) for _ in range(folds)])
    order = orders if folds > 1 else orders[0]
    pixels = order.shape[-1]
    counts = np.array([0, pixels // 3, pixels // 2, pixels])
    course = evaluation.course(order, counts, lambda done, total: None)
    features = Features.of(evaluation, course, 2)
    images = evaluation.stack.read(evaluation.rows) / 255

    def of_image(row, erased):
        own = order[row // 2 % folds] if folds > 1 else order
        shown = images[row].copy().reshape(2, -1)
        shown[:, own[erased]] = 0
        inputs = torch.tensor((shown.reshape(images[row].shape) - 0.3) / 0.1).float()
        with torch.no_grad():
            return model.network[:4](inputs[None])[0].double().numpy()

    truth = evaluation.truth
    free, carriers = (truth == 0).all(axis=1), truth[:, 0] == 1

    def of(which, erased):
        return np.stack([of_image(row, erased) for row in np.flatnonzero(which)])

    nothing, everything = slice(0, 0), slice(None)
    intact = of(free, nothing)
    found = features.shift(free, carriers)
    expected = {
        "erase": slow_distance(intact, of(free, slice(0, pixels // 2))),
        "restore": slow_distance(intact, of(free, slice(pixels // 2, None))),
        "blank": slow_distance(intact, of(free, everything)),
        "label": slow_distance(intact, of(carriers, nothing)),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-3), name
    ratio = max(expected["erase"], expected["restore"]) / expected["label"]
    assert found["in_gaps"] == pytest.approx(ratio, rel=1e-3)
    assert (found["layer"], found["features"]) == ("4", 4)


def test_a_fill_that_moves_features_far_is_a_caution():
    shift = {"images": 9, "in_gaps": 0.1, "blank_auc": 0.5}
    near = {**shift, "features": {"in_gaps": 1.9}}
    far = {**shift, "features": {"in_gaps": 2.1}}
    assert fill_cautions("x", near) == []
    (caution,) = fill_cautions("x", far)
    assert "2.1 times as far" in caution
    assert fill_cautions("x", {**shift, "features": {"missing": "why"}}) == []
