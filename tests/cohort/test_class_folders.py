"""A folder of images for each class, in place of a table."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".jpeg", ".png"):
            Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)
        else:
            path.write_bytes(b"x")


def test_a_folder_a_class(tmp_path):
    make(tmp_path, "PNEUMONIA/b.jpeg", "PNEUMONIA/c.JPEG", "NORMAL/a.png")
    cohort = read_cohort(tmp_path)
    assert cohort.names == ("NORMAL/a.png", "PNEUMONIA/b.jpeg", "PNEUMONIA/c.JPEG")
    assert all(path.is_file() for path in cohort.files)
    assert cohort.class_column == "class"
    assert cohort.truth(("normal", "Pneumonia")).tolist() == [[1, 0], [0, 1], [0, 1]]
    assert cohort.truth(("PNEUMONIA",)).ravel().tolist() == [0, 1, 1]
    assert len(set(cohort.patients)) == 3
    assert cohort.source == tmp_path
    (told,) = cohort.warnings
    assert (
        told
        == f"{tmp_path}: has no table, so the folders are taken as classes (NORMAL, PNEUMONIA)."
    )
    assert any("no column names the patients" in text for text in cohort.problems)


@pytest.mark.parametrize("splits", [("train", "test", "val"), ("Training", "Testing")])
@pytest.mark.parametrize("above", ["", "chest_xray/"])
def test_splits_are_a_column(splits, above, tmp_path):
    make(tmp_path, *(f"{above}{split}/{kind}/1.png" for split in splits for kind in "AB"))
    cohort = read_cohort(tmp_path)
    assert cohort.table["class"].tolist() == ["A", "B"] * len(splits)
    assert cohort.table["split"].tolist() == [s for s in sorted(splits) for _ in range(2)]
    assert all(path.is_file() for path in cohort.files)
    one = read_cohort(tmp_path / above / splits[0])
    assert one.names == ("A/1.png", "B/1.png")


def test_what_is_hidden_or_no_image_is_left_out_and_counted(tmp_path):
    make(tmp_path, "A/1.png", "B/2.png", "A/.DS_Store", "A/._1.png", "__MACOSX/A/1.png")
    make(tmp_path, "B/Thumbs.db", "readme.txt", "loose.png", ".git/x.png")
    cohort = read_cohort(tmp_path)
    assert cohort.names == ("A/1.png", "B/2.png")
    _, loose, others = cohort.warnings
    assert "1 image lies in no class's folder and is left out (loose.png)" in loose
    assert "2 files without an image's name (B/Thumbs.db, readme.txt) and 4 hidden files" in others


def test_deeper_folders_belong_to_their_class(tmp_path):
    make(tmp_path, "A/patient1/x.png", "A/patient2/x.png", "B/patient3/x.png", "B/patient3/y.png")
    cohort = read_cohort(tmp_path)
    assert cohort.table["class"].tolist() == ["A", "A", "B", "B"]
    assert cohort.patients == ("patient1", "patient2", "patient3", "patient3")


def test_folders_that_are_links(tmp_path):
    make(tmp_path, "all/a/1.png", "all/b/2.png")
    (tmp_path / "set" / "train").mkdir(parents=True)
    for kind in "ab":
        (tmp_path / "set" / "train" / kind).symlink_to(tmp_path / "all" / kind)
    (tmp_path / "set" / "train" / "a" / "back").symlink_to(tmp_path / "set")
    assert read_cohort(tmp_path / "set" / "train").names == ("a/1.png", "b/2.png")


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ([], "the folder holds no folder of images for each class"),
        (["a.png", "b.png"], "the folder holds no folder of images for each class"),
        (["images.csv", "readme.md"], "name the table, such as "),
        (["A/1.png"], "holds images in the folder A alone"),
        (["COVID/images/1.png", "COVID/masks/1.png", "NORMAL/images/1.png"], "not clear which are"),
        (["p1/NORMAL/1.png", "p2/NORMAL/1.png", "p2/AMD/1.png"], "folders of one name (NORMAL)"),
        (["train/A/1.png", "test/B/1.png", "extra/1.png"], "classes and of splits (extra, test"),
        (["train/1.png", "test/1.png"], "classes and of splits"),
        (["No DR/1.png", "no_dr/1.png"], "No DR and no_dr are one class by name"),
    ],
)
def test_folders_whose_classes_are_not_certain(names, part, tmp_path):
    make(tmp_path, *names)
    with pytest.raises(InputError) as why:
        read_cohort(tmp_path)
    assert part in str(why.value)
    assert str(why.value).startswith(f"{tmp_path}: ")
    assert "\n" not in str(why.value)


def test_a_hash_tells_other_images_or_classes(tmp_path):
    make(tmp_path, "A/1.png", "B/2.png")
    before = read_cohort(tmp_path).sha256
    assert before == read_cohort(tmp_path).sha256
    (tmp_path / "B" / "2.png").rename(tmp_path / "A" / "2.png")
    make(tmp_path, "B/3.png")
    assert read_cohort(tmp_path).sha256 != before


def test_the_hash_of_a_table_is_its_file_s(tmp_path):
    content = b"filename,AMD\na.png,1\n"
    (tmp_path / "c.csv").write_bytes(content)
    assert read_cohort(tmp_path / "c.csv").sha256 == hashlib.sha256(content).hexdigest()


def test_options_of_tables(tmp_path):
    make(tmp_path, "A/1.png", "B/2.png")
    with pytest.raises(InputError, match="--image-root goes with a table"):
        read_cohort(tmp_path, image_root=tmp_path)
    mapped = read_cohort(tmp_path, class_values="A=healthy,B=AMD")
    assert mapped.truth(("healthy", "AMD")).tolist() == [[1, 0], [0, 1]]
