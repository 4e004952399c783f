"""A model tried with a card that is not written yet."""

import pytest
import tiny
import yaml

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.card_draft import draft_of
from napari_globalxai.runs.inputs import check_card as checking
from napari_globalxai.runs.inputs.check import check_inputs
from napari_globalxai.runs.inputs.check_card import check_card


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write_linear(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return read_cohort(tiny.write_cohort(tmp_path_factory.mktemp("c") / "cohort", size=30))


def test_it_says_what_check_says_of_the_written_card(model, cohort):
    found = check_card(draft_of(model), cohort)
    assert found.performance == check_inputs(cohort, model).performance
    assert "gives 2 outputs, one a label" in found.facts[0]
    assert "Tried on 30 of 30 images." in found.facts


def test_of_a_large_cohort_some_images_with_and_without_each_label(model, cohort, monkeypatch):
    monkeypatch.setattr(checking, "_MOST_WITH_A_LABEL", 4)
    found = check_card(draft_of(model), cohort)
    for each in found.performance:
        assert each.positives >= 4
        assert each.negatives >= 4
    assert sum(each.positives + each.negatives for each in found.performance) <= 2 * 16


def test_without_images_the_probe_alone(model):
    found = check_card(draft_of(model))
    assert found.performance == ()
    assert any("32 × 48" in fact for fact in found.facts)


def test_the_reason_where_it_does_not_fit(model):
    with pytest.raises(InputError, match="2 outputs but the card names 3 labels"):
        check_card(draft_of(model).with_answers({"labels": ["a", "b", "c"]}))


def test_weights_that_are_not_there(tmp_path, model):
    card = yaml.safe_load(model.read_text()) | {"weights": "gone.pt"}
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(InputError, match=r"m\.yaml: the weights gone\.pt: the file does not exist"):
        check_card(draft_of(tmp_path / "m.yaml"))


def test_a_bundle_is_checked_with_the_card_in_it(tmp_path):
    from saved import write_bundle

    draft = draft_of(write_bundle(tmp_path / "bundle"))
    assert check_card(draft).problems is not None
    with pytest.raises(InputError, match="write the card first"):
        check_card(draft.with_answers({"labels": ["one", "other"]}))
