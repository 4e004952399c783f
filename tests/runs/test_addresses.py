"""Run folders at addresses: a real server of S3 on this machine, and memory."""

import json
import logging
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai import cli
from napari_globalxai.addresses import check_named, place, write_new
from napari_globalxai.audit.places import find_places
from napari_globalxai.cohort.files import find_files
from napari_globalxai.demo import run_demo
from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.models.card.card_template import write_card_template
from napari_globalxai.progress import ignore_progress
from napari_globalxai.runs.folder import LOCK_FILE
from napari_globalxai.runs.lock import only_writer
from napari_globalxai.runs.peppr.evaluate_regions import peppr_regions
from napari_globalxai.runs.questions.selections import make_maps
from napari_globalxai.runs.run import open_run
from napari_globalxai.storage import Journal

POOLED = {"method": "saliency", "pooling": 2}


@pytest.fixture(scope="module")
def bucket():
    """Address of an empty bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    # A line for each request.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        place("s3://runs").fs.mkdir("runs")
        yield "s3://runs"
    server.stop()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    table = tiny.write_cohort(folder / "cohort", size=40)
    (folder / "cohort" / "images" / "011.png").write_bytes(b"no picture")
    return table, tiny.write_linear(folder)


@pytest.fixture(scope="module")
def here(inputs, tmp_path_factory):
    return gx.explain(*inputs, tmp_path_factory.mktemp("here") / "run", **POOLED)


@pytest.fixture(scope="module")
def there(inputs, bucket):
    """A run in the bucket, which was stopped on the way and gone on with."""

    def stop(progress):
        if progress.stage.startswith("Explaining") and progress.done > 30:
            raise Cancelled

    with pytest.raises(Cancelled):
        gx.explain(*inputs, f"{bucket}/a/run", **POOLED, progress=stop)
    return gx.explain(*inputs, f"{bucket}/a/run", **POOLED, resume=True)


def test_a_run_in_a_bucket_is_that_in_a_folder(here, there, bucket):
    run = open_run(f"{bucket}/a/run")
    assert str(run.folder) == str(there.folder) == "s3://runs/a/run"
    assert list(run.maps) == list(here.maps)
    for name, image in here.maps.items():
        np.testing.assert_array_equal(run.maps[name], image)
    np.testing.assert_array_equal(run.coverage, here.coverage)
    rows = here.finished_rows
    np.testing.assert_array_equal(run.stack.read(rows), here.stack.read(rows))
    for label in range(2):
        for (_, own), (_, other) in zip(
            run.store.chunks(rows, label), here.store.chunks(rows, label), strict=True
        ):
            np.testing.assert_array_equal(own, other)
    pd.testing.assert_frame_equal(run.images, here.images)
    pd.testing.assert_frame_equal(run.statistics, here.statistics)
    assert not (there.folder / LOCK_FILE).exists()


def test_maps_of_a_subgroup_are_made_there(here, there):
    made = [make_maps(run, "old", where="age > 60") for run in (here, there)]
    for own, other in zip(*(each.folder.glob("*.csv") for each in made), strict=True):
        assert own.read_bytes() == other.read_bytes()
    assert (there.folder / "selections" / "old" / "left.tif").is_file()


def test_peppr_is_asked_there(here, there):
    settings = {"steps": 4, "controls": 1, "bootstrap": 20, "batch_size": 40}
    results = [gx.peppr(run, "left", **settings) for run in (here, there)]
    pd.testing.assert_frame_equal(*(each.curves for each in results))
    pd.testing.assert_frame_equal(there.peppr_result("left").curves, results[0].curves)


def test_the_command_line_writes_a_report_there(there, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["napari-globalxai", "report", "s3://runs/a/run", "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert json.loads(capsys.readouterr().out)["report"] == "s3://runs/a/run/report.html"
    assert "</html>" in (there.folder / "report.html").read_text()
    assert (there.folder / "figures" / "maps.png").is_file()


def test_two_runs_do_not_mix(inputs, bucket):
    folder = place(f"{bucket}/taken")
    owner = {"host": "elsewhere", "process": 7, "since": "2026-01-01"}
    write_new(folder / LOCK_FILE, json.dumps(owner).encode())
    with pytest.raises(InputError, match=r"s3://runs/taken/run\.lock: process 7 on elsewhere"):
        gx.explain(*inputs, folder, **POOLED)
    # The server itself refuses, not a look beforehand.
    with pytest.raises(FileExistsError):
        write_new(folder / LOCK_FILE, b"")
    assert [each.name for each in folder.iterdir()] == [LOCK_FILE]


def test_what_a_process_that_is_gone_has_locked_is_taken_over(bucket):
    folder = place(f"{bucket}/left")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    owner = {"host": platform.node(), "process": gone.pid, "since": "2026-01-01"}
    write_new(folder / LOCK_FILE, json.dumps(owner).encode())
    with only_writer(folder):
        assert json.loads((folder / LOCK_FILE).read_bytes())["process"] == os.getpid()
        with pytest.raises(InputError, match="has been writing here"), only_writer(folder):
            pass
    assert not (folder / LOCK_FILE).exists()


def test_a_bucket_that_is_not_there_is_named(inputs, bucket):
    with pytest.raises(InputError, match=r"s3://no-such-bucket/run: cannot be written to"):
        gx.explain(*inputs, "s3://no-such-bucket/run", **POOLED)
    with pytest.raises(InputError, match=r"s3://runs/nothing: is not a run folder"):
        open_run("s3://runs/nothing")


def test_a_cohort_in_a_bucket_is_read_as_one_in_a_folder(inputs, here, bucket, tmp_path):
    table, model = inputs
    cohort = place(f"{bucket}/cohort")
    for file in sorted((table.parent / "images").iterdir()):
        (cohort / "images" / file.name).write_bytes(file.read_bytes())
    (cohort / "cohort.csv").write_bytes(table.read_bytes())
    # One that a table of this machine names by its address.
    lines = table.read_text().replace("images/", f"{bucket}/cohort/images/")
    (tmp_path / "cohort.csv").write_text(lines)
    for number, source in enumerate((f"{bucket}/cohort/cohort.csv", tmp_path / "cohort.csv")):
        root = {"image_root": f"{bucket}/cohort"} if number else {}
        run = gx.explain(
            gx.read_cohort(source, **root), model, tmp_path / f"run-{number}", **POOLED
        )
        np.testing.assert_array_equal(run.maps["overall"], here.maps["overall"])
        path = f"{bucket}/cohort/images/003.png"
        assert run.images["path"].iloc[3] == path
        assert "011.png" in run.images["error"].iloc[11]
        np.testing.assert_array_equal(run.native_image(3), here.native_image(3))


def test_a_store_that_a_strangers_run_names_is_not_asked(here, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_globalxai.addresses._NAMED", set())
    address = f"{bucket}/strange/003.png"
    place(address).write_bytes(Path(here.images["path"].iloc[3]).read_bytes())
    shutil.copytree(here.folder, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "images.csv", dtype=str, keep_default_na=False)
    # The second is the same as a person would hardly write it.
    table.loc[3, "path"], table.loc[5, "path"] = address, address.replace("//", "/")
    table.to_csv(tmp_path / "run" / "images.csv", index=False)
    run = open_run(tmp_path / "run")
    for row in (3, 5):
        with pytest.raises(InputError, match=r"view --image-store s3://runs, or native_image"):
            run.native_image(row)
    with pytest.raises(InputError, match=r"was not asked"):
        run.native_image(3, store="s3://others")

    np.testing.assert_array_equal(run.native_image(3, store=bucket), here.native_image(3))


def test_images_in_the_store_of_their_run_may_be_shown(monkeypatch, tmp_path):
    monkeypatch.setattr("napari_globalxai.addresses._NAMED", set())
    beside = place("memory://runs/a/run")
    check_named(place("memory://runs/x/003.png"), beside)
    check_named(Path("/data/003.png"), tmp_path)
    with pytest.raises(InputError, match="was not asked"):
        check_named(place("memory://others/x/003.png"), beside)


def test_regions_and_a_picture_to_fill_with_are_read_at_addresses(here, bucket, tmp_path):
    areas = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    areas[:, :20] = 1
    np.save(tmp_path / "areas.npy", areas)
    there = place(f"{bucket}/areas.npy")
    there.write_bytes((tmp_path / "areas.npy").read_bytes())
    picture = Path(here.images["path"].iloc[3])
    place(f"{bucket}/fill.png").write_bytes(picture.read_bytes())
    settings = {"bootstrap": 20, "batch_size": 40}
    inputs = ((tmp_path / "areas.npy", picture), (str(there), f"{bucket}/fill.png"))
    own, other = (
        peppr_regions(here, regions, fill=f"image:{fill}", **settings)[0]
        for regions, fill in inputs
    )
    for mine, its in zip(own.rows, other.rows, strict=True):
        assert repr(mine.cells()) == repr(its.cells())
    assert other.settings["file"] == "s3://runs/areas.npy"
    assert other.settings["file_sha256"] == own.settings["file_sha256"]
    added = set(find_places(here, there).regions) - set(find_places(here, None).regions)
    assert added == {"region-1"}


@pytest.mark.parametrize(
    ("regions", "fill"), [("s3://runs/no.npy", "black"), ("", "image:s3://runs/no.npy")]
)
def test_what_is_not_there_is_named_by_its_address(here, bucket, regions, fill, tmp_path):
    np.save(tmp_path / "areas.npy", np.ones((tiny.HEIGHT, tiny.WIDTH), np.uint8))
    with pytest.raises(InputError, match=r"^s3://runs/no\.npy: does not exist"):
        peppr_regions(here, regions or tmp_path / "areas.npy", fill=fill)


def test_cards_and_the_demo_are_written_to_this_machine(tmp_path):
    with pytest.raises(InputError, match=r"^s3://a/x\.pt: the model is read from a path"):
        write_card_template("s3://a/x.pt")
    weights = tiny.write_linear(tmp_path).with_name("linear.pt")
    with pytest.raises(InputError, match=r"^s3://a/x\.yaml: a card is written to this machine"):
        write_card_template(weights, "s3://a/x.yaml")
    with pytest.raises(InputError, match=r"^s3://a/demo: the demo writes to a folder"):
        run_demo(Path("s3://a/demo"), progress=ignore_progress, say=print)


@pytest.mark.parametrize(
    ("entry", "root"),
    [
        ("s3://runs/cohort/a.png", "/data"),
        ("s3://others/a.png", "s3://runs/cohort"),
        ("http://127.0.0.1:1/a.png", "memory://runs"),
        ("memory://a/b.png", "/data"),
    ],
)
def test_a_table_names_no_addresses_of_other_stores(entry, root, bucket):
    (path,) = find_files(Path("cohort.csv"), [entry], place(root), [])
    assert str(path).startswith(root)
    assert entry not in str(path)


def test_only_stores_are_opened():
    for address in ("http://127.0.0.1:1/a", "ftp://a/b", "github://a:b@c/d", "ssh://a/b"):
        with pytest.raises(InputError, match=r"addresses of this kind"):
            place(address)


def test_models_and_folders_of_classes_at_addresses_are_refused(inputs, bucket, tmp_path):
    with pytest.raises(InputError, match=r"s3://a/model\.yaml: the model is read from a path"):
        gx.explain(inputs[0], "s3://a/model.yaml", tmp_path / "run")
    (place(bucket) / "classes" / "left" / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"s3://runs/classes: a folder of a folder for each class"):
        gx.explain(f"{bucket}/classes", inputs[1], tmp_path / "run")


def test_a_journal_keeps_its_order_at_an_address():
    journal = Journal(place("memory://journals/rows.jsonl"))
    assert list(journal.read()) == []
    for number in range(12):
        journal.append([{"row": number}])
    assert [each["row"] for each in journal.read()] == list(range(12))
    journal.delete()
    assert list(journal.read()) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [("/data/run", "/data/run"), ("file:///data/run", "/data/run"), ("s3/run", "s3/run")],
)
def test_paths_stay_paths(written, meant):
    assert place(written) == Path(meant)
    # As a command line that takes it for a path leaves it.
    assert place(Path(written)) == Path(meant)
    assert str(place(Path("s3://bucket/run"))) == "s3://bucket/run"


def test_what_opens_no_address_is_named(monkeypatch):
    with pytest.raises(InputError, match=r"nonsense://a/b: addresses of this kind"):
        place("nonsense://a/b")
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(InputError, match=r"napari-globalxai\[s3\]"):
        place("s3://bucket/run")
