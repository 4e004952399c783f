"""Files that lie elsewhere, and the list of all that is wrong with a cohort."""

import os

import pytest

from napari_globalxai.cohort.table import read_cohort


def table(folder, text):
    (folder / "c.csv").write_bytes(text.encode())
    return folder / "c.csv"


def names_only(folder, names):
    return table(folder, "filename,AMD\n" + "".join(f"{n},{i % 2}\n" for i, n in enumerate(names)))


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def case_is_ignored(folder):
    touch(folder, "probe")
    return (folder / "PROBE").exists()


# ---------------------------------------------------------------- where files lie


@pytest.mark.parametrize(
    ("entry", "there"),
    [
        ("ultra\\1\\1_r1.jpg", "1_r1.jpg"),
        ("ultra/1/1_r1.jpg", "1/1_r1.jpg"),
        ("images/A.png", "Images/a.PNG"),
        ("/home/someone/data/a.png", "data/a.png"),
        ("C:\\data\\a.png", "a.png"),
        ("a.jpeg", "a.JPG"),
        ("x/a.tif", "A.tiff"),
        ("x/10_left", "10_left.jpeg"),
        ("cafe\u0301.png", "caf\u00e9.png"),
        ("../elsewhere/a.png", "a.png"),
    ],
)
def test_the_only_file_that_can_be_meant(entry, there, tmp_path):
    if case_is_ignored(tmp_path):
        pytest.skip("here, files are found in any case as written")
    path = names_only(tmp_path, [entry, "b.png"])
    touch(tmp_path, there, "b.png")
    cohort = read_cohort(path)
    assert cohort.files == (tmp_path / there, tmp_path / "b.png")
    assert cohort.names[0] == entry
    (warning,) = cohort.warnings
    assert warning.startswith(f"{path}: 1 file does not lie where the table says but could be")
    assert f"{entry.replace(chr(92), '/')} is {tmp_path / there}" in warning
    assert not any("not exist" in problem for problem in cohort.problems)


def test_the_image_root_is_where_files_are_looked_for(tmp_path):
    path = names_only(tmp_path, ["data/a.png", "data/b.png"])
    touch(tmp_path, "pictures/a.png", "pictures/b.png", "b.png")
    files = read_cohort(path, image_root=tmp_path / "pictures").files
    assert files == (tmp_path / "pictures" / "a.png", tmp_path / "pictures" / "b.png")


@pytest.mark.parametrize(
    ("entries", "there"),
    [
        (["x/a.png"], ["A.png", "a.PNG"]),  # two files for an entry
        (["x/a.png", "y/a.png"], ["a.png"]),  # two entries for a file
        (["x/a.png", "a.png"], ["a.png"]),  # another entry has it
    ],
)
def test_files_that_may_be_others_stay_missing(entries, there, tmp_path):
    if case_is_ignored(tmp_path):
        pytest.skip("here, files are found in any case as written")
    path = names_only(tmp_path, entries)
    touch(tmp_path, *there)
    cohort = read_cohort(path)
    assert cohort.files == tuple(tmp_path / entry for entry in entries)
    (warning,) = cohort.warnings
    assert "it is not clear which file is meant (x/a.png" in warning
    missing = len(entries) if "a.png" not in entries else 1
    assert any(f"{missing} of {len(entries)} file" in text for text in cohort.problems)


def test_other_folders_other_formats_and_other_kinds_are_not_taken(tmp_path):
    entries = ["images/1.png", "2.png", "3", "folder.png"]
    touch(tmp_path, "masks/1.png", "2.tif", "3.txt", "folder.png/x")
    cohort = read_cohort(names_only(tmp_path, entries))
    assert cohort.files == tuple(tmp_path / entry for entry in entries)
    assert cohort.warnings == []


def test_folders_are_listed_once_and_only_where_a_file_is_missing(tmp_path, monkeypatch):
    listed = []

    def listdir(folder, true=os.listdir):
        listed.append(folder)
        return true(folder)

    monkeypatch.setattr(os, "listdir", listdir)
    touch(tmp_path, *(f"images/{n}.JPG" for n in range(50)), "big/other.png")
    assert read_cohort(names_only(tmp_path, ["images/1.JPG", "images/2.JPG"])).warnings == []
    assert listed == []
    entries = [f"train/images/{n}.jpg" for n in range(50)] + ["gone/x.jpg"]
    cohort = read_cohort(names_only(tmp_path, entries))
    assert cohort.files[:50] == tuple(tmp_path / "images" / f"{n}.JPG" for n in range(50))
    assert sorted(listed) == [tmp_path, tmp_path / "images"]


# ---------------------------------------------------------------- problems


def test_nothing_is_wrong(tmp_path):
    touch(tmp_path, "a.png", "b.png")
    path = table(tmp_path, "filename,ID,LR,AMD\na.png,1,L,0\nb.png,1,R,1\n")
    assert read_cohort(path).problems == []


def test_files_that_do_not_exist_and_rows_without_one(tmp_path):
    touch(tmp_path, "7.png")
    rows = [f"{n}.png,{n},L,0" for n in range(9)] + [",x,L,1", ",y,L,1"]
    path = table(tmp_path, "filename,ID,LR,AMD\n" + "\n".join(rows))
    cohort = read_cohort(path)
    assert cohort.problems == [
        "rows 10, 11 of c.csv name no file.",
        f"{path}: 8 of 9 files do not exist (0.png, 1.png, 2.png, 3.png, 4.png and 3 more); "
        "correct the table, or name the folder of the images with --image-root.",
    ]
    assert cohort.warnings == []


def test_repeated_rows_and_contradictions_are_told_apart(tmp_path):
    touch(tmp_path, "a.png", "b.png", "c.png", "d.png", "e.png", "sub/f.png")
    rows = [
        "a.png,1,L,0,0", "b.png,1,R,1,0", "a.png,1,L,0,0",  # once more as a whole
        "c.png,2,L,1,0", "c.png,2,,0.0,0",  # another label; an empty side contradicts nothing
        "d.png,2,R,0,1", "sub/../d.png,2,L,,1",  # another side; an empty label contradicts nothing
        "e.png,3,OS,0,1", "e.png,3,left,0.0,1",  # the same in other words
    ]  # fmt: skip
    path = table(tmp_path, "filename,ID,LR,AMD,RVO\n" + "\n".join(rows))
    cohort = read_cohort(path)
    assert cohort.names[2:4] == ("a.png", "c.png")  # rows stay rows
    assert cohort.problems == [
        f"{path}: row 3 repeats an earlier row and would count twice.",
        f"{path}: 3 files are named by several rows that differ (c.png in rows 4, 5, d.png in "
        "rows 6, 7, e.png in rows 8, 9).",
        f"{path}: rows of 1 file contradict each other in the laterality (d.png).",
        f"{path}: rows of 1 file contradict each other in the label 'AMD' (c.png).",
        f"{path}: 1 image has no laterality and is not mirrored (c.png); see "
        "--laterality-column, --laterality-pattern and --estimate-laterality.",
    ]


def test_contradictory_classes(tmp_path):
    touch(tmp_path, "a.png", "b.png")
    path = table(
        tmp_path,
        "filename,ID,LR,diagnosis\na.png,1,L,AMD\na.png,1,L,RVO\nb.png,1,L,AMD\nb.png,1,L,amd\n",
    )
    (several, contradiction) = read_cohort(path).problems
    assert "2 files are named by several rows" in several
    assert contradiction.endswith("in the class 'diagnosis' (a.png).")


def test_missing_patients(tmp_path):
    touch(tmp_path, "a.png", "b.png", "c.png")
    path = table(tmp_path, "filename,ID,LR,AMD\na.png,,L,0\nb.png,1,R,1\nc.png,,R,1\n")
    assert read_cohort(path).problems == [
        f"{path}: rows 1, 3 name no patient and count as one each."
    ]
    path = table(tmp_path, "filename,LR,AMD\na.png,L,0\nb.png,R,1\n")
    (problem,) = read_cohort(path).problems
    assert problem.startswith(f"{path}: no column names the patients")


def test_words_for_nobody_are_no_patient_that_many_images_are_of(tmp_path):
    touch(tmp_path, *(f"{name}.png" for name in "abcdefg"))
    rows = ["a.png,Unknown,0", "b.png,unknown,1", "c.png,?,0", "d.png,-,1", "e.png,-1,1"]
    rows += ["f.png,999,0", "g.png,999,1"]
    path = table(tmp_path, "\n".join(["filename,ID,AMD", *rows]))
    cohort = read_cohort(path)
    assert cohort.patients == (*(f"image-{row}" for row in range(5)), "999", "999")
    assert cohort.problems == [
        f"{path}: rows 1, 2, 3, 4, 5 name no patient ('Unknown', 'unknown', '?', '-', '-1') and "
        "count as one each."
    ]


def test_patients_that_may_be_one_are_named(tmp_path):
    touch(tmp_path, *(f"{name}.png" for name in "abcdefg"))
    rows = ["a.png,7,0", "b.png,7.0,1", "c.png,007,0", "d.png,P-1,1", "e.png,p 1,1", "f.png,P1,0"]
    path = table(tmp_path, "\n".join(["filename,ID,AMD", *rows, "g.png,P1,1"]))
    cohort = read_cohort(path)
    assert cohort.patients == ("7", "7.0", "007", "P-1", "p 1", "P1", "P1")
    assert cohort.problems == [
        f"{path}: '7' and '7.0' and '007', 'P-1' and 'p 1' are patients of their own, which may be "
        "one; spell a patient in one way, since images of one are not independent."
    ]


def test_warnings_come_first(tmp_path):
    touch(tmp_path, "a.png", "b.png", "c.png")
    path = table(tmp_path, "filename,ID,LR,AMD\na.png,1,x,0\nb.png,1,R,1\nc.png,,R,9\n")
    cohort = read_cohort(path)
    assert len(cohort.warnings) == 2
    assert cohort.problems[:2] == cohort.warnings
    assert [text.split(": ")[1].split()[0] for text in cohort.problems[2:]] == ["1", "row"]
