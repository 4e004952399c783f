"""From curves and controls to a plain word for each label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_globalxai.faithfulness.orders.control_steps import EARLY
from napari_globalxai.faithfulness.orders.sequential import SIGNIFICANCE, Count
from napari_globalxai.plain_text import numeral

# Kinds of verdict, by which they are coloured; the word itself may name what the map is no better
# than.
FAITHFUL = "faithful and specific to this model"
FAITHFUL_INSIDE = "faithful inside the field of view, untested outside"
WELL_PLACED = "well placed, but no better than"
NO_BETTER = "no better than its"
UNDECIDED = "undecided"
NOT_ENOUGH_DATA = "not enough data"
# Put behind a word that would say too much alone.
WITH_A_CAUTION = "with a caution"
FAITHFUL_WITH_A_CAUTION = f"{FAITHFUL}, {WITH_A_CAUTION}"
# The longer word before the one that it begins with.
KINDS = (
    FAITHFUL_WITH_A_CAUTION,
    FAITHFUL,
    FAITHFUL_INSIDE,
    WELL_PLACED,
    NO_BETTER,
    UNDECIDED,
    NOT_ENOUGH_DATA,
)

SUFFICIENT_SHARE = 0.95
NECESSARY_SHARE = 0.5
# Share of a map's mass outside the valid area from which a verdict on the valid area says too
# little of the map.
OUTSIDE_WORTH_SAYING = 0.1
_FEWEST_CONTROLS = 19
_WORDS = {
    "shifted": "shifts",
    "surrogate": "surrogates",
    "centre-distance": "distance from the centre",
    "mean-intensity": "mean intensity",
    "sd-image": "the SD image",
}


@dataclass(frozen=True)
class Verdict:
    """The plain word and the sentence behind it.

    Attributes
    ----------
    word : str
        One of `KINDS`; `WELL_PLACED` and `NO_BETTER` go on with what the map is no better than.
    reason : str
        The numbers behind it.
    tested : str
        What was tested, on whom, and what was not.
    """

    word: str
    reason: str
    tested: str = ""

    @property
    def kind(self) -> str:
        """The one of `KINDS` that the word begins with; of older results the word itself."""
        return kind_of(self.word)


def kind_of(word: str) -> str:
    """Return the one of `KINDS` that a verdict's word begins with; of older results the word."""
    return next((kind for kind in KINDS if word.startswith(kind)), word)


def is_faithful(word: str) -> bool:
    """Return whether a word says that a map is faithful all over, or did so in older results.

    Parameters
    ----------
    word : str
        The word, with a caution or without.
    """
    # Of version 0.1 the word is shorter.
    return word == "faithful" or word.startswith((FAITHFUL, "faithful,"))


def shown_word(word: str, *, cautioned: bool) -> str:
    """Return a verdict's word as it is shown: never bare with a caution.

    Parameters
    ----------
    word : str
        The word as it is kept.
    cautioned : bool
        Whether something keeps it from saying all.
    """
    return f"{word}, {WITH_A_CAUTION}" if cautioned and is_faithful(word) else word


@dataclass(frozen=True)
class Lead:
    """By how much a map's early Δ exceeds that of a simple order, over patients.

    Attributes
    ----------
    name : str
        What the order is called.
    difference, low, high : float
        The difference over the first fifth of the pixels, and its 95 % interval.
    """

    name: str
    difference: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the numbers as they stand in a sentence."""
        return (
            f"{self.name}, {numeral(self.difference)} ({numeral(self.low)} to {numeral(self.high)})"
        )


@dataclass(frozen=True)
class Evidence:
    """What a label is judged by.

    Attributes
    ----------
    positives, negatives : int
        Patients with an image with, and without, the label.
    intact_low : float
        Lower end of the 95 % interval of the intact AUC.
    delta, delta_low : float
        Area between restoring and erasing, and the lower end of its 95 % interval.
    judged : float
        Δ over the first pixels, by which controls are counted.
    up_to : float
        How many of them, as a share of all.
    counts : mapping of str to Count
        By family of controls that is judged: how many did as well.
    corrected : mapping of str to Count
        The same over all labels that are judged on this map; empty where it is one.
    controls : int
        Orders that were asked for, of the family with the fewest.
    leads : tuple of Lead
        Over simple orders that never saw the model.
    label_leads : tuple of Lead
        Over maps of other labels, or of images without the label.
    mass_outside : float
        Share of the map's mass outside the valid area; NaN where it is not known.
    """

    positives: int
    negatives: int
    intact_low: float = float("nan")
    delta: float = float("nan")
    delta_low: float = float("nan")
    judged: float = float("nan")
    up_to: float = EARLY
    counts: Mapping[str, Count] = field(default_factory=dict)
    corrected: Mapping[str, Count] = field(default_factory=dict)
    controls: int = 0
    leads: tuple[Lead, ...] = ()
    label_leads: tuple[Lead, ...] = ()
    mass_outside: float = float("nan")

    @property
    def deciding(self) -> Mapping[str, Count]:
        """The counts that the verdict rests on."""
        return self.corrected or self.counts


def judge(evidence: Evidence, fewest: int, on_whom: str = "") -> Verdict:
    """Judge one label.

    Parameters
    ----------
    evidence : Evidence
        The numbers.
    fewest : int
        Patients with, and without, the label that are needed at least.
    on_whom : str, optional
        On whom the map was tested, for the sentence.
    """
    lacking = _lacking(evidence, fewest)
    if lacking:
        return Verdict(NOT_ENOUGH_DATA, lacking, on_whom)
    tested = ". ".join(filter(None, [on_whom, _outside(evidence)]))
    numbers = f"Δ = {numeral(evidence.delta)}, {_judged_part(evidence)}{_p_values(evidence)}"
    refuted = [name for name, count in evidence.deciding.items() if count.decision is False]
    if refuted:
        what = _WORDS.get(refuted[0], f"{refuted[0]} orders")
        return Verdict(f"{NO_BETTER} {what}", numbers, tested)
    open_families = [name for name, count in evidence.deciding.items() if count.decision is None]
    if open_families:
        return Verdict(
            UNDECIDED,
            f"{numbers}; more controls are needed, since p may lie on either side of "
            f"{SIGNIFICANCE} ({', '.join(open_families)})",
            tested,
        )
    if not evidence.delta_low > 0:
        return Verdict(
            UNDECIDED,
            f"{numbers}; more patients are needed, since the 95 % interval of Δ begins at "
            f"{numeral(evidence.delta_low)}",
            tested,
        )
    return _specific(evidence, numbers, tested)


def _specific(evidence: Evidence, numbers: str, tested: str) -> Verdict:
    """Return the verdict on a map that beats all its controls."""
    level = [lead for lead in evidence.leads if not lead.low > 0]
    if level:
        *first, last = (_WORDS.get(lead.name, lead.name) for lead in level)
        names = f"{', '.join(first)} and {last}" if first else last
        return Verdict(
            f"{WELL_PLACED} {names}",
            f"{numbers}; over the first fifth of the pixels its lead is not above 0: "
            f"{'; '.join(map(str, level))}. A map that never saw the model serves as well",
            tested,
        )
    words = (
        "the model's performance rests on these places (whether it should is for you to judge); "
        f"{numbers}"
    )
    if evidence.leads:
        least = min(evidence.leads, key=lambda lead: lead.low)
        words += f"; over the first fifth of the pixels its least lead is over {least}"
    shared = [lead for lead in evidence.label_leads if not lead.low > 0]
    if shared:
        words += f"; not specific to the label, for it does not beat {'; '.join(map(str, shared))}"
    outside = evidence.mass_outside >= OUTSIDE_WORTH_SAYING
    return Verdict(FAITHFUL_INSIDE if outside else FAITHFUL, words, tested)


def _lacking(evidence: Evidence, fewest: int) -> str:
    positives, negatives = evidence.positives, evidence.negatives
    if min(positives, negatives) < fewest:
        return (
            f"{positives} patients with and {negatives} without the label; at least {fewest} of "
            "each are needed"
        )
    if not evidence.intact_low > 0.5:
        return "the intact model is not proven better than chance"
    if evidence.controls < _FEWEST_CONTROLS:
        return (
            f"{evidence.controls} controls cannot give p ≤ {SIGNIFICANCE}; {_FEWEST_CONTROLS} can"
        )
    return ""


def _judged_part(evidence: Evidence) -> str:
    if evidence.up_to == 1:
        return ""
    return f"{over_the_first(evidence.up_to)} {numeral(evidence.judged)} with "


def over_the_first(share: float) -> str:
    """Return the part of the curves that a map is judged by, in words."""
    if share == 1:
        return "over all of the pixels"
    return f"over the first {'fifth' if share == EARLY else f'{100 * share:g} %'} of the pixels"


def _p_values(evidence: Evidence) -> str:
    words = []
    for name, count in evidence.counts.items():
        if not count.tested:
            continue
        low, high = count.interval
        sure = f"exact, {count.tested + 1} places" if count.is_exact else f"{low:.3f} to {high:.3f}"
        if count.is_far and not count.reached and high >= SIGNIFICANCE:
            # By counting alone it would not be settled.
            sure += f"; beyond their tolerance limit, {count.tested} drawn"
        text = f"p = {count.p:.3f} ({sure}) against {name} orders"
        if name in evidence.corrected:
            text += f", {evidence.corrected[name].p:.3f} corrected for all labels"
        words.append(text)
    return ", ".join(words)


def _outside(evidence: Evidence) -> str:
    if not evidence.mass_outside >= OUTSIDE_WORTH_SAYING:
        return ""
    return (
        f"{100 * evidence.mass_outside:.0f} % of the map's mass lie outside the field of view, "
        "where nothing was tested"
    )
