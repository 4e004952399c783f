"""A model's card before it is written: read however incomplete it is, filled in, written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import (
    CARD_SUFFIXES,
    FILL_IN,
    InputCard,
    ModelCard,
    find_card,
    unfilled,
    validate_card,
)
from napari_globalxai.models.files.yaml_text import parse_text
from napari_globalxai.storage import absence_of_file, atomic_path, read_bytes

# What z-scores and transforms take the place of.
_SCALES = ("range", "mean", "std")


@dataclass(frozen=True)
class CardDraft:
    """What is known of a model so far.

    Attributes
    ----------
    model : pathlib.Path
        The weights, or the bundle.
    place : pathlib.Path
        The card, or where it is looked for.
    content : dict
        What the card says, `FILL_IN` where it must still be said.
    exists : bool
        Whether there is a card.
    is_bundle : bool
        Whether the model is a MONAI bundle.
    """

    model: Path
    place: Path
    content: dict[str, Any]
    exists: bool
    is_bundle: bool = False

    @property
    def problem(self) -> str:
        """Why the card cannot be used as it is, one sentence; empty where nothing is wrong."""
        try:
            self.card()
        except InputError as why:
            return str(why)
        return ""

    @property
    def open_facts(self) -> list[str]:
        """Dotted names of what must still be said."""
        required = [
            *((key, self.content) for key, each in ModelCard.model_fields.items() if _asked(each)),
            *(("input." + key, self._input) for key in ("channels", "height", "width")),
        ]
        missing = [name for name, home in required if name.split(".")[-1] not in home]
        return sorted({*missing, *unfilled(self.content)} - {"input"})

    @property
    def unknown(self) -> list[str]:
        """Dotted names of what no card has."""
        names = [str(key) for key in self.content if key not in ModelCard.model_fields]
        return names + [f"input.{key}" for key in self._input if key not in InputCard.model_fields]

    def card(self) -> ModelCard:
        """Return the card.

        Raises
        ------
        InputError
            When something is missing or wrong.
        """
        return validate_card(self.content, self.place)

    def with_answers(self, answers: Mapping[str, Any], *, drop_unknown: bool = False) -> CardDraft:
        """Return the draft with other facts.

        Parameters
        ----------
        answers : mapping
            Values by dotted name, such as ``input.height``; None where nothing is said, which
            leaves what must be said open and takes everything else out.
        drop_unknown : bool, optional
            Whether what no card has is left out.
        """
        content = deepcopy(self.content)
        must = set(self.open_facts)
        for name, value in answers.items():
            *homes, key = name.split(".")
            home = content
            for each in homes:
                if not isinstance(home.get(each), dict):
                    home[each] = _in_full(each, home.get(each))
                home = home[each]
            if value is not None:
                home[key] = value
            elif name in must:
                home[key] = FILL_IN
            else:
                home.pop(key, None)
        for name in self.unknown if drop_unknown else ():
            *homes, key = name.split(".")
            (content["input"] if homes else content).pop(key, None)
        _tidy(content)
        model = self.place.parent / content["weights"] if answers.get("weights") else self.model
        return replace(self, content=content, model=model)

    @property
    def _input(self) -> dict[str, Any]:
        given = self.content.get("input")
        return given if isinstance(given, dict) else {}


def _asked(field: Any) -> bool:
    return bool(field.is_required())


def _in_full(key: str, value: Any) -> dict[str, Any]:
    """Return a part of a card as a mapping: `per_image` may be given as a word."""
    return {"scaling": value} if key == "per_image" and isinstance(value, str) else {}


def _tidy(content: dict[str, Any]) -> None:
    """Take out what other answers leave no place for, and parts that say nothing."""
    given = content.setdefault("input", {})
    scaling = given.get("per_image") or {}
    if not scaling.get("scaling"):
        given.pop("per_image", None)
    if scaling.get("scaling") == "z-score" or given.get("transforms"):
        for key in _SCALES:
            if FILL_IN in str(given.get(key, "")):
                given.pop(key)
    network = content.get("network")
    if isinstance(network, dict):
        kinds = ("name", "timm", "factory")
        if any(network.get(key) not in (None, FILL_IN) for key in kinds):
            for key in [key for key in kinds if network.get(key) == FILL_IN]:
                network.pop(key)
        if not any(network.values()):
            content.pop("network")


def draft_of(model: str | Path, *, trust: bool = False) -> CardDraft:
    """Return what is known of a model: its card, however wrong, or what its files tell.

    Parameters
    ----------
    model : str or pathlib.Path
        Weights, a card, or a MONAI bundle.
    trust : bool, optional
        As for `load_model`; no code of a file runs without it.

    Raises
    ------
    InputError
        When there is no such model, or its card is no card at all.
    """
    path = Path(model)
    if path.is_dir():
        return _of_bundle(path)
    if kind := absence_of_file(path):
        raise InputError(f"{path}: the model {kind}.")
    if path.suffix.lower() in CARD_SUFFIXES:
        return _read(path, None)
    if path.suffix.lower() == ".zip":
        return _of_bundle(path)
    if (place := find_card(path)) is not None:
        return _read(place, path)
    # Imports torch, which a card that is there does not need.
    from napari_globalxai.models.card.card_template import place_of_card, suggested_card

    return CardDraft(path, place_of_card(path), suggested_card(path, trust), exists=False)


def _read(place: Path, weights: Path | None) -> CardDraft:
    try:
        content = parse_text(read_bytes(place))
    except InputError:
        raise
    except ValueError as why:
        raise InputError(f"{place}: is not a YAML file ({why}).") from why
    if not isinstance(content, dict):
        raise InputError(f"{place}: is not a model card, which is a YAML mapping.")
    if weights is not None:
        content["weights"] = weights.name
    model = place.parent / str(content.get("weights", ""))
    return CardDraft(model, place, content, exists=True)


def _of_bundle(path: Path) -> CardDraft:
    from napari_globalxai.models.card.card_template import place_of_card, suggested_card
    from napari_globalxai.models.files.bundle import bundle_facts, is_bundle

    if not is_bundle(path):
        raise InputError(f"{path}: is a folder but no MONAI bundle; name the file of the weights.")
    place = place_of_card(path)
    told, content = bundle_facts(path), suggested_card(path)
    # What a template has no place for stands in the bundle's own card.
    content = {**told, **content, "input": {**told.get("input", {}), **content["input"]}}
    return CardDraft(path, place, content, exists=place.exists(), is_bundle=True)


def write_draft(draft: CardDraft, target: Path) -> Path:
    """Write a card where the user says, with the way from there to the weights.

    Raises
    ------
    InputError
        When something is still missing or wrong; nothing is written.
    """
    from napari_globalxai.models.card.card_template import card_text

    draft.card()
    content = dict(draft.content)
    if not draft.is_bundle:
        way = os.path.relpath(draft.model.absolute(), target.absolute().parent)
        content["weights"] = Path(way).as_posix()
    with atomic_path(target) as temporary:
        temporary.write_text(f"# Model card.\n{card_text(content)}\n", "utf-8")
    return target
