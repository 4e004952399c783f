"""Label and class columns as people fill them in."""

import numpy as np
import pytest

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError


def write(folder, text, name="cohort.csv"):
    (folder / name).write_bytes(text.encode())
    return folder / name


PLAIN = "filename,ID,LR,age,sex,AMD,RVO\na.png,7,L,60,1,1,0\nsub/b.png,007,R,61,0,0,1\n"


def test_missing_labels_are_unknown_not_zero(tmp_path):
    rows = ["1", "", "0", "NA", "nan", "None"]
    text = "filename,AMD,RVO\n" + "".join(f"{n}.png,{value},1\n" for n, value in enumerate(rows))
    cohort = read_cohort(write(tmp_path, text))
    expected = [[1, 1], [np.nan, 1], [0, 1], [np.nan, 1], [np.nan, 1], [np.nan, 1]]
    np.testing.assert_array_equal(cohort.truth(("AMD", "RVO")), expected)


def test_labels_the_table_does_not_know_are_unknown(tmp_path):
    truth = read_cohort(write(tmp_path, PLAIN)).truth(("amd", "DR"))
    np.testing.assert_array_equal(truth, [[1, np.nan], [0, np.nan]])


def test_columns_that_are_not_labels_stay_covariates(tmp_path):
    text = "filename,AMD,grade2,note,empty,site\na,1,0,x,,1\nb,0,2,y,,0\n"
    cohort = read_cohort(write(tmp_path, text))
    assert cohort.label_columns == ("AMD",)
    assert list(cohort.table["note"]) == ["x", "y"]


def test_roles_that_are_set_by_hand(tmp_path):
    text = "scan,who,seite,sex,AMD,path\na,P1,OD,1,1,junk\nb,P2,OS,0,1,junk\n"
    cohort = read_cohort(
        write(tmp_path, text),
        file_column="SCAN",
        patient_column="who",
        laterality_column="seite",
        label_columns=["sex"],
    )
    assert cohort.names == ("a", "b")
    assert cohort.patients == ("P1", "P2")
    assert cohort.laterality == ("R", "L")
    assert cohort.truth(("sex",)).ravel().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "labels", "expected"),
    [
        (["AMD", "none", "rvo"], ("None", "AMD", "RVO"), [1, 0, 2]),
        (["None", "AMD", ""], ("none", "AMD"), [0, 1, None]),
        (["0", "2", "1"], ("healthy", "mild", "severe"), [0, 2, 1]),
        (["0.0", "2.0", "99"], ("healthy", "mild", "severe"), [0, 2, None]),
        (["AMD", "other", "1"], ("healthy", "AMD"), [1, None, None]),
        # Names that are numbers are names.
        (["10", "20", "1"], ("10", "20"), [0, 1, None]),
    ],
)
def test_one_class_column(values, labels, expected, tmp_path):
    text = "filename,diagnosis\n" + "".join(f"{n}.png,{v}\n" for n, v in enumerate(values))
    cohort = read_cohort(write(tmp_path, text))
    assert cohort.class_column == "diagnosis"
    truth = cohort.truth(labels)
    for row, index in zip(truth, expected, strict=True):
        if index is None:
            assert np.isnan(row).all()
        else:
            assert row.tolist() == [float(place == index) for place in range(len(labels))]


def test_a_class_column_can_be_named(tmp_path):
    text = "filename,AMD,kind\na,1,x\nb,0,y\n"
    cohort = read_cohort(write(tmp_path, text), class_column="KIND")
    assert cohort.class_column == "kind"
    assert cohort.label_columns == ()
    assert cohort.truth(("y", "x")).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    "pair",
    [
        ("0", "1"), ("0.0", "1.0"), ("0,0", "1,0"), ("no", "Yes"), ("N", "Y"), ("FALSE", "TRUE"),
        ("-", "+"), ("–", "+"), ("negative", "Positive"), ("neg", "pos"), ("absent", "present"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"label_columns": ["AMD"]}])
def test_spellings_of_labels(pair, options, tmp_path):
    text = f"filename;AMD\na;{pair[1]}\nb;{pair[0]}\nc;\nd;{pair[0]}\n"
    cohort = read_cohort(write(tmp_path, text), **options)
    assert cohort.label_columns == ("AMD",)
    np.testing.assert_array_equal(cohort.truth(("AMD",)).ravel(), [1, 0, np.nan, 0])
    assert cohort.warnings == []


def test_mixed_spellings_are_labels_only_where_they_are_named(tmp_path):
    path = write(tmp_path, "filename,AMD,RVO\na,1,0\nb,no,1\nc,Yes,0\n")
    cohort = read_cohort(path)
    assert cohort.label_columns == ("RVO",)
    (warning,) = cohort.warnings
    assert warning.startswith(f"{path}: 'AMD' spell")
    assert "--label-columns" in warning
    asked = read_cohort(path, label_columns=["AMD"])
    assert asked.truth(("AMD",)).ravel().tolist() == [1, 0, 1]
    assert asked.warnings == []


@pytest.mark.parametrize("code", ["-1", "9", "99", "9.0", "?", "-", "unknown", "−1"])
@pytest.mark.parametrize("options", [{}, {"label_columns": ["AMD"]}])
def test_codes_for_missing_labels(code, options, tmp_path):
    path = write(tmp_path, f"filename,AMD\na,1\nb,{code}\nc,0\nd,0\n")
    cohort = read_cohort(path, **options)
    np.testing.assert_array_equal(cohort.truth(("AMD",)).ravel(), [1, np.nan, 0, 0])
    (warning,) = cohort.warnings
    assert warning == (
        f"{path}: the label column 'AMD' holds {code!r} in 1 row beside 0 and 1, taken as missing."
    )


@pytest.mark.parametrize("values", ["1,0,9,9,9", "1,9", "0,?,0"])
def test_columns_that_are_mostly_codes_or_hold_one_value_are_not_guessed(values, tmp_path):
    rows = "".join(f"{n}.png;{v};{n % 2}\n" for n, v in enumerate(values.split(",")))
    cohort = read_cohort(write(tmp_path, f"filename;AMD;RVO\n{rows}"))
    assert cohort.label_columns == ("RVO",)
    assert cohort.warnings == []


def test_a_label_that_nobody_has_may_be_unknown_for_a_few(tmp_path):
    rows = "".join(f"{n}.png,{0 if n else -1}\n" for n in range(30))
    cohort = read_cohort(write(tmp_path, f"filename,RP\n{rows}"))
    assert cohort.label_columns == ("RP",)
    assert "'RP' holds '-1' in 1 row" in cohort.warnings[0]


def test_a_rare_slip_is_missing_but_a_grade_is_no_label(tmp_path):
    def table(last):
        rows = ["a,1,1"] + [f"b{n},0,{n % 2}" for n in range(38)] + last
        return write(tmp_path, "filename,AMD,RVO\n" + "\n".join(rows) + "\n")

    cohort = read_cohort(table(["c,11,0"]))
    assert cohort.label_columns == ("AMD", "RVO")
    assert np.isnan(cohort.truth(("AMD",))[-1]).all()
    assert "'AMD' holds '11' in 1 row" in cohort.warnings[0]
    path = table(["c,2,0", "d,3,0", "e,2,1"])
    assert read_cohort(path).label_columns == ("RVO",)
    with pytest.raises(InputError, match=r"'AMD' holds values beside 0 and 1 \('2', '3'\)"):
        read_cohort(path, label_columns=["AMD"])


def test_a_class_column_beside_labels_stays_out_when_it_is_a_grade(tmp_path):
    rows = "".join(f"{n}.png,{n % 2},{'2' if n == 0 else n % 2}\n" for n in range(40))
    cohort = read_cohort(write(tmp_path, f"filename,AMD,DR_level\n{rows}"))
    assert cohort.label_columns == ("AMD",)
    assert cohort.warnings == []


def test_one_output_is_with_or_without(tmp_path):
    cohort = read_cohort(write(tmp_path, "filename,target\na,1\nb,0\nc,\nd,9\n"))
    np.testing.assert_array_equal(cohort.truth(("AMD",)).ravel(), [1, 0, np.nan, np.nan])
    assert cohort.unknown_classes(("AMD",)) == {"9": 1}


def test_classes_that_the_model_does_not_know(tmp_path):
    text = "filename,diagnosis\na,AMD\nb,Uveitis\nc,\nd,Uveitis\ne,rvo\n"
    cohort = read_cohort(write(tmp_path, text))
    assert cohort.unknown_classes(("AMD", "RVO")) == {"Uveitis": 2}
    assert read_cohort(write(tmp_path, PLAIN)).unknown_classes(("AMD",)) == {}


def test_labels_that_fit_no_output_of_the_model(tmp_path):
    path = write(tmp_path, PLAIN)
    with pytest.raises(InputError, match=r"model's labels \(DR\).*columns found: AMD, RVO") as why:
        read_cohort(path).truth(("DR",))
    assert str(path) in str(why.value)
    path = write(tmp_path, "filename,diagnosis\na,AMD\n", "classes.csv")
    with pytest.raises(InputError, match=r"'diagnosis' match none of the model's labels"):
        read_cohort(path).truth(("DR", "RVO"))
