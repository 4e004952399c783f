"""How images are brought into the frame."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from napari_globalxai.catalogue import REGISTRATIONS
from napari_globalxai.images.image_file import split_page
from napari_globalxai.settings.declared import (
    Choices,
    OptionName,
    Placeholder,
    SettingsModel,
    Size,
    redeclared,
)
from napari_globalxai.settings.fit import FITS, MORE, STRETCH, Fit
from napari_globalxai.storage import absence_of_file, hash_file, hash_value

# To be counted up whenever the same file would come out differently in the same frame: what older
# versions made is then not taken over. Since 2, files say how many bits they use and what colours
# a JPEG stream in DICOM has, and an alpha that hides everything is left out.
ALIGNMENT_VERSION = 2
CHANNELS = {
    "red": "The red channel",
    "green": "The green channel",
    "blue": "The blue channel",
    "grey": "The mean of the three",
}


def registrations() -> dict[str, str]:
    """Return the ways to move images onto each other with a word on each."""
    still = {"none": "Images stay as they are, but for mirroring and size"}
    return {**still, **REGISTRATIONS.summaries()}


class AlignmentSettings(SettingsModel):
    """How images are moved onto each other."""

    noun: ClassVar[str] = "alignment setting"
    heading: ClassVar[str] = "Alignment"

    registration: Annotated[str, Choices(registrations), OptionName("register")] = Field(
        default="none",
        title="Registration",
        description="Whether images are moved so that the same place lies at the same pixel in "
        "all; the model then sees the moved images",
    )
    estimate_laterality: bool = Field(
        default=False,
        title="Estimate unknown sides",
        description="Tell sides from the images where neither table, DICOM nor file name says "
        "them; otherwise such an image is not mirrored",
    )
    template: Annotated[Path | None, Placeholder("The median image")] = Field(
        default=None,
        title="Onto",
        description="Image to move the others onto, not one to be mirrored; by default the median "
        "image of the cohort",
    )

    stored_bits: Annotated[int | None, Placeholder("As files")] = Field(
        default=None,
        ge=8,
        le=16,
        title="Stored bits",
        description="How many bits the numbers of 16-bit images have whose files do not tell: 12 "
        "where 4095 is white",
    )

    @model_validator(mode="after")
    def _template_is_used_and_there(self) -> Self:
        if self.template is None or self.is_record:
            return self
        if self.registration == "none":
            raise ValueError(
                f"the template {self.template} needs a registration, such as landmarks"
            )
        if why := absence_of_file(split_page(self.template)[0]):
            raise ValueError(f"the template {self.template} {why}")
        return self


class FrameSettings(AlignmentSettings):
    """The frame, and all that decides how an image looks in it."""

    heading: ClassVar[str] = "Frame"

    size: Size = Field(
        default=Size((384, 512)),
        title="Size",
        description="Height × width of the frame in pixels",
    )
    channels: Annotated[tuple[str, ...], Choices(CHANNELS)] = Field(
        default=("red", "green", "blue"),
        min_length=1,
        title="Channels",
        description="Channels to keep",
    )
    fit: Annotated[str, Choices(FITS, prefixes=MORE)] = Field(
        default=STRETCH,
        title="Fit",
        description="How images of another shape fill the frame: stretched; letterbox, resized "
        "with their aspect and filled up; crop, resized with their aspect and cut; native, as "
        "large as they are",
    )

    @model_validator(mode="before")
    @classmethod
    def _height_and_width(cls, values: Any) -> Any:
        """Take the size as two numbers, too."""
        if isinstance(values, Mapping) and {"height", "width"} & values.keys():
            rest = {name: value for name, value in values.items() if name not in _SIDES}
            default = cls.model_fields["size"].default
            sides = (values.get(name, side) for name, side in zip(_SIDES, default, strict=True))
            return {"size": tuple(sides), **rest}
        return values

    @model_validator(mode="after")
    def _fit_is_known(self) -> Self:
        fit = Fit.read(self.fit)
        if fit.kind != STRETCH and self.registration != "none" and not self.is_record:
            raise ValueError(
                f"images that fit by {fit.kind} cannot be registered; use --register none"
            )
        return self

    @property
    def height(self) -> int:
        """Height of the frame in pixels."""
        return self.size[0]

    @property
    def width(self) -> int:
        """Width of the frame in pixels."""
        return self.size[1]

    @cached_property
    def key(self) -> str:
        """Hash of the settings, and of how images are brought into a frame at all."""
        return self._key_of(ALIGNMENT_VERSION)

    def is_outdated(self, key: str) -> bool:
        """Return whether a key is that of this frame as older versions brought images into it."""
        return any(self._key_of(version) == key for version in range(1, ALIGNMENT_VERSION))

    def _key_of(self, version: int) -> str:
        settings: dict[str, Any] = {
            "height": self.height,
            "width": self.width,
            "channels": self.channels,
            "registration": self.registration,
            "estimate_sides": self.estimate_laterality,
            "template": None,
        }
        if self.template is not None:
            file, page = split_page(self.template)
            settings["template"] = [hash_file(file), page]
        # Keys of frames without it stay what they were.
        if self.stored_bits is not None:
            settings["stored_bits"] = self.stored_bits
        if self.fit != STRETCH:
            settings["fit"] = self.fit
        return hash_value([version, settings])


class CohortFrameSettings(FrameSettings):
    """The frame of a cohort that no model asks for: images are registered unless asked not to."""

    registration: Annotated[str, Choices(registrations), OptionName("register")] = redeclared(
        AlignmentSettings, "registration", "landmarks"
    )
    estimate_laterality: bool = redeclared(AlignmentSettings, "estimate_laterality", True)

    @model_validator(mode="before")
    @classmethod
    def _still_unless_stretched(cls, values: Any) -> Any:
        """Register only what can be, unless it was asked for."""
        if isinstance(values, Mapping) and values.get("fit", STRETCH) != STRETCH:
            return {"registration": "none", **values}
        return values


_SIDES = ("height", "width")
