"""The part of a model's card that tells what the network takes as input."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from napari_globalxai.settings.declared import Choices
from napari_globalxai.settings.fit import FITS, MORE, STRETCH, Fit

# What a plain number of channels means for a colour photograph.
_CHANNELS_BY_COUNT = {1: ("grey",), 2: ("red", "green"), 3: ("red", "green", "blue")}
# Beyond what an image's numbers can be, sums of them overflow.
_LARGEST = 1e30
_LONGEST_SIDE = 2**31 - 1


def _no_truth(value: Any) -> Any:
    """Refuse true and false where a number is meant: they would count as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"it is {str(value).lower()}, which is no number")
    return value


def _bounded(value: float) -> float:
    # Written so that NaN is refused, too.
    if not abs(value) <= _LARGEST:
        raise ValueError(f"it is {value:g}, but no number of at most {_LARGEST:g}")
    return value


_Number = Annotated[float, BeforeValidator(_no_truth), AfterValidator(_bounded)]
_Side = Annotated[int, BeforeValidator(_no_truth), Field(gt=0, le=_LONGEST_SIDE)]


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

    scaling: Annotated[
        Literal["z-score", "min-max"],
        Choices(
            {
                "z-score": "To mean 0 and SD 1",
                "min-max": "From its least and its greatest value to the range",
            }
        ),
    ] = Field(title="Image scaling", description="how each image is scaled by its own")
    channel_wise: bool = Field(
        default=False,
        title="Each channel by itself",
        description="each channel is scaled by its own values",
    )
    nonzero: bool = Field(
        default=False,
        title="Leave out pixels of value 0",
        description="of z-score: pixels of value 0 are left out and stay 0",
    )

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
    fit : str
        How images of another shape fill the frame, see `napari_globalxai.settings.fit.FITS`.
    transforms : tuple of dict
        In place of `range`, `mean`, `std` and `per_image`: MONAI's transforms, each by its
        ``_target_`` and its arguments, that take an image of 0–255 to the network's input, see
        `napari_globalxai.models.files.transform_chain`.
    """

    model_config = ConfigDict(extra="forbid")

    channels: tuple[Literal["red", "green", "blue", "grey"], ...] = Field(
        description="names out of red, green, blue, grey, in the model's order, or their number"
    )
    height: _Side = Field(description="pixels")
    width: _Side = Field(description="pixels")
    range: tuple[_Number, _Number] = Field(
        default=(0.0, 1.0),
        description="values of black and of full brightness, before mean and std",
    )
    mean: tuple[_Number, ...] = Field(default=(0.0,), description="one value, or one a channel")
    std: tuple[_Number, ...] = Field(
        default=(1.0,), title="Standard deviation", description="one value, or one a channel"
    )
    per_image: PerImageCard | None = Field(
        default=None, description="each image is scaled by its own values"
    )
    transposed: bool = Field(default=False, description="the network sees columns as rows")
    fit: Annotated[str, Choices(FITS, prefixes=MORE)] = Field(
        default=STRETCH, description="how images of another shape fill the frame"
    )
    transforms: tuple[dict[str, Any], ...] = Field(
        default=(), description="what takes an image of 0-255 to the network's input"
    )

    @property
    def frame(self) -> dict[str, Any]:
        """What decides how images are brought into the frame, by name."""
        return {"size": (self.height, self.width), "channels": self.channels, "fit": self.fit}

    @model_serializer(mode="wrap")
    def _leave_out_what_came_later(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not given, as `NetworkCard` does: runs are known again by the card."""
        given: dict[str, Any] = dump(self)
        for name in ("per_image", "transposed", "transforms"):
            if not getattr(self, name):
                given.pop(name, None)
        if self.fit == STRETCH:
            given.pop("fit", None)
        return given

    @field_validator("fit")
    @classmethod
    def _fit_is_known(cls, value: str) -> str:
        Fit.read(value)
        return value

    @field_validator("transforms", mode="before")
    @classmethod
    def _transforms_by_name(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [{"_target_": step} if isinstance(step, str) else step for step in value]

    @field_validator("transforms")
    @classmethod
    def _transforms_are_named(cls, value: tuple[dict[str, Any], ...]) -> Any:
        for step in value:
            if not isinstance(step.get("_target_"), str):
                raise ValueError("each of transforms needs a _target_, the name of a transform")
        return value

    @field_validator("per_image", mode="before")
    @classmethod
    def _scaling_by_word(cls, value: Any) -> Any:
        return {"scaling": value} if isinstance(value, str) else value

    @field_validator("channels", mode="before")
    @classmethod
    def _channels_by_count(cls, value: Any) -> Any:
        if isinstance(_no_truth(value), int):
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
        by_z_score = self.per_image is not None and self.per_image.scaling == "z-score"
        if by_z_score and not self._has_no_scale:
            raise ValueError("per_image: z-score leaves no range, mean or std to give")
        if self.transforms and (self.per_image is not None or not self._has_no_scale):
            raise ValueError("transforms leave no range, mean, std or per_image to give")
        return self

    @property
    def _has_no_scale(self) -> bool:
        return (self.range, set(self.mean), set(self.std)) == ((0.0, 1.0), {0.0}, {1.0})
