"""Fills against slow answers: dense systems, image by image, tile by tile."""

import json
from itertools import product

import numpy as np
import pytest
import tiny
from faithfulness_cases import judged_run, make_evaluation, sign_map
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.fills.feature_shift import Features
from napari_globalxai.faithfulness.fills.fill_agreement import fill_agreement
from napari_globalxai.faithfulness.fills.fill_kinds import Fitting, filled_under, fit_fill
from napari_globalxai.faithfulness.fills.fill_shift import fill_cautions, fill_shift
from napari_globalxai.faithfulness.fills.noisy_linear import NOISE, neighbour_weights
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.faithfulness.stored_results import result_stem, stored_results
from napari_globalxai.settings.peppr_settings import PepprSettings


class Stack:
    """Images in memory."""

    channels = ("red", "green")

    def __init__(self, pixels):
        self.pixels = pixels
        self.shape = pixels.shape[2:]

    def read(self, rows):
        return self.pixels[np.asarray(rows, int)]

    def mean_image(self, rows):
        return self.read(rows).mean(axis=0, dtype=np.float64).astype(np.float32)


def random_stack(count=6, shape=(7, 9), channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return Stack(rng.integers(0, 256, (count, channels, *shape), dtype=np.uint8))


# ---------------------------------------------------------------- one colour, blur, a picture


def test_the_mean_colour_leaves_the_rim_out():
    stack = random_stack()
    stack.pixels[:, :, :2] = 0
    valid = np.zeros(stack.shape, bool)
    valid[2:] = True
    fill = fit_fill("mean-colour", stack, [0, 3], Fitting(stack, [0, 3], valid))
    expected = stack.pixels[[0, 3], :, 2:].astype(float).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(fill.image, np.ones((2, 7, 9)) * expected[:, None, None], rtol=1e-6)
    whole = fit_fill("mean-colour", stack, [0, 3]).image[:, 0, 0]
    assert (whole < expected).all()


@pytest.mark.parametrize("shape", [(20, 30), (8, 9, 10)])
def test_blur_is_scipys(shape):
    stack = random_stack(3, shape)
    fill = fit_fill("blur", stack, [0, 1, 2])
    blurred = fill.of([1, 2], stack.read([1, 2]))
    for image, found in zip(stack.pixels[1:], blurred, strict=True):
        for channel, one in zip(image, found, strict=True):
            expected = gaussian_filter(channel.astype(float), 0.1 * min(shape), mode="nearest")
            np.testing.assert_allclose(one, expected, atol=1e-2)
    assert fill.per_image
    assert fill.facts == {"sigma": 0.1 * min(shape)}


def test_a_picture_of_the_users(tmp_path):
    stack = random_stack()
    picture = np.random.default_rng(3).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "healthy.png")
    fill = fit_fill(f"image:{tmp_path / 'healthy.png'}", stack, [0])
    assert np.array_equal(fill.image, np.moveaxis(picture[..., :2], -1, 0))
    stack.channels = ("grey", "blue")
    fill = fit_fill(f"image:{tmp_path / 'healthy.png'}", stack, [0])
    np.testing.assert_allclose(fill.image[0], picture.mean(axis=-1), rtol=1e-6)
    assert np.array_equal(fill.image[1], picture[..., 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist; fill with another picture"),
        (lambda path: path.write_text("no picture"), "cannot be read as an image"),
        (
            lambda path: Image.new("RGB", (7, 9)).save(path, format="png"),
            "has 9 × 7 pixels, but the frame has 7 × 9",
        ),
    ],
)
def test_pictures_that_do_not_fit(make, message, tmp_path):
    path = tmp_path / "x.png"
    make(path)
    with pytest.raises(InputError, match=message) as raised:
        fit_fill(f"image:{path}", random_stack(), [0])
    assert str(path) in str(raised.value)
    assert str(raised.value).count(". ") == 0


# ---------------------------------------------------------------- noisy linear imputation


def dense_solution(image, kept):
    """Solve for the erased pixels of one channel by a dense system, written pixel by pixel."""
    places = list(np.ndindex(kept.shape))
    number = {place: index for index, place in enumerate(places)}
    system, right = np.eye(len(places)), np.array([float(image[place]) for place in places])
    for place in places:
        if kept[place]:
            continue
        row = number[place]
        right[row] = 0
        weights = {}
        for step in product((-1, 0, 1), repeat=kept.ndim):
            other = tuple(p + s for p, s in zip(place, step, strict=True))
            if any(step) and other in number:
                # Sides count a sixth, corners half of that.
                weights[other] = {1: 1 / 6, 2: 1 / 12, 3: 1 / 18}[sum(map(abs, step))]
        for other, weight in weights.items():
            system[row, number[other]] = -weight / sum(weights.values())
    return np.linalg.solve(system, right).reshape(kept.shape)


@pytest.mark.parametrize("shape", [(7, 9), (1, 6), (4, 3, 5)])
def test_noisy_linear_against_a_dense_system(shape):
    stack = random_stack(5, shape)
    stack.pixels = (60 + stack.pixels // 2).astype(np.uint8)  # so that nothing is clipped
    fill = fit_fill("noisy-linear", stack, range(5), Fitting(stack, range(5), seed=4))
    for seed in range(3):
        kept = np.random.default_rng(seed).random(shape) < (0.1, 0.5, 0.9)[seed]
        kept.ravel()[seed] = True
        kept.ravel()[-1] = False
        shown = filled_under(fill, [1, 3], stack.read([1, 3]), kept)
        for row, found in zip((1, 3), shown, strict=True):
            noise = np.random.default_rng([4, 1, row]).standard_normal((2, *shape), dtype="float32")
            for channel in range(2):
                exact = dense_solution(stack.pixels[row, channel], kept)
                exact[~kept] += 255 * NOISE * noise[channel][~kept]
                np.testing.assert_allclose(found[channel], exact, atol=2e-3)


def test_the_weights_are_symmetric_and_known():
    weights = neighbour_weights((3, 4)).toarray()
    assert np.array_equal(weights, weights.T)
    assert weights[5].sum() == pytest.approx(1)  # an inner pixel: four sides and four corners
    assert np.count_nonzero(weights[0]) == 3


def test_noise_is_seeded_and_does_not_depend_on_the_batch():
    stack = random_stack()
    kept = np.random.default_rng(0).random(stack.shape) < 0.3

    def shown(rows, seed):
        fill = fit_fill("noisy-linear", stack, range(6), Fitting(stack, range(6), seed=seed))
        return filled_under(fill, rows, stack.read(rows), kept)

    assert np.array_equal(shown([2, 4], 0)[1], shown([4], 0)[0])
    difference = (shown([4], 0) - shown([4], 1))[0][:, ~kept]
    assert 0.5 < difference.std() / (255 * NOISE * 2**0.5) < 1.5


# ---------------------------------------------------------------- other images of the cohort


def neighbour_case():
    stack = random_stack(8, (16, 16))
    truth = np.array([[1, 0], [0, 0], [0, 1], [0, 0], [1, 1], [0, 0], [0, np.nan], [0, 0]])
    patients = ("a", "b", "c", "d", "d", "e", "f", "b")
    return stack, Fitting(stack, range(8), None, truth, patients, (0, 1))


@pytest.mark.parametrize("name", ["neighbour", "local-neighbour"])
def test_neighbours_by_a_slow_search(name):
    """Of another patient, without any label, nearest on what is left; tile by tile if local."""
    stack, fitting = neighbour_case()
    fill = fit_fill(name, stack, range(8), fitting)
    kept = np.random.default_rng(5).random((16, 16)) < 0.4
    kept[:6, :6] = False  # around the first tile nothing is left
    shown = filled_under(fill, range(8), stack.pixels, kept)
    free = [1, 3, 5, 7]
    tiles = [(0, 16, 0, 16)] if name == "neighbour" else [
        (y, y + 2, x, x + 2) for y in range(0, 16, 2) for x in range(0, 16, 2)
    ]  # fmt: skip
    for row in range(8):
        for top, bottom, left, right in tiles:
            near = np.zeros((16, 16), bool)
            near[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = True
            by = kept & near if (kept & near).any() else kept
            distance = {}
            for donor in free:
                if fitting.patients[donor] != fitting.patients[row]:
                    gap = stack.pixels[row].astype(int) - stack.pixels[donor]
                    distance[donor] = (gap[:, by] ** 2).sum()
            best = min(distance, key=distance.get)
            area = np.s_[:, top:bottom, left:right]
            assert np.array_equal(shown[row][area], stack.pixels[best][area])
    blank = fill.of([2], stack.read([2]))
    np.testing.assert_allclose(blank[0], stack.pixels[free].mean(axis=0), rtol=1e-5)
    assert fill.facts == {"donors": 4}


@pytest.mark.parametrize("name", ["noisy-linear", "neighbour", "local-neighbour"])
def test_what_is_erased_has_no_part_in_the_fill(name):
    stack, fitting = neighbour_case()
    kept = np.random.default_rng(5).random((16, 16)) < 0.4
    fill = fit_fill(name, stack, range(8), fitting)
    other = stack.pixels.copy()
    other[:, :, ~kept] = 255 - other[:, :, ~kept]
    one, two = (filled_under(fill, range(8), each, kept) for each in (stack.pixels, other))
    np.testing.assert_allclose(one[:, :, ~kept], two[:, :, ~kept], atol=1e-4)


def test_without_images_free_of_the_label():
    stack, _ = neighbour_case()
    for truth, message in ((np.ones((8, 2)), "at least two patients"), (None, "needs the truth")):
        with pytest.raises(InputError, match=message):
            fit_fill("neighbour", stack, range(8), Fitting(stack, range(8), truth=truth))


# ---------------------------------------------------------------- the model under these fills


def rim():
    valid = np.zeros((tiny.HEIGHT, tiny.WIDTH), bool)
    valid[2:-2, 2:-2] = True
    return valid


@pytest.mark.parametrize("name", ["noisy-linear", "neighbour"])
def test_predictions_under_a_mask_are_those_of_the_filled_images(name, tmp_path):
    evaluation = make_evaluation(tmp_path, count=16, valid=rim(), batch_size=5)
    fitting = Fitting(
        evaluation.stack, evaluation.rows, rim(), evaluation.truth, evaluation.patients, (0,)
    )
    evaluation = make_evaluation(
        tmp_path, count=16, valid=rim(), batch_size=5,
        fill=fit_fill(name, evaluation.stack, evaluation.rows, fitting),
    )  # fmt: skip
    result = judged_run(tmp_path, evaluation, sign_map(), fill=name)
    weight = evaluation.classifier.network.weight.numpy().astype(float)
    pixels = evaluation.stack.read(evaluation.rows)
    for arm in ("erase", "restore"):
        for step in (1, 3, len(result.counts) - 2):
            kept = result.kept(result.fractions[step], arm)
            for row in (0, 7, 15):
                fill = result.fill_of(row, pixels[row], kept)
                shown = np.where(kept, pixels[row], fill) / 255
                logit = np.einsum("chw,lchw->l", (shown - 0.3) / 0.1, weight)
                found = result.probabilities[arm][step, row]
                np.testing.assert_allclose(found, 1 / (1 + np.exp(-logit)), atol=1e-5)
    erase, restore = (result.probabilities[arm] for arm in ("erase", "restore"))
    assert np.array_equal(erase[0], restore[-1])
    assert np.array_equal(erase[-1], restore[0])
    assert len(np.unique(restore[0], axis=0)) == 1
    with pytest.raises(InputError, match="depends on what is left"):
        result.fill_of(0, pixels[0])
    result.save(tmp_path / "peppr")
    again = PepprResult.load(tmp_path / "peppr", "map", f"map.{name}")
    kept = result.kept(0.3, "erase")
    refitted = again.fitted(evaluation.stack, fitting)
    assert np.array_equal(refitted.fill_of(3, pixels[3], kept), result.fill_of(3, pixels[3], kept))


# ---------------------------------------------------------------- how far a fill moves the model


def test_the_shift_of_a_fill_image_by_image(tmp_path):
    evaluation = make_evaluation(tmp_path, count=40, fill="black")
    result = judged_run(tmp_path, evaluation, sign_map(), fill="black", controls=0)
    weight = evaluation.classifier.network.weight.numpy()[0].astype(float)
    pixels = evaluation.stack.read(evaluation.rows) / 255
    free = [row for row in evaluation.rows if not evaluation.truth[row].any()]

    def logit(row, kept):
        return (np.where(kept, (pixels[row] - 0.3) / 0.1, -3) * weight).sum()

    everything = np.ones(rim().shape, bool)
    found = result.areas["left"]["fill_shift"]
    half = result.fractions[np.argmin(abs(result.fractions - 0.5))]
    for arm in ("erase", "restore"):
        kept = result.kept(half, arm)
        change = np.mean([logit(row, kept) - logit(row, everything) for row in free])
        assert found[arm] == pytest.approx(change, abs=1e-4)
    intact = np.array([logit(row, everything) for row in evaluation.rows])
    truth = evaluation.truth[:, 0] == 1
    gap = intact[truth].mean() - intact[~truth].mean()
    assert found["logit_gap"] == pytest.approx(gap, abs=1e-4)
    assert found["in_gaps"] == pytest.approx(found["erase"] / gap, rel=1e-3)
    assert found["images"] == len(free)
    assert found["blank_auc"] == 0.5
    # Black where the sign was: the model takes it for a strong absence.
    (caution,) = result.cautions("left")
    assert "the fill black alone moves" in caution
    assert "away from the label" in caution


def test_too_few_images_without_any_label(tmp_path):
    evaluation = make_evaluation(tmp_path, count=40)
    evaluation.truth[:, 1] = 1
    evaluation.truth[0, 1] = 0
    order = np.arange(rim().size)
    course = evaluation.course(order, np.array([0, 768, 1536]), lambda done, total: None)
    found = fill_shift(evaluation, course, "left", Features("", {}, "not looked at"))
    assert found["images"] == (evaluation.truth[:, 0] == 0).sum()


def test_blanks_of_their_own_that_tell_the_label(tmp_path):
    """Blurring keeps the sign's brightness, so that even the blank has it."""
    evaluation = make_evaluation(tmp_path, count=60, fill="blur")
    result = judged_run(tmp_path, evaluation, sign_map(), fill="blur", controls=0)
    found = result.areas["left"]["fill_shift"]["blank_auc"]
    blank = result.probabilities["restore"][0][:, 0]
    assert found == pytest.approx(roc_auc_score(evaluation.truth[:, 0], blank))
    assert found > 0.6
    assert any("still tells the label" in text for text in result.cautions("left"))
    assert fill_cautions("x", {"images": 9, "in_gaps": float("nan"), "blank_auc": 0.5}) == []


# ---------------------------------------------------------------- several fills


def test_agreement_over_fills(tmp_path):
    results = {}
    for name in ("mean-image", "black"):
        evaluation = make_evaluation(tmp_path / name, count=60, fill=name)
        image = sign_map() if name == "mean-image" else -sign_map()
        results[name] = judged_run(tmp_path / name, evaluation, image, fill=name)
    found = fill_agreement(results)
    words = {name: result.verdict["left"].word for name, result in results.items()}
    assert len(set(words.values())) == 2
    assert found["left"]["verdicts"] == words
    assert not found["left"]["agree"]
    for name, word in words.items():
        assert f"{word} by {name}" in found["left"]["sentence"]
    same = fill_agreement({"a": results["black"], "b": results["black"]})["left"]
    assert same["agree"]
    assert same["sentence"] == f"all 2 fills say {words['black']}"
    assert same["delta"]["a"] == results["black"].areas["left"]["delta"]
    for result in results.values():
        result.save(tmp_path / "peppr")
    (tmp_path / "peppr" / "regions.json").write_text(json.dumps({"regions": []}))
    stored = stored_results(tmp_path / "peppr")
    assert [(each.map_name, each.fill, each.stem) for each in stored] == [
        ("map", "mean-image", "map"),
        ("map", "black", "map.black"),
    ]
    assert result_stem("a", "image:/some where/my eye.png") == "a.image-my_eye"


def test_fills_are_chosen_one_or_several():
    assert PepprSettings().fills == ("mean-image",)
    assert PepprSettings(fill=["black", "blur", "black"]).fills == ("black", "blur")
    assert PepprSettings(fill="image:x.png").fills == ("image:x.png",)
    for wrong, message in ((["black", "nothing"], "no fill 'nothing'"), ([], "at least one")):
        with pytest.raises(InputError, match=message):
            PepprSettings(fill=wrong)
