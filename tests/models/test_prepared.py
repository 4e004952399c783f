"""What trying a network has shown makes the same network again, without trying it."""

import pickle
from dataclasses import replace

import architectures
import pytest
import tiny
import torch
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.elsewhere import ModelElsewhere
from napari_globalxai.models.loaders import load_model
from napari_globalxai.models.random_weights import RandomWeights


class Odd(nn.Module):
    """Works in place on its input, gives maps beside its answer, and probabilities."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm = nn.Conv2d(2, 6, 4, 4), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 2)

    def forward(self, images):
        maps = self.norm(self.stem(images.sub_(0.5))).relu()
        return maps, self.head(maps.mean(dim=(2, 3))).sigmoid()


class Ensemble(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.members = nn.ModuleList([tiny.resnet(), tiny.resnet()])

    def forward(self, images):
        both = [member(images).sigmoid() for member in self.members]
        return (both[0] + both[1].flip(1)) / 2


def scripted(network):
    return torch.jit.script(network.eval())


def chain():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    )  # fmt: skip


NETWORKS = {
    "ResNet": (tiny.resnet, {}),
    "odd": (Odd, {"activation": "none"}),
    "ensemble": (Ensemble, {"activation": "none"}),
    "class token": (lambda: architectures.make("ViT"), {"size": (64, 96)}),
    "transposed": (tiny.resnet, {"transposed": True}),
    "TorchScript": (lambda: scripted(chain()), {}),
    "TorchScript, transposed": (lambda: scripted(chain()), {"transposed": True, "layer": "2"}),
    "TorchScript, probabilities": (
        lambda: scripted(nn.Sequential(*chain(), nn.Softmax(dim=1))),
        {"activation": "none"},
    ),
}


def classifier(name, known=None):
    make, facts = NETWORKS[name]
    height, width = facts.get("size", (32, 48))
    card = ModelCard(
        weights="",
        labels=("left", "right"),
        input=InputCard(
            channels=2,
            height=height,
            width=width,
            mean=(0.5,),
            std=(0.3,),
            transposed=facts.get("transposed", False),
        ),
        activation=facts.get("activation", "sigmoid"),
        cam_layer=facts.get("layer"),
    )
    return Classifier(make().eval(), card, device="cpu", known=known)


class Forwards:
    """Counts images that go through the whole of networks."""

    def __init__(self, kind):
        self._kind, self.images = kind, 0

    def __enter__(self):
        self._handle = nn.modules.module.register_module_forward_pre_hook(self._note)
        return self

    def _note(self, module, inputs):
        if type(module).__name__ == self._kind:
            self.images += len(inputs[0])

    def __exit__(self, *why):
        self._handle.remove()


@pytest.mark.parametrize("name", NETWORKS)
def test_who_knows_a_network_makes_the_same(name):
    tried = classifier(name)
    tried.working_with(precision="bfloat16")
    places = tried.cell_places
    known = pickle.loads(pickle.dumps(tried.known))
    with Forwards(type(NETWORKS[name][0]()).__name__) as forwards:
        again = classifier(name, known)
        again.working_with(precision="bfloat16")
        assert [each.tolist() for each in again.cell_places.grid.centres] == [
            each.tolist() for each in places.grid.centres
        ]
        _ = again.split
    assert forwards.images == 0

    images = 3 * torch.randn(tried.probe.shape, generator=torch.Generator().manual_seed(3))
    found = []
    for model in (tried, again):
        activations, outputs = model.split.activations(images.clone())
        logits = model.outputs_to_logits(outputs)
        gradients = torch.autograd.grad(logits.square().sum(), activations)
        with torch.no_grad():
            half = model.working_with(precision="bfloat16").logits(images.clone())
        found.append([*activations, *gradients, logits, model.logits(images.clone()), half])
    assert len(found[0]) == len(found[1]) > 4
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))
    assert again.activation == tried.activation
    assert again.known.folded == known.folded
    assert again.known.harmless == known.harmless


def test_a_worker_runs_a_single_image_before_it_works(tmp_path):
    model = load_model(tiny.write_resnet(tmp_path))
    _ = model.cell_grid
    there = pickle.loads(pickle.dumps(ModelElsewhere.of(model)))
    with Forwards("ResNet") as forwards:
        loaded = there.load()
        _ = loaded.cell_grid
    assert forwards.images == 1
    assert there == ModelElsewhere.of(model)
    # It goes with every piece of work.
    assert len(pickle.dumps(there)) < 4096
    images = torch.full((2, 2, *model.frame_shape), 99.0)
    assert (loaded.predict(images) == model.predict(images)).all()


def test_a_network_whose_code_is_another_on_a_worker_is_refused(tmp_path):
    there = ModelElsewhere.of(load_model(tiny.write_resnet(tmp_path)))
    answer = tuple(value + 0.01 for value in there.answer)
    with pytest.raises(InputError, match="answers otherwise on a worker"):
        replace(there, answer=answer).load()


def test_other_weights_are_refused_before_what_is_known_of_them_is_used(tmp_path):
    there = ModelElsewhere.of(load_model(tiny.write_resnet(tmp_path)))
    other = tiny.write_resnet(tmp_path / "other", seed=5)
    with Forwards("ResNet") as forwards, pytest.raises(InputError, match="is another model"):
        replace(there, source=str(other)).load()
    assert forwards.images == 0


def test_random_weights_are_not_tried_again():
    model = classifier("ResNet")
    _ = model.cell_grid
    source = RandomWeights(model)
    with Forwards("ResNet") as forwards:
        random = source.classifier(0, cam_layer=model.split.layer)
        _ = random.cell_grid
    assert forwards.images == 0
    tried = Classifier(random.given, random.card, device="cpu")
    images = model.probe
    assert torch.equal(random.logits(images), tried.logits(images))
    assert not torch.allclose(random.logits(images), model.logits(images), atol=0.1)
    activations = [each.split(images)[0] for each in (random, tried)]
    assert torch.equal(*activations)
