"""A missing file of a result folder is told from a damaged one, with what makes it again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.audit.strategy_files import AUDIT_FOLDER
from napari_globalxai.errors import InputError
from napari_globalxai.report.comparison_page import COMPARISON_FILE
from napari_globalxai.report.html import write_report
from napari_globalxai.runs import folder as places
from napari_globalxai.runs.questions.image_outliers import open_outliers
from napari_globalxai.runs.questions.map_stability import open_stability
from napari_globalxai.runs.questions.selections import open_selection
from napari_globalxai.unusable import MADE_AGAIN, made_again

RESUME = "explain the cohort again with --resume"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was asked everything that keeps files which are read again."""
    base = tmp_path_factory.mktemp("whole")
    table = tiny.write_cohort(base / "cohort", 16)
    run = gx.explain(table, tiny.write_linear(base / "model"), base / "run", "saliency")
    gx.make_maps(run, "some", where="age > 55")
    gx.stability(run, splits=100, bootstrap=100)
    gx.outliers(run)
    gx.peppr(run, "left", controls=20, bootstrap=100, steps=4)
    return base / "run"


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> gx.Run:
    shutil.copytree(whole.parent, tmp_path / "all")
    return gx.open_run(tmp_path / "all" / "run")


READERS = {
    "images.csv": (lambda run: run.images, RESUME),
    "coverage.tif": (lambda run: run.coverage, RESUME),
    "performance.csv": (lambda run: run.performance, RESUME),
    "maps/maps.csv": (lambda run: run.statistics, RESUME),
    "maps/left.tif": (lambda run: run.maps["left"], RESUME),
    "maps/right.sd.tif": (write_report, RESUME),
    "aligned.zarr": (lambda run: run.stack, RESUME),
    "attributions.zarr": (lambda run: run.store, RESUME),
    "selections/some/maps.csv": (
        lambda run: open_selection(run, "some").statistics, "make the selection again with `maps`"
    ),
    "selections/some/left.tif": (
        lambda run: open_selection(run, "some").maps["left"],
        "make the selection again with `maps`",
    ),
    "selections/some/selection.json": (
        lambda run: open_selection(run, "some"), "make the selection again with `maps`"
    ),
    "stability/stability.json": (open_stability, "run `stability` again"),
    "stability/stability.csv": (lambda run: open_stability(run).table, "run `stability` again"),
    "outliers/outliers.json": (open_outliers, "run `outliers` again"),
    "outliers/left.csv": (open_outliers, "run `outliers` again"),
    "peppr/left.csv": (lambda run: run.peppr_result("left"), "run `peppr` again"),
    "peppr/left.npz": (lambda run: run.peppr_result("left"), "run `peppr` again"),
    "peppr/left.json": (lambda run: run.peppr_result("left"), "run `peppr` again"),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_what_is_missing_is_named_with_what_makes_it_again(run: gx.Run, name: str) -> None:
    read, mend = READERS[name]
    path = run.folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError) as why:
        read(gx.open_run(run.folder))
    assert str(why.value) == f"{path}: is missing; {mend}."


@pytest.mark.parametrize("name", [name for name in READERS if "." in name and "zarr" not in name])
def test_what_is_damaged_is_not_called_missing(run: gx.Run, name: str) -> None:
    read, mend = READERS[name]
    path = run.folder / name
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError) as why:
        read(gx.open_run(run.folder))
    sentence = f"{path}: is damaged or was not written by napari-globalxai; {mend}."
    assert str(why.value) == sentence


def test_a_record_that_is_missing_is_told_from_a_folder_that_is_no_run(
    run: gx.Run, tmp_path: Path
) -> None:
    (run.folder / "run.json").unlink()
    with pytest.raises(InputError, match=r"run\.json: is missing, and nothing can be made of"):
        gx.open_run(run.folder)
    with pytest.raises(InputError, match="is not a run folder"):
        gx.open_run(tmp_path)


def test_a_missing_chunk_is_told_of_one_image_and_of_all(run: gx.Run) -> None:
    files = (run.folder / "attributions.zarr" / "c").rglob("*")
    chunk = next(path for path in files if path.is_file())
    chunk.unlink()
    said = rf"{chunk}: is missing, so attributions\.zarr lacks maps .* with --resume"
    reopened = gx.open_run(run.folder)
    with pytest.raises(InputError, match=said):
        reopened.image_map(0, "left")
    with pytest.raises(InputError, match=said):
        reopened.maps_of()


@pytest.mark.parametrize(
    "names",
    [("maps/left.tif",), ("maps/maps.csv", "images.csv"), ("coverage.tif", "performance.csv"),
     ("attributions.zarr",), ("aligned.zarr",)],
)  # fmt: skip
def test_the_mend_that_is_named_makes_the_same_again(
    run: gx.Run, whole: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        path = run.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    base = run.folder.parent
    gx.explain(
        base / "cohort" / "cohort.csv", base / "model" / "linear.yaml", run.folder, "saliency",
        resume=True,
    )  # fmt: skip
    again, before = gx.open_run(run.folder), gx.open_run(whole)
    np.testing.assert_array_equal(again.maps["left"], before.maps["left"])
    np.testing.assert_array_equal(again.coverage, before.coverage)
    np.testing.assert_array_equal(again.image_map(3, "left"), before.image_map(3, "left"))
    assert (run.folder / "performance.csv").read_text() == (whole / "performance.csv").read_text()


def test_a_part_of_a_folder_is_made_again_by_what_made_it(tmp_path: Path) -> None:
    # Above the run, such names mean nothing.
    home = tmp_path / "audit" / "run"
    home.mkdir(parents=True)
    (home / "run.json").touch()
    assert made_again(home / "maps" / "left.tif") == RESUME
    assert made_again(home / "selections" / "a" / "stability" / "x.csv") == "run `stability` again"
    assert made_again(home / "other.bin") == "make the folder anew"
    (home / "quality.json").touch()
    assert made_again(home / "coverage.tif").startswith("check the cohort again")
    names = {
        places.IMAGES_TABLE, places.MAPS_FOLDER, places.STACK_FOLDER, places.STORE_FOLDER,
        places.SELECTIONS_FOLDER, places.CONTRASTS_FOLDER, places.STABILITY_FOLDER,
        places.OUTLIERS_FOLDER, places.SANITY_FOLDER, places.PEPPR_FOLDER, places.REGIONS_FOLDER,
        places.QUALITY_FILE, AUDIT_FOLDER, COMPARISON_FILE,
    }  # fmt: skip
    assert names <= set(MADE_AGAIN)
