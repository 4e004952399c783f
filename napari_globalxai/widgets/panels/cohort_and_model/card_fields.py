"""The inputs of a model card's facts, made from how the card declares them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QSpinBox, QWidget

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import (
    FILL_IN,
    InputCard,
    ModelCard,
    NetworkCard,
    PerImageCard,
)
from napari_globalxai.models.files.yaml_text import parse_text
from napari_globalxai.settings.declared import Declared, declared_fields
from napari_globalxai.settings.lists import join_names, split_names
from napari_globalxai.widgets.fields.setting_fields import field_value, set_field
from napari_globalxai.widgets.fields.settings_form import add_setting

_TO_SAY = "To be said"
_NAMES = frozenset(("labels", "input.channels"))
_DECIMALS = frozenset(("input.mean", "input.std"))
_NUMBERS = frozenset((*_DECIMALS, "input.range"))
# As they would stand in the card.
_YAML = frozenset(("input.transforms", "network.arguments"))
# Facts of few models stand in a fold of their own.
FIRST = ("labels", "activation")
INPUT = ("channels", "height", "width", "range", "mean", "std")
PER_IMAGE = ("scaling", "channel_wise", "nonzero")
SHAPE = ("transposed", "fit", "transforms")
REST = ("weights", "cam_layer", "weights_key", "modality", "name")


def facts(part: str) -> list[tuple[str, Declared]]:
    """Return the facts of one part of the form, by dotted name.

    Parameters
    ----------
    part : str
        ``input`` for what nearly every card says, ``more`` for the rest.
    """
    card, given = _declared(ModelCard), _declared(InputCard)
    scaled, network = _declared(PerImageCard), _declared(NetworkCard)
    if part == "input":
        return [
            *((name, card[name]) for name in FIRST),
            *((f"input.{name}", given[name]) for name in INPUT),
            ("input.per_image.scaling", scaled["scaling"]),
        ]
    return [
        *((f"input.per_image.{name}", scaled[name]) for name in PER_IMAGE[1:]),
        *((f"input.{name}", given[name]) for name in SHAPE),
        *((f"network.{name}", network[name]) for name in network),
        *((name, card[name]) for name in REST),
    ]


def _declared(model: type[Any]) -> dict[str, Declared]:
    return {each.name: each for each in declared_fields(model)}


class CardFields:
    """The inputs of some facts, in a form.

    Parameters
    ----------
    form : QFormLayout
        Where they stand.
    of : sequence of (str, Declared)
        Dotted names of the facts, and how they are declared.

    Attributes
    ----------
    fields : dict of str to QWidget
        By dotted name.
    """

    def __init__(self, form: QFormLayout, of: Sequence[tuple[str, Declared]]) -> None:
        self.fields: dict[str, QWidget] = {}
        self._defaults: dict[str, Any] = {}
        self._shown: dict[str, Any] = {}
        for name, declared in of:
            help_text = f"{declared.help[:1].upper()}{declared.help[1:]}"
            has_none = declared.kind == "whole" or name == "input.per_image.scaling"
            self._defaults[name] = None if has_none else declared.default
            asked = replace(declared, help=help_text, default=_empty(declared))
            if has_none:
                asked = replace(asked, optional=True, placeholder=_placeholder(declared))
            field = add_setting(form, asked)
            if isinstance(field, QComboBox) and name == "input.fit":
                # A word may say more, as crop:256 does.
                field.setEditable(True)
            self.fields[name] = field

    def show(self, content: Mapping[str, Any], missing: Sequence[str]) -> None:
        """Show what a card says; what it does not is at its default or empty."""
        for name, field in self.fields.items():
            value = _value_at(content, name)
            unsaid = value is None or FILL_IN in str(value)
            field.blockSignals(True)
            _fill(field, name, self._defaults[name] if unsaid else value, unsaid=unsaid)
            field.blockSignals(False)
            self._shown[name] = _read(field, name)
            if isinstance(field, QLineEdit):
                field.setPlaceholderText(_TO_SAY if name in missing else "")

    def answers(self) -> dict[str, Any]:
        """Return what was changed since a card was shown, by dotted name; None where left empty.

        Raises
        ------
        InputError
            When something cannot be read.
        """
        # What nobody touched stays in the card as it was written there.
        said = {name: _read(field, name) for name, field in self.fields.items()}
        return {
            name: None if value == "" else value
            for name, value in said.items()
            if value != self._shown.get(name)
        }


def _empty(declared: Declared) -> Any:
    """Return the default for the input: what is a list is text there, and may be left empty."""
    is_plain = declared.kind in ("choice", "flag") and declared.name != "scaling"
    return declared.default if is_plain else None


def _placeholder(declared: Declared) -> str:
    # A number has little room beside its buttons.
    return "No" if declared.kind == "choice" else "–"


def _value_at(content: Mapping[str, Any], name: str) -> Any:
    value: Any = content
    *homes, key = name.split(".")
    for each in homes:
        value = value.get(each) if isinstance(value, Mapping) else None
    if homes[-1:] == ["per_image"] and isinstance(value, str):
        return value if key == "scaling" else None
    return value.get(key) if isinstance(value, Mapping) else None


def _fill(field: QWidget, name: str, value: Any, *, unsaid: bool) -> None:
    if isinstance(field, QLineEdit):
        # What a list is by default is said by its help; empty, it is left out.
        field.setText("" if unsaid or value in (None, "") else _as_text(name, value))
    elif isinstance(field, QComboBox) and field.isEditable():
        field.setCurrentText(str(value))
    elif isinstance(field, QSpinBox):
        set_field(field, value if isinstance(value, int) else None)
    elif isinstance(field, QComboBox):
        # Without a value, the first line, which stands for none.
        field.setCurrentIndex(0 if value is None else max(0, field.findData(value)))
    else:
        set_field(field, value)


def _as_text(name: str, value: Any) -> str:
    if name in _YAML:
        import yaml

        text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
        return str(text).strip()
    if isinstance(value, list | tuple):
        return join_names(map(str, value))
    return str(value)


def _read(field: QWidget, name: str) -> Any:
    if isinstance(field, QComboBox) and field.isEditable():
        return field.currentText().strip()
    if isinstance(field, QCheckBox | QSpinBox | QComboBox):
        return field_value(field)
    assert isinstance(field, QLineEdit)
    text = field.text().strip()
    if not text:
        return None
    reader = next((read for names, read in _READERS if name in names), str)
    return reader(text)


def _names(text: str) -> Any:
    # A number of channels may be given in their place.
    return int(text) if text.isdecimal() and len(text) == 1 else split_names(text)


def _numbers(text: str) -> list[float]:
    pieces = text.strip("[]() ").replace(",", " ").split()
    try:
        return [float(each) for each in pieces]
    except ValueError as why:
        raise InputError(
            f"{text}: is no list of numbers; give one, or one a channel, such as 0.2, 0.3."
        ) from why


def _decimals(text: str) -> list[float]:
    if "." not in text and re.search(r"\d,\d", text):
        # By half of the world, 0,5 is a half; as a list, it would be 0 and 5.
        raise InputError(
            f"{text}: may be numbers with a decimal comma, or a list of whole ones; write decimals "
            "with a point and a space after each comma, such as 0.2, 0.3."
        )
    return _numbers(text)


def _yaml(text: str) -> Any:
    try:
        return parse_text(text.encode())
    except ValueError as why:
        raise InputError(f"{text}: is not YAML; write it as in the card, {{name: value}}.") from why


_READERS: tuple[tuple[frozenset[str], Callable[[str], Any]], ...] = (
    (frozenset(("input.channels",)), _names),
    (_NAMES, split_names),
    (_DECIMALS, _decimals),
    (_NUMBERS, _numbers),
    (_YAML, _yaml),
)
