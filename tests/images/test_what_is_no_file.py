"""Pipes, devices, sockets and files of the kernel are never opened, whoever names them."""

import json
import os
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from pictures import G8, png
from PIL import Image

from napari_globalxai.cli import main
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import align
from napari_globalxai.frame.sources import SourceFinder
from napari_globalxai.images.image_file import UnreadableImageError, is_there
from napari_globalxai.images.readers import FundusReader, read_stored
from napari_globalxai.models.card.card_template import write_card_template
from napari_globalxai.models.card.model_card import read_card
from napari_globalxai.models.files.weights import read_weights
from napari_globalxai.models.files.weights_file import WeightsFile
from napari_globalxai.runs.inputs.check import check_inputs
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.storage import (
    Journal,
    hash_file,
    is_regular,
    oddity,
    read_bytes,
    read_json,
    read_table,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names"),
    # What opens a pipe waits for ever: such a test is to fail, not to stop all others.
    pytest.mark.timeout(60),
]
KINDS = {
    "pipe": "is a pipe",
    "linked-pipe": "is a pipe",
    "socket": "is a socket",
    "zero": "is a device",
    "linked-random": "is a device",
    "kmsg": "belongs to the system",
    "environ": "belongs to the system",
    "sys": "belongs to the system",
    "folder": "is a folder",
    "gone": "does not exist",
    "linked-nothing": "does not exist",
    "circle": "does not exist",
}


def missing(said):
    """What is said to whoever looks for a file."""
    return "does not exist" if said == "is a folder" else said


@pytest.fixture
def odd(tmp_path):
    """A path of each kind."""
    folder = tmp_path / "odd"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "linked-pipe").symlink_to(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        # The path of a socket may not be long.
        before = Path.cwd()
        os.chdir(folder)
        listening.bind("socket")
        os.chdir(before)
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "linked-random").symlink_to(folder / "random")
    (folder / "random").symlink_to("/dev/urandom")
    (folder / "kmsg").symlink_to("/proc/kmsg")
    (folder / "environ").symlink_to("/proc/self/environ")
    (folder / "sys").symlink_to("/sys/kernel/mm/transparent_hugepage/enabled")
    (folder / "folder").mkdir()
    (folder / "linked-nothing").symlink_to(folder / "gone")
    (folder / "circle").symlink_to(folder / "circle")
    missing = {"kmsg": "/proc/kmsg", "environ": "/proc/self", "sys": "/sys/kernel/mm"}
    present = {name: KINDS[name] for name in KINDS if Path(missing.get(name, "/")).exists()}
    return {folder / name: said for name, said in present.items()}


def test_what_a_path_is_is_told_without_opening_it(odd, tmp_path):
    for path, said in odd.items():
        assert oddity(path).startswith(said), path
        assert not is_regular(path)
        assert not is_there(path)
        assert not is_there(f"{path}#2")
    plain = tmp_path / "plain"
    plain.write_bytes(b"abc")
    link = tmp_path / "link"
    link.symlink_to(plain)
    for path in (plain, link, str(plain)):
        assert oddity(path) == ""
        assert is_there(path)
    assert "does not exist" in oddity(tmp_path / "a\0b")


def test_nothing_odd_is_read_or_hashed(odd):
    for path, said in odd.items():
        if "does not exist" in said:
            continue
        for read in (hash_file, read_bytes, read_json, read_table, lambda at: Journal(at).read()):
            with pytest.raises(InputError, match=f"{said}.*put a regular file in its place"):
                read(path)


def test_a_reader_says_what_it_was_given(odd):
    for path, said in odd.items():
        for read in (FundusReader().read, read_stored):
            with pytest.raises(UnreadableImageError, match=f"it {said}"):
                read(path)


def test_rows_that_name_no_file_are_sentences_and_the_others_are_aligned(odd, tmp_path):
    Image.fromarray(np.dstack([G8] * 3)).save(tmp_path / "a.png")
    rows = "".join(f"{path},0\n{path}#2,0\n" for path in odd)
    (tmp_path / "c.csv").write_text(f"file,A\na.png,1\n{rows}")
    cohort = read_cohort(tmp_path / "c.csv")
    stack = align(cohort, FrameSettings(size=(16, 16)), tmp_path / "s.zarr")
    errors = stack.status()
    assert errors[0] == ""
    for number, (path, kind) in enumerate(odd.items()):
        said = missing(kind)
        for row, name in ((2 * number + 1, str(path)), (2 * number + 2, f"{path}#2")):
            assert errors[row].startswith(f"{name}: the file {said}"), errors[row]
    # A second look reads nothing again, and finds nothing new.
    finder = SourceFinder(cohort)
    assert [finder.find(row).key for row in range(len(cohort))] == [
        stack.sources()[row] for row in range(len(cohort))
    ]
    problems = check_inputs(cohort).problems
    for said in {missing(kind) for kind in odd.values()} - {"does not exist"}:
        assert sum(said in problem for problem in problems) == 1
    assert sum("do not exist" in problem for problem in problems) == 1


def test_a_pipe_that_becomes_a_picture_is_aligned_then(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "c.csv").write_text("file,A\na.png,1\n")
    cohort, frame = read_cohort(tmp_path / "c.csv"), FrameSettings(size=(14, 22))
    assert "is a pipe" in align(cohort, frame, tmp_path / "s.zarr").status()[0]
    (tmp_path / "a.png").unlink()
    (tmp_path / "a.png").write_bytes(png(G8, 8, 0))
    assert align(cohort, frame, tmp_path / "s.zarr").status()[0] == ""


def test_tables_cards_weights_and_templates_that_are_no_files(odd, tmp_path):
    facts = {"labels": ["A"], "input": {"channels": 1, "height": 8, "width": 8}}
    for number, (path, kind) in enumerate(odd.items()):
        said = missing(kind)
        with pytest.raises(InputError, match=f"the cohort table {said}"):
            read_cohort(path)
        with pytest.raises(InputError, match=f"The template .* {said}"):
            FrameSettings(template=path, registration="landmarks")
        if path.name == "folder":
            continue
        with pytest.raises(InputError, match=f"the model {said}"):
            read_card(path)
        if "does not exist" in said:
            continue
        for suffix in (".safetensors", ".pt", ".onnx", ".ts"):
            weights = tmp_path / f"{number}{suffix}"
            weights.symlink_to(path)
            for load in (
                lambda at: read_weights(WeightsFile(at), trust=False),
                write_card_template,
            ):
                with pytest.raises(InputError, match=said):
                    load(weights)
            card = tmp_path / f"{number}.yaml"
            card.write_text(yaml.safe_dump({"weights": weights.name, **facts}))
            with pytest.raises(InputError, match=said):
                read_card(card)
            card.unlink()


def test_bundles_whose_files_are_pipes(tmp_path):
    from napari_globalxai.models.files.bundle import is_bundle, read_bundle

    (tmp_path / "configs").mkdir()
    os.mkfifo(tmp_path / "configs" / "metadata.json")
    assert not is_bundle(tmp_path)
    (tmp_path / "configs" / "metadata.json").unlink()
    (tmp_path / "configs" / "metadata.json").write_text(json.dumps({"name": "x"}))
    (tmp_path / "models").mkdir()
    os.mkfifo(tmp_path / "models" / "model.ts")
    with pytest.raises(InputError, match="has no weights"):
        read_bundle(tmp_path, trust=False)
    os.mkfifo(tmp_path / "b.zip")
    with pytest.raises(InputError, match="is a pipe"):
        read_bundle(tmp_path / "b.zip", trust=False)


def test_a_file_that_is_written_to_for_ever_is_hashed_as_far_as_it_went(tmp_path):
    """The block is as large as can be read at one time; the writer is faster than the hash."""
    path = tmp_path / "growing"
    path.write_bytes(bytes(1 << 22))
    stop = threading.Event()

    def write():
        with path.open("ab") as stream:
            while not stop.is_set() and stream.tell() < 1 << 29:
                stream.write(bytes(1 << 22))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert len(hash_file(path)) == 64
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("table", ["c.csv", "/dev/zero"])
def test_the_command_line_ends_with_one_sentence(table, tmp_path, monkeypatch, capsys):
    os.mkfifo(tmp_path / "c.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["napari-globalxai", "check", table])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the cohort table is a" in said
