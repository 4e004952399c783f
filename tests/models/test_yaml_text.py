"""Texts of somebody else's are read as plain values, whatever they stand for."""

from __future__ import annotations

import time

import pytest
import saved

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import read_card
from napari_globalxai.models.files.yaml_text import parse_text
from napari_globalxai.models.loaders import load_model

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMBS = {
    "aliases": LAUGHS,
    "deep lists": "labels: " + "[" * 5000,
    "deep and closed": "labels: " + "[" * 500 + "]" * 500,
    "an alias of itself": "a: &a [*a]",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_at_once(tmp_path, name):
    (tmp_path / "model.yaml").write_text(BOMBS[name])
    began = time.process_time()
    with pytest.raises(InputError, match=r"model.yaml: is not a YAML file \("):
        read_card(tmp_path / "model.yaml")
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "is_json"),
    [("a: 1\nb: 2\na: 3", False), ("b: {a: 1, 'a': 2}", False), ('{"b": {"a": 1, "a": 1}}', True)],
)
def test_a_key_that_stands_twice_is_refused(text, is_json):
    """The last would count, and whoever reads the text sees the first."""
    with pytest.raises(ValueError, match="'a' stands twice"):
        parse_text(text.encode(), is_json=is_json)


def test_keys_may_be_merged_from_elsewhere():
    text = "base: &base {a: 1, b: 2}\nc: &c {<<: *base, b: 3}\nd: {<<: *base, a: 4}"
    assert parse_text(text.encode()) == {
        "base": {"a": 1, "b": 2}, "c": {"a": 1, "b": 3}, "d": {"a": 4, "b": 2},
    }  # fmt: skip


def test_a_bundle_with_one_is_refused(tmp_path):
    folder = saved.write_bundle(tmp_path / "bundle", name="yaml")
    (folder / "configs" / "inference.yaml").write_text(LAUGHS)
    with pytest.raises(InputError, match="stands for more than 100000 values"):
        load_model(folder, device="cpu")


def test_a_few_aliases_do_no_harm():
    assert parse_text(b"a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}
    assert parse_text(b'{"a": [1]}', is_json=True) == {"a": [1]}
