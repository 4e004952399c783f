"""Cohort tables as people write them."""

import numpy as np
import pytest

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError


def write(folder, text, name="cohort.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


PLAIN = "filename,ID,LR,age,sex,AMD,RVO\na.png,7,L,60,1,1,0\nsub/b.png,007,R,61,0,0,1\n"


def test_roles_are_guessed_and_told(tmp_path):
    cohort = read_cohort(write(tmp_path, PLAIN))
    assert len(cohort) == 2
    assert cohort.names == ("a.png", "sub/b.png")
    assert cohort.files == (tmp_path / "a.png", tmp_path / "sub" / "b.png")
    assert cohort.laterality == ("L", "R")
    assert cohort.patients == ("7", "007")  # text, not numbers
    assert cohort.label_columns == ("AMD", "RVO")  # sex is 0/1 too, but a covariate
    assert cohort.guesses == {
        "file": "filename",
        "laterality": "LR",
        "patient": "ID",
        "labels": "AMD, RVO",
    }
    assert cohort.warnings == []
    assert cohort.truth(("RVO", "AMD")).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separators_line_ends_and_byte_order_marks(separator, end, encoding, tmp_path):
    text = PLAIN.replace(",", separator).replace("\n", end)
    path = write(tmp_path, text, "cohort.txt", encoding)
    cohort = read_cohort(path)
    assert cohort.names == ("a.png", "sub/b.png")
    assert cohort.truth(("AMD",)).ravel().tolist() == [1, 0]


@pytest.mark.parametrize(
    "text",
    [
        'filename,note,AMD\na.png,"red; blue, green; black",1\n',  # other separators, quoted
        "filename;AMD\na,b.png;1\n".replace("a,b", "a"),
        "filename,AMD,\na.png,1,\n",
        "filename,AMD\na.png,1,\n",  # a separator at the end of rows must not shift columns
        " filename , AMD \na.png,1\n",
        "FILENAME,amd\na.png,1\n",
        "filename,AMD\na.png,1.0\n",
        "filename,AMD\n a.png ,1\n",
    ],
)
def test_untidy_tables(text, tmp_path):
    cohort = read_cohort(write(tmp_path, text))
    assert cohort.names == ("a.png",)
    assert cohort.truth(("AMD",)).tolist() == [[1]]


@pytest.mark.parametrize(
    "column", ["filename", "file", "image_path", "path", "image", "Path", "FILEPATH"]
)
def test_names_of_the_file_column(column, tmp_path):
    cohort = read_cohort(write(tmp_path, f"AMD,{column}\n1,a.png\n"))
    assert cohort.names == ("a.png",)
    assert cohort.guesses["file"] == column


def test_backslashes_absolute_paths_and_the_image_root(tmp_path):
    text = f"image_path,AMD\nultra\\1\\1_r1.jpg,1\n{tmp_path / 'x.png'},0\n"
    path = write(tmp_path, text)
    assert read_cohort(path).files == (
        tmp_path / "ultra" / "1" / "1_r1.jpg",
        tmp_path / "x.png",
    )
    elsewhere = read_cohort(path, image_root=tmp_path / "images")
    assert elsewhere.files[0] == tmp_path / "images" / "ultra" / "1" / "1_r1.jpg"
    assert elsewhere.files[1] == tmp_path / "x.png"


TOP = """filename, ID, age, sex, LR, AMD, RVO, Gla, MH, DR, RD, RP, AO, DM
000001.jpg, 1, 67, 1, L, 0, 0, 1, 0, 0, 0, 0, 0, 1
000002.jpg, 1, 67, 1, R, 1, 0, 0, 0, 0, 0, 0, 0, 1
000003.jpg, 2, , 0, L, 0, 0, 0, 0, , 0, 0, 0, 0
"""


def test_the_table_of_top(tmp_path):
    cohort = read_cohort(write(tmp_path, TOP))
    assert cohort.names == ("000001.jpg", "000002.jpg", "000003.jpg")
    assert cohort.patients == ("1", "1", "2")
    assert cohort.laterality == ("L", "R", "L")
    assert cohort.laterality_source == ("table",) * 3
    assert cohort.label_columns == ("AMD", "RVO", "Gla", "MH", "DR", "RD", "RP", "AO", "DM")
    np.testing.assert_array_equal(
        cohort.truth(("DM", "AMD", "DR")), [[1, 0, 0], [1, 1, 0], [0, 0, np.nan]]
    )
    assert cohort.warnings == []
    without = read_cohort(write(tmp_path, TOP), exclude_labels=["dm", "AO"])
    assert without.label_columns == ("AMD", "RVO", "Gla", "MH", "DR", "RD", "RP")
    assert list(without.table["DM"]) == ["1", "1", "0"]  # still a covariate


DEEPDRID = """patient_id,image_id,image_path,DR_level,position
1,1_r1,ultra-widefield-training\\1\\1_r1.jpg,0,right_eye
1,1_l1,ultra-widefield-training\\1\\1_l1.jpg,4,left_eye
2,2_l1,ultra-widefield-training\\2\\2_l1.jpg,,left_eye
"""


@pytest.mark.parametrize("text", [DEEPDRID, DEEPDRID.replace(",4,", ",1,")])
def test_the_table_of_deepdrid(text, tmp_path):
    """Its grades make one class column, even where only two of them occur."""
    cohort = read_cohort(write(tmp_path, text))
    assert cohort.files[0] == tmp_path / "ultra-widefield-training" / "1" / "1_r1.jpg"
    assert cohort.names[0] == "ultra-widefield-training\\1\\1_r1.jpg"
    assert cohort.patients == ("1", "1", "2")
    assert cohort.laterality == ("R", "L", "L")
    assert cohort.class_column == "DR_level"
    second = [0, 0, 0, 0, 1] if text is DEEPDRID else [0, 1, 0, 0, 0]
    np.testing.assert_array_equal(
        cohort.truth(("none", "mild", "moderate", "severe", "proliferative")),
        [[1, 0, 0, 0, 0], second, [np.nan] * 5],
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding, tmp_path):
    text = "filename,Ärztin,AMD\nbärbel.png,Müller,1\n"
    path = write(tmp_path, text, encoding=encoding)
    cohort = read_cohort(path)
    assert cohort.names == ("bärbel.png",)
    assert list(cohort.table.columns) == ["filename", "Ärztin", "AMD"]
    told = [f"{path}: is not UTF-8 and was read as Windows-1252"]
    assert [warning[: len(told[0])] for warning in cohort.warnings] == (
        told if encoding == "cp1252" else []
    )


def test_utf_16_of_the_other_byte_order(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"\xfe\xff" + PLAIN.encode("utf-16-be"))
    assert read_cohort(tmp_path / "c.csv").names == ("a.png", "sub/b.png")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"PK\x03\x04rest of an xlsx", "it is a spreadsheet; save it as CSV"),
        (PLAIN.encode("utf-16-le"), "UTF-16 without a mark"),
        (b'filename,AMD\n"a.png,1\nb.png,0\n', "is a quote open"),
        (b"filename,AMD\na.png,1\nb.png,x,0\nc.png,x,1\n", "more on each of the lines 3, 4"),
    ],
)
def test_what_no_reading_can_mend(content, part, tmp_path):
    (tmp_path / "c.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"c\.csv: cannot be read as a CSV or TSV table") as why:
        read_cohort(tmp_path / "c.csv")
    assert part in str(why.value)


def test_semicolons_with_decimal_commas(tmp_path):
    text = "sep=;\nfilename;axial, mm;AMD\na.png;23,5;1,0\nb.png;24,1;0,0\n"
    cohort = read_cohort(write(tmp_path, text))
    assert cohort.label_columns == ("AMD",)
    assert cohort.truth(("AMD",)).ravel().tolist() == [1, 0]
    assert list(cohort.table["axial, mm"]) == ["23,5", "24,1"]


def test_the_separator_is_the_one_that_splits_rows_like_the_header(tmp_path):
    cohort = read_cohort(
        write(tmp_path, "filename;axial, mm\na.png;1\n"), label_columns=["axial, mm"]
    )
    assert cohort.names == ("a.png",)


def test_quotes_empty_lines_and_short_rows(tmp_path):
    text = 'filename, note, AMD\n\n"a,1.png", "red\nspot" ,1\n,,\nb.png, x, 0\n  \nc.png\n'
    path = write(tmp_path, text)
    cohort = read_cohort(path)
    assert cohort.names == ("a,1.png", "b.png", "c.png")
    assert cohort.table["note"].tolist()[:2] == ["red\nspot", "x"]
    np.testing.assert_array_equal(cohort.truth(("AMD",)).ravel(), [1, 0, np.nan])
    (warning,) = cohort.warnings
    assert warning.startswith(f"{path}: line 8 has fewer fields than the header")


def test_columns_without_a_name_of_their_own(tmp_path):
    text = ",filename,AMD,amd,RVO,AMD,\n0,a.png,1,0,0,0,\n1,b.png,0,0,1,1,\n"
    path = write(tmp_path, text)
    cohort = read_cohort(path)
    assert list(cohort.table.columns) == [
        "Unnamed: 0", "filename", "AMD", "amd (2)", "RVO", "AMD (3)",
    ]  # fmt: skip
    # An index that happens to be 0 and 1 is no label, nor is a column that cannot be told apart.
    assert cohort.label_columns == ("AMD", "RVO")
    assert cohort.truth(("AMD",)).ravel().tolist() == [1, 0]
    (warning,) = cohort.warnings
    assert "more than one column is called 'AMD'" in warning
    assert "'amd (2)', 'AMD (3)'" in warning
    assert read_cohort(path, label_columns=["AMD (3)"]).truth(("AMD (3)",)).tolist() == [[0], [1]]


# ---------------------------------------------------------------- laterality and patients


@pytest.mark.parametrize(
    ("spellings", "side"),
    [
        (["L", "l", "left", "Left", "left_eye", "OS", " os "], "L"),
        (["R", "r", "right", "RIGHT", "right_eye", "OD", "od"], "R"),
        (["", "NA", "nan"], ""),
    ],
)
@pytest.mark.parametrize("column", ["LR", "laterality", "eye", "position"])
def test_spellings_of_laterality(spellings, side, column, tmp_path):
    rows = "".join(f"{number}.png,{text},1\n" for number, text in enumerate(spellings))
    cohort = read_cohort(write(tmp_path, f"filename,{column},AMD\n{rows}"))
    assert cohort.laterality == (side,) * len(spellings)
    assert cohort.warnings == []


def test_laterality_that_is_not_understood_is_listed(tmp_path):
    path = write(tmp_path, "filename,LR,AMD\na,L,1\nb,both,0\nc,2,1\nd,2,1\n")
    cohort = read_cohort(path)
    assert cohort.laterality == ("L", "", "", "")
    (warning,) = cohort.warnings
    assert warning.startswith(f"{path}: 3 images")
    assert "'2', 'both'" in warning


def test_without_laterality_and_patients(tmp_path):
    cohort = read_cohort(write(tmp_path, "filename,AMD\na,1\nb,0\n"))
    assert cohort.laterality == ("", "")
    assert len(set(cohort.patients)) == 2
    assert "no image is mirrored" in cohort.guesses["laterality"]


def test_images_without_a_patient_count_as_one_each(tmp_path):
    cohort = read_cohort(write(tmp_path, "filename,ID,AMD\na,P,1\nb,,0\nc,,0\nd,P,0\n"))
    assert cohort.patients[0] == cohort.patients[3] == "P"
    assert len(set(cohort.patients)) == 3


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "cannot be read as a CSV or TSV table"),
        ("\n\n", {}, "cannot be read as a CSV or TSV table"),
        ("filename,AMD\n", {}, "has no rows"),
        ("filename,AMD\na,1\nb,0,1\n", {}, "cannot be read as a CSV or TSV table"),
        ("filename,AMD\na,1,9\nb,0,9\n", {}, "cannot be read as a CSV or TSV table"),
        ("scan,AMD\na,1\n", {}, r"no column with the image files.*--file-column.*scan, AMD"),
        ("filename\na.png\n", {}, "no label column was found"),
        ("filename,age\na,60\n", {}, "no label column was found.*--class-column"),
        ("filename,AMD\na,1\n", {"file_column": "gone"}, "no column 'gone' for the file"),
        ("filename,AMD\na,1\n", {"patient_column": "gone"}, "no column 'gone' for the patient"),
        ("filename,AMD\na,1\n", {"laterality_column": "x"}, "no column 'x' for the laterality"),
        ("filename,AMD\na,1\n", {"class_column": "x"}, "no column 'x' for the class"),
        ("filename,AMD\na,1\n", {"label_columns": ["x"]}, "no column 'x' for the label"),
        ("filename,AMD\na,3\n", {"label_columns": ["AMD"]}, "'AMD' holds values beside 0 and 1"),
    ],
)
def test_one_sentence_for_each_table_that_cannot_be_used(text, options, message, tmp_path):
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as why:
        read_cohort(path, **options)
    assert str(path) in str(why.value)
    assert "\n" not in str(why.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    path = write(tmp_path, PLAIN)
    with pytest.raises(InputError) as why:
        read_cohort(
            path,
            file_column="scan",
            patient_column="who",
            laterality_column="seite",
            laterality_values="0=L,1=up,R",
            laterality_pattern="(",
            label_columns=["AMD", "DR"],
            exclude_labels=["DM"],
            class_column="kind",
        )
    for part in (
        "no column 'scan' for the file",
        "no column 'who' for the patient",
        "no column 'seite' for the laterality",
        "no column 'DM' for the label to leave out",
        "no column 'kind' for the class",
        "not both",
        "--laterality-values 0=L,1=up,R is not of the form 0=L,1=R",
        "'1' the side 'up'",
        "--laterality-pattern ( is no regular expression",
        "its columns are filename, ID, LR, age, sex, AMD, RVO.",
    ):
        assert str(why.value).count(part) == 1
    assert str(why.value).startswith(f"{path}: ")
    with pytest.raises(InputError, match=r"'who' for the patient; .*'DR' for the label;"):
        read_cohort(path, patient_column="who", label_columns=["AMD", "DR"])


def test_values_of_a_laterality_that_is_not_there(tmp_path):
    path = write(tmp_path, "filename,AMD\na,1\n")
    with pytest.raises(InputError, match="--laterality-values needs a laterality column"):
        read_cohort(path, laterality_values="0=L")


def test_missing_table_folder_and_binary_file(tmp_path):
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(InputError, match="the cohort table does not exist") as why:
            read_cohort(path)
        assert str(path) in str(why.value)
    (tmp_path / "image.csv").write_bytes(bytes(range(128, 256)) * 20)
    with pytest.raises(InputError, match=r"image\.csv: cannot be read as a CSV or TSV table"):
        read_cohort(tmp_path / "image.csv")
