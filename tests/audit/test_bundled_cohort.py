"""The bundled cohort, with no hint where to look: the shortcut is found, and nothing else."""

import json

import pandas as pd
import pytest

import napari_globalxai as gx
from napari_globalxai.samples import sample_folder

pytestmark = pytest.mark.slow


def explained(folder, model, method="grad-cam", **settings):
    sample = sample_folder()
    cohort = gx.read_cohort(sample / "cohort" / "cohort.csv")
    return gx.explain(
        cohort, sample / "models" / f"{model}.yaml", folder / model, method=method, **settings
    )


@pytest.fixture(scope="module")
def shortcut(tmp_path_factory):
    run = explained(tmp_path_factory.mktemp("bundled"), "shortcut")
    return run, gx.audit(run)


def test_the_shortcut_is_named(shortcut):
    run, result = shortcut
    assert {each.label for each in result.findings} == {"Gla"}
    assert {each.covariate for each in result.findings} <= {"mark", "site"}
    assert all(each.beyond for each in result.findings)
    assert {each.kind for each in result.findings} == {"outside-field", "subgroup", "cluster"}
    # Erasing it takes away what the mark had given, 0.075 for both corners.
    row = result.regions.query(
        "label == 'Gla' and region == 'corners-bottom' and subgroup == 'all'"
    ).iloc[0]
    assert 0.05 < row.auc_intact - row.auc_erased < 0.1
    assert row.logit_change < -1
    saved = json.loads((run.folder / "audit" / "audit.json").read_text())
    assert "Erasing it" in saved["findings"][0]["sentence"]


def test_the_cluster_of_marked_images_is_pure(shortcut):
    run, result = shortcut
    own = result.clusters[result.clusters["label"] == "Gla"]
    marked = run.images["mark"].to_numpy()[own["row"]] == 1
    counts = pd.crosstab(own["cluster"], marked)
    assert len(counts) > 1
    assert (counts.max(axis=1) / counts.sum(axis=1)).min() >= 0.9


def test_the_shortcut_needs_no_column_that_tells_of_it(shortcut):
    run, _ = shortcut
    result = gx.audit(run, columns=("age", "sex"), erase="none")
    assert [(each.label, each.kind) for each in result.findings] == [("Gla", "outside-field")]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nothing_is_found_in_the_honest_model(tmp_path_factory, seed):
    folder = tmp_path_factory.getbasetemp() / "honest"
    done = (folder / "honest" / "run.json").is_file()
    run = gx.open_run(folder / "honest") if done else explained(folder, "honest")
    assert gx.audit(run, seed=seed).findings == ()


def test_integrated_gradients_lead_to_the_same(tmp_path):
    """The corner holds little more of them than of the area, and hides under the overlay."""
    run = explained(
        tmp_path, "shortcut", "integrated-gradients", labels=("Gla",),
        method_settings={"steps": 8},
    )  # fmt: skip
    result = gx.audit(run, erase="none")
    assert result.findings
    assert all(each.label == "Gla" and "corner" in each.where for each in result.findings)
    assert {each.covariate for each in result.findings} <= {"mark", "site"}
