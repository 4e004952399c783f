"""Whether aligned images look like what a model was trained on: range, colour, field of view.

Images are compared with the mean and SD that the model's card tells, not with each other: a whole
cohort that was read wrongly is alike in itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from napari_globalxai.cohort.wording import counted, form, named
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.plain_text import numeral

IMAGES_LOOKED_AT = 64
# An image whose brightest percent stays below this shows nothing: the threshold of the field.
NEARLY_BLACK = 14.0
# Pixels in the field of view of fewer images are not ranked.
VALID_COVERAGE = 0.5
# Means of many images in SDs of single pixels. The bundled cohort lies within 0.03 of its card's,
# registered too; half as bright ones at 0.8, swapped colours at 1, black ones at 1.6.
FAR = 0.75
# What swapping or inverting has to bring the mean to: as a share of how far it was, and at all.
_MUCH_NEARER, _NEAR = 0.5, 0.4
# A share of images that is no accident.
_SHARE, _LEAST = 0.1, 2
_CONTRAST = 3.0
# Difference of the channels' means, in SDs, that grey images do not have.
_COLOURED = 0.25
# Means and SDs, on a scale of 0–1, that are taken for any kind of image.
_GENERIC = (
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ((0.449,), (0.226,)),
    ((0.5,), (0.5,)),
)
_SAME = 0.006
# On a scale of 0–255, mean and SD of no real images.
_NO_MEAN, _NO_SD = 3.0, 3.0


@dataclass(frozen=True)
class Expected:
    """What a model's card tells of its input.

    Attributes
    ----------
    channels : tuple of str
        Names of the channels.
    mean, std : tuple of float
        Of each channel, on the scale of `range`.
    range : tuple of float
        What black and full brightness become.
    """

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    range: tuple[float, float] = (0.0, 1.0)

    @property
    def normalises(self) -> bool:
        """Whether it tells a mean or an SD at all."""
        return any(self.mean) or self.has_std

    @property
    def has_std(self) -> bool:
        """Whether it tells an SD."""
        return any(value != 1 for value in self.std)

    @property
    def mean_255(self) -> npt.NDArray[np.float64]:
        """Means in 0–255."""
        low, high = self.range
        return np.asarray((np.asarray(self.mean, float) - low) / (high - low) * 255)

    @property
    def std_255(self) -> npt.NDArray[np.float64]:
        """SDs in 0–255."""
        low, high = self.range
        return np.asarray(np.asarray(self.std, float) / abs(high - low) * 255)

    @property
    def tells_data(self) -> bool:
        """Whether mean and SD are of the data that the model was trained on, by their looks."""
        if not self.has_std:
            return False
        told = np.array([self.mean_255, self.std_255]) / 255
        return not any(
            told.shape[1] <= len(generic[0])
            and np.allclose(told, np.array(generic)[:, : told.shape[1]], rtol=0, atol=_SAME)
            for generic in _GENERIC
        )


def implausibilities(
    images: npt.NDArray[np.uint8],
    fields: npt.NDArray[np.bool_],
    expected: Expected | None = None,
    names: Sequence[str] | None = None,
) -> list[str]:
    """Return what looks wrong with images, a sentence each.

    Parameters
    ----------
    images : numpy.ndarray
        A sample of the aligned images: uint8, (image, channel, height, width).
    fields : numpy.ndarray
        Their fields of view: bool, (image, height, width).
    expected : Expected, optional
        What the model's card tells; without it, only what no image can be is looked for.
    names : sequence of str, optional
        Of the images, to name them; else they are counted.

    Returns
    -------
    list of str
        Empty where everything looks as it should.
    """
    if not len(images):
        return []
    names = [f"image {number}" for number in range(1, len(images) + 1)] if names is None else names
    dark = np.percentile(images.max(axis=1).reshape(len(images), -1), 99, axis=1) < NEARLY_BLACK
    found = list(_empty_fields(fields, dark, names))
    if expected is not None:
        found += _card_that_fits_no_image(expected)
        # What is black is named already, and says nothing of colours.
        if expected.tells_data and not found and not dark.all():
            found += _unlike_the_card(images[~dark], expected)
    return found


def look_at_stack(
    stack: AlignedStack,
    rows: Sequence[int],
    names: Sequence[str],
    expected: Expected | None = None,
) -> list[str]:
    """Return what looks wrong with aligned images, of which some are looked at.

    Parameters
    ----------
    stack : AlignedStack
        The images.
    rows : sequence of int
        Those that could be aligned.
    names : sequence of str
        Of all images of the cohort.
    expected : Expected, optional
        As for `implausibilities`.
    """
    spread = np.linspace(0, len(rows) - 1, min(len(rows), IMAGES_LOOKED_AT)).astype(int)
    some = [rows[place] for place in np.unique(spread)] if len(rows) else []
    fields = stack.read_fields(some)
    found = implausibilities(stack.read(some), fields, expected, [names[row] for row in some])
    return [*found, *reading_notes(stack.facts(), names)]


def reading_notes(facts: Mapping[int, Mapping[str, object]], names: Sequence[str]) -> list[str]:
    """Return how files that contradict themselves were read, a sentence for each kind.

    Parameters
    ----------
    facts : mapping
        `AlignedStack.facts`.
    names : sequence of str
        Of all images of the cohort.
    """
    kinds: dict[str, list[str]] = {}
    for row, known in facts.items():
        if note := known.get("note"):
            kinds.setdefault(str(note), []).append(names[row])
    return [
        f"{counted(len(those), 'image')} ({named(those)}): {note}; look whether that is right."
        for note, those in kinds.items()
    ]


def _empty_fields(
    fields: npt.NDArray[np.bool_], dark: npt.NDArray[np.bool_], names: Sequence[str]
) -> Iterator[str]:
    empty = np.asarray(~fields.reshape(len(fields), -1).any(axis=1))
    coverage = float(fields.mean(axis=0).max())
    if coverage < VALID_COVERAGE:
        most = f"{coverage:.2f} at the most" if coverage else "0 everywhere"
        yield (
            f"Coverage is {most}: no pixel lies in the field of view of half of the "
            f"{counted(len(empty), 'image')} that were looked at, so that no map can be ranked; "
            f"{int(dark.sum())} of them are nearly black, so look at their number of bits and "
            "their range."
        )
        return
    if empty.any():
        those = [name for name, is_empty in zip(names, empty, strict=True) if is_empty]
        yield (
            f"The field of view is empty in {len(those)} of {counted(len(empty), 'image')} that "
            f"were looked at ({named(those)}); look at them."
        )
    black = dark & ~empty
    if black.any():
        those = [name for name, is_black in zip(names, black, strict=True) if is_black]
        yield (
            f"{len(those)} of {counted(len(dark), 'image')} that were looked at "
            f"{form(len(those), 'is', 'are')} nearly black ({named(those)}): 99 % of the pixels "
            f"stay below {NEARLY_BLACK:g} of 255; look at their number of bits and their range."
        )


def _card_that_fits_no_image(expected: Expected) -> Iterator[str]:
    """Tell of mean and SD on another scale than the card's range."""
    mean, std = expected.mean_255, expected.std_255
    if not expected.normalises:
        return
    # An SD of 1 only says that there is none.
    narrow = bool((std < _NO_SD).all()) and expected.has_std
    if narrow or (mean < -_NO_MEAN).any() or (mean > 255 + _NO_MEAN).any():
        low, high = expected.range
        yield (
            f"The card's mean {_numbers(expected.mean)} and std {_numbers(expected.std)} do not "
            f"fit its range {numeral(low, 'g')} to {numeral(high, 'g')}; give all three on "
            "one scale."
        )


def _unlike_the_card(images: npt.NDArray[np.uint8], expected: Expected) -> Iterator[str]:
    each = images.mean(axis=(2, 3), dtype=np.float64)
    mean, std = each.mean(axis=0), expected.std_255
    away = _distance(mean, expected)
    if away > FAR:
        if explanation := _explanation(mean, away, expected):
            yield explanation
            return
        yield (
            f"The images' mean ({_by_channel(mean, expected)} of 255) lies {away:.1f} SDs of the "
            f"card's from what the card tells ({_by_channel(expected.mean_255, expected)}): look "
            "whether images are read as the model was trained, and the card's range, mean and std."
        )
        return
    inverted = np.array([_is_inverted(one, expected) for one in each])
    if inverted.sum() >= max(_LEAST, _SHARE * len(each)):
        yield (
            f"{int(inverted.sum())} of {counted(len(each), 'image')} that were looked at seem "
            "inverted, dark for bright: turned round they fit the card's mean much better."
        )
    spread = np.sqrt(images.astype(np.float32).var(axis=(2, 3)).mean(axis=0))
    if (spread * _CONTRAST < std).all() or (spread > _CONTRAST * std).all():
        yield (
            f"The images' SD ({_by_channel(spread, expected)} of 255) is far from the card's "
            f"({_by_channel(std, expected)}): look at their range, and the card's std."
        )
    told = expected.mean_255
    equal = len(told) > 1 and np.abs(np.diff(images.astype(np.int16), axis=1)).max() <= 2
    if equal and np.ptp(told) > _COLOURED * std.mean():
        yield (
            "All channels of the images are equal, so they are grey, but the card's mean "
            f"({_by_channel(told, expected)} of 255) is that of coloured ones."
        )


def _explanation(mean: npt.NDArray[np.float64], away: float, expected: Expected) -> str:
    """Return in which other way the mean would fit the card, or nothing."""
    near = min(_NEAR, _MUCH_NEARER * away)
    if _distance(255 - mean, expected) < near:
        return (
            "The images seem inverted, dark for bright: turned round, their mean "
            f"({_by_channel(mean, expected)} of 255) fits the card's much better "
            f"({_by_channel(expected.mean_255, expected)})."
        )
    orders = {
        order: _distance(mean[list(order)], expected) for order in permutations(range(len(mean)))
    }
    best = min(orders, key=lambda order: orders[order])
    if orders[best] < near:
        return (
            "The images' channels seem to be in another order than the card's: their mean "
            f"({_by_channel(mean, expected)} of 255) fits the card's "
            f"({_by_channel(expected.mean_255, expected)}) much better as "
            f"{', '.join(expected.channels[place] for place in best)}."
        )
    return ""


def _is_inverted(mean: npt.NDArray[np.float64], expected: Expected) -> bool:
    away = _distance(mean, expected)
    return away > FAR and _distance(255 - mean, expected) < _MUCH_NEARER * away


def _distance(mean: npt.NDArray[np.float64], expected: Expected) -> float:
    """Return how far means are from the card's: root mean square over channels, in its SDs."""
    return float(np.sqrt((((mean - expected.mean_255) / expected.std_255) ** 2).mean()))


def _by_channel(values: npt.NDArray[np.floating], expected: Expected) -> str:
    return ", ".join(
        f"{name} {numeral(value, '.0f')}"
        for name, value in zip(expected.channels, values, strict=True)
    )


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(numeral(value, "g") for value in values)
