"""Tables of a run that a spreadsheet saved again: read as they were, or told what happened."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.errors import InputError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("resaved")
    table = tiny.write_cohort(base / "cohort", 16)
    images = pd.read_csv(table, dtype=str)
    images["visit"] = "2026-03-01"
    images["note"] = ["a; b, c", "1,5"] * 8
    images.to_csv(table, index=False)
    cohort = gx.read_cohort(table, label_columns=["left", "right"], patient_column="ID")
    return gx.explain(cohort, tiny.linear_classifier(), base / "run", "saliency").folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def saved(table: pd.DataFrame, separator: str = ",", comma: bool = False) -> str:
    decimal = "," if comma else "."
    return str(table.to_csv(index=False, sep=separator, decimal=decimal, lineterminator="\r\n"))


def semicolons(table: pd.DataFrame) -> bytes:
    return b"\xef\xbb\xbf" + saved(table, ";", comma=True).encode()


def points(table: pd.DataFrame) -> bytes:
    return saved(table, ";").encode()


def quoted_commas(table: pd.DataFrame) -> bytes:
    """Commas between the fields and in the numbers, which are quoted then."""
    return saved(table, comma=True).encode()


def tabs(table: pd.DataFrame) -> bytes:
    return saved(table, "\t").encode("utf-16")


def empty_cells(table: pd.DataFrame) -> bytes:
    lines = saved(table).splitlines()
    size = lines[0].count(",") + 2
    return "\r\n".join([*(f"{line},," for line in lines), "," * size, "," * size, ""]).encode()


def turned(table: pd.DataFrame) -> bytes:
    return saved(table.iloc[::-1], ";", comma=True).encode()


def without_numbers(table: pd.DataFrame) -> bytes:
    """The column of row numbers deleted, the order kept."""
    return saved(table.drop(columns="row")).encode()


@pytest.mark.parametrize(
    "save",
    [semicolons, points, quoted_commas, tabs, empty_cells, turned, without_numbers],
)
def test_what_a_spreadsheet_saved_again_is_read_as_it_was(
    folder: Path, save: Callable[[pd.DataFrame], bytes]
) -> None:
    before = gx.open_run(folder)
    images, maps = before.images, before.maps_of(where="age > 55")
    path = folder / "images.csv"
    path.write_bytes(save(pd.read_csv(path, dtype={"note": str})))
    again = gx.open_run(folder)
    for name in ("file", "patient", "laterality", "left", "probability_left", "age", "visit"):
        assert again.images[name].tolist() == images[name].tolist(), name
    assert not [name for name in again.images.columns if name.startswith("Unnamed")]
    for name, image in again.maps_of(where="age > 55").items():
        np.testing.assert_array_equal(image.image, maps[name].image)


def rewrite(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
    path = folder / "images.csv"
    change(pd.read_csv(path, dtype=str)).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        # Only one column was sorted, so that names stand beside other rows.
        (lambda t: t.assign(file=sorted(t["file"])[::-1]), "name other images than the run"),
        (lambda t: t.drop(columns="row").iloc[::-1], "name other images than the run"),
        (lambda t: t.drop(index=3), "rows were left out, added or numbered otherwise"),
        (lambda t: t.drop(columns="row").iloc[:-1], "it has 15 rows, but the run has 16 images"),
        (
            lambda t: t.assign(probability_left="876.543.210"),
            "its column 'probability_left' holds something else than numbers",
        ),
        (
            lambda t: t.assign(probability_left=876),
            "its column 'probability_left' holds 876, which is no probability",
        ),
    ],
)
def test_what_cannot_be_told_is_said_with_the_mend(
    folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    path = rewrite(folder, change)
    with pytest.raises(InputError) as why:
        gx.open_run(folder).images  # noqa: B018 - read when it is asked for
    sentence = str(why.value)
    assert sentence.startswith(f"{path}: ")
    assert said in sentence
    assert sentence.endswith("; put it back as it was, or explain the cohort again with --resume.")


def test_other_tables_of_a_run_are_read_with_semicolons(folder: Path) -> None:
    before = gx.open_run(folder)
    expected, rated = before.statistics, before.performance
    for path in (folder / "maps" / "maps.csv", folder / "performance.csv"):
        path.write_bytes(semicolons(pd.read_csv(path)))
    again = gx.open_run(folder)
    pd.testing.assert_frame_equal(again.statistics, expected)
    assert again.performance == rated
