"""Maps that never saw the model that they are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from calibration_models import Bench, coarse
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude

from napari_globalxai.attribution.method import make_method
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.models.random_weights import RandomWeights
from napari_globalxai.runs.run import open_run

_SMOOTHNESSES = (0.05, 0.1, 0.16)
_IMAGES_A_MAP = 24

Draw = Callable[[np.random.Generator], np.ndarray]


def kinds(bench: Bench, folder: Path, count: int) -> dict[str, Iterator[np.ndarray]]:
    """Return null maps by kind, so many of each."""
    valid = bench.evaluation.valid
    shape = valid.shape
    depth = distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1]
    rim = np.clip(depth / (depth.max() / 3), 0, 1)
    around = gaussian_filter(valid.astype(float), 0.06 * shape[0])
    true = list(bench.true_maps.values())

    def field(share: float, fading: np.ndarray | None) -> Draw:
        def draw(rng: np.random.Generator) -> np.ndarray:
            values = gaussian_filter(rng.standard_normal(shape), share * shape[0])
            return values if fading is None else (values - values.min()) * fading

        return draw

    def shifted(rng: np.random.Generator) -> np.ndarray:
        offset = tuple(int(rng.integers(size)) for size in shape)
        return np.roll(true[int(rng.integers(len(true)))], offset, (0, 1))

    def anatomy(rng: np.random.Generator) -> np.ndarray:
        """Draw brightness, spread or edges of a few images, either way round."""
        evaluation = bench.evaluation
        rows = rng.choice(len(evaluation.rows), int(rng.integers(2, 17)), replace=False)
        images = evaluation.stack.read(evaluation.rows[rows]).astype(float)
        image = images[:, int(rng.integers(images.shape[1]))]
        what = int(rng.integers(3))
        if what == 0:
            value = image.mean(axis=0)
        elif what == 1:
            value = image.std(axis=0)
        else:
            value = gaussian_gradient_magnitude(image.mean(axis=0), 1.0)
        return gaussian_filter(value, rng.uniform(0.5, 2)) * rng.choice([-1, 1])

    draws: dict[str, Draw] = {}
    for share in _SMOOTHNESSES:
        draws[f"field, {share:g} of the height"] = field(share, None)
        draws[f"field, {share:g}, fading outside"] = field(share, around)
        draws[f"field, {share:g}, fading at the rim"] = field(share, rim)
    draws["true map, shifted at random"] = shifted
    draws["anatomy"] = anatomy
    found = {
        kind: map(draw, map(np.random.default_rng, ([number, each] for each in range(count))))
        for number, (kind, draw) in enumerate(draws.items())
    }
    found["random weights"] = _untrained_maps(folder, count)
    return found


def _untrained_maps(folder: Path, count: int) -> Iterator[np.ndarray]:
    """Give Grad-CAM maps of the bundled network with random weights, each of another seed."""
    path = folder / f"untrained-{count}.npy"
    if path.is_file():
        yield from np.load(path)
        return
    run = open_run(folder / "honest")
    trained = run.classifier()
    random = RandomWeights(trained, run.stack.read(run.finished_rows[:32]))
    method = make_method("grad-cam")
    rng = np.random.default_rng(11)
    maps: list[np.ndarray] = []
    seed = 0
    while len(maps) < count:
        network = random.classifier(seed)
        rows = rng.choice(run.finished_rows, _IMAGES_A_MAP, replace=False)
        inputs = network.to_input(run.stack.read(rows))
        cells = method.attribute(network, inputs, [seed % len(run.labels)]).maps[:, 0].mean(dim=0)
        seed += 1
        # A map that Grad-CAM left empty ranks nothing.
        if cells.max() > cells.min():
            maps.append(coarse(upsample(cells.numpy(), method.grid(network))))
            yield maps[-1]
    np.save(path, np.stack(maps))
