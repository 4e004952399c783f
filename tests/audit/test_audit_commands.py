"""`audit` and `slices` on the command line: what they print, their exit status, --json."""

import json
import sys

import numpy as np
import pytest
from stored_run import Plan, write_run

from napari_globalxai import cli
from napari_globalxai.audit.findings import place_title


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("cli") / "run", Plan(shortcut=True))


@pytest.fixture
def command(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["napari-globalxai", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (end.value.code or 0, *capsys.readouterr())

    return run


def test_findings_are_printed_as_sentences(folder, command):
    status, out, _ = command("audit", folder)
    assert status == 0
    assert "L0: the bottom left corner of the frame holds" in out
    assert "Findings: 3" in out
    assert str(folder / "audit") in out


def test_places_are_told_in_words_and_own_names_are_kept():
    assert [
        place_title(name)
        for name in (
            "outside-field", "rim", "corner-bottom-right", "corners-top", "posterior-pole",
            "corner-top-left (tile-0-1)", "top right (tile-0-9)", "Nerve_2", "",
        )
    ] == [
        "Outside the field of view", "Rim", "Bottom right corner", "Both top corners",
        "Posterior pole", "Part of: top left corner", "Part of: top right", "Nerve_2", "",
    ]  # fmt: skip


def test_json_is_the_file_and_nothing_else(folder, command):
    status, out, _ = command("audit", folder, "--json", "--erase", "none")
    assert status == 0
    saved = json.loads((folder / "audit" / "audit.json").read_text())
    assert json.loads(out)["findings"] == saved["findings"]
    status, out, _ = command("slices", folder, "--json")
    assert status == 0
    assert json.loads(out)["slices"] == []


def test_wrong_input_is_one_sentence(folder, command, tmp_path):
    np.save(tmp_path / "small.npy", np.ones((3, 3), int))
    for arguments, named in (
        (("audit", folder, "--regions", tmp_path / "small.npy"), "small.npy: is 3×3"),
        (("audit", folder, "--regions", tmp_path / "none.tif"), "none.tif: does not exist"),
        (("audit", tmp_path), str(tmp_path)),
        (("slices", tmp_path), str(tmp_path)),
        (("audit", folder, "--columns", "colour"), "'colour'"),
        (("audit", folder, "--level", "2"), "--level"),
    ):
        status, out, err = command(*arguments)
        assert status == 2, arguments
        assert named in err
        assert "Traceback" not in out + err
        assert len(err.strip().splitlines()) == 1
