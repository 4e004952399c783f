"""Names and pairs in one line of text."""

import csv
import io

import pytest

from napari_globalxai.errors import InputError
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.lists import join_pairs, split_names, split_pairs


@pytest.mark.parametrize(
    "names",
    [
        ["AMD", "RVO"],
        ["Edema, pulmonary", "Effusion"],
        ["a", "b, c", "d"],
        ['5" disc', "x"],
        ["Pleural Effusion", "a=b"],
        ["ä, ö"],
    ],
)
def test_names_as_csv_writes_them(names):
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    assert split_names(line.getvalue()) == names


def test_blanks_and_empty_names_do_no_harm():
    assert split_names(' AMD , "A, B" ,, C ,') == ["AMD", "A, B", "C"]
    assert split_names("") == split_names(" , ") == []


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("0=L,1=R", [("0", "L"), ("1", "R")]),
        ('1="A, B",2=C', [("1", "A, B"), ("2", "C")]),
        ('"A, B"=1, C = 0 ', [("A, B", "1"), ("C", "0")]),
        ('"A, B=1",C=0', [("A, B", "1"), ("C", "0")]),
        ("2=>=1", [("2", ">=1")]),
        ('">=1"=2', [(">=1", "2")]),
        ("U-Ones,blank=0", [("U-Ones", None), ("blank", "0")]),
        ("=0,", [("", "0")]),
    ],
)
def test_pairs(text, pairs):
    assert split_pairs(text) == pairs


@pytest.mark.parametrize(
    "pairs", [{"1": "A, B", "2": ">=1"}, {">=1": 'the "x"', "a": "b"}, {"-1": "unknown"}]
)
def test_pairs_that_were_joined_are_split_again(pairs):
    assert dict(split_pairs(join_pairs(pairs))) == pairs


@pytest.mark.parametrize("split", [split_names, split_pairs])
@pytest.mark.parametrize("text", ['"A,B', 'A,B"=1'])
def test_an_open_quotation_mark(split, text):
    with pytest.raises(InputError, match="a quotation mark is left open"):
        split(text)


@pytest.mark.parametrize("name", ["class_values", "label_columns"])
def test_a_setting_is_named_where_its_text_cannot_be_split(name):
    with pytest.raises(InputError, match=f"^cohort setting {name}: .*left open"):
        CohortSettings(**{name: '"A'})


def test_settings_take_texts_lists_and_mappings():
    given = CohortSettings(label_columns='"A, B",C', label_values={"-1": "unknown", "": 0})
    assert given.label_columns == ("A, B", "C")
    assert split_pairs(given.label_values) == [("-1", "unknown"), ("", "0")]
    assert CohortSettings(exclude_labels=["A, B"]).exclude_labels == ("A, B",)
    assert CohortSettings(label_values=["U-Ones"]).label_values == "U-Ones"
