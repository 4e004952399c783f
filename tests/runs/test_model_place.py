"""Whether the model of a run is where it should be, told without loading it."""

import shutil

import pytest
import tiny
import torch

import napari_globalxai as gx
from napari_globalxai.errors import InputError
from napari_globalxai.models.loaders import load_model
from napari_globalxai.runs.opened.model_place import why_no_model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    card = tiny.write_linear(folder / "model")
    gx.explain(tiny.write_cohort(folder / "cohort"), card, folder / "run", "saliency", device="cpu")
    return folder


@pytest.fixture
def there(made, tmp_path):
    """The same run, of a model that may be spoilt."""
    model = shutil.copytree(made / "model", tmp_path / "model") / "linear.yaml"
    run = gx.open_run(made / "run")
    source = run.record.model.model_copy(update={"source": str(model)})
    run.record = run.record.model_copy(update={"model": source})
    return run, model


def weights_beside(card):
    (found,) = (each for each in card.parent.iterdir() if each.suffix != ".yaml")
    return found


def test_in_its_place_nothing_is_wrong(there, made):
    run, model = there
    assert why_no_model(run) == ""
    assert why_no_model(run, made / "model" / "linear.yaml") == ""
    assert why_no_model(run, weights_beside(model)) == ""


def test_another_one_in_its_place_is_known_by_its_content(there, tmp_path):
    run, model = there
    other = tiny.write_linear(tmp_path / "other", 2 * tiny.sign_weights())
    assert "linear.yaml: is not the model that" in why_no_model(run, other)
    # Trained again since.
    shutil.copyfile(weights_beside(other), weights_beside(model))
    assert why_no_model(run) == f"{model}: is not the model that {run.folder} was made with."


def test_a_card_that_reads_images_otherwise_is_another_model(there):
    run, model = there
    model.write_text(model.read_text().replace("right", "other"))
    assert "is not the model" in why_no_model(run)


def test_what_is_gone_is_named(there):
    run, model = there
    weights = weights_beside(model)
    weights.rename(weights.with_name("away"))
    assert f"the weights {weights.name} do not exist beside it" in why_no_model(run)
    model.unlink()
    assert why_no_model(run).startswith(f"{model}: the model is not there any more")
    nowhere = run.record.model.model_copy(update={"source": None})
    run.record = run.record.model_copy(update={"model": nowhere})
    assert "does not know its model" in why_no_model(run)


def test_a_model_on_another_device_is_loaded_where_it_is_asked_for(there):
    """As where a run was explained on CUDA, and is asked something on the CPU."""
    run, _ = there
    first = run.classifier(device="cpu")
    assert run.classifier(device="cpu") is first
    first.device = torch.device("cuda", 0)
    assert run.classifier() is first
    second = run.classifier(device="cpu")
    assert second is not first
    assert second.device.type == "cpu"
    assert second.digest == first.digest


def test_a_model_that_was_given_as_an_object_stays_where_it_is(made, tmp_path):
    given = load_model(made / "model" / "linear.yaml", device="cpu")
    given.source = None
    run = gx.explain(made / "cohort" / "cohort.csv", given, tmp_path / "run", "saliency")
    assert run.classifier(device="cpu") is given
    given.device = torch.device("cuda", 0)
    with pytest.raises(InputError, match="given as an object on cuda:0; ask for that device or"):
        run.classifier(device="cpu")
    assert run.classifier() is given
