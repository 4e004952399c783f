"""Models, cards and tables that change or go while they are read, or before a run goes on."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tiny
import torch
import yaml
from saved import write_bundle, zipped

import napari_globalxai as gx
from napari_globalxai.errors import InputError, fault_of_the_system
from napari_globalxai.models import loaders
from napari_globalxai.runs import pipeline
from napari_globalxai.storage import hash_file

KIND = ("saliency",)


@pytest.fixture
def inputs(tmp_path):
    return tiny.write_cohort(tmp_path / "cohort", 8), tiny.write_resnet(tmp_path / "model")


def write_other(path):
    """Put the same network with other weights in the place of a file."""
    if path.suffix == ".safetensors":
        return tiny.write_resnet(path.parent, seed=1)
    if path.name == "linear.pt":
        return tiny.write_linear(path.parent, tiny.sign_weights() * 2)
    if path.suffix == ".zip":
        return shutil.copy(path.with_name("other.zip"), path)
    return torch.save(tiny.resnet(seed=1).state_dict(), path)


def models(folder):
    """A card of safetensors, one of TorchScript, a bundle, a zipped one; and what they read."""
    tiny.write_resnet(folder / "card")
    tiny.write_linear(folder / "script")
    whole = write_bundle(folder / "bundle")
    archive = zipped(whole)
    other = write_bundle(folder / "other")
    torch.save(tiny.resnet(seed=1).state_dict(), other / "models" / "model.pt")
    zipped(other)
    return {
        "card": (folder / "card/model.yaml", folder / "card/resnet.safetensors"),
        "script": (folder / "script/linear.yaml", folder / "script/linear.pt"),
        "bundle": (whole, whole / "models/model.pt"),
        "zip": (archive, archive),
    }


@pytest.mark.parametrize("kind", ["card", "script", "bundle", "zip"])
@pytest.mark.parametrize("goes", [False, True])
def test_weights_that_change_once_they_are_read_are_refused(kind, goes, tmp_path, monkeypatch):
    """Else a run would name another model than the one that explained."""
    source, file = models(tmp_path)[kind]
    assemble = loaders._assemble

    def change_after(*args):
        found = assemble(*args)
        file.unlink() if goes else write_other(file)
        return found

    monkeypatch.setattr(loaders, "_assemble", change_after)
    with pytest.raises((InputError, FileNotFoundError)) as why:
        gx.load_model(source, device="cpu")
    if goes:
        # The command line makes a sentence of it.
        assert "is gone; put it back" in fault_of_the_system(why.value)
    else:
        assert "changed while it was read" in str(why.value)


def test_a_table_is_known_by_what_was_read(inputs, tmp_path, monkeypatch):
    """Else a run would go on with rows that it has never seen."""
    table, model = inputs
    content, load = table.read_bytes(), pipeline.load_model
    head, *rows = content.decode().splitlines()

    def load_later(*args, **keywords):
        table.write_text("\n".join([head, *reversed(rows)]) + "\n")
        return load(*args, **keywords)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(pipeline, "load_model", load_later)
        run = gx.explain(table, model, tmp_path / "run", *KIND, device="cpu")
    with pytest.raises(InputError, match="made with another cohort"):
        gx.explain(table, model, tmp_path / "run", *KIND, device="cpu", resume=True)
    table.write_bytes(content)
    assert run.record.cohort.sha256 == hash_file(table)
    again = gx.explain(table, model, tmp_path / "run", *KIND, device="cpu", resume=True)
    np.testing.assert_array_equal(tiny.attributions(again), tiny.attributions(run))


def test_a_table_that_goes_once_it_was_read_is_not_missed(inputs, tmp_path, monkeypatch):
    table, model = inputs
    load = pipeline.load_model

    def load_later(*args, **keywords):
        table.unlink()
        return load(*args, **keywords)

    monkeypatch.setattr(pipeline, "load_model", load_later)
    run = gx.explain(table, model, tmp_path / "run", *KIND, device="cpu")
    assert run.record.counts.failed == 0


def of_card(**changes):
    def change(folder):
        path = folder / "model" / "model.yaml"
        card = yaml.safe_load(path.read_text())
        card["input"] |= changes
        path.write_text(yaml.safe_dump(card))

    return change


BETWEEN = {
    "weights": (lambda folder: tiny.write_resnet(folder / "model", seed=1), "another model"),
    "card": (of_card(mean=0.4), "another model"),
    "frame": (of_card(height=48), "another"),
    "gone card": (lambda folder: (folder / "model/model.yaml").unlink(), "does not exist"),
    "gone weights": (
        lambda folder: (folder / "model/resnet.safetensors").unlink(),
        "resnet.safetensors",
    ),
    "gone table": (lambda folder: (folder / "cohort/cohort.csv").unlink(), "does not exist"),
}


@pytest.mark.parametrize("what", BETWEEN)
def test_what_changed_or_went_before_a_run_goes_on_is_named(what, inputs, tmp_path):
    gx.explain(*inputs, tmp_path / "run", *KIND, device="cpu")
    change, words = BETWEEN[what]
    change(tmp_path)
    with pytest.raises(InputError, match=words):
        gx.explain(*inputs, tmp_path / "run", *KIND, device="cpu", resume=True)
    before = tiny.attributions(gx.open_run(tmp_path / "run"))
    assert np.isfinite(before).all()


@pytest.mark.parametrize(
    "store", ["attributions.zarr", "aligned.zarr/0", "aligned.zarr/field_of_view"]
)
def test_parts_of_a_store_that_went_are_made_again(store, inputs, tmp_path):
    run = gx.explain(*inputs, tmp_path / "run", *KIND, device="cpu")
    whole, images, fields = tiny.attributions(run), run.stack.read([0]), run.stack.read_fields([0])
    kept = {label: run.maps[label].copy() for label in run.maps}
    parts = [path for path in (run.folder / store).rglob("*") if path.is_file()]
    for path in parts:
        if path.name != "zarr.json":
            path.unlink()
    again = gx.explain(*inputs, tmp_path / "run", *KIND, device="cpu", resume=True)
    np.testing.assert_array_equal(tiny.attributions(again), whole)
    for label, expected in kept.items():
        np.testing.assert_array_equal(again.maps[label], expected)
    np.testing.assert_array_equal(again.stack.read([0]), images)
    np.testing.assert_array_equal(again.stack.read_fields([0]), fields)
