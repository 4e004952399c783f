"""How a setting is declared: once, as a field of a pydantic model."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from napari_globalxai.catalogue import names_like
from napari_globalxai.errors import InputError

Kind = Literal["flag", "whole", "number", "choice", "text", "path", "names", "pairs", "size"]


@dataclass(frozen=True)
class Choices:
    """What a field, or each member of a list, may be: put it into the field's `Annotated` type.

    Parameters
    ----------
    known : mapping of str to str, or callable
        A word on each choice by its name; a function where packages may add some.
    noun, plural : str, optional
        What one and several of them are called.
    prefixes : tuple of str, optional
        What names that are none of these may begin with, such as ``image:`` before a file.
    """

    known: Mapping[str, str] | Callable[[], Mapping[str, str]]
    noun: str = ""
    plural: str = ""
    prefixes: tuple[str, ...] = ()

    def words(self) -> Mapping[str, str]:
        """Return the choices with a word on each."""
        return self.known() if callable(self.known) else self.known

    def check(self, name: str) -> None:
        """Refuse what is no choice."""
        words = self.words()
        if name not in words and not name.startswith(self.prefixes or ("\0",)):
            raise ValueError(
                f"there is no {self.noun} {name!r}; {names_like(name, words, self.plural)}"
                if self.noun
                else f"{name!r} is not one of {', '.join(words)}"
            )


@dataclass(frozen=True)
class OptionName:
    """The command line's name for a field that is not called ``--field-name`` there."""

    name: str


@dataclass(frozen=True)
class Repeatable:
    """A field that takes one value or several: on the command line, its option given again."""


@dataclass(frozen=True)
class Folder:
    """A path that is one of a folder, not of a file."""


@dataclass(frozen=True)
class Placeholder:
    """What a form shows in an empty field: what is taken then."""

    text: str


class Size(tuple[int, int]):
    """Height and width in pixels, also from text such as ``384x512``."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Take text and pairs; write a list."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls.read, serialization=core_schema.plain_serializer_function_ser_schema(list)
        )

    @classmethod
    def read(cls, value: Any) -> Size:
        """Return a size; refuse what is none."""
        sides = value.lower().replace("×", "x").split("x") if isinstance(value, str) else value
        try:
            height, width = (int(str(side).strip()) for side in sides)
        except (TypeError, ValueError):
            height = width = 0
        if min(height, width) < 1:
            raise ValueError(f"{value!r} is not of the form HEIGHTxWIDTH, such as 384x512")
        return cls((height, width))

    def __str__(self) -> str:
        return f"{self[0]}x{self[1]}"


class SettingError(InputError):
    """A setting that cannot be taken, and why.

    Attributes
    ----------
    reason : str
        Why, without the setting and without a full stop.
    field : str
        Name of the setting; empty where several do not go together.
    """

    def __init__(self, name: str, reason: str, field: str = "") -> None:
        super().__init__(f"{name}: {reason}." if name else f"{reason[:1].upper()}{reason[1:]}.")
        self.reason = reason
        self.field = field


class SettingsModel(BaseModel):
    """A group of settings. Each field has a title, a sentence of help, and bounds or choices.

    Attributes
    ----------
    noun : str
        What one of the fields is called in a message.
    heading : str
        Over the fields in a form.
    is_record : bool
        Whether the values are those of a finished result: what they name may not be there any more.

    Raises
    ------
    InputError
        One sentence that names the first field that cannot be taken, and why.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    noun: ClassVar[str] = "setting"
    heading: ClassVar[str] = "Settings"
    is_record: ClassVar[bool] = False

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as why:
            raise self._sentence(why) from why

    @classmethod
    def _sentence(cls, why: ValidationError) -> SettingError:
        first = why.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        noun = _home(cls, place, "noun") or cls.noun
        if first["type"] == "extra_forbidden":
            known = ", ".join(cls.model_fields)
            return SettingError(f"{noun} {place}", f"there is none of that name, but {known}")
        reason = _bound_in_words(first) or first["msg"].removeprefix("Value error, ").rstrip(".")
        return SettingError(f"{noun} {place}" if place else "", reason, place)

    @field_validator("*", mode="after")
    @classmethod
    def _is_a_choice(cls, value: Any, info: ValidationInfo) -> Any:
        choices = _marked(cls.model_fields[str(info.field_name)], Choices)
        if choices is not None and value is not None and not cls.is_record:
            for each in value if isinstance(value, tuple) else (value,):
                choices.check(each)
        return value

    @classmethod
    def of(cls, settings: Self | None, keywords: Mapping[str, Any]) -> Self:
        """Return settings, changed by plain keywords.

        Parameters
        ----------
        settings : SettingsModel or None
            Of this class; its defaults where None.
        keywords : mapping
            Fields that differ.
        """
        if settings is None:
            return cls(**keywords)
        if not keywords:
            return settings
        return cls(**{**settings.given(), **keywords})

    def given(self) -> dict[str, Any]:
        """Return the fields that were given, not left to their defaults."""
        return {name: getattr(self, name) for name in self.model_fields_set}


@dataclass(frozen=True)
class Declared:
    """A field of settings as a command line or a form needs to know it.

    Attributes
    ----------
    name, title, help : str
        Its name, what a form calls it, and a sentence.
    kind : str
        What is asked for: a ``flag``, a ``whole`` or other ``number``, one ``choice``, ``text``, a
        ``path``, several ``names``, ``pairs`` of names and values, or a ``size``.
    default : object
        What is taken where nothing is given.
    optional : bool
        Whether nothing, None, may be given.
    choices : mapping of str to str
        The choices with a word on each; empty where anything may be given.
    low, high : float or None
        Bounds, both included unless `low_excluded` or `high_excluded`.
    option : str
        The command line's name for it, without the hyphens.
    heading : str
        Of the group that it belongs to.
    placeholder : str
        What an empty field of a form shows.
    repeatable : bool
        Whether several values may be given, see `Repeatable`.
    is_folder : bool
        Whether a path is that of a folder.
    """

    name: str
    title: str
    help: str
    kind: Kind
    default: Any
    optional: bool
    choices: Mapping[str, str]
    low: float | None
    high: float | None
    low_excluded: bool
    high_excluded: bool
    option: str
    heading: str
    placeholder: str
    repeatable: bool = False
    is_folder: bool = False


def declared_fields(model: type[BaseModel]) -> tuple[Declared, ...]:
    """Return all fields of a model, also of a method's parameters, as they were declared."""
    return tuple(
        _declared(model, name, field, *_plain_type(field.annotation))
        for name, field in model.model_fields.items()
    )


def _declared(
    model: type[BaseModel], name: str, field: FieldInfo, plain: Any, optional: bool
) -> Declared:
    choices = _marked(field, Choices)
    option, placeholder = _marked(field, OptionName), _marked(field, Placeholder)
    low, high = _marked(field, Ge) or _marked(field, Gt), _marked(field, Le) or _marked(field, Lt)
    words: Mapping[str, str] = {} if choices is None else choices.words()
    if not words and get_origin(plain) is Literal:
        words = {str(value): "" for value in get_args(plain)}
    return Declared(
        name=name,
        title=field.title or name.replace("_", " ").capitalize(),
        help=field.description or "",
        kind=_kind(plain, bool(words)),
        # Some releases ask for the values of other fields where a default is made.
        default=field.get_default(call_default_factory=True, validated_data={}),
        optional=optional,
        choices=words,
        low=_bound(low),
        high=_bound(high),
        low_excluded=isinstance(low, Gt),
        high_excluded=isinstance(high, Lt),
        option=name.replace("_", "-") if option is None else option.name,
        heading=_heading(model, name),
        placeholder="" if placeholder is None else placeholder.text,
        repeatable=_marked(field, Repeatable) is not None,
        is_folder=_marked(field, Folder) is not None,
    )


def redeclared(model: type[SettingsModel], name: str, default: Any) -> Any:
    """Return the declaration of another model's field, with another default."""
    field = model.model_fields[name]
    return FieldInfo.merge_field_infos(field, default=default)


def _plain_type(annotation: Any) -> tuple[Any, bool]:
    """Return a type without None and without what annotates it, and whether None was there."""
    if get_origin(annotation) is typing.Annotated:
        return _plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        others = [each for each in get_args(annotation) if each is not type(None)]
        return _plain_type(others[0])[0], len(others) < len(get_args(annotation))
    return annotation, False


def _kind(plain: Any, has_choices: bool) -> Kind:
    origin = get_origin(plain) or plain
    if origin is Size:
        return "size"
    if origin is tuple:
        return "names"
    if origin in (dict, Mapping):
        return "pairs"
    if has_choices:
        return "choice"
    kinds: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", Path: "path"}
    return kinds.get(origin, "text")


def _marked(field: FieldInfo, kind: type[Any]) -> Any:
    """Return the first mark of a kind among those of a field's type, or None."""
    return next((each for each in field.metadata if isinstance(each, kind)), None)


def _bound(mark: Any) -> float | None:
    if mark is None:
        return None
    return float(
        next(getattr(mark, name) for name in ("ge", "gt", "le", "lt") if hasattr(mark, name))
    )


def _heading(model: type[BaseModel], name: str) -> str:
    return _home(model, name, "heading") or "Settings"


def _home(model: type[BaseModel], name: str, attribute: str) -> str:
    """Return what the class that a field comes from, farthest up, says of itself."""
    homes = [each for each in model.__mro__ if name in getattr(each, "__annotations__", {})]
    return str(getattr(homes[-1], attribute, "")) if homes else ""


def _bound_in_words(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a number that is out of its bounds, else an empty text."""
    words = {
        "greater_than_equal": ("ge", "{} or more"),
        "greater_than": ("gt", "above {}"),
        "less_than_equal": ("le", "{} or less"),
        "less_than": ("lt", "below {}"),
    }
    if error["type"] not in words:
        return ""
    name, text = words[error["type"]]
    return f"{error['input']} is not {text.format(error['ctx'][name])}"
