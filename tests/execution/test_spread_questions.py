"""PEPPR, random weights and checks on workers: the bits of one process."""

import json
import os
import pickle
import signal

import numpy as np
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.cli.peppr_questions import PepprQuestion, ask_peppr
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.execution.kept import Kept
from napari_globalxai.execution.shared_values import SharedValue
from napari_globalxai.faithfulness.peppr import ALONG
from napari_globalxai.runs.check import check_inputs
from napari_globalxai.runs.compare_maps import compare_maps
from napari_globalxai.runs.evaluate_otherwise import peppr_as_published
from napari_globalxai.runs.evaluate_regions import peppr_regions
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.peppr_settings import PepprSettings

SETTINGS = {"steps": 4, "controls": 1, "bootstrap": 20, "batch_size": 16}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of patients enough for folds, each of which is tested along a map of the others."""
    folder = tmp_path_factory.mktemp("run")
    table = tiny.write_cohort(folder / "cohort", size=48)
    (folder / "cohort" / "images" / "041.png").write_bytes(b"no picture")
    return gx.explain(table, tiny.write_resnet(folder / "resnet"), folder / "run", "grad-cam")


@pytest.fixture(scope="module")
def cluster():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as started,
        Client(started, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def workers(cluster):
    return WorkerSettings(scheduler=cluster.scheduler.address)


def results(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "peppr").glob("*.*"))}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "peppr/controls").iterdir()}


def test_peppr_gives_the_bits_of_one_process_though_a_worker_is_killed(
    run, cluster, workers, tmp_path
):
    fills = ("mean-image", "noisy-linear")
    gx.peppr(run, fill=fills, out=tmp_path / "here", **SETTINGS)
    killed, told = [], []

    def kill(progress):
        told.append(progress.stage)
        if progress.stage.startswith(ALONG) and progress.done and not killed:
            killed.extend(cluster.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    gx.peppr(run, fill=fills, out=tmp_path / "there", workers=workers, progress=kill, **SETTINGS)

    assert killed
    assert set(killed).isdisjoint({os.getpid(), *cluster.run(os.getpid).values()})
    assert any("shown at http://127.0.0.1:" in stage for stage in told)
    here, there = results(tmp_path / "here"), results(tmp_path / "there")
    assert len(here) >= 4
    assert here == there
    kept = [
        sorted((tmp_path / place / "peppr" / "controls").iterdir()) for place in ("here", "there")
    ]
    assert [path.name for path in kept[0]] == [path.name for path in kept[1]]
    for own, other in zip(*kept, strict=True):
        np.testing.assert_array_equal(np.load(own), np.load(other))
    assert not (tmp_path / "there" / "peppr" / "for-workers").exists()


def test_peppr_that_was_stopped_on_workers_goes_on_without_them(run, workers, tmp_path):
    def stop(progress):
        if progress.stage.startswith("Testing") and progress.done:
            raise Cancelled

    with pytest.raises(Cancelled):
        gx.peppr(run, out=tmp_path, workers=workers, progress=stop, **SETTINGS)
    before = times(tmp_path)
    gx.peppr(run, out=tmp_path, **SETTINGS)

    assert before
    assert before.items() <= times(tmp_path).items()


def test_other_questions_to_peppr_give_the_same_on_workers(run, workers, tmp_path):
    areas = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    areas[:, :20] = 1
    np.save(tmp_path / "areas.npy", areas)
    settings = {"batch_size": 16, "bootstrap": 20}
    asked = {
        "regions": lambda **how: peppr_regions(run, tmp_path / "areas.npy", **settings, **how),
        "published": lambda **how: peppr_as_published(run, steps=4, **settings, **how),
        "compared": lambda **how: compare_maps(run, ["left", "right"], steps=4, **settings, **how),
    }
    for ask in asked.values():
        ask()
        here = results(run.folder)
        ask(workers=workers)
        assert results(run.folder) == here


def test_single_images_are_left_to_this_process(run):
    question = PepprQuestion(per_image=True)
    with pytest.raises(InputError, match=r"--per-image: .* leave out --workers"):
        ask_peppr(run.folder, question, PepprSettings(), workers=WorkerSettings(workers=2))


def test_random_weights_give_the_same_on_workers(run, workers):
    settings = {"seeds": 2, "stages": 1, "splits": 10}
    told = []
    here = gx.sanity(run, **settings)
    (run.folder / "sanity" / "finished.jsonl").unlink()
    there = gx.sanity(run, **settings, workers=workers, progress=told.append)

    assert json.dumps(there) == json.dumps(here)
    assert told[-1].done == told[-1].total
    assert any(each.remaining for each in told)


@pytest.mark.parametrize("with_model", [True, False])
def test_a_check_finds_the_same_on_workers(run, workers, with_model):
    cohort = read_cohort(run.record.cohort.table)
    model = run.classifier() if with_model else None
    here = check_inputs(cohort, model)
    there = check_inputs(cohort, model, workers=workers)

    assert list(there.facts) == list(here.facts)
    assert list(there.problems) == list(here.problems)
    assert any("041.png" in problem for problem in there.problems)
    assert list(map(str, there.performance)) == list(map(str, here.performance))


def test_a_shared_value_that_somebody_changed_is_not_unpickled(tmp_path):
    shared = SharedValue.write(tmp_path, {"fill": np.arange(3)})
    np.testing.assert_array_equal(shared.read()["fill"], [0, 1, 2])

    # What would be run when it is unpickled.
    shared.path.write_bytes(pickle.dumps(_Trap(str(tmp_path / "sprung"))))
    with pytest.raises(InputError, match=r"\.shared: is not there or was changed"):
        shared.read()
    shared.remove()
    with pytest.raises(InputError, match="see the same files"):
        shared.read()
    assert not (tmp_path / "sprung").exists()


class _Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_worker_makes_what_it_keeps_once_and_drops_it_before_the_next():
    kept, made = Kept(), []

    def make(name):
        made.append(name)
        return [name]

    for name in ("a", "a", "b", "a"):
        with kept.lend(name, lambda name=name: make(name)) as value:
            assert value == [name]
    assert made == ["a", "b", "a"]


def test_nothing_is_kept_from_one_job_to_the_next():
    """What it was made from may be another file of that name by then."""
    kept, made = Kept(), []

    def use(job):
        kept.begin(job)
        with kept.lend("run", lambda: made.append(job) or [job]) as value:
            return value

    assert [use(job) for job in ("one", "one", "two", "one")] == [
        ["one"],
        ["one"],
        ["two"],
        ["one"],
    ]
    assert made == ["one", "two", "one"]
