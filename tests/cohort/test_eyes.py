"""One row a patient, with a column for each eye's file; labels that are the patient's."""

import numpy as np
import pandas as pd
import pytest

from napari_globalxai.cohort.eyes import eye_pairs
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError


def read(folder, table, **settings):
    pd.DataFrame(table).to_csv(folder / "c.csv", index=False)
    return read_cohort(folder / "c.csv", **settings)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Left-Fundus", "Right-Fundus"),
        ("left_image", "right_image"),
        ("OS", "OD"),
        ("FundusL", "FundusR"),
        ("image (left eye)", "image (right eye)"),
        ("fileOS", "fileOD"),
        ("Auge links", "Auge rechts"),
    ],
)
def test_each_row_is_read_as_one_an_eye(left, right, tmp_path):
    table = {
        "ID": [7, 8],
        "Patient Age": [60, 61],
        right: ["7_r.jpg", "8_r.jpg"],
        left: ["7_l.jpg", "8_l.jpg"],
        "D": [1, 0],
    }
    cohort = read(tmp_path, table)
    melted = pd.DataFrame(table).melt(["ID", "Patient Age", "D"], [left, right]).sort_values("ID")
    assert list(cohort.names) == melted["value"].tolist()
    assert cohort.laterality == ("L", "R", "L", "R")
    assert cohort.laterality_source == ("table",) * 4
    assert list(cohort.patients) == melted["ID"].astype(str).tolist()
    assert cohort.table["Patient Age"].tolist() == ["60", "60", "61", "61"]
    assert cohort.truth(("D",)).ravel().tolist() == melted["D"].tolist()
    (warning,) = cohort.warnings
    # Breasts and knees have a left and a right image, too.
    one = "side" if left == "left_image" else "eye"
    assert f"each of its 2 rows names a left {one}'s file" in warning
    assert f"labels too, is taken for both {one}s" in warning


def test_labels_of_each_eye_go_to_their_eye(tmp_path):
    cohort = read(
        tmp_path,
        {
            "patient": ["a", "b"],
            "left_file": ["a1.png", "b1.png"],
            "right_file": ["a2.png", "b2.png"],
            "AMD_left": [1, 0],
            "AMD_right": [0, 0],
            "RVO": [0, 1],
        },
    )
    assert cohort.label_columns == ("RVO", "AMD")
    assert cohort.truth(("AMD", "RVO")).tolist() == [[1, 0], [0, 0], [0, 1], [0, 1]]
    assert "'AMD' is each side's" in cohort.warnings[0]


def test_eyes_without_a_file(tmp_path):
    cohort = read(
        tmp_path,
        {
            "ID": [1, 2, 3],
            "left_image": ["1l.jpg", None, None],
            "right_image": [None, "2r.jpg", None],
            "AMD": [0, 1, 1],
        },
    )
    assert cohort.names == ("1l.jpg", "2r.jpg", "")
    assert cohort.laterality[:2] == ("L", "R")
    assert cohort.patients == ("1", "2", "3")
    assert "row 3 of c.csv names no file." in cohort.problems


def test_a_column_of_files_goes_first(tmp_path):
    cohort = read(
        tmp_path,
        {
            "ID": [0, 0],
            "Left-Fundus": ["0_left.jpg"] * 2,
            "Right-Fundus": ["0_right.jpg"] * 2,
            "N": [1, 0],
            "filename": ["0_right.jpg", "0_left.jpg"],
        },
    )
    assert cohort.names == ("0_right.jpg", "0_left.jpg")
    assert cohort.laterality == ("R", "L")  # by the names
    assert cohort.truth(("N",)).ravel().tolist() == [1, 0]


def test_a_number_of_images_is_no_column_of_files(tmp_path):
    table = {"image": [1, 2], "OD": ["a.png", "b.png"], "OS": ["c.png", "d.png"], "AMD": [0, 1]}
    assert read(tmp_path, table).names == ("c.png", "a.png", "d.png", "b.png")


TWO_PAIRS = {
    "ID": [1, 2],
    **{
        name: [f"{name}{n}.png" for n in (1, 2)]
        for name in ("image_l", "image_r", "oct_l", "oct_r")
    },
    "AMD": [0, 1],
}


def test_several_pairs_are_to_be_chosen_from(tmp_path):
    with pytest.raises(InputError, match='say --file-column "image_l,image_r" or --file-column'):
        read(tmp_path, TWO_PAIRS)
    for asked in ("oct_l,oct_r", ["oct_r", "oct_l"]):
        cohort = read(tmp_path, TWO_PAIRS, file_column=asked)
        assert cohort.names == ("oct_l1.png", "oct_r1.png", "oct_l2.png", "oct_r2.png")
    assert read(tmp_path, TWO_PAIRS, file_column="oct_l").names == ("oct_l1.png", "oct_l2.png")
    with pytest.raises(InputError, match="names several columns, which are not there or not one"):
        read(tmp_path, TWO_PAIRS, file_column="oct_l,image_r")


def test_words_that_are_no_sides():
    assert eye_pairs(["Left-Fundus", "Right-OCT", "leftover_x", "righted_x", "age", "re"]) == []


# ---------------------------------------------------------------- the patient's labels


def eyes(labels_of_eyes, column="D"):
    """Make a table of two rows a patient."""
    return {
        "filename": [f"{n // 2}_{'lr'[n % 2]}.jpg" for n in range(2 * len(labels_of_eyes))],
        "patient": np.repeat(np.arange(len(labels_of_eyes)), 2),
        "eye": ["L", "R"] * len(labels_of_eyes),
        column: np.ravel(labels_of_eyes),
    }


HINT = "have the same labels, so that these may be the patient's, not the image's"


@pytest.mark.parametrize("column", ["D", "diagnosis"])
def test_labels_on_which_all_images_of_a_patient_agree(column, tmp_path):
    each = np.arange(12) % 2
    cohort = read(tmp_path, eyes(np.stack([each, each], 1), column))
    (hint,) = [text for text in cohort.problems if HINT in text]
    assert "each of the 12 patients with several images" in hint


@pytest.mark.parametrize(
    "labels",
    [
        [[n % 2, n % 2] for n in range(11)] + [[0, 1]],  # one eye differs
        [[n % 2, n % 2] for n in range(6)],  # too few to be remarkable
        [[n == 0, n == 0] for n in range(20)],  # nearly all have the same anyway
    ],
)
def test_agreement_that_is_not_remarkable(labels, tmp_path):
    cohort = read(tmp_path, eyes(np.array(labels).astype(int)))
    assert not any(HINT in text for text in cohort.problems)


def test_images_of_one_eye_agree_anyway(tmp_path):
    table = eyes([[n % 2, n % 2] for n in range(20)])
    table["eye"] = ["L"] * 40
    assert not any(HINT in text for text in read(tmp_path, table).problems)
