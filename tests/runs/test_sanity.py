"""The check against random weights: a map of the model, one of the images, and how p is made."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from torch import nn

import napari_globalxai as gx
from napari_globalxai.attribution.method import make_method
from napari_globalxai.errors import Cancelled
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import cells_inside
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.random_weights import RandomWeights
from napari_globalxai.runs.questions.random_maps import RunMaps, choose_rows
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.ranks import spearman

SETTINGS = {"seeds": 3, "stages": 2, "splits": 10}


class Bright(nn.Module):
    """Its one weight decides how loud the answer is, never what it looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1, bias=False)
        self.register_buffer("ramp", torch.linspace(0, 1, tiny.WIDTH))

    def forward(self, images):
        size = self.head.weight.abs() + 1
        return ((images * self.ramp).flatten(1).mean(1, keepdim=True) * size).expand(-1, 2)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return tiny.write_cohort(tmp_path_factory.mktemp("sanity"), size=40)


@pytest.fixture(scope="module")
def run(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return gx.explain(cohort, tiny.write_linear(folder), folder / "run", "saliency", pooling=4)


def test_a_map_of_the_model(run):
    found = gx.sanity(run, seeds=19, stages=1, splits=20)
    stored = json.loads((run.folder / "sanity" / "sanity.json").read_text())
    assert list(stored) == ["left", "right"]
    for label, each in stored.items():
        assert each == json.loads(json.dumps(found[label]))
        assert len(each["spearman"]) == len(each["ssim"]) == 19
        assert each["p"] == 1 / 20
        assert each["verdict"] == "model-dependent"
        assert max(each["spearman"]) < each["reliability"]
        assert each["images"] == 20


def test_a_map_of_the_images(cohort, tmp_path):
    card = tiny.linear_classifier().card
    run = gx.explain(cohort, Classifier(Bright(), card, device="cpu"), tmp_path, "saliency")
    found = gx.sanity(run, seeds=19, stages=1, splits=20)
    for each in found.values():
        assert each["verdict"] == "survives random weights"
        assert each["p"] > 0.05
        np.testing.assert_allclose(each["spearman"], 1, atol=1e-3)
        np.testing.assert_allclose(each["ssim"], 1, atol=1e-3)


def test_numbers_equal_slow_ones(cohort, tmp_path):
    run = gx.explain(cohort, tiny.write_resnet(tmp_path), tmp_path / "run")
    found = gx.sanity(run, seeds=1, stages=1, splits=10, batch_norm="reset")
    random = RandomWeights(run.classifier()).classifier(0, batch_norm="reset")
    method = make_method("grad-cam")
    inside = cells_inside(run.valid, run.store.grid)
    for index, label in enumerate(run.labels):
        rows = run.members(label)
        maps = method.attribute(random, random.to_input(run.stack.read(rows)), [index]).maps
        mean = maps[:, 0].clamp(min=0).mean(0).cpu().numpy()
        own = tiny.attributions(run)[rows, index].clip(0).mean(0)
        assert found[label]["spearman"][0] == pytest.approx(
            spearman(own[inside], mean[inside]), abs=1e-3
        )


def test_it_goes_on_where_it_was_stopped(run):
    passed = []

    def stop(progress):
        passed.append(progress.done)
        if progress.stage.startswith("Explaining") and progress.done > 45:
            raise Cancelled

    with pytest.raises(Cancelled):
        gx.sanity(run, **SETTINGS, seed=5, progress=stop)
    lines = (run.folder / "sanity" / "finished.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    kept = [each for each in entries if each["key"] == entries[-1]["key"]]
    assert 1 <= len(kept) < 6
    found = gx.sanity(run, **SETTINGS, seed=5)
    lines = (run.folder / "sanity" / "finished.jsonl").read_text().splitlines()
    assert len(lines) == len(entries) + 6 - len(kept)
    assert found == gx.sanity(run, **SETTINGS, seed=5)
    assert [each["share"] for each in found["left"]["stages"]] == [0.5, 1] * 3


def test_images_are_those_of_whole_patients():
    rows = np.arange(30)
    patients = [f"P{row // 3}" for row in range(30)]
    chosen = choose_rows(rows, patients, 10, seed=1)
    assert len(chosen) == 9
    assert {row // 3 for row in chosen} == {row // 3 for row in chosen if row % 3 == 2}
    assert choose_rows(rows, patients, 30, seed=1) is rows


def test_memory_of_torch_is_left_alone(run):
    state = torch.get_rng_state()
    gx.sanity(run, seeds=1, stages=1, splits=10, seed=9)
    assert torch.equal(state, torch.get_rng_state())


def test_maps_of_volumes_are_made_coarser_along_every_axis(tmp_path):
    """Three spatial axes, of which one is too fine to correlate: blocks of three cells."""
    grid = CellGrid.tiling((2, 4, 200), (4, 8, 400))
    maps = np.random.default_rng(0).normal(0, 1, (5, 1, *grid.shape)).astype(np.float32)
    store = AttributionStore.create(tmp_path / "store.zarr", 5, ("a",), grid, "print")
    store.write(0, maps)
    run = SimpleNamespace(
        store=store, aggregation=AggregationSettings(), valid=np.ones(grid.frame, bool)
    )
    rows = np.array([0, 2, 4])
    found = RunMaps(run, {"a": rows}).trained()["a"]
    slow = np.zeros((3, 1, 2, 67))
    for place in np.ndindex(slow.shape):
        image, (down, across, along) = place[0], (3 * np.array(place[1:])).tolist()
        block = maps[rows[image], 0].clip(0).astype(float)
        slow[place] = block[down : down + 3, across : across + 3, along : along + 3].mean()
    np.testing.assert_allclose(found.maps, slow, rtol=1e-5)
    assert found.mean.shape == (1, 2, 67)
