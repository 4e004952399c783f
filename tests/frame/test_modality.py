"""What images are called, from the card or the cohort, and that no model is needed for it."""

import subprocess
import sys

import pytest

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.frame.modality import NEUTRAL, modality_of


def test_the_word_of_the_card_is_taken_as_it_stands():
    words = modality_of("chest  X-ray")
    assert (words.one, words.many) == ("chest X-ray", "chest X-rays")
    assert (words.left, words.landmarks) == (NEUTRAL.left, NEUTRAL.landmarks)
    assert words.counted(1) == "1 chest X-ray"
    assert words.counted(3) == "3 chest X-rays"


@pytest.mark.parametrize(
    ("noun", "many"),
    [
        ("OCT", "OCTs"),
        ("biopsy", "biopsies"),
        ("sketch", "sketches"),
        ("mammograms", "mammograms"),
        ("PET day", "PET days"),
    ],
)
def test_plurals(noun, many):
    assert modality_of(noun).many == many


@pytest.mark.parametrize("word", ["retina", "Retina", " retina "])
def test_a_name_of_the_catalogue_brings_its_own_words(word):
    words = modality_of(word)
    assert (words.left, words.right, words.other_side) == ("left eye", "right eye", "the other eye")
    assert words.landmarks == "disc and macula"


@pytest.mark.parametrize(
    ("column", "eyes"),
    [
        ("eye", True),
        ("Eye_Side", True),
        ("OD/OS", True),
        ("LR", False),
        ("laterality", False),
        ("side", False),
        ("keyed", False),
    ],
)
def test_only_a_column_that_is_called_so_makes_images_eyes(tmp_path, column, eyes):
    path = tmp_path / "cohort.csv"
    path.write_text(f"filename,{column},A\na.png,L,1\nb.png,R,0\n")
    for more in ({}, {"laterality_pattern": "eye_(od|os)"}):
        cohort = read_cohort(path, laterality_column=column, **more)
        words = modality_of(sides=cohort.guesses["laterality"])
        assert (words.left == "left eye") is eyes
        # The card knows better.
        assert modality_of("knee", cohort.guesses["laterality"]).left == "left side"


def test_a_pattern_for_names_of_files_does_not(tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_text("filename,A\neye_l.png,1\neye_r.png,0\n")
    for more in ({}, {"laterality_pattern": "eye_(l|r)"}, {"laterality_pattern": "none"}):
        guess = read_cohort(path, **more).guesses["laterality"]
        assert modality_of(sides=guess) is NEUTRAL


def test_words_need_neither_torch_nor_monai():
    script = (
        "import sys; from napari_globalxai.frame.modality import modality_of; "
        "modality_of('retina'); modality_of('CT'); "
        "sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
