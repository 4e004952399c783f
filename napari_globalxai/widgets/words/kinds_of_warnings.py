"""Warnings that differ in names and numbers alone, told together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from napari_globalxai.cohort.wording import counted

# What differs between sentences of one kind: whose it is, names, numbers, lists of examples.
_WHOSE = re.compile(r"^(?:(?:[A-Za-z]:)?[^:]+\.\w{1,5}|[^\s:]+(?: [^\s:]+){0,3}): ")
_EXAMPLES = re.compile(r" \([^()]*\)")
_NAMES = re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”|\b\d[\d.,]*\b")
_LIST = re.compile(r"…(?:(?:,|, and| and) …)+")
_CLAUSE = re.compile(r"[;,.](?:\s|$)")
_MOST_NAMED, _MOST_LETTERS = 3, 60


def by_kind(sentences: Iterable[str]) -> dict[str, list[str]]:
    """Return sentences by what they are about, kinds and sentences in the order in which they come.

    Parameters
    ----------
    sentences : iterable of str
        Such as ``AMD: PEPPR needs images with and without it.``
    """
    found: dict[str, list[str]] = {}
    for sentence in sentences:
        found.setdefault(_kind(sentence), []).append(sentence)
    return found


def _kind(sentence: str) -> str:
    said = _EXAMPLES.sub("", _WHOSE.sub("", sentence))
    kind = _CLAUSE.split(_LIST.sub("…", _NAMES.sub("…", said)))[0].strip()
    if len(kind) > _MOST_LETTERS:
        kind = f"{kind[:_MOST_LETTERS].rsplit(' ', 1)[0]} …"
    return kind


def kinds_in_words(kinds: Mapping[str, Sequence[str]], *, is_more: bool) -> str:
    """Return how many warnings there are of each kind, the most frequent first.

    Parameters
    ----------
    kinds : mapping of str to sequence of str
        As `by_kind` returns them.
    is_more : bool
        Whether others stand above them.
    """
    counts = sorted(((len(each), kind) for kind, each in kinds.items()), key=lambda one: -one[0])
    told = [f"{number} × {kind}" if number > 1 else kind for number, kind in counts[:_MOST_NAMED]]
    if others := sum(number for number, _ in counts[_MOST_NAMED:]):
        told.append(f"{others} of other kinds")
    total = counted(sum(number for number, _ in counts), "more warning" if is_more else "warning")
    return f"⚠ {total}: {'; '.join(told)}"
