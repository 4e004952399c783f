"""How image-wise maps become a global map."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from napari_globalxai.settings.declared import Choices, OptionName, SettingsModel

Part = Literal["positive", "absolute", "signed"]
PARTS = {
    "positive": "What speaks for the label",
    "absolute": "What speaks for or against it, alike",
    "signed": "Both, which cancel each other where images differ",
}
Selection = Literal[
    "positives",
    "predicted-positives",
    "true-positives",
    "false-positives",
    "false-negatives",
    "true-negatives",
    "negatives",
    "all",
]
SELECTIONS = {
    "positives": "Images that truly carry the label",
    "predicted-positives": "Images whose probability reaches the threshold",
    "true-positives": "Images that carry it and reach the threshold",
    "false-positives": "Images that lack it and reach the threshold",
    "false-negatives": "Images that carry it and stay below the threshold",
    "true-negatives": "Images that lack it and stay below the threshold",
    "negatives": "Images that truly lack the label",
    "all": "All images",
}
SCALES = {
    "none": "As they are: a confident prediction weighs more",
    "max": "To maximum 1: every image weighs alike, also an unsure one",
    "mass": "To sum 1: every image weighs alike, narrow maps stand out",
}
CONSTANT_MAPS = {
    "counted": "They enter the mean, as images in which nothing speaks for the label",
    "left-out": "They are counted, but do not enter the mean",
}


class AggregationSettings(SettingsModel):
    """What decides how image-wise maps become a global map."""

    noun: ClassVar[str] = "aggregation setting"
    heading: ClassVar[str] = "Averaging"

    selection: Annotated[Selection, Choices(SELECTIONS), OptionName("select")] = Field(
        default="positives", title="Images", description="Which images enter a label's map"
    )
    part: Annotated[Part, Choices(PARTS)] = Field(
        default="positive",
        title="Part",
        description="What of each image's map enters, after channel reduction",
    )
    scale: Annotated[Literal["none", "max", "mass"], Choices(SCALES)] = Field(
        default="none", title="Scale", description="How each image's map is scaled"
    )
    threshold: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        title="Threshold",
        description="Probability from which an image counts as predicted positive",
    )
    constant_maps: Annotated[Literal["counted", "left-out"], Choices(CONSTANT_MAPS)] = Field(
        default="counted",
        title="Constant maps",
        description="What becomes of maps with one value only, such as an all-zero Grad-CAM",
    )
    smoothing: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        title="Smoothing",
        description="SD in pixels of the frame of a Gaussian over the finished map; 0 is none",
    )
    fewest_images: int = Field(
        default=20,
        ge=1,
        title="Fewest images",
        description="Below this number of images a map carries a warning",
    )
