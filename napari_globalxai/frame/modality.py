"""What images show, in words: so that a report on chest X-rays speaks of chest X-rays."""

from __future__ import annotations

import re
from dataclasses import dataclass

from napari_globalxai.catalogue import MODALITIES

# Headers of columns of sides that only tables of eyes have.
_EYES = re.compile(r"\b(eyes?|od os|os od)\b")


@dataclass(frozen=True)
class Modality:
    """The words for one kind of image. Those it begins with are true of any.

    Attributes
    ----------
    one, many : str
        What an image is called, such as ``image`` and ``images``.
    left, right : str
        What an image of either side shows.
    other_side : str
        What an image shows whose side is not the one that it is said to be of.
    mirrored : str
        How images lie in the frame where some were mirrored, to follow "was brought into one
        frame".
    landmarks : str
        What images are registered by.
    zones : str
        Name of the registration whose atlas knows the zones of what images show, see
        `napari_globalxai.frame.registrar.KnowsZones`; empty where none does.
    """

    one: str = "image"
    many: str = "images"
    left: str = "left side"
    right: str = "right side"
    other_side: str = "the other side"
    mirrored: str = ", those of right sides mirrored to lie as those of left sides do"
    landmarks: str = "landmarks"
    zones: str = ""

    def counted(self, number: int) -> str:
        """Return a number of images, such as ``1 image`` or ``2 images``."""
        return f"{number} {self.one if number == 1 else self.many}"


NEUTRAL = Modality()


def modality_of(word: str = "", sides: str = "") -> Modality:
    """Return the words for the images of a model and a cohort.

    Parameters
    ----------
    word : str, optional
        What the model's card calls its images: a name in the catalogue, such as ``retina``, or any
        noun, such as ``chest X-ray``.
    sides : str, optional
        How a cohort's sides were understood, its ``guesses["laterality"]``. Without a word of the
        card, images are taken for eyes only where the column of sides is called so: sides of
        knees, breasts and lungs are L and R, too.
    """
    noun = " ".join(word.split())
    name = noun.casefold() or ("retina" if _names_eyes(sides) else "")
    if name in MODALITIES.entries:
        known: Modality = MODALITIES.load(name)
        return known
    return Modality(one=noun, many=_plural(noun)) if noun else NEUTRAL


def _names_eyes(sides: str) -> bool:
    if sides.startswith("file name, by the pattern"):
        return False
    column = re.split(r" with |; where empty", sides)[0]
    return _EYES.search(re.sub(r"[\W\d_]+", " ", column.casefold())) is not None


def _plural(noun: str) -> str:
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    if noun.endswith("s"):
        return noun
    return f"{noun}es" if noun.endswith(("x", "ch", "sh")) else f"{noun}s"
