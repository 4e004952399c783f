"""What the values of label and class columns mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

# Without and with the label.
_PAIRS = (
    ("0", "1"),
    ("no", "yes"),
    ("n", "y"),
    ("false", "true"),
    ("negative", "positive"),
    ("neg", "pos"),
    ("absent", "present"),
    ("-", "+"),
)
_MEANING = {text: float(value) for pair in _PAIRS for value, text in enumerate(pair)}
# What tables write for "not known" where a field is not left empty.
_CODES = frozenset(
    (
        *("-1", "-9", "-99", "-999", "9", "99", "999", "9999"),
        *("?", "??", "-", "--", ".", "nk", "unk", "unknown", "missing", "n.a.", "na"),
        *("uncertain", "undetermined", "ungradable", "not graded", "not known"),
    )
)
# Other values than these codes are taken as slips while they are as rare as this.
_RARE = 0.05


@dataclass(frozen=True)
class BinaryColumn:
    """A column read as one label.

    Attributes
    ----------
    values : numpy.ndarray
        float64, one an image: 1, 0, or NaN where the table does not say.
    odd : dict of str to int
        Values that mean neither, as the table writes them, and their number of rows.
    mixed : bool
        Whether several spellings stand side by side, such as 1 and yes.
    usable : bool
        Whether there are values, of which nearly all mean 0 or 1.
    """

    values: npt.NDArray[np.float64]
    odd: dict[str, int]
    mixed: bool
    usable: bool

    @property
    def plausible(self) -> bool:
        """Whether to take it as a label unasked: a 1 and a ? alone may mean anything."""
        odd = sum(self.odd.values())
        known = int(np.isfinite(self.values).sum())
        varies = len(np.unique(self.values[np.isfinite(self.values)])) == 2
        return self.usable and (varies or odd <= _RARE * (odd + known))


def read_binary(column: pd.Series) -> BinaryColumn:
    """Read a column as one label.

    Parameters
    ----------
    column : pandas.Series
        Text: 0/1 (also 0.0/1.0), no/yes, false/true, negative/positive, -/+ and their like.
    """
    # By distinct values, which are few: a big table has hundreds of thousands of fields.
    written = Counter(column.dropna().tolist())
    plain = {value: _plain(value) for value in written}
    meaning = dict(_MEANING)
    if "+" not in plain.values():
        # A dash alone stands for nothing at all.
        del meaning["-"]
    understood = {plain[value] for value in written if plain[value] in meaning}
    odd = {
        value: count
        for value, count in written.items()
        if plain[value] not in meaning and plain[value] != "none"
    }
    n_codes = sum(count for value, count in odd.items() if plain[value] in _CODES)
    n_strange = sum(odd.values()) - n_codes
    n_understood = sum(count for value, count in written.items() if plain[value] in meaning)
    return BinaryColumn(
        values=np.array(
            [meaning.get(plain.get(value, ""), np.nan) for value in column], dtype=np.float64
        ),
        odd=odd,
        mixed=not any(understood <= set(pair) for pair in _PAIRS),
        usable=n_understood > 0
        and n_codes <= n_understood
        and n_strange <= _RARE * (n_understood + n_codes + n_strange),
    )


def read_classes(
    column: pd.Series, labels: Sequence[str]
) -> tuple[npt.NDArray[np.float64], dict[str, int]]:
    """Read a class column as the true labels of a model.

    Parameters
    ----------
    column : pandas.Series
        Text: names of labels, whatever their case, or, where there is no name among them, numbers:
        the index of the model's output. Where the model has one output, 1 is with, 0 without it.
    labels : sequence of str
        The model's labels.

    Returns
    -------
    numpy.ndarray
        float64, (images, labels): 1, 0, or NaN where the table does not say.
    dict of str to int
        Values that are no label of the model, and their number of rows.
    """
    by_name = {label.casefold(): index for index, label in enumerate(labels)}
    texts = [_text(value).casefold() for value in column]
    if not any(text in by_name for text in texts):
        texts = [_plain(text) for text in texts]
        by_name = {str(index): index for index in range(len(labels))}
        if len(labels) == 1:
            return _one_output(column, texts)
    places = np.array([by_name.get(text, -1) for text in texts])
    truth = np.full((len(texts), len(labels)), np.nan)
    truth[places >= 0] = np.eye(len(labels))[places[places >= 0]]
    unknown = Counter(_text(value) for value in column[places < 0])
    del unknown[""]
    return truth, dict(unknown)


def _one_output(
    column: pd.Series, texts: Sequence[str]
) -> tuple[npt.NDArray[np.float64], dict[str, int]]:
    values = np.array([{"0": 0.0, "1": 1.0}.get(text, np.nan) for text in texts])
    unknown = Counter(_text(value) for value in column[np.isnan(values)])
    del unknown[""]
    return values[:, None], dict(unknown)


def _text(value: object) -> str:
    return "" if pd.isna(value) else str(value)  # type: ignore[call-overload]


def _plain(value: object) -> str:
    """Return a value's text in one spelling: small letters, whole numbers without a point."""
    return plain_number(_text(value).casefold().replace("−", "-").replace("–", "-"))


def plain_number(text: str) -> str:
    """Return a whole number as such: ``1`` for ``1.0``, ``1,0`` and ``01``; other text as it is."""
    number = re.fullmatch(r"([+-]?\d+)(?:[.,]0*)?", text)
    return str(int(number[1])) if number else text
