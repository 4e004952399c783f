"""Networks that have forgotten what they learnt: seeded, from the top down, of every kind."""

import architectures
import numpy as np
import pytest
import saved
import tiny
import torch
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model
from napari_globalxai.models.random_weights import RandomWeights, randomise

IMAGES, _ = tiny.sign_images(8)
RESNET_LAYERS = ("conv1", "bn1", "layer1.0.conv1")


def classifier(network):
    return Classifier(network, tiny.linear_classifier().card, device="cpu")


def weights(network):
    return {name: value.detach().clone() for name, value in network.named_parameters()}


@pytest.mark.parametrize("batch_norm", ["fitted", "reset", "kept"])
def test_torchscript_gets_the_weights_that_the_plain_network_gets(batch_norm):
    plain, script = (
        RandomWeights(classifier(each), IMAGES)
        for each in (tiny.resnet(), torch.jit.script(tiny.resnet()))
    )
    assert plain.layers == script.layers
    assert plain.layers[:3] == RESNET_LAYERS
    found = [each.classifier(5, batch_norm=batch_norm).predict(IMAGES) for each in (plain, script)]
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-4)
    assert found[0].std(axis=0).min() > 1e-3


def test_seeds_and_depths():
    network = tiny.resnet()
    before = weights(network)
    order = RandomWeights(classifier(network)).layers
    one, again, other = (randomise(network, order, 4, seed, "reset") for seed in (1, 1, 2))
    for name, value in weights(one).items():
        assert torch.equal(value, weights(again)[name])
        drawn = name.rpartition(".")[0] in order[-4:]
        assert torch.equal(value, before[name]) != (
            drawn and not set(value.unique().tolist()) <= {0, 1}
        )
    assert not torch.equal(one.fc.weight, other.fc.weight)
    deeper = randomise(network, order, 6, 1, "reset")
    assert torch.equal(deeper.fc.weight, one.fc.weight)
    # The trained network and the state of torch's generator are left as they were.
    assert all(torch.equal(value, before[name]) for name, value in weights(network).items())
    state = torch.get_rng_state()
    randomise(network, order, 6, 1, "reset")
    assert torch.equal(state, torch.get_rng_state())


def test_a_module_begins_as_pytorch_lets_it_begin():
    drawn = randomise(tiny.resnet(), ("fc",), 1, 9, "reset").fc
    (own,) = np.random.SeedSequence([9, 0]).generate_state(1)
    torch.manual_seed(int(own))
    fresh = nn.Linear(drawn.in_features, drawn.out_features)
    assert torch.equal(drawn.weight, fresh.weight)
    assert torch.equal(drawn.bias, fresh.bias)


def test_running_statistics():
    network = tiny.resnet()
    order = RandomWeights(classifier(network)).layers
    reset, kept = (randomise(network, order, len(order), 0, how) for how in ("reset", "kept"))
    assert torch.equal(kept.bn1.running_var, network.bn1.running_var)
    assert float(reset.bn1.running_mean.abs().max()) == 0
    assert float((reset.bn1.running_var - 1).abs().max()) == 0


def test_fitted_statistics_are_those_of_the_images():
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.LazyLinear(2))
    network(torch.zeros(2, 2, tiny.HEIGHT, tiny.WIDTH))
    made = RandomWeights(classifier(network.eval()), IMAGES)
    found = made.classifier(4, batch_norm="fitted")
    drawn = randomise(network, made.layers, len(made.layers), 4, "reset")
    inputs = found.to_input(IMAGES)
    values = drawn[0](inputs)
    centred = values - values.mean((0, 2, 3), keepdim=True)
    scaled = centred / (values.var((0, 2, 3), keepdim=True) + drawn[1].eps).sqrt()
    expected = drawn[3](drawn[2](scaled)).detach().numpy()
    np.testing.assert_allclose(found.predict(IMAGES), expected, rtol=1e-3, atol=1e-4)


def test_fitted_statistics_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 2, tiny.HEIGHT, tiny.WIDTH), dtype=np.uint8)
    made = RandomWeights(classifier(tiny.resnet()), images)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found += [made.classifier(seed).predict(images[:2]) for seed in range(3)]
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[:3], found[3:])


@pytest.mark.parametrize("name", ["EfficientNet", "ViT", "MONAI Swin"])
def test_kinds_of_networks_change_their_answers_with_the_image(name):
    trained = architectures.classifier(
        architectures.make(name), architectures.ARCHITECTURES[name].layer
    )
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 64, 96), dtype=np.uint8)
    images[:, :, 20:40, 20:40] //= np.array([1, 3, 9], np.uint8)[:, None, None, None]
    found = RandomWeights(trained, images).classifier(0).predict(images)
    assert np.abs(found - trained.predict(images)).max() > 1e-3
    assert found.std(axis=0).min() > 1e-3


def test_what_has_no_own_beginning_is_shuffled():
    trained = tiny.linear_classifier()
    network = RandomWeights(trained).classifier(3).network
    (before,), (after,) = (list(weights(each).values()) for each in (trained.network, network))
    assert not torch.equal(before, after)
    assert torch.equal(before.flatten().sort().values, after.flatten().sort().values)


def test_a_model_from_a_file(tmp_path):
    """It is read again as it was saved, with its batch normalisations."""
    path = tiny.write_resnet(tmp_path)
    trained = load_model(path, device="cpu")
    assert trained.given is None
    found = RandomWeights(trained, IMAGES).classifier(5)
    expected = RandomWeights(classifier(tiny.resnet()), IMAGES).classifier(5)
    np.testing.assert_allclose(found.predict(IMAGES), expected.predict(IMAGES), atol=1e-5)
    tiny.write_resnet(tmp_path, seed=1)
    with pytest.raises(InputError, match="has changed since"):
        RandomWeights(trained)


def test_a_program_and_a_bundle(tmp_path):
    program = torch.export.export(
        tiny.resnet(), (torch.zeros(2, 2, 32, 48),), dynamic_shapes=({0: torch.export.Dim("n")},)
    )
    torch.export.save(program, tmp_path / "program.pt2")
    (tmp_path / "program.yaml").write_text(
        "weights: program.pt2\nlabels: [left, right]\n"
        "input: {channels: 2, height: 32, width: 48, mean: 0.3, std: 0.1}\n"
    )
    bundle = saved.write_bundle(tmp_path / "bundle")
    for path in (tmp_path / "program.yaml", bundle):
        trained = load_model(path, device="cpu", trust=True)
        found = RandomWeights(trained, IMAGES).classifier(5).predict(IMAGES)
        assert np.abs(found - trained.predict(IMAGES)).max() > 1e-2


def test_frozen_weights_are_refused():
    frozen = torch.jit.freeze(torch.jit.script(tiny.resnet()))
    with pytest.raises(InputError, match="cannot be drawn anew; save it without freezing them"):
        RandomWeights(classifier(frozen))
