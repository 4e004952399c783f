"""captum by name: against captum called plainly on logits, slow loops and closed forms."""

import inspect
import subprocess
import sys

import captum.attr
import numpy as np
import pytest
import tiny
import torch
from captum._utils.models.linear_model import SkLearnLasso
from captum.attr._core.lime import get_exp_kernel_similarity_function
from captum.attr._utils.lrp_rules import GammaRule
from hooks import hooks_of
from skimage.segmentation import slic
from torch import nn
from torch.nn import functional

from napari_globalxai.attribution.method import make_method, method_class
from napari_globalxai.catalogue import METHODS
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier

NAMES = [name for name in METHODS.own if name.startswith("captum:")]
# Few features and few samples.
QUICK = {
    "captum:FeatureAblation": {"side": 8},
    "captum:Lime": {"side": 16, "n_samples": 30, "alpha": 1e-4},
    "captum:KernelShap": {"side": 16, "n_samples": 30},
    "captum:ShapleyValueSampling": {"side": 16, "n_samples": 3},
    "captum:ShapleyValues": {"side": 24},
    "captum:Occlusion": {"sliding_window_shapes": 16},
    "captum:IntegratedGradients": {"n_steps": 5},
    "captum:GradientShap": {"n_samples": 4},
}
# What captum offers beside, and why it is not here.
LEFT_OUT = {
    "FeaturePermutation": "exchanges features among the images of a batch",
    "LimeBase": "is what Lime is made of",
    "NoiseTunnel": "is a setting of the gradient methods",
    "LayerActivation": "does not depend on the label",
}


class Layers(nn.Module):
    """Layers one after another, each used once, none of whose windows overlap for captum's LRP."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 5, 3, 2)
        self.relu1, self.relu2 = nn.ReLU(inplace=True), nn.ReLU()
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(5, 2)
        with torch.no_grad():
            # Logits that differ by more than rounding does.
            self.head.weight.mul_(5)

    def forward(self, images):
        maps = self.relu2(self.second(self.relu1(self.first(images))))
        return self.head(self.pool(maps).flatten(1))


class Shared(Layers):
    """One ReLU for both convolutions."""

    def forward(self, images):
        maps = self.relu1(self.second(self.relu1(self.first(images))))
        return self.head(self.pool(maps).flatten(1))


class Repeated(nn.Sequential):
    """One convolution twice."""

    def __init__(self):
        torch.manual_seed(0)
        same = nn.Conv2d(2, 2, 3)
        rest = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
        super().__init__(same, nn.ReLU(), same, nn.ReLU(), *rest)


class Summed(Layers):
    """Its ReLUs and a sum stand between its layers."""

    def forward(self, images):
        maps = functional.relu(self.first(images))
        maps = functional.relu(self.second(maps)) + 0.1
        return self.head(self.pool(maps).flatten(1))


def classifier_of(network, **changes):
    facts = {"weights": "", "labels": tiny.LABELS, "input": tiny.input_card()}
    return Classifier(network, ModelCard(**{**facts, **changes}), device="cpu")


@pytest.fixture
def network():
    return Layers().eval()


@pytest.fixture
def classifier(network):
    return classifier_of(network, cam_layer="relu2")


def some_inputs(classifier, count=2, seed=0):
    rng = np.random.default_rng(seed)
    return classifier.to_input(rng.integers(0, 256, (count, 2, 32, 48), dtype=np.uint8))


def attribute(classifier, inputs, name, labels=(0, 1), **settings):
    return make_method(name, **settings).attribute(classifier, inputs, labels).maps


def assert_close(given, expected, bound=1e-5):
    assert given.shape == expected.shape
    assert float(expected.abs().max()) > 0
    assert float((given - expected).abs().max() / expected.abs().max()) < bound


def square_mask(side):
    """Numbers of squares, by a slow loop."""
    mask = torch.zeros(1, 1, tiny.HEIGHT, tiny.WIDTH, dtype=torch.long)
    for row in range(tiny.HEIGHT):
        for column in range(tiny.WIDTH):
            mask[..., row, column] = row // side * -(-tiny.WIDTH // side) + column // side
    return mask


def at_squares(values, side):
    """One value a square of (row, column)."""
    return values[::side, ::side]


# ---------------------------------------------------------------- names


def test_all_that_captum_offers_is_listed_or_left_out_for_a_reason():
    # Of other kinds: of a neuron, of text, of a data loader; of a layer, whose place is not told.
    others = ("Neuron", "LLM", "RemoteLLM", "DataLoader", "Layer", "InternalInfluence")
    offered = {
        name
        for name, each in vars(captum.attr).items()
        if inspect.isclass(each) and issubclass(each, captum.attr.Attribution)
        if inspect.isclass(each) and not name.endswith("Attribution")
        if not name.startswith(others)
    }
    listed = {name.removeprefix("captum:") for name in NAMES}
    layers = {"LayerGradCam", "LayerGradientXActivation"}
    assert listed == offered - set(LEFT_OUT) | layers
    assert layers <= set(vars(captum.attr))


@pytest.mark.parametrize("name", NAMES)
def test_the_list_says_what_the_class_says(name):
    found = method_class(name)
    assert found.name == name
    assert found.needs_split == METHODS.own[name].needs_split


def test_names_need_neither_captum_nor_torch():
    code = (
        "import sys; from napari_globalxai.catalogue import METHODS; "
        "assert 'captum:KernelShap' in METHODS.summaries(); "
        "assert not {'torch', 'captum', 'sklearn', 'skimage'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("captum:KernalShap", "captum:KernelShap"),
        ("captum:featureablation", "captum:FeatureAblation"),
        ("captum:lrp", "captum:LRP"),
    ],
)
def test_unknown_names_get_the_nearest(wrong, right):
    with pytest.raises(InputError, match=f"no attribution method '{wrong}'.* nearest.*{right}"):
        make_method(wrong)


# ---------------------------------------------------------------- what all of them promise


@pytest.mark.parametrize("name", NAMES)
def test_maps_are_the_same_bits_whatever_goes_along(name, classifier):
    method = make_method(name, **QUICK.get(name, {}))
    inputs = some_inputs(classifier, 3)
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    result = method.attribute(classifier, inputs, [0, 1])
    # Nobody else's random numbers change.
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert result.maps.shape == (3, 2, *method.grid(classifier).shape)
    assert result.maps.dtype == torch.float32
    assert not result.maps.requires_grad
    with torch.no_grad():
        assert_close(result.logits, classifier.logits(inputs))
    for row in (2, 0):
        single = method.attribute(classifier, inputs[row : row + 1], [0, 1]).maps
        assert torch.equal(single[0], result.maps[row])
    # Nor on which labels are asked for, and in which order.
    assert_close(method.attribute(classifier, inputs, [1]).maps, result.maps[:, 1:])
    assert_close(method.attribute(classifier, inputs, [1, 0]).maps, result.maps.flip(1))
    if not method.signed:
        assert float(result.maps.min()) >= 0


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_is(name):
    fields = type(make_method(name).settings).model_fields
    assert all(field.description for field in fields.values())


# ---------------------------------------------------------------- hiding features


@pytest.mark.parametrize(("side", "baseline"), [(8, "mean-colour"), (16, "black")])
def test_feature_ablation_by_a_slow_loop(network, classifier, side, baseline):
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "captum:FeatureAblation", side=side, baselines=baseline)
    hidden = 0.0 if baseline == "mean-colour" else (0 - 0.3) / 0.1
    with torch.no_grad():
        intact = network(inputs)
        for row in range(tiny.HEIGHT // side):
            for column in range(tiny.WIDTH // side):
                copies = inputs.clone()
                rows, columns = (slice(at * side, at * side + side) for at in (row, column))
                copies[:, :, rows, columns] = hidden
                lost = intact - network(copies)
                torch.testing.assert_close(maps[:, :, row, column], lost, rtol=1e-4, atol=1e-5)


def test_squares_are_cut_off_by_the_border_and_lie_where_they_are(classifier):
    method = make_method("captum:FeatureAblation", side=10)
    grid = method.grid(classifier)
    assert grid.shape == (4, 5)
    np.testing.assert_array_equal(grid.y, [4.5, 14.5, 24.5, 30.5])
    np.testing.assert_array_equal(grid.x, [4.5, 14.5, 24.5, 34.5, 43.5])
    # By default an eighth of the height.
    assert make_method("captum:Lime").grid(classifier).shape == (8, 12)


@pytest.mark.parametrize("name", ["FeatureAblation", "KernelShap", "ShapleyValueSampling"])
def test_superpixels_equal_captum_with_the_same_mask(name, network, classifier):
    inputs = some_inputs(classifier)
    settings = {} if name == "FeatureAblation" else {"n_samples": 20}
    maps = attribute(
        classifier, inputs, f"captum:{name}", features="superpixels", superpixels=9,
        compactness=0.5, **settings,
    )  # fmt: skip
    assert maps.shape == (2, 2, tiny.HEIGHT, tiny.WIDTH)
    for row, image in enumerate(inputs):
        pixels = image.numpy()
        pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min())
        members = slic(
            pixels.transpose(1, 2, 0), n_segments=9, compactness=0.5, start_label=0,
            convert2lab=False, channel_axis=-1,
        )  # fmt: skip
        for label in (0, 1):
            torch.manual_seed(0)
            expected = getattr(captum.attr, name)(network).attribute(
                image[None], target=label, feature_mask=torch.from_numpy(members)[None, None],
                **settings,
            )  # fmt: skip
            assert_close(maps[row, label], expected[0, 0], 1e-3)


def plainly(name, network, side, **arguments):
    """Call captum as its documentation does: on the image, with a mask, label by label."""
    method = getattr(captum.attr, name)

    def explain(image, label):
        if name == "Lime":
            explainer = method(
                network,
                interpretable_model=SkLearnLasso(alpha=1e-4),
                similarity_func=get_exp_kernel_similarity_function("euclidean", 60.0),
            )
        else:
            explainer = method(network)
        torch.manual_seed(3)
        with torch.no_grad():
            values = explainer.attribute(
                image[None], target=label, feature_mask=square_mask(side), **arguments
            )
        return at_squares(values[0, 0], side)

    return explain


@pytest.mark.parametrize(
    ("name", "side", "own", "bound"),
    [
        ("ShapleyValueSampling", 8, {"n_samples": 4}, 1e-4),
        ("ShapleyValueSampling", 16, {"n_samples": 7}, 1e-4),
        # Weights of a million beside ones, in single precision.
        ("KernelShap", 16, {"n_samples": 40}, 1e-2),
        ("KernelShap", 8, {"n_samples": 80}, 1e-2),
        ("Lime", 16, {"n_samples": 40}, 1e-3),
        ("Lime", 8, {"n_samples": 60}, 1e-3),
    ],
)
def test_random_sets_equal_captum_and_go_through_the_network_once(name, side, own, bound):
    counting = tiny.Counter(Layers().eval())
    expected_of = plainly(name, counting, side, **own)
    classifier = classifier_of(counting)
    settings = {**own, "seed": 3, "side": side}
    if name == "Lime":
        settings |= {"alpha": 1e-4, "distance_mode": "euclidean", "kernel_width": 60.0}
    inputs = some_inputs(classifier, 1)
    classifier.network.seen.clear()
    maps = attribute(classifier, inputs, f"captum:{name}", **settings)
    ours = len(classifier.network.seen)
    counting.seen.clear()
    for label in (0, 1):
        assert_close(maps[0, label], expected_of(inputs[0], label), bound)
    theirs = len(counting.seen)
    # Both labels from one set of forwards, and one for the logits.
    assert ours - 1 <= theirs / 2


@pytest.mark.parametrize("side", [16, 24])
def test_exact_shapley_values_add_up_and_equal_the_sum_over_subsets(side, network, classifier):
    from itertools import combinations
    from math import comb

    inputs = some_inputs(classifier, 1)
    maps = attribute(classifier, inputs, "captum:ShapleyValues", side=side)[0].flatten(1)
    mask = square_mask(side)
    count = int(mask.max()) + 1

    def logits(shown):
        keep = torch.isin(mask, torch.tensor(shown, dtype=torch.long))
        with torch.no_grad():
            return network(torch.where(keep, inputs, 0.0))[0]

    for feature in range(count):
        others = [each for each in range(count) if each != feature]
        value = torch.zeros(2)
        for size in range(count):
            for shown in combinations(others, size):
                gain = logits([*shown, feature]) - logits(shown)
                value += gain / (count * comb(count - 1, size))
        torch.testing.assert_close(maps[:, feature], value, rtol=1e-3, atol=1e-5)
    total = logits(range(count)) - logits([])
    torch.testing.assert_close(maps.sum(dim=1), total, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("captum:KernelShap", {"side": 8, "n_samples": 25}, "24 features .* n_samples to 26"),
        ("captum:ShapleyValues", {"side": 8}, "all orders of 24 features; choose a larger side"),
        ("captum:FeatureAblation", {"side": 100}, "only one feature"),
        ("captum:Lime", {"side": 48}, "only one feature"),
    ],
)
def test_too_many_or_too_few_features_are_refused(name, settings, sentence, classifier):
    with pytest.raises(InputError, match=sentence) as why:
        attribute(classifier, some_inputs(classifier), name, **settings)
    assert "\n" not in str(why.value)


@pytest.mark.parametrize(("window", "stride"), [(16, 8), (10, 4)])
def test_occlusion_equals_captum(network, classifier, window, stride):
    inputs = some_inputs(classifier)
    maps = attribute(
        classifier, inputs, "captum:Occlusion", sliding_window_shapes=window, strides=stride
    )
    for label in (0, 1):
        expected = captum.attr.Occlusion(network).attribute(
            inputs, (2, window, window), strides=(2, stride, stride), target=label
        )
        assert_close(maps[:, label], expected[:, 0], 1e-4)


@pytest.mark.parametrize("number", [1, 5])
def test_how_many_copies_go_together_does_not_matter(classifier, number):
    inputs = some_inputs(classifier)
    for name in ("captum:FeatureAblation", "captum:KernelShap", "captum:Occlusion"):
        settings = QUICK[name]
        expected = attribute(classifier, inputs, name, **settings)
        found = attribute(classifier, inputs, name, perturbations_per_eval=number, **settings)
        assert_close(found, expected, 1e-3)


# ---------------------------------------------------------------- gradients


PLAIN = {
    "Saliency": {},
    "InputXGradient": {},
    "IntegratedGradients": {"n_steps": 7, "method": "riemann_middle"},
    "DeepLift": {},
    "GuidedBackprop": {},
    "Deconvolution": {},
}


def not_in_place(network):
    """captum's hooks and functions that work in place exclude each other."""
    network.relu1.inplace = False
    return network


def expected_maps(explainer, inputs, **arguments):
    maps = []
    for image in inputs:
        each = []
        for label in (0, 1):
            torch.manual_seed(0)
            np.random.seed(0)
            values = explainer.attribute(
                image[None].clone().requires_grad_(), target=label, **arguments
            )
            each.append(values.detach()[0].sum(dim=0))
        maps.append(torch.stack(each))
    return torch.stack(maps)


@pytest.mark.filterwarnings("ignore:Setting")
@pytest.mark.parametrize("name", PLAIN)
def test_gradients_equal_captum(name, network, classifier):
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, f"captum:{name}", **PLAIN[name])
    method = getattr(captum.attr, name)(not_in_place(network))
    assert_close(maps, expected_maps(method, inputs, **PLAIN[name]), 1e-4)


@pytest.mark.filterwarnings("ignore:Setting")
@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
@pytest.mark.parametrize("name", ["Saliency", "IntegratedGradients", "DeepLift", "GuidedBackprop"])
def test_noise_tunnels_equal_captum(name, kind, network, classifier):
    inputs = some_inputs(classifier)
    maps = attribute(
        classifier, inputs, f"captum:{name}", noise_tunnel=kind, nt_samples=3, stdevs=0.4,
        **PLAIN[name],
    )  # fmt: skip
    method = captum.attr.NoiseTunnel(getattr(captum.attr, name)(not_in_place(network)))
    more = {"baselines": torch.zeros_like(inputs[:1])} if name == "DeepLift" else {}
    if name == "IntegratedGradients":
        # As here: the noise is drawn copy by copy.
        more["nt_samples_batch_size"] = 1
    expected = expected_maps(
        method, inputs, nt_type=kind, nt_samples=3, stdevs=0.4, **more, **PLAIN[name]
    )
    assert_close(maps, expected, 1e-4)


@pytest.mark.filterwarnings("ignore:Setting")
def test_two_baselines_and_random_ones_equal_captum(network, classifier):
    inputs = some_inputs(classifier)
    black = classifier.to_input(torch.zeros(1, 2, tiny.HEIGHT, tiny.WIDTH))
    both = torch.cat([torch.zeros_like(black), black])
    maps = attribute(classifier, inputs, "captum:DeepLiftShap")
    method = captum.attr.DeepLiftShap(not_in_place(network))
    assert_close(maps, expected_maps(method, inputs, baselines=both), 1e-4)
    maps = attribute(
        classifier, inputs, "captum:GradientShap", n_samples=6, stdevs=0.2, baselines="black"
    )
    method = captum.attr.GradientShap(network)
    expected = expected_maps(method, inputs, n_samples=6, stdevs=0.2, baselines=black)
    assert_close(maps, expected, 1e-4)


@pytest.mark.parametrize("name", ["LayerGradCam", "LayerGradientXActivation"])
def test_layers_equal_captum(name, network, classifier):
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, f"captum:{name}")
    method = getattr(captum.attr, name)(network, network.relu2)
    for label in (0, 1):
        expected = method.attribute(inputs, target=label).detach().sum(dim=1)
        assert_close(maps[:, label], expected, 1e-4)


@pytest.mark.filterwarnings("ignore:Setting")
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_guided_grad_cam_equals_captum(mode, network, classifier):
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "captum:GuidedGradCam", interpolate_mode=mode)
    method = captum.attr.GuidedGradCam(not_in_place(network), network.relu2)
    assert_close(maps, expected_maps(method, inputs, interpolate_mode=mode), 1e-4)


# ---------------------------------------------------------------- layer-wise relevance


@pytest.mark.parametrize("rule", ["epsilon", "gamma"])
def test_lrp_equals_captum(rule, network, classifier):
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "captum:LRP", rule=rule, gamma=0.4)
    plain = not_in_place(network)

    class Ruled:
        """captum forgets the rules after each call."""

        def attribute(self, image, target):
            if rule == "gamma":
                for layer in (plain.first, plain.second, plain.head):
                    layer.rule = GammaRule(0.4)
            return captum.attr.LRP(plain).attribute(image, target=target)

    assert_close(maps, expected_maps(Ruled(), inputs), 1e-4)


def test_lrp_without_biases_shares_the_logit_out(network):
    for layer in (network.first, network.second, network.head):
        nn.init.zeros_(layer.bias)
    classifier = classifier_of(network)
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "captum:LRP")
    with torch.no_grad():
        torch.testing.assert_close(maps.sum(dim=(2, 3)), network(inputs), rtol=1e-3, atol=1e-4)


def test_lrp_takes_a_shared_relu(classifier):
    shared = classifier_of(Shared().eval())
    inputs = some_inputs(classifier)
    expected = attribute(classifier, inputs, "captum:LRP")
    assert_close(attribute(shared, inputs, "captum:LRP"), expected)


def test_lrp_takes_folded_batch_norms_and_flatten():
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 2)).eval()
    nn.init.uniform_(layers[1].running_mean)
    classifier = classifier_of(network)
    inputs = some_inputs(classifier)
    maps = attribute(classifier, inputs, "captum:LRP")
    # With ReLUs alone and no absorption, relevance is the image times its gradient.
    expected = attribute(classifier, inputs, "input-x-gradient")
    assert_close(maps, expected, 1e-3)


# ---------------------------------------------------------------- what captum cannot do


@pytest.mark.parametrize(
    ("make", "name", "sentence"),
    [
        (Summed, "captum:LRP", "calls (add|relu) between them"),
        (tiny.resnet, "captum:LRP", "only knows networks that are made of layers"),
        (Summed, "captum:DeepLift", "does not add up on this model"),
        (Summed, "captum:DeepLiftShap", "does not add up on this model"),
        (Shared, "captum:DeepLift", "relu1 runs 2 times"),
        (tiny.resnet, "captum:DeepLiftShap", "runs 2 times"),
        (Summed, "captum:GuidedBackprop", "calls ReLU as a function"),
        (Summed, "captum:Deconvolution", "calls ReLU as a function"),
        (Summed, "captum:GuidedGradCam", "calls ReLU as a function"),
        (Repeated, "captum:LRP", "used more than once"),
        (Shared, "captum:LayerGradCam", "relu1 runs 2 times; choose another CAM layer"),
        (Shared, "captum:LayerGradientXActivation", "relu1 runs 2 times"),
    ],
)
def test_networks_that_captum_would_get_wrong_are_refused_and_left_as_they_were(
    make, name, sentence
):
    layer = {"cam_layer": "relu1"} if make is Shared else {}
    classifier = classifier_of(make().eval(), **layer)
    inputs = some_inputs(classifier)
    names = set(vars(nn.Conv2d(1, 1, 1)))
    state = {key: value.clone() for key, value in classifier.network.state_dict().items()}
    with pytest.raises(InputError, match=sentence) as why:
        attribute(classifier, inputs, name)
    assert "\n" not in str(why.value)
    assert str(why.value).endswith(".")
    assert hooks_of(classifier.network) == []
    for module in classifier.network.modules():
        # LRP keeps its rules and activations in the layers.
        assert not isinstance(module, nn.Conv2d) or set(vars(module)) <= names
    for key, value in classifier.network.state_dict().items():
        assert torch.equal(value, state[key])


def test_lrp_does_not_start_from_probabilities():
    network = nn.Sequential(Layers(), nn.Sigmoid()).eval()
    classifier = classifier_of(network, activation="none")
    with pytest.raises(InputError, match="starts from logits"):
        attribute(classifier, some_inputs(classifier), "captum:LRP")


@pytest.mark.parametrize("name", ["captum:FeatureAblation", "captum:InputXGradient"])
def test_probabilities_are_explained_as_logits(name):
    inside = classifier_of(nn.Sequential(Layers(), nn.Sigmoid()).eval(), activation="none")
    plain = classifier_of(Layers().eval())
    inputs = some_inputs(plain)
    settings = QUICK.get(name, {})
    expected = attribute(plain, inputs, name, **settings)
    assert_close(attribute(inside, inputs, name, **settings), expected, 1e-2)
