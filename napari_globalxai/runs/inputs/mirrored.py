"""Images that are mirrored by a guess, of kinds that may have no sides, or not mirrored at all."""

from __future__ import annotations

from napari_globalxai.cohort.problems import side_note
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.frame.modality import modality_of


def mirrored_by_guess(cohort: Cohort, word: str) -> list[str]:
    """Return a sentence where images are mirrored by a guess, of no eyes; else nothing.

    Parameters
    ----------
    cohort : Cohort
        Its column or names of sides may have been guessed.
    word : str
        What the model's card calls the images. A column called left and right may tell the side
        of a finding there; of eyes it tells the eye.
    """
    words = modality_of(word, cohort.guesses["laterality"])
    mirrored = cohort.laterality.count("R")
    if not word or words.zones or not cohort.sides_are_guessed or not mirrored:
        return []
    where = cohort.guesses["laterality"].partition(",")[0]
    return [
        f"{words.counted(mirrored)} of right sides, by the {where!r} that was guessed, are "
        f"mirrored to lie as left ones do; if that tells no side of the {words.one}, but of a "
        "finding, say --laterality-column none and --laterality-pattern none."
    ]


def eyes_without_sides(cohort: Cohort, word: str) -> list[str]:
    """Return a sentence where images have zones that lie mirrored, and nothing tells a side.

    Parameters
    ----------
    cohort : Cohort
        The images.
    word : str
        What the model's card calls them; where it calls them nothing, or names what has no zones,
        missing sides are no fault.
    """
    note = side_note(cohort)
    return [note] if note and modality_of(word).zones else []
