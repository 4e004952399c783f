"""Several labels in one field."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MultiLabelBinarizer

from napari_globalxai.cohort.table import read_cohort

LABELS = ("Edema", "Effusion", "Mass")
SETS = [["Edema", "Effusion"], ["Edema"], ["Mass", "Edema"], ["Effusion"], ["Mass"], []]


def cohort_of(folder, values, column="findings"):
    table = pd.DataFrame({"filename": [f"{n}.png" for n in range(len(values))], column: values})
    table.to_csv(folder / "c.csv", index=False)
    return read_cohort(folder / "c.csv")


def joined(mark):
    return [mark.join(names) or "No Finding" for names in SETS]


@pytest.mark.parametrize(
    "values",
    [
        joined("|"),
        joined(";"),
        joined("; "),
        joined("\n"),
        joined(", "),
        joined("/"),
        joined(" & "),
        [str(names) for names in SETS],
        [str(tuple(names)) for names in SETS],
        [str(np.array(names)) for names in SETS],
        ["{" + ",".join(names) + "}" for names in SETS],
        [value.upper() for value in joined("|")],
    ],
)
def test_fields_of_several_labels(values, tmp_path):
    cohort = cohort_of(tmp_path, values)
    expected = MultiLabelBinarizer(classes=LABELS).fit_transform(SETS)
    np.testing.assert_array_equal(cohort.truth(LABELS), expected)
    assert cohort.unknown_classes(LABELS) == {}
    assert "hold several labels" in " ".join([*cohort.warnings, *cohort.assumptions(LABELS)])


def test_findings_that_the_model_has_no_label_for(tmp_path):
    cohort = cohort_of(tmp_path, ["Edema|Hernia", "Hernia", "Mass", "", "unknown"])
    truth = cohort.truth(LABELS)
    np.testing.assert_array_equal(
        truth, [[1, 0, 0], [0, 0, 0], [0, 0, 1], [np.nan] * 3, [np.nan] * 3]
    )
    assert cohort.unknown_classes(LABELS) == {"Hernia": 2}


def test_what_is_uncertain_beside_a_label(tmp_path):
    truth = cohort_of(tmp_path, ["Edema|unknown", "Edema|Mass"]).truth(LABELS)
    np.testing.assert_array_equal(truth, [[1, np.nan, np.nan], [1, 0, 1]])


def test_a_field_that_contradicts_itself_is_unknown(tmp_path):
    cohort = cohort_of(tmp_path, ["Edema|No Finding", "Mass|Edema"])
    np.testing.assert_array_equal(cohort.truth(LABELS), [[np.nan] * 3, [1, 0, 1]])
    assert cohort.unknown_classes(LABELS) == {"Edema|No Finding": 1}


def test_a_label_for_no_finding(tmp_path):
    values = ["Edema|Mass", "No Finding", "normal"]
    labels = ("no_finding", "Edema")
    truth = cohort_of(tmp_path, values).truth(labels)
    # What another word says of it is not certain, that there is no edema is.
    np.testing.assert_array_equal(truth, [[0, 1], [1, 0], [np.nan, 0]])


@pytest.mark.parametrize(
    ("values", "labels", "expected"),
    [
        # A name with the mark in it, which is a label or may be one.
        (["Edema, pulmonary", "Edema"], ("Edema, pulmonary", "Edema"), [[1, 0], [0, 1]]),
        (["Edema, pulmonary", "Edema"], ("Edema", "Mass"), [[np.nan] * 2, [1, 0]]),
        (["in situ; nevus", "nevus"], ("nevus", "x"), [[np.nan] * 2, [1, 0]]),
        (["1/2", "1", "2"], ("1", "2"), [[np.nan] * 2, [1, 0], [0, 1]]),
        (["HER2+", "HER2+ & ER+", "ER+"], ("HER2+", "ER+"), [[1, 0], [1, 1], [0, 1]]),
        (["1,0", "2,0"], ("1", "0", "2"), [[1, 0, 0], [0, 0, 1]]),
        # One class a field; it has none of the findings.
        (["AMD", "normal"], ("AMD", "RVO"), [[1, 0], [0, 0]]),
    ],
)
def test_what_is_one_name_stays_one(values, labels, expected, tmp_path):
    np.testing.assert_array_equal(cohort_of(tmp_path, values).truth(labels), expected)


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ("Fluid=Effusion", [[1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]),
        ("Fluid=Edema|Effusion", [[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1]]),
        ("Fluid=unknown", [[1, np.nan, np.nan], [np.nan] * 3, [0, 0, 1], [0, 0, 1]]),
        ("Fluid=none,nodule=Mass", [[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 1]]),
        ("Edema|Fluid=Mass,Fluid=none", [[0, 0, 1], [0, 0, 0], [0, 0, 1], [0, 0, 1]]),
    ],
)
def test_names_in_a_field_that_the_user_maps(mapping, expected, tmp_path):
    values = ["Edema|Fluid", "Fluid", "Mass", "Mass|Nodule"]
    cohort_of(tmp_path, values)
    cohort = read_cohort(tmp_path / "c.csv", class_values=mapping)
    np.testing.assert_array_equal(cohort.truth(LABELS), expected)
    assert cohort.unknown_classes(LABELS) == ({} if "nodule" in mapping else {"Nodule": 1})


def test_one_output_and_several_labels(tmp_path):
    cohort = cohort_of(tmp_path, ["AMD|RVO", "RVO", "RP|RVO", "AMD"])
    assert cohort.truth(("AMD",)).ravel().tolist() == [1, 0, 0, 1]
