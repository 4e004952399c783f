"""Values of label columns that the user maps, as CheXpert's -1 and blanks need it."""

import numpy as np
import pandas as pd
import pytest

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError

PNEUMONIA = [1.0, -1.0, None, 0.0, -1.0, -1.0, -1.0]


def table_of(folder, **columns):
    size = len(next(iter(columns.values())))
    table = pd.DataFrame({"Path": [f"{n}.jpg" for n in range(size)], **columns})
    table.to_csv(folder / "c.csv", index=False)
    return folder / "c.csv"


@pytest.mark.parametrize(
    ("values", "uncertain", "blank"),
    [
        ("-1=unknown", np.nan, np.nan),
        ("-1.0=unknown", np.nan, np.nan),
        ("U-Ignore", np.nan, np.nan),
        ("U-Ones", 1, np.nan),
        ("u_ones", 1, np.nan),
        ("UZeros", 0, np.nan),
        ("-1=yes", 1, np.nan),
        ("-1=no", 0, np.nan),
        ("U-Zeros,blank=0", 0, 0),
        ("-1=1,=0", 1, 0),
        ({"-1": 0, "blank": 0}, 0, 0),
        (["U-Ones", "empty=0"], 1, 0),
    ],
)
@pytest.mark.parametrize("options", [{}, {"label_columns": ["Pneumonia"]}])
def test_what_is_uncertain_and_what_is_blank(values, uncertain, blank, options, tmp_path):
    path = table_of(tmp_path, Pneumonia=PNEUMONIA, Other=[1, 0, 1, 0, 1, 0, 1])
    cohort = read_cohort(path, label_values=values, **options)
    expected = pd.Series(PNEUMONIA).fillna(5).replace({-1: uncertain, 5: blank})
    np.testing.assert_array_equal(cohort.truth(("pneumonia",)).ravel(), expected)
    assert " with " in cohort.guesses["labels"]
    assert cohort.warnings == []


@pytest.mark.parametrize(
    ("values", "mapping", "expected"),
    [
        (["no", "suspected", "yes"], "suspected=unknown", [0, np.nan, 1]),
        (["no", "possible", "yes"], "U-Ones", [0, 1, 1]),
        ([1, -1, 1], "-1=0", [1, 0, 1]),
        ([0, 1, 2], "2=1", [0, 1, 1]),
        (["A", "B", "A"], "A=1,B=0", [1, 0, 1]),
        (["not sure, ask", 1, 0], '"Not_sure, ask"=?', [np.nan, 1, 0]),
        ([0, 1, 9], "9=0", [0, 1, 0]),
    ],
)
def test_other_values(values, mapping, expected, tmp_path):
    cohort = read_cohort(
        table_of(tmp_path, AMD=values), label_columns=["AMD"], label_values=mapping
    )
    np.testing.assert_array_equal(cohort.truth(("AMD",)).ravel(), expected)


@pytest.mark.parametrize(
    ("values", "example"),
    [
        (PNEUMONIA, '"-1=unknown"'),
        ([0, 2, 1, 2], '"2=unknown"'),
        ([1, -1, 1, 1], '"-1=unknown"'),  # -1 may be all that means 0
        ([0, "possible", 1], '"possible=unknown"'),
    ],
)
def test_a_refusal_says_what_to_write(values, example, tmp_path):
    with pytest.raises(InputError, match="'Pneumonia' holds values beside 0 and 1") as why:
        read_cohort(table_of(tmp_path, Pneumonia=values), label_columns=["Pneumonia"])
    assert f"such as --label-values {example} (or U-Ones, U-Zeros or U-Ignore" in str(why.value)


@pytest.mark.parametrize(
    ("mapping", "part"),
    [
        ("U-Foo", "--label-values U-Foo is none of U-Ones, U-Zeros and U-Ignore"),
        ("-1=maybe", "gives '-1' the meaning 'maybe', not 0, 1 or unknown"),
    ],
)
def test_mappings_that_are_not_understood(mapping, part, tmp_path):
    with pytest.raises(InputError) as why:
        read_cohort(table_of(tmp_path, AMD=[0, 1]), label_values=mapping)
    assert part in str(why.value)


def test_a_mapping_of_what_is_not_there_is_named(tmp_path):
    (warning,) = read_cohort(table_of(tmp_path, AMD=[0, 1]), label_values="-2=1").warnings
    assert "--label-values speaks of '-2', which no field of 'AMD' holds" in warning


def test_labels_that_are_mostly_uncertain_are_named(tmp_path):
    cohort = read_cohort(table_of(tmp_path, Pneumonia=PNEUMONIA, Other=[1, 0, 1, 0, 1, 0, 1]))
    assert cohort.label_columns == ("Other",)
    (warning,) = cohort.warnings
    assert "'Pneumonia' is more often uncertain than 0 or 1 and not taken as a label" in warning


def test_labels_without_a_zero_are_named(tmp_path):
    path = table_of(tmp_path, Fracture=[1.0, None, 1.0], Mass=[1, 0, 1])
    cohort = read_cohort(path)
    (warning,) = cohort.warnings
    assert "the label column 'Fracture' holds 1 or nothing" in warning
    filled = read_cohort(path, label_values="blank=0")
    assert filled.warnings == []
    assert filled.truth(("Fracture",)).ravel().tolist() == [1, 0, 1]


def test_a_column_with_a_comma_in_its_name(tmp_path):
    path = table_of(tmp_path, **{"Edema, pulmonary": [1, 0], "Mass": [0, 1]})
    for asked in ('"Edema, pulmonary"', ["Edema, pulmonary"], '"edema,  pulmonary"'):
        cohort = read_cohort(path, label_columns=asked)
        assert cohort.label_columns == ("Edema, pulmonary",)
    assert read_cohort(path, exclude_labels='"Edema, pulmonary"').label_columns == ("Mass",)
