"""Files that survive a crash."""

import json

import numpy as np
import pytest

from napari_globalxai.storage import (
    Journal,
    atomic_path,
    hash_file,
    hash_value,
    is_unused,
    read_json,
    read_table,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "map.tif"
    with atomic_path(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_json_of_numpy_values_and_of_what_json_lacks(tmp_path):
    write_json(
        tmp_path / "a.json",
        {
            "n": np.int64(3),
            "x": np.float32(0.5),
            "nan": float("nan"),
            "numpy nan": np.float64("nan"),
            "list": (1, [np.bool_(True)]),
            "path": tmp_path,
        },
    )
    assert read_json(tmp_path / "a.json") == {
        "n": 3,
        "x": 0.5,
        "nan": None,
        "numpy nan": None,
        "list": [1, [True]],
        "path": str(tmp_path),
    }


def test_journal_ignores_a_line_cut_short_and_goes_on_after_it(tmp_path):
    journal = Journal(tmp_path / "deep" / "rows.jsonl")
    assert list(journal.read()) == []
    journal.append([{"row": 0}, {"row": 1, "logits": [0.1, float("nan")]}])
    journal.append([])
    with journal.path.open("ab") as stream:
        stream.write(b'{"row": 2, "log')
    assert [entry["row"] for entry in journal.read()] == [0, 1]
    journal.append([{"row": 3}])
    assert [entry["row"] for entry in journal.read()] == [0, 1, 3]


def test_float32_survives_the_journal(tmp_path):
    """Resumed runs are bit-identical only if logits are."""
    values = np.random.default_rng(0).normal(size=100).astype(np.float32)
    journal = Journal(tmp_path / "a.jsonl")
    journal.append([{"logits": values.tolist()}])
    assert np.array_equal(np.array(next(journal.read())["logits"], np.float32), values)


def test_hashes(tmp_path):
    assert hash_value({"a": 1, "b": [2, np.int64(3)]}) == hash_value({"b": (2, 3), "a": 1})
    assert hash_value([1, 2]) != hash_value([2, 1])
    (tmp_path / "a").write_bytes(b"abc")
    assert hash_file(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_only_empty_fields_of_a_table_are_missing(tmp_path):
    (tmp_path / "a.csv").write_text("label,n\nNone,1\nNA,\n")
    table = read_table(tmp_path / "a.csv")
    assert list(table["label"]) == ["None", "NA"]
    assert table["n"].isna().tolist() == [False, True]


def test_json_files_are_readable_by_people(tmp_path):
    write_json(tmp_path / "a.json", {"b": {"c": 1}})
    text = (tmp_path / "a.json").read_text()
    assert text.count("\n") >= 4
    assert json.loads(text) == {"b": {"c": 1}}


def test_a_folder_with_what_a_kill_left_is_unused(tmp_path):
    folder = tmp_path / "run"
    assert is_unused(folder)
    folder.mkdir()
    assert is_unused(folder)
    with atomic_path(folder / "run.json") as temporary:
        # As it stands where the process is killed here.
        left = folder / temporary.name
        assert left.is_file()
        assert is_unused(folder)
    assert not is_unused(folder)
    (folder / "run.json").rename(tmp_path / "other")
    (folder / ".hidden").touch()
    assert not is_unused(folder)
    assert not is_unused(tmp_path / "other")
