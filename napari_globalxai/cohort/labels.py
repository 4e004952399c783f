"""What the values of a 0/1 label column mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.cohort.naming import name_key, plain_number, whole_number
from napari_globalxai.settings.lists import split_pairs

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
MEANING = {text: float(value) for pair in _PAIRS for value, text in enumerate(pair)}
# What tables write for "uncertain" or "not known" where a field is not left empty.
_UNCERTAIN = frozenset(
    (
        *("-1", "?", "??", "nk", "unk", "unknown", "missing", "n.a.", "na"),
        *("uncertain", "undetermined", "ungradable", "not graded", "not known"),
    )
)
CODES = _UNCERTAIN.union(("-9", "-99", "-999", "9", "99", "999", "9999", "-", "--", "."))
# Other values than these codes are taken as slips while they are as rare as this.
_RARE = 0.05
# What the makers of CheXpert call the ways to take what is uncertain.
_POLICIES = {"uones": 1.0, "uzeros": 0.0, "uignore": np.nan}
_POLICY_VALUES = (
    *("-1", "u", "uncertain", "undetermined", "indeterminate", "equivocal", "possible"),
    *("suspected", "questionable"),
)
BLANK = ""


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
        return self.usable and (self.varies or odd <= _RARE * (odd + known))

    @property
    def varies(self) -> bool:
        """Whether there are images with the label and without it."""
        return len(np.unique(self.values[np.isfinite(self.values)])) == 2

    @property
    def one_sided(self) -> bool:
        """Whether other numbers beside 1 may be what means 0: -1, or 2."""
        known = set(self.values[np.isfinite(self.values)])
        return known == {1.0} and any(whole_number(value) is not None for value in self.odd)

    @property
    def mostly_uncertain(self) -> bool:
        """Whether it is a label but for how many values say that nobody knows."""
        return (
            not self.usable
            and self.varies
            and all(plain_text(value) in _UNCERTAIN for value in self.odd)
        )


def read_binary(column: pd.Series, coding: Mapping[str, float] | None = None) -> BinaryColumn:
    """Read a column as one label.

    Parameters
    ----------
    column : pandas.Series
        Text: 0/1 (also 0.0/1.0), no/yes, false/true, negative/positive, -/+ and their like.
    coding : mapping of str to float, optional
        What values mean before all that, see `read_label_values`.
    """
    coding = coding or {}
    # By distinct values, which are few: a big table has hundreds of thousands of fields.
    written = Counter(column.dropna().tolist())
    told = {value: coding[key] for value in written if (key := name_key(value)) in coding}
    plain = {value: plain_text(value) for value in written}
    meaning = dict(MEANING)
    if "+" not in plain.values():
        # A dash alone stands for nothing at all.
        del meaning["-"]
    read = {value: meaning[plain[value]] for value in written if plain[value] in meaning}
    understood = {plain[value] for value in read if value not in told}
    odd = {
        value: count
        for value, count in written.items()
        if value not in read and value not in told and plain[value] != "none"
    }
    n_codes = sum(count for value, count in odd.items() if plain[value] in CODES)
    n_strange = sum(odd.values()) - n_codes
    known = {**read, **told}
    n_understood = sum(written[value] for value, means in known.items() if np.isfinite(means))
    known[BLANK] = coding.get(BLANK, np.nan)
    return BinaryColumn(
        values=np.array(
            [known.get(BLANK if pd.isna(value) else value, np.nan) for value in column],
            dtype=np.float64,
        ),
        odd=odd,
        mixed=not any(understood <= set(pair) for pair in _PAIRS),
        usable=n_understood > 0
        and n_codes <= n_understood
        and n_strange <= _RARE * (n_understood + n_codes + n_strange),
    )


def read_label_values(text: str | None, wrong: list[str]) -> dict[str, float]:
    """Return what the values of label columns mean, as the user says.

    Parameters
    ----------
    text : str, optional
        Such as ``-1=unknown,blank=0``, or a word for what is uncertain: ``U-Ones``, ``U-Zeros`` or
        ``U-Ignore``.
    wrong : list of str
        Gets a clause for what is not understood.

    Returns
    -------
    dict of str to float
        1, 0 or NaN by a value's `name_key`, an empty field by `BLANK`.
    """
    coding: dict[str, float] = {}
    for key, value in split_pairs(text or ""):
        if value is None:
            policy = name_key(key).replace("_", "")
            if policy in _POLICIES:
                coding |= dict.fromkeys(_POLICY_VALUES, _POLICIES[policy])
            else:
                wrong.append(
                    f"--label-values {key} is none of U-Ones, U-Zeros and U-Ignore, nor of the "
                    "form -1=unknown"
                )
            continue
        meaning = plain_text(value)
        if meaning in MEANING or meaning in CODES or not meaning:
            name = BLANK if name_key(key) in ("blank", "empty") else name_key(key)
            coding[name] = MEANING.get(meaning, np.nan)
        else:
            wrong.append(f"--label-values gives {key!r} the meaning {value!r}, not 0, 1 or unknown")
    return coding


def plain_text(value: object) -> str:
    """Return a value's text in one spelling: small letters, whole numbers without a point."""
    return plain_number(text_of(value).casefold().replace("−", "-").replace("–", "-"))


def text_of(value: object) -> str:
    """Return a field's text; empty where there is none."""
    return "" if pd.isna(value) else str(value)  # type: ignore[call-overload]
