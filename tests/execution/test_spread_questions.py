"""PEPPR, random weights and checks on workers: the bits of one process."""

import json
import os
import pickle
import signal

import numpy as np
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.execution.kept import Kept
from napari_globalxai.execution.shared_values import SharedValue
from napari_globalxai.faithfulness.peppr import ALONG
from napari_globalxai.runs.inputs.check import check_inputs
from napari_globalxai.runs.peppr.compare_maps import compare_maps
from napari_globalxai.runs.peppr.evaluate_otherwise import peppr_as_published, peppr_images
from napari_globalxai.runs.peppr.evaluate_regions import peppr_regions
from napari_globalxai.settings.execution_settings import WorkerSettings

RANDOM = {"seeds": 3, "stages": 1, "splits": 10}
FILLS = ("mean-image", "noisy-linear")
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


@pytest.fixture(scope="module")
def random_here(run):
    """What one process says of random weights."""
    return gx.sanity(run, **RANDOM)


def results(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "peppr").glob("*.*"))}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "peppr/controls").iterdir()}


class Killer:
    """Kills a worker as soon as a stage is under way; a callback of progress."""

    def __init__(self, cluster, stage):
        self.cluster, self.stage, self.killed, self.told = cluster, stage, [], []

    def __call__(self, progress):
        self.told.append(progress)
        # Of several fills, it stands behind the fill's name.
        if self.stage in progress.stage and progress.done and not self.killed:
            self.killed.extend(self.cluster.run(os.getpid).values())
            os.kill(self.killed[0], signal.SIGKILL)

    def assert_another_one_works(self):
        assert self.killed
        assert set(self.killed).isdisjoint({os.getpid(), *self.cluster.run(os.getpid).values()})


@pytest.fixture(scope="module")
def tested_here(run, tmp_path_factory):
    """Where the answers of PEPPR of one process lie."""
    folder = tmp_path_factory.mktemp("here")
    gx.peppr(run, fill=FILLS, out=folder, **SETTINGS)
    return folder


def test_peppr_gives_the_bits_of_one_process_though_a_worker_is_killed(
    run, tested_here, cluster, workers, tmp_path
):
    kill = Killer(cluster, ALONG)
    gx.peppr(run, fill=FILLS, out=tmp_path / "there", workers=workers, progress=kill, **SETTINGS)

    kill.assert_another_one_works()
    assert any("shown at http://127.0.0.1:" in each.stage for each in kill.told)
    here, there = results(tested_here), results(tmp_path / "there")
    assert len(here) >= 4
    assert here == there
    kept = [
        sorted((place / "peppr" / "controls").iterdir())
        for place in (tested_here, tmp_path / "there")
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
        "one by one": lambda **how: peppr_images(run, steps=4, **settings, **how),
        "published": lambda **how: peppr_as_published(run, steps=4, **settings, **how),
        "compared": lambda **how: compare_maps(run, ["left", "right"], steps=4, **settings, **how),
    }
    for ask in asked.values():
        ask()
        here = results(run.folder)
        ask(workers=workers)
        assert results(run.folder) == here


def test_random_weights_give_the_same_though_a_worker_is_killed(run, random_here, cluster, workers):
    (run.folder / "sanity" / "finished.jsonl").unlink()
    kill = Killer(cluster, "Explaining with random weights")
    there = gx.sanity(run, **RANDOM, workers=workers, progress=kill)

    kill.assert_another_one_works()
    assert json.dumps(there) == json.dumps(random_here)
    assert kill.told[-1].done == kill.told[-1].total
    assert any(each.remaining for each in kill.told)


@pytest.fixture
def scheduler_that_leaves(monkeypatch):
    """Give settings, and what gives a callback: the scheduler goes once a stage is under way."""
    from distributed import LocalCluster

    monkeypatch.setattr("napari_globalxai.execution.dask_workers._SECONDS_TO_CONNECT", 1)
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as started:

        def during(stage):
            def leave(progress):
                if stage in progress.stage and progress.done:
                    started.close(timeout=30)

            return leave

        yield WorkerSettings(scheduler=started.scheduler_address), during


GONE = r"scheduler of .* is gone .* the same command again"


def test_peppr_whose_scheduler_is_gone_is_ended_without_it(
    run, tested_here, scheduler_that_leaves, tmp_path
):
    workers, during = scheduler_that_leaves
    how = {"workers": workers, "progress": during("Testing")}
    with pytest.raises(InputError, match=GONE):
        gx.peppr(run, fill=FILLS, out=tmp_path, **how, **SETTINGS)
    before = times(tmp_path)
    gx.peppr(run, fill=FILLS, out=tmp_path, **SETTINGS)

    assert before
    assert before.items() <= times(tmp_path).items()
    assert results(tmp_path) == results(tested_here)
    assert not (tmp_path / "peppr" / "for-workers").exists()


def test_random_weights_whose_scheduler_is_gone_are_ended_without_it(
    run, random_here, scheduler_that_leaves, caplog
):
    finished = run.folder / "sanity" / "finished.jsonl"
    finished.unlink()
    workers, during = scheduler_that_leaves
    progress = during("Explaining with random weights")
    with pytest.raises(InputError, match=GONE):
        gx.sanity(run, **RANDOM, workers=workers, progress=progress)
    assert not [each for each in caplog.records if each.name.startswith("distributed")]
    before = finished.read_text()
    found = gx.sanity(run, **RANDOM)

    assert before
    assert finished.read_text().startswith(before)
    assert json.dumps(found) == json.dumps(random_here)


@pytest.mark.parametrize("with_model", [True, False])
def test_a_check_finds_the_same_though_a_worker_is_killed(run, cluster, workers, with_model):
    cohort = read_cohort(run.record.cohort.table)
    model = run.classifier() if with_model else None
    here = check_inputs(cohort, model)
    kill = Killer(cluster, "Predicting images")
    there = check_inputs(cohort, model, workers=workers, progress=kill)

    if with_model:
        kill.assert_another_one_works()

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
