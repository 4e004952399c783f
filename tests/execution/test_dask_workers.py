"""Several processes give the bits of one, whatever becomes of them."""

import os
import shutil
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from typer.testing import CliRunner

from napari_globalxai.cli.commands import app
from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.execution.dask_workers import Workers, _need_workers, open_workers
from napari_globalxai.models.elsewhere import ModelElsewhere
from napari_globalxai.models.loaders import load_model
from napari_globalxai.runs.inputs.align_cohort import align
from napari_globalxai.runs.pipeline import explain
from napari_globalxai.runs.run import open_run
from napari_globalxai.settings.execution_settings import WorkerSettings

# Three chunks of the store, the last of them not full.
SIZE = 70
POOLED = {"method": "saliency", "pooling": 2}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    table = tiny.write_cohort(folder / "cohort", size=SIZE)
    # One image that cannot be read, and one that is not there.
    (folder / "cohort" / "images" / "041.png").write_bytes(b"no picture")
    (folder / "cohort" / "images" / "060.png").unlink()
    tiny.write_resnet(folder / "resnet")
    return table, folder / "resnet" / "model.yaml"


@pytest.fixture(scope="module")
def alone(inputs, tmp_path_factory):
    return explain(*inputs, tmp_path_factory.mktemp("alone") / "run", **POOLED)


@pytest.fixture(scope="module")
def processes():
    """A cluster as a hospital may have one: without keys, and started by somebody else."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as started,
        Client(started, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def cluster(processes):
    return processes.scheduler.address


def assert_same(run, expected):
    assert list(run.maps) == list(expected.maps)
    for name in expected.maps:
        np.testing.assert_array_equal(run.maps[name], expected.maps[name])
    size = len(expected.images)
    for row in range(size):
        for label in range(len(expected.labels)):
            np.testing.assert_array_equal(
                run.store.read(row, label), expected.store.read(row, label)
            )
    rows = np.arange(size)
    np.testing.assert_array_equal(run.stack.read(rows), expected.stack.read(rows))
    assert run.images.equals(expected.images)
    assert run.statistics.equals(expected.statistics)


def test_a_worker_that_is_killed_costs_its_chunk_and_not_the_run(
    inputs, alone, processes, cluster, tmp_path
):
    killed = []

    def kill_one(progress):
        if progress.stage.startswith("Explaining") and progress.done and not killed:
            killed.append(sorted(processes.run(os.getpid).values())[0])
            os.kill(killed[0], signal.SIGKILL)

    run = explain(*inputs, tmp_path / "run", **POOLED, scheduler=cluster, progress=kill_one)

    assert killed
    assert {os.getpid(), *processes.run(os.getpid).values()}.isdisjoint(killed)
    assert_same(run, alone)


def test_workers_of_this_machine_are_other_processes_that_need_a_key(monkeypatch):
    # Dask leaves there what it has set for a cluster before, and does not set it again.
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with open_workers(WorkerSettings(workers=2)) as workers:
        client = workers._client
        assert client.scheduler.address.startswith("tls://127.0.0.1:")
        assert sorted(workers.run(abs, range(-8, 0))) == [(each, -each) for each in range(-8, 0)]
        assert os.getpid() not in client.run(os.getpid).values()
        assert set(client.nthreads().values()) == {1}
        assert workers.threads == 2
        kept = client.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_")
        assert set(kept.values()) == {str(1 << 30)}


def test_a_cluster_gives_the_bits_of_one_process(inputs, alone, cluster, tmp_path):
    run = explain(*inputs, tmp_path / "run", **POOLED, scheduler=cluster)

    assert_same(run, alone)
    assert run.record.settings.scheduler == cluster


def test_what_was_stopped_on_a_cluster_is_ended_without_it(inputs, alone, cluster, tmp_path):
    def stop(progress):
        if progress.stage.startswith("Explaining") and progress.done > 30:
            raise Cancelled

    with pytest.raises(Cancelled):
        explain(*inputs, tmp_path / "run", **POOLED, scheduler=cluster, progress=stop)
    run = explain(*inputs, tmp_path / "run", **POOLED, resume=True)

    assert_same(run, alone)
    assert not list((tmp_path / "run").glob("*-chunk-*"))


def test_aligning_on_a_cluster_gives_the_same_stack_and_errors(inputs, cluster, tmp_path):
    from napari_globalxai.frame.stack import AlignedStack

    # The atlas is learnt of all, twice: two chunks, with both of the images that fail.
    header, *lines = inputs[0].read_text().splitlines()
    table = inputs[0].with_name("later.csv")
    table.write_text("\n".join([header, *lines[30:]]) + "\n")
    here = align(table, tmp_path / "here", height=tiny.HEIGHT, width=tiny.WIDTH)
    there = align(
        table,
        tmp_path / "there",
        height=tiny.HEIGHT,
        width=tiny.WIDTH,
        workers=WorkerSettings(scheduler=cluster),
    )

    stacks = [AlignedStack(folder / "aligned.zarr") for folder in (here, there)]
    np.testing.assert_array_equal(stacks[0].images[:], stacks[1].images[:])
    assert stacks[0].status() == stacks[1].status()
    assert stacks[0].facts() == stacks[1].facts()
    assert sum(bool(error) for error in stacks[1].status().values()) == 2


def test_a_cluster_that_goes_away_leaves_a_run_to_go_on_with(inputs, alone, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as started:

        def leave(progress):
            if progress.stage.startswith("Explaining") and progress.done > 30:
                started.close(timeout=30)

        with pytest.raises(InputError, match=r"gone .* --resume"):
            explain(
                *inputs,
                tmp_path / "run",
                **POOLED,
                scheduler=started.scheduler_address,
                progress=leave,
            )
    run = explain(*inputs, tmp_path / "run", **POOLED, resume=True)

    assert_same(run, alone)


def test_a_model_that_is_in_memory_alone_is_refused(inputs, cluster, tmp_path):
    with pytest.raises(InputError, match="in memory alone"):
        explain(
            inputs[0], tiny.linear_classifier(), tmp_path / "run", "saliency", scheduler=cluster
        )


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("napari_globalxai.execution.dask_workers._SECONDS_TO_CONNECT", 1)

    with (
        pytest.raises(InputError, match=r"tcp://127\.0\.0\.1:9 cannot be reached"),
        open_workers(WorkerSettings(scheduler="tcp://127.0.0.1:9")),
    ):
        pass


def test_workers_of_another_release_are_refused(cluster, monkeypatch):
    monkeypatch.setattr("napari_globalxai.__version__", "99.0")
    with (
        pytest.raises(InputError, match=r"of tcp://.* have .*, but this process has 99\.0"),
        open_workers(WorkerSettings(scheduler=cluster)),
    ):
        pass


def test_workers_without_this_package_are_refused():
    def run(function):
        raise ModuleNotFoundError("No module named 'napari_globalxai'")

    bare = SimpleNamespace(nthreads=lambda: {"tcp://a:1": 1}, run=run)
    with pytest.raises(InputError, match=r"tcp://a:0 cannot load .* install napari-globalxai 0"):
        _need_workers(bare, "tcp://a:0")


def test_an_address_that_is_none_is_refused():
    with (
        pytest.raises(InputError, match="cannot be reached"),
        open_workers(WorkerSettings(scheduler="nonsense://?")),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)

    with (
        pytest.raises(InputError, match=r"napari-globalxai\[dask\]"),
        open_workers(WorkerSettings(workers=2)),
    ):
        pass


def test_without_workers_this_process_does_the_work():
    with open_workers(WorkerSettings()) as workers:
        assert workers is None


def test_workers_and_a_scheduler_exclude_each_other():
    with pytest.raises(InputError, match="either their number or the scheduler"):
        WorkerSettings.of(None, {"workers": 2, "scheduler": "tcp://there:1"})


def test_an_error_of_a_part_is_raised_here(cluster):
    from distributed import Client

    with Client(cluster, set_as_default=False) as client:
        workers = Workers(client)
        with pytest.raises(InputError, match="of the part"):
            list(workers.run(_refuse, [1, 2, 3]))
        assert sorted(workers.run(abs, [-3, 1, -2])) == [(-3, 3), (-2, 2), (1, 1)]
        assert workers.link.startswith("http://127.0.0.1:")


def _refuse(task):
    raise InputError(f"of the part {task}")


@pytest.mark.parametrize("command", ["explain", "align", "check", "peppr", "sanity"])
def test_the_commands_take_workers(command):
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "300"})

    assert "--workers" in shown.output
    assert "--scheduler" in shown.output


def test_resuming_with_other_workers_is_no_other_run(inputs, alone, cluster, tmp_path):
    run = explain(*inputs, tmp_path / "run", **POOLED)
    run = explain(*inputs, run.folder, **POOLED, resume=True, scheduler=cluster)

    assert_same(open_run(run.folder), alone)


def test_workers_that_stay_see_that_a_cohort_has_grown(inputs, cluster, tmp_path):
    full, model = inputs
    start = full.with_name("start.csv")
    start.write_text("".join(full.read_text().splitlines(keepends=True)[:41]))
    for name, how in {"here": {}, "there": {"scheduler": cluster}}.items():
        explain(start, model, tmp_path / name, **POOLED, **how)
        explain(full, model, tmp_path / name, **POOLED, resume=True, **how)

    assert_same(open_run(tmp_path / "there"), open_run(tmp_path / "here"))


def test_a_card_that_was_changed_meanwhile_is_another_model(inputs, tmp_path):
    model = ModelElsewhere.of(load_model(inputs[1]))
    assert model.load().digest == model.digest

    shutil.copytree(inputs[1].parent, tmp_path / "resnet")
    card = tmp_path / "resnet" / "model.yaml"
    card.write_text(card.read_text().replace("mean: 0.3", "mean: 0.4"))
    with pytest.raises(InputError, match=r"model\.yaml: is another model on a worker"):
        replace(model, source=str(card)).load()
