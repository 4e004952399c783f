"""Sides of eyes as tables and file names tell them."""

import pytest

from napari_globalxai.cohort.laterality import GUESSED_PATTERN, side_of
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError


def table(folder, rows, header="filename,LR,AMD"):
    """Write a table whose last column is a label."""
    lines = [header, *(f"{row},{number % 2}" for number, row in enumerate(rows))]
    (folder / "c.csv").write_bytes("\n".join(lines).encode())
    return folder / "c.csv"


def names_only(folder, names):
    return table(folder, names, "filename,AMD")


@pytest.mark.parametrize(
    ("texts", "side"),
    [
        ("L|left|Left Eye|left_eye|left-eye|OS|O.S.|o. s.|LE|oculus sinister|links", "L"),
        ("linkes Auge|gauche|œil gauche|izquierdo|Ojo izquierdo|sinistro", "L"),
        ("R|right|right eye|RIGHT_EYE|OD|O.D.|RE|Oculus Dexter|rechts", "R"),
        ("rechtes Auge|droit|oeil droit|derecho|ojo derecho|destro", "R"),
        ("|OU|unknown|?|-", ""),
        ("both|up|1|leftish|odd|l r", None),
    ],
)
def test_words_for_sides(texts, side):
    assert {text: side_of(text) for text in texts.split("|")} == dict.fromkeys(
        texts.split("|"), side
    )


def test_both_eyes_are_no_side(tmp_path):
    path = table(tmp_path, ["a,OU", "b,OS"])
    cohort = read_cohort(path)
    assert cohort.laterality == ("", "L")
    assert cohort.laterality_source == ("", "table")
    assert cohort.warnings == []
    assert any("1 image has no laterality" in problem for problem in cohort.problems)


# ---------------------------------------------------------------- coded columns


@pytest.mark.parametrize(
    ("codes", "named"),
    [("01", "0/1"), ("12", "1/2"), (("1.0", "0.0"), "0/1"), ("00", "0/1"), ("22", "1/2")],
)
def test_a_code_for_each_side_is_not_guessed(codes, named, tmp_path):
    path = table(tmp_path, [f"a,{codes[0]}", f"b,{codes[1]}", "c,"])
    cohort = read_cohort(path)
    assert cohort.laterality == cohort.laterality_source == ("", "", "")
    (warning,) = cohort.warnings
    assert warning.startswith(f"{path}: the column 'LR' codes the side as {named}, which does not")
    first, last = named.split("/")
    assert f'--laterality-values "{first}=L,{last}=R"' in warning
    assert cohort.label_columns == ("AMD",)  # LR is none


@pytest.mark.parametrize("values", ["0=L,1=R", {"0": "left", "1": "OD"}, " 0 = OS , 1.0 = OD "])
def test_the_user_says_what_codes_mean(values, tmp_path):
    path = table(tmp_path, ["a,0", "b,1", "c,", "d,1.0", "e,R"])
    cohort = read_cohort(path, laterality_values=values)
    assert cohort.laterality == ("L", "R", "", "R", "R")
    assert cohort.laterality_source == ("table", "table", "", "table", "table")
    assert cohort.guesses["laterality"] == "LR with 0=L, 1=R"
    assert cohort.warnings == []


def test_a_code_that_the_user_leaves_out_is_listed(tmp_path):
    cohort = read_cohort(table(tmp_path, ["a,0", "b,1"]), laterality_values="0=L")
    assert cohort.laterality == ("L", "")
    (warning,) = cohort.warnings
    assert "1 image has a laterality that is not understood ('1')" in warning


def test_what_the_user_says_goes_before_the_usual_meaning(tmp_path):
    path = table(tmp_path, ["a,L", "b,R", "c,nasal", "d,temporal", "e,x"])
    cohort = read_cohort(path, laterality_values="L=R,R=L,nasal=R,x=")
    assert cohort.laterality == ("R", "L", "R", "", "")
    (warning,) = cohort.warnings
    assert "1 image has a laterality that is not understood ('temporal')" in warning


# ---------------------------------------------------------------- names of files


def test_a_guess_by_file_names(tmp_path):
    names = ["x/1_r1.jpg", "x\\2_l1.jpg", "LEFT-7.png", "8.OD.png", "r9.png", "10_re.png"]
    cohort = read_cohort(names_only(tmp_path, names))
    assert cohort.laterality == ("R", "L", "L", "R", "R", "R")
    assert cohort.laterality_source == ("file name",) * 6
    assert GUESSED_PATTERN in cohort.guesses["laterality"]
    assert "--laterality-pattern none turns it off" in cohort.guesses["laterality"]
    off = read_cohort(names_only(tmp_path, names), laterality_pattern="none")
    assert off.laterality == off.laterality_source == ("",) * 6
    assert off.guesses["laterality"] == "none (no image is mirrored)"


@pytest.mark.parametrize(
    "names",
    [
        ["1_l.png", "2_r.png", "3.png"],  # not every name
        ["1_l.png", "2_l.png"],  # one side alone
        ["1_l.png", "2_r_l.png"],  # two sides in a name
        ["1l_r.png", "2_r.png"],
        ["left/1.png", "right/2.png"],  # folders are not names
        ["model1.png", "order2.png"],  # letters of a word
    ],
)
def test_names_that_do_not_all_tell_one_side_are_not_guessed_from(names, tmp_path):
    cohort = read_cohort(names_only(tmp_path, names))
    assert cohort.laterality == ("",) * len(names)
    assert cohort.guesses["laterality"] == "none (no image is mirrored)"


def test_names_are_not_guessed_from_beside_a_column(tmp_path):
    cohort = read_cohort(table(tmp_path, ["1_l.png,", "2_r.png,L"]))
    assert cohort.laterality == ("", "L")
    assert cohort.laterality_source == ("", "table")


@pytest.mark.parametrize(
    ("pattern", "names", "sides"),
    [
        (r"_([rl])\d*$", ["a/7_r1.jpg", "a\\7_l.jpg", "7_x1.jpg"], ("R", "L", "")),
        ("OD|OS", ["x_OD_1.png", "OS.png", "odd.png"], ("R", "L", "")),
        # The name goes before the folders, and these are looked at where it says nothing.
        ("left|right", ["left/right.png", "left/3.png", "right\\3.png"], ("R", "L", "R")),
        (r"^(\d+)?(?:-(re|le))", ["-re1.png", "-le.png", "le.png"], ("R", "L", "")),
    ],
)
def test_a_stated_pattern(pattern, names, sides, tmp_path):
    path = names_only(tmp_path, names)
    cohort = read_cohort(path, laterality_pattern=pattern)
    assert cohort.laterality == sides
    assert cohort.laterality_source == tuple("file name" if side else "" for side in sides)
    assert cohort.guesses["laterality"] == f"file name, by the pattern {pattern}"
    assert cohort.warnings == []


def test_a_pattern_fills_what_the_table_leaves_empty_and_the_table_wins(tmp_path):
    path = table(tmp_path, ["1_l.png,", "2_r.png,L", "3_r.png,R", "4.png,R", "5.png,", "6_l.png,R"])
    cohort = read_cohort(path, laterality_pattern="_([lr])")
    assert cohort.laterality == ("L", "L", "R", "R", "", "R")
    assert cohort.laterality_source == ("file name", "table", "table", "table", "", "table")
    assert cohort.guesses["laterality"] == "LR; where empty, file name, by the pattern _([lr])"
    (warning,) = cohort.warnings
    assert "another side for 2 images (2_r.png, 6_l.png); the table's is taken" in warning
    assert warning in cohort.problems


def test_a_pattern_decides_where_a_column_is_coded(tmp_path):
    cohort = read_cohort(table(tmp_path, ["1_l.png,0", "2_r.png,1"]), laterality_pattern="_([lr])")
    assert cohort.laterality == ("L", "R")
    assert cohort.laterality_source == ("file name", "file name")


def test_patterns_that_find_no_side(tmp_path):
    path = names_only(tmp_path, ["1_x.png", "2_l.png", "3_x.png"])
    cohort = read_cohort(path, laterality_pattern=r"_(\w)")
    assert cohort.laterality == ("", "L", "")
    (warning,) = cohort.warnings
    assert "finds no side in 2 file names ('x' in 1_x.png, 'x' in 3_x.png)" in warning
    (warning,) = read_cohort(path, laterality_pattern="OD|OS").warnings
    assert warning.startswith(f"{path}: --laterality-pattern OD|OS matches no file entry")
    with pytest.raises(InputError, match=r"--laterality-pattern \(OD is no regular expression"):
        read_cohort(path, laterality_pattern="(OD")


# ---------------------------------------------------------------- which column


def test_a_column_of_sides_goes_before_one_of_places(tmp_path):
    header = "filename,position,eye_side,AMD"
    cohort = read_cohort(table(tmp_path, ["a,macula,OS", "b,disc,OD"], header))
    assert cohort.guesses["laterality"] == "eye_side"
    assert cohort.laterality == ("L", "R")
    # Without a better one it is what the name says, and what it holds is told.
    cohort = read_cohort(table(tmp_path, ["a,macula,x", "b,disc,x"], header))
    assert cohort.guesses["laterality"] == "position"
    assert "'disc', 'macula'" in cohort.warnings[0]
