"""Class columns beside a model's labels: read for certain, or refused with what to write."""

import numpy as np
import pandas as pd
import pytest

from napari_globalxai.cohort.naming import name_key
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError

TUMOURS = ("meningioma", "glioma", "pituitary")
GRADES = ("No DR", "mild", "moderate", "severe", "proliferative")


def cohort_of(folder, values, column="class", **settings):
    """Read a table of these classes, as pandas writes it."""
    table = pd.DataFrame({"filename": [f"{n}.png" for n in range(len(values))], column: values})
    table.to_csv(folder / "c.csv", index=False)
    return read_cohort(folder / "c.csv", **settings)


def truth_of(labels, places):
    """Return what a truth should be: the place of the one label that is there, or None."""
    rows = [
        [np.nan] * len(labels) if place is None else [float(n == place) for n in range(len(labels))]
        for place in places
    ]
    return np.array(rows)


# ---------------------------------------------------------------- numbers that are names


@pytest.mark.parametrize(
    ("values", "labels", "places"),
    [
        ([1.0, None, 2.0, 5.0], "12345", [0, None, 1, 4]),  # a column with a gap, as pandas has it
        (["01", "02", "1", "5"], "12345", [0, 1, 0, 4]),
        (["1,0", "3,0"], "123", [0, 2]),
        ([1, 2, 4], ("1.0", "2.0", "4.0"), [0, 1, 2]),
        (["1.50", "2,5"], ("1.5", "2.5"), [0, 1]),
        ([0, 5, 2, 6], "12345", [None, 4, 1, None]),  # BI-RADS 0 and 6: no outputs, no positions
        ([7.0, 0.0], ("7", "0"), [0, 1]),
        ([1, 2, -1, 9], "123", [0, 1, None, None]),
        (["−1", "+1"], ("-1", "1"), [0, 1]),
    ],
)
def test_numbers_are_compared_as_numbers(values, labels, places, tmp_path):
    truth = cohort_of(tmp_path, values).truth(tuple(labels))
    np.testing.assert_array_equal(truth, truth_of(labels, places))


# ---------------------------------------------------------------- numbers that are positions


@pytest.mark.parametrize(
    ("values", "labels", "column"),
    [
        ([0, 2, 1], TUMOURS, "class"),
        ([0, 1], ("normal", "PNEUMONIA"), "label"),
        ([0, 1], GRADES, "level"),  # grades of which two occur
        ([0, 4, 2], ("0 none", "1 mild", "2 moderate", "3 severe", "4 PDR"), "class"),
        ([1, 3], ("grade 0", "grade 1", "grade 2", "grade 3"), "class"),  # each tells its place
    ],
)
def test_numbers_that_can_only_be_positions(values, labels, column, tmp_path):
    cohort = cohort_of(tmp_path, values, column)
    np.testing.assert_array_equal(cohort.truth(labels), truth_of(labels, values))
    (told,) = cohort.assumptions(labels)
    assert "taken as the model's outputs from 0" in told
    assert f"0 {labels[0]}" in told


def test_codes_beside_positions_are_unknown(tmp_path):
    cohort = cohort_of(tmp_path, [0, 1, 2, -1, 99])
    np.testing.assert_array_equal(cohort.truth(TUMOURS), truth_of(TUMOURS, [0, 1, 2, None, None]))
    assert cohort.unknown_classes(TUMOURS) == {"-1": 1, "99": 1}


@pytest.mark.parametrize(
    ("values", "labels", "why"),
    [
        ([1, 2, 3], TUMOURS, "count from 0 or from 1"),
        ([1, 2], TUMOURS, "count from 0 or from 1"),
        ([0, 1, 2, 3], TUMOURS, "other numbers than 0 to 2, for 3 outputs"),
        ([0, 1, 2, 3, 4], TUMOURS, "other numbers than 0 to 2, for 3 outputs"),
        ([0, 2, 7], TUMOURS, "other numbers than 0 to 2"),
        ([0, 1, 2, 3, 4], "12345", "of which 0 is no label"),
        ([0, 1, 2, 3, 4], "1234", "of which 0 is no label"),  # cumulative outputs, perhaps
        ([0, 1], ("2", "3"), "labels are numbers too"),
        ([0, 1, 2], ("≥1", "≥2", "≥3"), "'≥1' holds for several grades"),
        (range(5), [f"at least {k}" for k in (1, 2, 3, 4)], "'at least 1' holds for several"),
        ([0, 1, 2], ("mild or worse", "severe or worse", "PDR"), "'mild or worse' holds for"),
        ([0, 1, 2], ("none", "grade 1 or 2", "grades 3-4"), "'grade 1 or 2' holds for"),
        ([0, 1], ("mild+", "severe"), "'mild+' holds for several"),
        ([0, 1, 2, 3], ("mild", "moderate", "severe", "proliferative"), "less than 'mild'"),
        ([0, 1], ("AMD", "RVO", "RP"), "may mean no and yes"),
        ([0, 1], ("PNEUMONIA", "NORMAL"), "1 may mean yes, but the model's second label"),
        ([0, 1, 2], ("stage 1", "stage 2", "stage 3"), "'stage 1' is output 0"),
        (["0", "1", "odd"], TUMOURS, "'odd' beside them is no such number"),
        ([0.5, 1.5], TUMOURS, "match none of the model's labels"),
    ],
)
def test_numbers_that_can_mean_something_else_are_refused(values, labels, why, tmp_path):
    with pytest.raises(InputError, match="class column 'class'") as raised:
        cohort_of(tmp_path, values).truth(tuple(labels))
    text = str(raised.value)
    assert why in text
    assert text.startswith(f"{tmp_path / 'c.csv'}: ")
    assert "such as --class-values " in text
    assert "\n" not in text


# ---------------------------------------------------------------- values that the user maps


@pytest.mark.parametrize(
    ("values", "labels", "settings", "places"),
    [
        ([1, 2, 3], TUMOURS, "1=meningioma,2=glioma,3=pituitary", [0, 1, 2]),
        ([1.0, None, 2.0], TUMOURS, {"1": "Glioma", "2": "MENINGIOMA "}, [1, None, 0]),
        ([0, 1, 2], TUMOURS, {0: "glioma", 1: "unknown"}, [1, None, None]),
        (["a", "b", "x"], ("A, B", "C"), 'a="A, B",b=C', [0, 1, None]),
        (["x, y", "C"], ("A", "C"), '"x, y"=A', [0, 1]),
        ([0, 1, 2], "12", "0=1,1=2,2=unknown", [0, 1, None]),
    ],
)
def test_values_are_what_the_user_says(values, labels, settings, places, tmp_path):
    cohort = cohort_of(tmp_path, values, class_values=settings)
    np.testing.assert_array_equal(cohort.truth(tuple(labels)), truth_of(labels, places))
    assert cohort.guesses["labels"].startswith("classes of class with ")


def test_grades_beside_outputs_that_hold_for_several(tmp_path):
    labels = ("at least 1", "at least 2", "at least 3")
    mapping = "0=none,1=at least 1,2=at least 1|at least 2,3=at least 1|at least 2|at least 3"
    truth = cohort_of(tmp_path, [0, 1, 2, 3], class_values=mapping).truth(labels)
    np.testing.assert_array_equal(truth, np.arange(4)[:, None] >= np.arange(1, 4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_values": "1=gliom"}, "1=gliom, which the model does not have"),
        ({"class_values": "1"}, "--class-values 1 is not of the form"),
        ({"class_values": "1=glioma", "label_values": "-1=0"}, "--label-values needs label col"),
    ],
)
def test_mappings_that_cannot_be_meant(settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        cohort_of(tmp_path, [1, 2], **settings).truth(TUMOURS)


def test_a_mapping_of_what_is_not_there_is_named(tmp_path):
    cohort = cohort_of(tmp_path, [1, 2], class_values="1=glioma,2=meningioma,7=pituitary")
    (warning,) = cohort.warnings
    assert "--class-values speaks of '7', which no field of 'class' holds" in warning


def test_a_mapping_without_a_class_column(tmp_path):
    (tmp_path / "c.csv").write_text("filename,AMD\na,1\nb,0\n")
    with pytest.raises(InputError, match="--class-values needs a class column, but 'AMD'"):
        read_cohort(tmp_path / "c.csv", class_values="1=AMD")


# ---------------------------------------------------------------- one output


@pytest.mark.parametrize(
    ("values", "label", "expected", "n_notes"),
    [
        (["NORMAL", "PNEUMONIA", "normal"], "PNEUMONIA", [0, 1, 0], 0),
        (["Normal", "Pneumonia", "healthy"], "pneumonia ", [0, 1, 0], 0),
        (["AMD", "RVO", ""], "AMD", [1, 0, np.nan], 1),
        (["covid_19", "No COVID-19"], "COVID-19", [1, 0], 0),
        (["melanoma", "unknown", "nevus"], "Melanoma", [1, np.nan, 0], 1),
        ([0, 1], "AMD", [0, 1], 0),
        (["yes", "no", "?"], "AMD", [1, 0, np.nan], 0),
        ([1.0, None, 0.0], "referable", [1, np.nan, 0], 0),
    ],
)
def test_one_output(values, label, expected, n_notes, tmp_path):
    cohort = cohort_of(tmp_path, values)
    np.testing.assert_array_equal(cohort.truth((label,)).ravel(), expected)
    assert len(cohort.assumptions((label,))) == n_notes


@pytest.mark.parametrize(
    ("values", "label"),
    [
        (["NORMAL", "PNEUMONIA", "COVID"], "PNEUMONIA"),
        (["PNEUMONIA", "VIRAL PNEUMONIA"], "PNEUMONIA"),
        ([0, 1, 2, 3, 4], "referable DR"),
        ([1, 2], "AMD"),
        ([-1, 1], "AMD"),
        (["AMD", "1"], "AMD"),
    ],
)
def test_more_than_with_and_without_is_refused(values, label, tmp_path):
    with pytest.raises(InputError, match="only label") as raised:
        cohort_of(tmp_path, values).truth((label,))
    assert "--class-values" in str(raised.value)


def test_grades_are_no_yes_and_no_once_the_user_maps_some(tmp_path):
    with pytest.raises(InputError, match="cannot all be told"):
        cohort_of(tmp_path, [0, 1, 2], class_values="2=yes").truth(("referable DR",))
    cohort = cohort_of(tmp_path, [0, 1, 2], class_values="0=no,1=no,2=yes")
    assert cohort.truth(("referable DR",)).ravel().tolist() == [0, 0, 1]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Pleural_Effusion", "pleural effusion "),
        ("COVID-19", "covid 19"),
        ("Macular\u00a0hole", "macular_hole"),
        ("cafe\u0301", "Caf\u00e9"),
        ("1.0", "01"),
        ("2,50", "2.5"),
    ],
)
def test_spellings_of_one_name(one, other, tmp_path):
    assert name_key(one) == name_key(other)
    truth = cohort_of(tmp_path, [one, "x"]).truth((other, "X"))
    assert truth.tolist() == [[1, 0], [0, 1]]
    table = pd.DataFrame({"filename": ["a", "b"], one: [1, 0]})
    table.to_csv(tmp_path / "t.csv", index=False)
    assert read_cohort(tmp_path / "t.csv").truth((other,)).ravel().tolist() == [1, 0]


@pytest.mark.parametrize(("one", "other"), [("-1", "1"), ("HER2+", "HER2-"), ("T1", "T2")])
def test_names_that_stay_apart(one, other):
    assert name_key(one) != name_key(other)


@pytest.mark.parametrize("labels", [("A b", "A_b"), ("1", "01"), ("x", "X ")])
def test_labels_that_are_one_name_are_refused(labels, tmp_path):
    with pytest.raises(InputError, match="one name but for its spelling"):
        cohort_of(tmp_path, [labels[0], "y"]).truth(labels)
    (tmp_path / "t.csv").write_text("filename,AMD\na,1\n")
    with pytest.raises(InputError, match="one name but for its spelling"):
        read_cohort(tmp_path / "t.csv").truth(labels)


def test_label_columns_that_are_one_name_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("filename,Macular hole,Macular_hole,RVO\na,1,0,1\nb,0,1,0\n")
    with pytest.raises(InputError, match=r"'Macular hole' and 'Macular_hole' have one name"):
        read_cohort(tmp_path / "t.csv")
    with pytest.raises(InputError, match="more than one column 'macular-hole' for the label"):
        read_cohort(tmp_path / "t.csv", label_columns=["macular-hole"])
    kept = read_cohort(tmp_path / "t.csv", exclude_labels="Macular_hole")
    assert kept.truth(("macular-hole",)).ravel().tolist() == [1, 0]


def test_a_label_that_no_column_is_for_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("filename,AMD,sex\na,1,0\nb,0,1\n")
    first, second = read_cohort(tmp_path / "t.csv").assumptions(("amd", "Sex", "DR"))
    assert "'Sex' is unknown for every image, since the column 'sex' is not taken" in first
    assert "'DR' is unknown for every image, since no column is for it" in second


def test_several_columns_called_as_class_columns_are_named(tmp_path):
    (tmp_path / "t.csv").write_text("filename,diagnosis,grade\na,AMD,2\nb,RVO,3\n")
    (warning,) = read_cohort(tmp_path / "t.csv").warnings
    assert "'diagnosis', 'grade' are all called as class columns are" in warning
