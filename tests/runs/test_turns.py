"""Commands that meet on one folder: each leaves its own files, whole, and no mixture of two."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stored_run import Plan, write_run

import napari_globalxai as gx
from napari_globalxai.errors import InputError
from napari_globalxai.runs import turns
from napari_globalxai.runs.run import open_run
from napari_globalxai.storage import Journal, is_unused

# What is told of the time of the call.
TIMES = re.compile(rb'"written": "[^"]*",?')
SIDES = {"a": "site == 'A'", "b": "site == 'B'"}
# Two calls of each command, whose files differ; the second has fewer of them.
CALLS = {
    "selections/some": lambda run, first: gx.make_maps(
        run, "some", labels=None if first else ("L0",), where=None if first else "site == 'A'"
    ),
    "stability": lambda run, first: gx.stability(run, splits=100, bootstrap=100, seed=int(first)),
    "outliers": lambda run, first: gx.outliers(run, labels=None if first else ("L1",)),
    "contrasts/sides": lambda run, first: gx.contrast(
        run, "sides", **SIDES, permutations=99, labels=None if first else ("L1",)
    ),
    "slices": lambda run, first: gx.slices(run, seed=int(first)),
    "audit": lambda run, first: gx.audit(
        run, permutations=199, bootstrap=100, seed=int(first), duplicates=False
    ),
}


def contents(folder: Path) -> dict[str, str]:
    """A digest of each file, pictures and pages left out."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            TIMES.sub(b"", path.read_bytes())
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".csv", ".json", ".tif")
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("turns") / "run", Plan(images=40, shortcut=True))


@pytest.mark.parametrize("part", CALLS)
def test_of_two_commands_at_once_the_last_is_kept_whole(run, part):
    call, alone = CALLS[part], []
    for first in (True, False):
        call(run, first)
        alone.append(contents(run / part))
    assert alone[0] != alone[1]
    ends, seen = threading.Event(), []

    def look():
        while not ends.is_set():
            with turns.reading(run):
                seen.append(contents(run / part))

    with ThreadPoolExecutor(5) as pool:
        looking = pool.submit(look)
        try:
            list(pool.map(lambda number: call(run, number % 2 == 0), range(6)))
        finally:
            ends.set()
        looking.result()
    assert all(each in alone for each in [*seen, contents(run / part)])
    assert not list(run.glob(".making-*"))


def test_maps_are_read_while_they_are_made_again(run):
    made = gx.make_maps(run, "read")
    ends = threading.Event()

    def remake():
        for number in range(8):
            gx.make_maps(run, "read", labels=None if number % 2 else ("L0",))
        ends.set()

    opened = open_run(run)
    with ThreadPoolExecutor(1) as pool:
        remade = pool.submit(remake)
        while not ends.is_set() and not remade.done():
            found = gx.open_selection(opened, "read")
            assert found.record["labels"].keys() <= {"L0", "L1", "L2"}
            assert found.maps["overall"].shape == (64, 80)
            assert "overall" in set(found.statistics["map"])
        remade.result()
    assert made.maps["overall"].shape == (64, 80)


def test_what_a_killed_command_left_goes_with_the_next_and_what_a_living_one_makes_stays(run):
    script = (
        "import sys, time, pathlib\n"
        "from napari_globalxai.runs.turns import made_aside\n"
        "with made_aside(pathlib.Path(sys.argv[1]), 'part') as aside:\n"
        "    (aside / 'x.tif').write_bytes(b'x')\n"
        "    print('here', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(run)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(gx.__file__).parents[1])},
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "here\n"
        (left,) = run.glob(".making-*")
        gx.make_maps(run, "meanwhile")
        assert (left / "x.tif").is_file()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert is_unused(run.parent / "none")
    assert left.is_dir()
    gx.make_maps(run, "after")
    assert not left.exists()
    assert not (run / "part").exists()


def test_a_folder_with_nothing_but_what_a_kill_left_is_unused(tmp_path):
    (tmp_path / ".making-abcdefgh").mkdir()
    assert is_unused(tmp_path)


def test_who_waits_says_so_once_and_goes_on(run, caplog):
    began = threading.Event()

    def hold():
        with turns.reading(run):
            began.set()
            time.sleep(1.4)

    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.WARNING):
        held = pool.submit(hold)
        began.wait()
        with turns.writing(run):
            assert held.done() or held.result() is None
    assert [each.getMessage() for each in caplog.records] == [
        f"{run}: another command is at work there; waiting for it."
    ]


def test_readers_wait_for_no_reader_and_for_themselves(run):
    def read():
        with turns.reading(run):
            return True

    with turns.reading(run), ThreadPoolExecutor(1) as pool:
        assert pool.submit(read).result(timeout=10)
        assert read()
        with pytest.raises(RuntimeError, match="being read"), turns.writing(run):
            pass
    with turns.writing(run), turns.writing(run), turns.reading(run):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="there it is the only way")
def test_where_folders_cannot_be_locked_those_who_write_still_take_turns(run, monkeypatch):
    import fcntl

    lock = fcntl.flock

    def refuses(handle, how):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.ENOLCK, "No locks available")
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", refuses)
    inside, most = [], []

    def write(number):
        with turns.writing(run):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(number)
        with turns.reading(run):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    assert max(most) == 1


@pytest.mark.parametrize("part", ["selections", "selections/some"])
def test_links_in_a_run_folder_lead_nothing_out_of_it(tmp_path, part):
    folder = write_run(tmp_path / "run", Plan(images=16))
    away = tmp_path / "away"
    (away / "some").mkdir(parents=True)
    (away / "kept.tif").write_text("mine")
    (away / "some" / "kept.tif").write_text("mine")
    (folder / part).parent.mkdir(exist_ok=True)
    (folder / part).symlink_to(away, target_is_directory=True)
    with pytest.raises(InputError, match="is a link to another place"):
        gx.make_maps(folder, "some")
    assert sorted(path.name for path in away.rglob("*")) == ["kept.tif", "kept.tif", "some"]


def test_nothing_is_added_to_a_journal_that_is_a_link(tmp_path):
    (tmp_path / "mine").write_text("mine\n")
    (tmp_path / "finished.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match="is a link"):
        Journal(tmp_path / "finished.jsonl").append([{"row": 1}])
    assert (tmp_path / "mine").read_text() == "mine\n"


def test_a_persons_own_file_beside_a_result_stays(run):
    gx.make_maps(run, "mine")
    (run / "selections" / "mine" / "notes.txt").write_text("look at L0")
    gx.make_maps(run, "mine")
    assert (run / "selections" / "mine" / "notes.txt").read_text() == "look at L0"


def test_the_stability_of_other_maps_of_that_name_is_forgotten(run):
    gx.make_maps(run, "other")
    gx.stability(run, "other", splits=100, bootstrap=100)
    gx.make_maps(run, "other", where="site == 'A'")
    assert not (run / "selections" / "other" / "stability").exists()
