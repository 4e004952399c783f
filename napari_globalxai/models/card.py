"""The model card: the facts about a classifier that its weights do not tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from napari_globalxai.cohort.naming import same_names
from napari_globalxai.errors import InputError
from napari_globalxai.models.yaml_text import parse_text
from napari_globalxai.storage import absence_of_file, check_regular, is_regular, read_bytes

CARD_SUFFIXES = (".yaml", ".yml")
MODEL_SUFFIXES = (
    *CARD_SUFFIXES,
    *(".safetensors", ".pt", ".pth", ".ts", ".ckpt", ".pt2", ".onnx", ".zip"),
)
# What a card's template has where only the user knows the fact.
FILL_IN = "FILL IN"
# What a plain number of channels means for a colour photograph.
_CHANNELS_BY_COUNT = {1: ("grey",), 2: ("red", "green"), 3: ("red", "green", "blue")}


class NetworkCard(BaseModel):
    """The architecture that a state dict belongs to: of MONAI's, of timm's, or one's own.

    Attributes
    ----------
    name : str or None
        A network class or factory in `monai.networks.nets`, such as ``ResNet`` or ``resnet34``.
    timm : str or None
        In its place, the name of a model of timm's, such as ``convnext_tiny``; timm is an extra.
    factory : str or None
        In its place, one's own: ``package.module:function``, or ``file.py:function`` with a file
        beside the card. It is imported only where the user trusts the model.
    arguments : dict
        Keyword arguments.
    """

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    timm: str | None = None
    factory: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _leave_out_what_came_later(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a `timm` that is not given: runs are known again by how they noted the card."""
        given: dict[str, Any] = dump(self)
        if self.timm is None:
            given.pop("timm", None)
        return given

    @model_validator(mode="after")
    def _one_of_three(self) -> NetworkCard:
        given = [each for each in (self.name, self.timm, self.factory) if each is not None]
        if len(given) != 1:
            raise ValueError("give one of name (of MONAI's), timm and factory")
        if self.factory is not None and not all(self.factory.partition(":")[::2]):
            raise ValueError("a factory has the form module:function")
        return self


class PerImageCard(BaseModel):
    """How images are scaled one by one, as MONAI's transforms do.

    Attributes
    ----------
    scaling : str
        ``z-score``: to mean 0 and SD 1, as `NormalizeIntensity`; ``min-max``: from the least and
        the greatest value to the range, as `ScaleIntensity`.
    channel_wise : bool
        Whether each channel is scaled by its own values.
    nonzero : bool
        Of ``z-score``: whether pixels of value 0 are left out and stay 0.
    """

    model_config = ConfigDict(extra="forbid")

    scaling: Literal["z-score", "min-max"]
    channel_wise: bool = False
    nonzero: bool = False

    @model_validator(mode="after")
    def _nonzero_of_z_score(self) -> PerImageCard:
        if self.nonzero and self.scaling != "z-score":
            raise ValueError("nonzero belongs to z-score")
        return self


class InputCard(BaseModel):
    """What the model expects as input.

    Attributes
    ----------
    channels : tuple of str
        Channels in the model's order, out of ``red``, ``green``, ``blue``, ``grey``; a card may
        give their number instead: 1 is grey, 2 is red and green, 3 is red, green and blue.
    height, width : int
        Size in pixels; this is the frame, as people see the image.
    range : tuple of float
        Values that black and full brightness take before normalisation.
    mean, std : tuple of float
        Per channel, on the scale of `range`.
    per_image : PerImageCard or None
        How images are scaled one by one; ``z-score`` and ``min-max`` may be given as a word. Then
        `range` is where ``min-max`` ends, before `mean` and `std`; with ``z-score`` there is
        neither.
    transposed : bool
        Whether the network sees columns as rows, as it does where images were read by MONAI's
        `LoadImage` and not turned; it then takes (channel, width, height).
    """

    model_config = ConfigDict(extra="forbid")

    channels: tuple[Literal["red", "green", "blue", "grey"], ...]
    height: int = Field(gt=0)
    width: int = Field(gt=0)
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    per_image: PerImageCard | None = None
    transposed: bool = False

    @model_serializer(mode="wrap")
    def _leave_out_what_came_later(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not given, as `NetworkCard` does: runs are known again by the card."""
        given: dict[str, Any] = dump(self)
        for name in ("per_image", "transposed"):
            if not getattr(self, name):
                given.pop(name, None)
        return given

    @field_validator("per_image", mode="before")
    @classmethod
    def _scaling_by_word(cls, value: Any) -> Any:
        return {"scaling": value} if isinstance(value, str) else value

    @field_validator("channels", mode="before")
    @classmethod
    def _channels_by_count(cls, value: Any) -> Any:
        if isinstance(value, int):
            if value not in _CHANNELS_BY_COUNT:
                raise ValueError("the number of channels is 1, 2 or 3")
            return _CHANNELS_BY_COUNT[value]
        return value

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _scalar_to_tuple(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> InputCard:
        count = len(self.channels)
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) == 1:
                object.__setattr__(self, name, values * count)
            elif len(values) != count:
                raise ValueError(f"{name} has {len(values)} values for {count} channels")
        if min(self.std) <= 0:
            raise ValueError("std must be positive")
        if self.range[0] == self.range[1]:
            raise ValueError("range must not be empty")
        if self.per_image is not None and self.per_image.scaling == "z-score":
            fixed = (self.range, set(self.mean), set(self.std)) != ((0.0, 1.0), {0.0}, {1.0})
            if fixed:
                raise ValueError("per_image: z-score leaves no range, mean or std to give")
        return self


class ModelCard(BaseModel):
    """A classifier's card, `model.yaml` beside the weights.

    Attributes
    ----------
    weights : str
        File of the weights, relative to the card.
    labels : tuple of str
        Labels in the order of the model's outputs.
    input : InputCard
        What the model expects.
    activation : str
        ``sigmoid`` (labels may occur together) or ``softmax`` (one class an image) turns the
        model's outputs into probabilities; ``none`` where the model applies it itself.
    orientation : str
        ``L``: the model was trained on images of right sides mirrored to lie as left ones do.
    cam_layer : str or None
        Dotted name of the module whose output Grad-CAM uses; the last stage by default.
    network : NetworkCard or None
        The architecture, needed where the weights are a state dict.
    name : str
        A name for people.
    modality : str
        What the images are, for texts: ``retina``, or any noun, such as ``chest X-ray``.
    weights_key : str or None
        Which weights to take of a checkpoint that holds several, such as ``state_dict_ema``.
    """

    model_config = ConfigDict(extra="forbid")

    weights: str
    labels: tuple[str, ...] = Field(min_length=1)
    input: InputCard
    activation: Literal["sigmoid", "softmax", "none"] = "sigmoid"
    orientation: Literal["L"] = "L"
    cam_layer: str | None = None
    network: NetworkCard | None = None
    name: str = ""
    modality: str = ""
    weights_key: str | None = None

    @model_serializer(mode="wrap")
    def _leave_out_what_came_later(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not given, as `NetworkCard` does: runs are known again by the card."""
        given: dict[str, Any] = dump(self)
        for name in ("modality", "weights_key"):
            if not getattr(self, name):
                given.pop(name, None)
        return given

    @field_validator("labels", mode="before")
    @classmethod
    def _quoted(cls, value: Any) -> Any:
        other = [] if not isinstance(value, list | tuple) else value
        read = [label for label in other if not isinstance(label, str)]
        if read:
            raise ValueError(
                f"YAML reads a label as {read[0]!r}, since No, Yes, On, Off, numbers and dates are "
                'no text there; put labels in quotes, such as ["No", "1"]'
            )
        return value

    @field_validator("labels")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twins := same_names(value):
            raise ValueError(
                f"labels must differ by more than case, blanks, _ and - ({twins[0]}, {twins[1]})"
            )
        return value


def facts_that_matter(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a card, as a run noted it, without what only describes: models are compared by this.

    Parameters
    ----------
    card : mapping
        `ModelCard` as `model_dump` gives it, now or by an older version.
    """
    return {key: value for key, value in card.items() if key not in ("name", "modality")}


def read_card(path: str | Path) -> tuple[ModelCard, Path]:
    """Read a model card.

    Parameters
    ----------
    path : str or pathlib.Path
        The card, or the weights; the card is then looked for beside them, as ``<stem>.yaml`` or
        ``model.yaml``.

    Returns
    -------
    ModelCard
        The card.
    pathlib.Path
        The file of the weights.

    Raises
    ------
    InputError
        When the card is missing or wrong, or the weights it names are missing.
    """
    given = Path(path)
    if given.is_dir():
        given = given / "model.yaml"
    if kind := absence_of_file(given):
        raise InputError(f"{given}: the model {kind}.")
    card_path = given if given.suffix.lower() in CARD_SUFFIXES else _card_beside(given)
    try:
        content = parse_text(read_bytes(card_path))
    except InputError:
        raise
    except ValueError as why:
        raise InputError(f"{card_path}: is not a YAML file ({why}).") from why
    if not isinstance(content, dict):
        raise InputError(f"{card_path}: is not a model card, which is a YAML mapping.")
    if given != card_path:
        content["weights"] = given.name
    card = validate_card(content, card_path)
    weights = card_path.parent / card.weights
    if not weights.exists():
        raise InputError(f"{card_path}: the weights {card.weights} do not exist beside it.")
    check_regular(weights)
    return card, weights


def validate_card(content: Mapping[str, Any], source: Path) -> ModelCard:
    """Return the card of a mapping that was read from `source`, or raise `InputError`."""
    open_facts = sorted(_unfilled(content))
    if open_facts:
        raise InputError(f"{source}: still has facts to fill in: {', '.join(open_facts)}.")
    try:
        return ModelCard.model_validate(content)
    except ValidationError as why:
        raise InputError(f"{source}: {_first_problem(why)}") from why


def _unfilled(content: Any, where: str = "") -> Iterator[str]:
    """Give the places in a card that still hold what its template put there."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _unfilled(value, f"{where}.{key}".lstrip("."))
    elif isinstance(content, list):
        if any(FILL_IN in str(item) for item in content):
            yield where
    elif FILL_IN in str(content):
        yield where


def _card_beside(weights: Path) -> Path:
    candidates = [weights.with_suffix(suffix) for suffix in CARD_SUFFIXES]
    candidates += [weights.parent / f"model{suffix}" for suffix in CARD_SUFFIXES]
    for candidate in candidates:
        if is_regular(candidate):
            return candidate
    raise InputError(
        f"{weights}: needs a model card beside it, {weights.stem}.yaml, with labels and input; "
        f"this writes one to fill in: napari-globalxai card {weights.name}"
    )


def _first_problem(why: ValidationError) -> str:
    first = why.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ")
    more = f" (and {why.error_count() - 1} more)" if why.error_count() > 1 else ""
    return f"the card's {where or 'content'} is wrong: {message}{more}."
