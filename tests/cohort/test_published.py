"""Tables as they are published, in small."""

import numpy as np
import pandas as pd
import pytest

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.settings.cohort_settings import CohortSettings


def write(folder, table, **options):
    pd.DataFrame(table).to_csv(folder / "c.csv", **{"index": False, **options})
    return folder / "c.csv"


def chexpert():
    size = 12
    return {
        "Path": [
            f"CheXpert-v1.0-small/train/patient{n // 2:05}/study1/view{n % 2 + 1}_frontal.jpg"
            for n in range(size)
        ],
        "Sex": ["Female", "Male"] * (size // 2),
        "Age": [68] * size,
        "Frontal/Lateral": ["Frontal"] * size,
        "AP/PA": ["AP"] * size,
        "No Finding": [1.0, None, None] * (size // 3),
        "Edema": [0.0, 1.0, -1.0, 0.0, 1.0, None] * (size // 6),
        "Pneumonia": [1.0, -1.0, 0.0, -1.0, -1.0, None] * (size // 6),
        "Pleural Effusion": [1.0, 0.0] * (size // 2),
    }


def test_chexpert(tmp_path):
    path = write(tmp_path, chexpert())
    cohort = read_cohort(path)
    assert cohort.label_columns == ("No Finding", "Edema", "Pleural Effusion")
    assert len(set(cohort.patients)) == 6
    assert cohort.patients[:3] == ("patient00000", "patient00000", "patient00001")
    problems = " ".join(cohort.problems)
    assert "'Edema' holds '-1.0' in 2 rows beside 0 and 1, taken as missing" in problems
    assert "'Pneumonia' is more often uncertain than 0 or 1" in problems
    assert "'No Finding' holds 1 or nothing" in problems
    assert "folders such as patient00000 are taken as patients" in problems
    settings = CohortSettings(label_columns=["pneumonia", "edema"], label_values="U-Ones")
    asked = read_cohort(path, settings)
    expected = pd.DataFrame(chexpert())[["Edema", "Pneumonia"]].replace(-1.0, 1.0)
    np.testing.assert_array_equal(asked.truth(("Edema", "Pneumonia")), expected)
    changed = read_cohort(path, settings, label_values="U-Zeros")
    expected = pd.DataFrame(chexpert())[["Edema", "Pneumonia"]].replace(-1.0, 0.0)
    np.testing.assert_array_equal(changed.truth(("Edema", "Pneumonia")), expected)


def test_chest_x_ray_14(tmp_path):
    path = write(
        tmp_path,
        {
            "Image Index": ["00000001_000.png", "00000001_001.png", "00000002_000.png"],
            "Finding Labels": ["Cardiomegaly", "Cardiomegaly|Pleural_Thickening", "No Finding"],
            "Follow-up #": [0, 1, 0],
            "Patient ID": [1, 1, 2],
            "Patient Age": [58, 58, 81],
            "Patient Gender": ["M", "M", "F"],
            "View Position": ["PA", "PA", "AP"],
            "OriginalImage[Width": [2682, 2894, 2500],
            "Height]": [2749, 2729, 2048],
        },
    )
    cohort = read_cohort(path)
    assert cohort.guesses["file"] == "Image Index"
    assert cohort.class_column == "Finding Labels"
    assert cohort.patients == ("1", "1", "2")
    truth = cohort.truth(("Cardiomegaly", "Pleural Thickening", "Hernia"))
    assert truth.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert "'Finding Labels' hold several labels, separated by '|'" in " ".join(cohort.problems)


def odir():
    return {
        "ID": [0, 1, 2],
        "Patient Age": [69, 57, 42],
        "Patient Sex": ["Female", "Male", "Male"],
        "Left-Fundus": ["0_left.jpg", "1_left.jpg", "2_left.jpg"],
        "Right-Fundus": ["0_right.jpg", "1_right.jpg", "2_right.jpg"],
        "Left-Diagnostic Keywords": ["cataract", "normal fundus", "laser spot"],
        "Right-Diagnostic Keywords": ["normal fundus"] * 3,
        "N": [0, 1, 0],
        "D": [0, 0, 1],
        "C": [1, 0, 0],
    }


def test_odir_5k(tmp_path):
    cohort = read_cohort(write(tmp_path, odir()))
    assert cohort.names[:2] == ("0_left.jpg", "0_right.jpg")
    assert cohort.laterality == ("L", "R") * 3
    assert cohort.patients == ("0", "0", "1", "1", "2", "2")
    assert cohort.label_columns == ("N", "D", "C")
    np.testing.assert_array_equal(
        cohort.truth(("N", "D", "C")), np.repeat([[0, 0, 1], [1, 0, 0], [0, 1, 0]], 2, axis=0)
    )
    assert cohort.table["Diagnostic Keywords"].tolist()[:2] == ["cataract", "normal fundus"]
    assert any("labels too, is taken for both eyes" in text for text in cohort.problems)


def test_odir_5k_with_a_row_an_eye(tmp_path):
    table = pd.DataFrame(odir()).loc[[0, 0, 1, 1]]
    table["labels"] = ["['C']", "['N']", "['N']", "['N', 'D']"]
    table["target"] = ["[0, 0, 1]", "[1, 0, 0]", "[1, 0, 0]", "[1, 1, 0]"]
    table["filename"] = ["0_left.jpg", "0_right.jpg", "1_left.jpg", "1_right.jpg"]
    path = write(tmp_path, table)
    assert read_cohort(path).label_columns == ("N", "D", "C")  # the patient's
    cohort = read_cohort(path, class_column="labels")
    assert cohort.truth(("N", "D", "C")).tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0], [1, 1, 0]]
    with pytest.raises(InputError, match="match none of the model's labels"):
        read_cohort(path, class_column="target").truth(("N", "D", "C"))


def test_messidor_2(tmp_path):
    path = write(
        tmp_path,
        {
            "image_id": [f"2005102{n}_0100_PP.png" for n in range(5)],
            "adjudicated_dr_grade": [0.0, 1.0, 2.0, 4.0, None],
            "adjudicated_dme": [0.0, 0.0, 1.0, 1.0, None],
            "adjudicated_gradable": [1, 1, 1, 1, 0],
        },
    )
    assert read_cohort(path).label_columns == ("adjudicated_dme",)
    grades = ("No DR", "Mild", "Moderate", "Severe", "PDR")
    with pytest.raises(InputError, match="--class-column takes 'adjudicated_dr_grade'"):
        read_cohort(path).truth(grades)
    graded = read_cohort(path, class_column="adjudicated_dr_grade")
    assert np.nanargmax(graded.truth(grades)[:4], axis=1).tolist() == [0, 1, 2, 4]
    with pytest.raises(InputError, match="only label 'referable DR'"):
        graded.truth(("referable DR",))
    referable = {str(grade): int(grade >= 2) for grade in range(5)}
    mapped = read_cohort(path, class_column="adjudicated_dr_grade", class_values=referable)
    np.testing.assert_array_equal(mapped.truth(("referable DR",)).ravel(), [0, 0, 1, 1, np.nan])


def test_eyepacs(tmp_path):
    path = write(tmp_path, {"image": ["10_left", "10_right", "13_left"], "level": [0, 4, 1]})
    cohort = read_cohort(path)
    assert cohort.laterality == ("L", "R", "L")
    truth = cohort.truth(("No DR", "Mild", "Moderate", "Severe", "Proliferative"))
    assert truth.argmax(axis=1).tolist() == [0, 4, 1]


def test_mura(tmp_path):
    folder = "MURA-v1.1/train/XR_SHOULDER/patient0000{}/study1_{}/"
    studies = [folder.format(1, "positive"), folder.format(2, "negative")]
    for table in (
        {"studies": studies, "label": [1, 0]},
        {"images": [f"{study}image1.png" for study in studies]},
    ):
        with pytest.raises(InputError, match=r"its first line holds data, such as 'MURA-v1\.1/"):
            read_cohort(write(tmp_path, table, header=False))
    for study in studies:
        (tmp_path / study).mkdir(parents=True)
    cohort = read_cohort(write(tmp_path, {"path": studies, "label": [1, 0]}))
    assert any("2 rows name folders (MURA-v1.1/" in text for text in cohort.problems)
    images = {"path": [f"{study}image1.png" for study in studies], "label": [1, 0]}
    cohort = read_cohort(write(tmp_path, images))
    assert cohort.patients == ("patient00001", "patient00002")
    assert cohort.truth(("abnormal",)).ravel().tolist() == [1, 0]


def test_a_file_column_of_another_name(tmp_path):
    table = {"Bild": ["a.png", "b.JPG#2"], "Notiz": ["x", "y"], "AMD": [0, 1]}
    assert read_cohort(write(tmp_path, table)).guesses["file"] == "Bild"
    table["Maske"] = ["am.png", "bm.png"]
    with pytest.raises(InputError, match=r"with --file-column \(Bild, Maske name images\)"):
        read_cohort(write(tmp_path, table))


def test_settings_that_there_are_not(tmp_path):
    with pytest.raises(InputError, match="cohort setting label_column: there is none of that name"):
        read_cohort(write(tmp_path, odir()), label_column="N")
