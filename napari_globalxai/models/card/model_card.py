"""The model card: the facts about a classifier that its weights do not tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from napari_globalxai.cohort.naming import same_names
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.input_card import InputCard, PerImageCard
from napari_globalxai.models.files.yaml_text import parse_text
from napari_globalxai.settings.declared import Choices
from napari_globalxai.storage import absence_of_file, check_regular, is_regular, read_bytes

CARD_SUFFIXES = (".yaml", ".yml")
MODEL_SUFFIXES = (
    *CARD_SUFFIXES,
    *(".safetensors", ".pt", ".pth", ".ts", ".ckpt", ".pt2", ".onnx", ".zip"),
)
# What a card's template has where only the user knows the fact.
FILL_IN = "FILL IN"

__all__ = ["InputCard", "ModelCard", "NetworkCard", "PerImageCard", "read_card", "validate_card"]


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

    name: str | None = Field(
        default=None,
        title="Network of MONAI",
        description="a network of MONAI by name, such as resnet34",
    )
    timm: str | None = Field(
        default=None,
        title="Network of timm",
        description="a model of timm by name, such as convnext_tiny",
    )
    factory: str | None = Field(
        default=None,
        title="Your own network",
        description="package.module:function, or file.py:function beside the card",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        title="Its arguments",
        description="keyword arguments of the network, such as {num_classes: 4}",
    )

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

    weights: str = Field(description="the file beside this card")
    labels: tuple[str, ...] = Field(min_length=1, description="in the order of the model's outputs")
    input: InputCard = Field(description="what the model takes")
    activation: Annotated[
        Literal["sigmoid", "softmax", "none"],
        Choices(
            {
                "sigmoid": "Labels may occur together",
                "softmax": "One class an image",
                "none": "The model gives probabilities itself",
            }
        ),
    ] = Field(
        default="sigmoid", description="sigmoid, softmax, or none where the model applies it itself"
    )
    orientation: Literal["L"] = Field(
        default="L", description="trained on images of right sides mirrored to lie as left ones do"
    )
    cam_layer: str | None = Field(
        default=None,
        title="CAM layer",
        description="where Grad-CAM looks; without this line, the last stage",
    )
    network: NetworkCard | None = Field(default=None, description="what the state dict belongs to")
    name: str = Field(default="", description="a name for people")
    modality: str = Field(
        default="", description="what the images are, such as retina or chest X-ray"
    )
    weights_key: str | None = Field(
        default=None,
        title="Weights key",
        description="which weights of a checkpoint that holds several, such as state_dict_ema",
    )

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

    @field_validator("activation")
    @classmethod
    def _tells_classes_apart(cls, value: str, others: ValidationInfo) -> str:
        # Every probability would be 1, and no log-odds a number.
        if value == "softmax" and len(others.data.get("labels", ())) == 1:
            raise ValueError(
                "the softmax of one output is 1 for every image; write sigmoid, or name the label "
                "of each output"
            )
        return value

    @field_validator("labels")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(str.strip, value)):
            raise ValueError("a label is empty; give each output of the model its name")
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
    card_path = given if given.suffix.lower() in CARD_SUFFIXES else find_card(given)
    if card_path is None:
        raise InputError(
            f"{given}: needs a model card beside it, {given.stem}.yaml, with labels and input; "
            f"this writes one to fill in: napari-globalxai card {given.name}"
        )
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
    open_facts = sorted(unfilled(content))
    if open_facts:
        raise InputError(f"{source}: still has facts to fill in: {', '.join(open_facts)}.")
    try:
        return ModelCard.model_validate(content)
    except ValidationError as why:
        raise InputError(f"{source}: {_first_problem(why)}") from why


def unfilled(content: Any, where: str = "") -> Iterator[str]:
    """Give the places in a card that still hold what its template put there."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from unfilled(value, f"{where}.{key}".lstrip("."))
    elif isinstance(content, list):
        if any(FILL_IN in str(item) for item in content):
            yield where
    elif FILL_IN in str(content):
        yield where


def find_card(weights: Path) -> Path | None:
    """Return the card that stands beside weights, if any."""
    candidates = [weights.with_suffix(suffix) for suffix in CARD_SUFFIXES]
    candidates += [weights.parent / f"model{suffix}" for suffix in CARD_SUFFIXES]
    return next((each for each in candidates if is_regular(each)), None)


def _first_problem(why: ValidationError) -> str:
    first = why.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ")
    more = f" (and {why.error_count() - 1} more)" if why.error_count() > 1 else ""
    return f"the card's {where or 'content'} is wrong: {message}{more}."
