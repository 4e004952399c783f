"""Names of any letters, and paths as long as the disk takes them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pictures
import pytest
import SimpleITK as sitk
import tiny
from PIL import Image

import napari_globalxai as gx
from napari_globalxai.addresses import place
from napari_globalxai.cli import main
from napari_globalxai.cohort.files import find_files
from napari_globalxai.frame.geometry import read_transform, write_transform
from napari_globalxai.images.readers import FundusReader
from napari_globalxai.images.regions_file import read_regions
from napari_globalxai.storage import atomic_path, read_table, write_table

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows takes fewer letters")

# Blanks at the ends, accents apart, emoji, what shells, tables, pages, patterns and addresses use.
ODD = " -ä u\u0308 😀 a\\b\\n %20%s #2 C: '\"&;$HOME`*?[x]{y}|<>,~ "
LONG = "n" * 255
QUICK = (
    *("--steps", "4", "--control-steps", "4", "--controls", "19", "--bootstrap", "20"),
    *("--device", "cpu"),
)


def give(monkeypatch, capsys, *words):
    """Give a command in this process; return its status and what it says."""
    monkeypatch.setattr(sys, "argv", ["napari-globalxai", *map(str, words)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return end.value.code or 0, said


@pytest.fixture
def odd_cohort(tmp_path):
    """A folder, table and images of such a name."""
    folder = tmp_path / ODD
    table = tiny.write_cohort(folder, 8)
    frame = pd.read_csv(table, dtype=str)
    names = [f"images/{ODD}{row}.png" for row in range(len(frame))]
    for old, new in zip(frame["filename"], names, strict=True):
        (folder / old).rename(folder / new)
    frame.assign(filename=names).to_csv(folder / f"{ODD}.csv", index=False)
    return folder


def test_every_command_takes_names_of_any_letters(odd_cohort, monkeypatch, capsys):
    """A path that begins with a hyphen is given as shells ask for it: below ``./``."""
    monkeypatch.chdir(odd_cohort)
    tiny.write_linear(odd_cohort / "model")
    (odd_cohort / "model" / "linear.yaml").rename(odd_cohort / f"{ODD}.yaml")
    (odd_cohort / "model" / "linear.pt").rename(odd_cohort / "linear.pt")
    table, model, run = f"./{ODD}.csv", f"./{ODD}.yaml", f"./{ODD}run"
    regions = np.ones((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    regions[:16] = 2
    Image.fromarray(regions).save(f"{ODD}.png")
    sides = ("--a", "laterality == 'L'", "--b", "laterality == 'R'")
    commands = (
        ("check", table, "--model", model, "--out", f"./{ODD}checked"),
        ("align", table, "--out", f"./{ODD}aligned", "--size", "32x48", "--strict"),
        ("explain", table, "--model", model, "--out", run, "--method", "saliency", "--strict"),
        ("maps", run, "--name", ODD, "--where", "laterality == 'L'"),
        ("contrast", run, "--name", ODD, *sides, "--permutations", "99"),
        ("audit", run, "--regions", f"./{ODD}.png", "--permutations", "199", "--bootstrap", "100"),
        ("outliers", run),
        ("compare", run, f"./{ODD}run", "--out", f"./{ODD}compared", "--permutations", "99"),
        ("report", run, "--out", f"./{ODD}report"),
        ("card", "linear.pt", "--out", f"./{ODD}card.yaml"),
    )  # fmt: skip
    for words in commands:
        status, said = give(monkeypatch, capsys, *words)
        assert status == 0, (words, said)
    (odd_cohort / f"{ODD}run" / "maps" / "left.tif").rename(f"{ODD}.tif")
    status, said = give(
        monkeypatch, capsys, "peppr", run, "--map", f"./{ODD}.tif", "--out", f"./{ODD}out", *QUICK
    )
    assert status == 0, said
    found = gx.open_run(run)
    assert found.images["path"].map(lambda path: path.endswith(".png")).all()
    assert found.record.counts.failed == 0


@pytest.mark.skipif(sys.platform != "linux", reason="names are text on other systems")
@pytest.mark.parametrize("name", ["ä😀", "no text \udcff"])
def test_itk_reads_and_writes_names_that_it_does_not_know(name, tmp_path):
    """A name that is no text ended the process."""
    folder = tmp_path / name
    folder.mkdir()
    matrix = np.array([[1.5, 0, 3], [0, 2.5, -4], [0, 0, 1]])
    write_transform(folder / f"{name}.tfm", matrix)
    np.testing.assert_allclose(read_transform(folder / f"{name}.tfm"), matrix)
    regions = np.zeros((4, 5), np.uint8)
    regions[1:3] = 1
    sitk.WriteImage(sitk.GetImageFromArray(regions), str(tmp_path / "plain.nii.gz"))
    (tmp_path / "plain.nii.gz").rename(folder / f"{name}.nii.gz")
    found = read_regions(folder / f"{name}.nii.gz", (4, 5))
    np.testing.assert_array_equal(found["region-1"], regions == 1)
    (folder / f"{name}.png").write_bytes(pictures.FILES["colour16.png"].content)
    assert FundusReader().read(folder / f"{name}.png").values.shape[2] == 3


def test_backslashes_belong_to_names_where_a_file_has_them(tmp_path):
    """Tables of Windows have them between folders."""
    (tmp_path / "a").mkdir()
    for name in ("a/b.png", "c\\d.png"):
        (tmp_path / name).write_bytes(b"")
    found = find_files(tmp_path / "t.csv", ["a\\b.png", "c\\d.png", "e\\f.png"], tmp_path, [])
    assert found == (tmp_path / "a/b.png", tmp_path / "c\\d.png", tmp_path / "e/f.png")


def test_a_folder_may_be_called_as_an_address_begins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data:").mkdir()
    assert place("data:/run") == tmp_path.joinpath("data:/run").relative_to(tmp_path)
    with pytest.raises(gx.InputError, match="addresses of this kind cannot be opened here"):
        place("other:/run")


def test_a_folder_of_the_home_s_name_is_not_the_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    table = pd.DataFrame({"a": [1]})
    write_table(Path("~/some.csv"), table)
    assert (tmp_path / "~" / "some.csv").is_file()
    pd.testing.assert_frame_equal(read_table(Path("~/some.csv")), table)


@pytest.mark.parametrize("name", [LONG, "😀" * 63 + "abc"])
def test_a_name_as_long_as_the_disk_takes_it_is_written(name, tmp_path):
    with atomic_path(tmp_path / name) as temporary:
        temporary.write_text("x")
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("length", [4030, 4095, 5000])
def test_a_path_that_is_too_long_is_one_sentence(length, tmp_path, monkeypatch, capsys):
    """Longer than the disk takes it, or than what is written into the folder would be."""
    table, model = tiny.write_cohort(tmp_path / "cohort", 8), tiny.write_linear(tmp_path / "model")
    short = length - len(str(tmp_path))
    folder = tmp_path.joinpath(*("x" * 200 for _ in range(short // 201)), "y" * (short % 201 - 1))
    for words in (
        ("explain", table, "--model", model, "--method", "saliency", "--out", folder),
        ("card", tmp_path / "model" / "linear.pt", "--out", folder / f"{'z' * 60}.yaml"),
    ):
        status, said = give(monkeypatch, capsys, *words)
        assert status == 2
        assert said.splitlines()[-1].endswith(
            "the name is too long for this disk; choose a shorter one."
        )
