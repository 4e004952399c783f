"""Keeping and erasing regions against the model itself; files of regions in all formats."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import tifffile
import tiny
from faithfulness_cases import make_evaluation, sign_map
from PIL import Image
from sklearn.metrics import roc_auc_score

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.predictions.kept_predictions import predict_under
from napari_globalxai.faithfulness.questions.region_tests import (
    REGION_COLUMNS,
    rank_regions,
    run_regions,
)
from napari_globalxai.faithfulness.questions.stored_regions import ALONE, stored_tests
from napari_globalxai.images.regions_file import read_regions
from napari_globalxai.report.region_facts import region_facts
from napari_globalxai.settings.peppr_settings import PepprSettings

SETTINGS = PepprSettings(bootstrap=50)


def labels_image():
    image = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    image[tiny.SIGNS["left"]] = 1
    image[tiny.SIGNS["right"]] = 2
    image[:4] = 7
    return image


def regions():
    return {f"region-{number}": labels_image() == number for number in (1, 2, 7)}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    # The valid area plays no part.
    evaluation = make_evaluation(folder, count=60, valid=np.zeros((32, 48), bool))
    maps = {"left": sign_map("left"), "right": sign_map("right") + 0.5 * sign_map("left")}
    return evaluation, maps, run_regions(evaluation, regions(), maps, SETTINGS)


def test_every_row_against_the_model(case):
    evaluation, maps, result = case
    weight = evaluation.classifier.network.weight.numpy().astype(float)
    pixels = evaluation.stack.read(evaluation.rows)

    def logits(kept):
        shown = np.where(kept, pixels, evaluation.fill.image) / 255
        return np.einsum("nchw,lchw->nl", (shown - 0.3) / 0.1, weight)

    whole = logits(np.ones((32, 48), bool))
    assert len(result.rows) == 2 * 3 * 2 * 2
    for row in result.rows:
        label = tiny.LABELS.index(row.label)
        mass = {name: maps[row.label][area].sum() for name, area in regions().items()}
        ranked = sorted(mass, key=mass.get, reverse=True)
        assert ranked[row.rank - 1] == row.region
        chosen = ranked[: row.rank] if row.ranked == "ranked" else [row.region]
        area = np.any([regions()[name] for name in chosen], axis=0)
        after = logits(area if row.arm == "keep" else ~area)
        truth = evaluation.truth[:, label] == 1
        assert row.share == pytest.approx(mass[row.region] / maps[row.label].sum(), rel=1e-5)
        assert row.area_share == pytest.approx(regions()[row.region].mean())
        assert row.ratio == pytest.approx(row.share / row.area_share)
        effect = row.effect
        assert effect.auc_before == pytest.approx(roc_auc_score(truth, whole[:, label]))
        expected = roc_auc_score(truth, after[:, label])
        if np.ptp(after[:, label]) > 1e-3:
            # Where nothing of the sign is left, the model's own order is rounding.
            assert effect.auc_after == pytest.approx(expected)
        change = (after - whole)[truth, label].mean()
        assert effect.logit_change == pytest.approx(change, abs=1e-4)
        chance = 1 / (1 + np.exp(-np.stack([whole, after])[:, truth, label]))
        assert effect.probability_change == pytest.approx((chance[1] - chance[0]).mean(), abs=1e-5)
        assert effect.logit_interval[0] - 1e-6 <= effect.logit_change
        assert effect.logit_change <= effect.logit_interval[1] + 1e-6


def test_the_sign_is_what_the_model_needs(case):
    rows = {(row.label, row.region, row.arm, row.ranked): row.effect for row in case[2].rows}
    assert rows["left", "region-1", "erase", "alone"].auc_interval[1] < 0
    assert rows["left", "region-1", "keep", "alone"].auc_change == pytest.approx(0, abs=1e-9)
    assert rows["left", "region-7", "erase", "alone"].auc_change == pytest.approx(0, abs=0.01)


def test_intervals_do_not_shrink_where_each_image_is_there_twice(case):
    """Patients are resampled, and they are as many as before."""
    evaluation, maps, result = case
    twice = replace(
        evaluation,
        rows=np.repeat(evaluation.rows, 2),
        truth=np.repeat(evaluation.truth, 2, axis=0),
        patients=tuple(np.repeat(evaluation.patients, 2)),
    )
    again = run_regions(twice, regions(), maps, SETTINGS)
    for one, two in zip(result.rows, again.rows, strict=True):
        for name in ("auc", "logit", "probability"):
            interval = f"{name}_interval"
            np.testing.assert_allclose(
                getattr(one.effect, interval), getattr(two.effect, interval), atol=1e-6
            )


@pytest.mark.parametrize("fill", ["mean-image", "blur", "noisy-linear"])
def test_predictions_that_are_kept_have_the_bits_of_all_at_once(fill, tmp_path):
    evaluation = make_evaluation(tmp_path, count=30, fill=fill, batch_size=4)
    masks = [np.ones((32, 48), bool), *regions().values(), np.zeros((32, 48), bool)]
    masks += [~mask for mask in masks]
    told = []

    def tick(done, total):
        told.append((done, total))

    expected = evaluation.predict(masks)
    for left in (8, 3, 0):
        # Some are lost, and made again.
        kept = sorted((tmp_path / "kept").glob("*.npy"))
        for path in kept[left:]:
            path.unlink()
        known = sum(np.load(path)[..., 0].size for path in kept[:left])
        made = predict_under(evaluation, masks, tmp_path / "kept", tick)
        assert made.tobytes() == expected.tobytes()
        assert told == sorted(told)
        assert {total for _, total in told} == {30 * 8}
        assert (told[0][0], told[-1][0]) == (known, 30 * 8)
        told.clear()
    assert len(list((tmp_path / "kept").glob("*.npy"))) == 8


def test_files(case, tmp_path):
    _, _, result = case
    result.save(tmp_path)
    table = pd.read_csv(tmp_path / "regions.csv")
    assert len(table) == len(result.rows)
    first, row = table.iloc[0], result.rows[0]
    assert (first["label"], first["region"]) == (row.label, row.region)
    assert first["auc_change"] == pytest.approx(row.effect.auc_change)
    assert first["logit_ci_low"] == pytest.approx(row.effect.logit_interval[0])
    said = json.loads((tmp_path / "regions.json").read_text())
    assert said["settings"]["images"] == 60
    assert "erasing region-1 takes the AUC of left from" in said["sentences"][0]
    rows = region_facts(tmp_path)
    assert len(rows) == len(table)
    assert rows[0]["Region"] == "region-1"
    assert any(row["Region"].startswith("first to ") for row in rows)
    assert region_facts(tmp_path / "nothing") == []


def test_each_file_of_regions_keeps_its_rows_until_it_is_tested_again(case, tmp_path):
    _, _, result = case
    regions = {row.region for row in result.rows}

    def tested(name, rows):
        settings = {**result.settings, "file": str(tmp_path / name)}
        own = replace(result, rows=rows, settings=settings)
        before = tmp_path / "regions.json"
        own.save(tmp_path, stored_tests(before) if before.is_file() else [])

    one = [row for row in result.rows if row.region == "region-1" and row.ranked == ALONE]
    tested("corner.tif", one)
    tested("all.tif", result.rows)
    tested("mark.tif", one[:2])
    # Again, with fewer rows: those of before are gone, those of others are not.
    tested("corner.tif", one[:1])
    tests = stored_tests(tmp_path / "regions.json")
    assert [(Path(each.file).name, len(each.rows)) for each in tests] == [
        ("all.tif", len(result.rows)), ("mark.tif", 2), ("corner.tif", 1)
    ]  # fmt: skip
    table = pd.read_csv(tmp_path / "regions.csv")
    assert tuple(table) == REGION_COLUMNS
    assert table["file"].value_counts().to_dict() == {
        "all.tif": len(result.rows), "mark.tif": 2, "corner.tif": 1
    }  # fmt: skip
    # Each sentence is of its row, by the name that people know.
    for test in tests:
        for row, words in test.by_row:
            assert bool(words) == (row["ranked"] == ALONE)
            if words:
                assert test.name_of(row["region"]) in words
                assert row["label"] in words
    shown = {row["Region"] for row in region_facts(tmp_path)}
    assert {"corner", "mark", *(f"all, {name}" for name in regions)} <= shown
    # As an earlier version wrote it: the last test alone.
    told = json.loads((tmp_path / "regions.json").read_text())
    old = {**told, "regions": told["regions"][-1:], "sentences": told["sentences"][-1:]}
    del old["tests"]
    (tmp_path / "regions.json").write_text(json.dumps(old))
    (kept,) = stored_tests(tmp_path / "regions.json")
    assert (Path(kept.file).name, len(kept.rows)) == ("corner.tif", 1)


def test_maps_without_mass_are_ranked_as_they_come():
    shares = rank_regions(np.zeros((32, 48)), regions())
    assert list(shares) == list(regions())
    assert all(np.isnan(share) for share in shares.values())


def test_labels_with_one_class_are_left_out(case):
    evaluation, maps, _ = case
    truth = evaluation.truth.copy()
    truth[:, 1] = 1
    result = run_regions(replace(evaluation, truth=truth), regions(), maps, SETTINGS)
    assert result.left_out == ["right"]
    assert {row.label for row in result.rows} == {"left"}
    with pytest.raises(InputError, match="No label has images with and without it"):
        run_regions(replace(evaluation, truth=truth), regions(), {"right": maps["right"]}, SETTINGS)


WRITERS = {
    "r.tif": lambda path: tifffile.imwrite(path, labels_image()),
    "r.png": lambda path: Image.fromarray(labels_image()).save(path),
    "r.npy": lambda path: np.save(path, labels_image().astype(np.int32)),
    "r.nii": lambda path: sitk.WriteImage(sitk.GetImageFromArray(labels_image()), str(path)),
    "r.nii.gz": lambda path: sitk.WriteImage(
        sitk.GetImageFromArray(labels_image()[None].astype(np.int16)), str(path)
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_regions_are_read_from_all_formats(name, tmp_path):
    WRITERS[name](tmp_path / name)
    found = read_regions(tmp_path / name, (tiny.HEIGHT, tiny.WIDTH))
    assert list(found) == list(regions())
    assert all(np.array_equal(found[each], area) for each, area in regions().items())


@pytest.mark.parametrize("name", WRITERS)
def test_regions_of_another_size_are_refused(name, tmp_path):
    WRITERS[name](tmp_path / name)
    with pytest.raises(InputError, match="is 32×48, but the frame is 48×32"):
        read_regions(tmp_path / name, (48, 32))


def test_broken_nifti_files_are_one_sentence(tmp_path):
    (tmp_path / "r.nii").write_bytes(b"no such thing")
    with pytest.raises(InputError, match="cannot be read as a NIfTI file") as raised:
        read_regions(tmp_path / "r.nii", (32, 48))
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="does not exist"):
        read_regions(tmp_path / "none.nii.gz", (32, 48))
