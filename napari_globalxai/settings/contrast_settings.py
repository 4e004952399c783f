"""What is chosen for a contrast between two sides of a run."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from napari_globalxai.settings.aggregation_settings import PARTS, SCALES, Part
from napari_globalxai.settings.declared import Choices, Placeholder, SettingsModel

CORRECTIONS = {
    "max-t": "Each cell against the greatest t of all cells",
    "tfce": "The same, of t enhanced by its clusters: finds what is broad",
}
_AS_THE_RUN = Placeholder("As the run")


class ContrastSides(SettingsModel):
    """What a contrast is called, and which images are compared."""

    noun: ClassVar[str] = "contrast setting"
    heading: ClassVar[str] = "Contrast"

    name: Annotated[str, Placeholder("sites")] = Field(
        default="", title="Name", description="What to call it; its folder gets this name"
    )
    a: Annotated[str, Placeholder("site == 'A'")] = Field(
        default="",
        title="Side A",
        description="Query of side A over images.csv, such as site == 'A'",
    )
    b: Annotated[str, Placeholder("site == 'B'")] = Field(
        default="", title="Side B", description="Query of side B"
    )


class ContrastSettings(SettingsModel):
    """What is chosen for a contrast between two sides of a run."""

    noun: ClassVar[str] = "contrast setting"
    heading: ClassVar[str] = "Contrast"

    labels: Annotated[tuple[str, ...] | None, Placeholder("All of the run")] = Field(
        default=None, title="Labels", description="Labels whose maps are compared"
    )
    label_a: Annotated[str | None, Placeholder("The same")] = Field(
        default=None,
        title="Label of side A",
        description="Compare this label's maps with those of the label of side B, of the same "
        "images or of the two sides",
    )
    label_b: Annotated[str | None, Placeholder("The same")] = Field(
        default=None, title="Label of side B", description="See the label of side A"
    )
    permutations: int = Field(
        default=1000,
        ge=19,
        le=1_000_000,
        title="Permutations",
        description="Exchanges of patients; 19 are the fewest that can reach p = 0.05",
    )
    correction: Annotated[Literal["max-t", "tfce"], Choices(CORRECTIONS)] = Field(
        default="max-t", title="Correction", description="How the family-wise error is held"
    )
    covariates: tuple[str, ...] = Field(
        default=(),
        title="Covariates",
        description="Columns of images.csv at whose equal values the sides are compared",
    )
    part: Annotated[Part | None, Choices(PARTS), _AS_THE_RUN] = Field(
        default=None, title="Part", description="What of each image's map is compared"
    )
    scale: Annotated[Literal["none", "max", "mass"] | None, Choices(SCALES), _AS_THE_RUN] = Field(
        default=None, title="Scale", description="How each image's map is scaled"
    )
    seed: int = Field(default=0, ge=0, title="Seed", description="Of the permutations")

    @model_validator(mode="after")
    def _labels_fit(self) -> ContrastSettings:
        if (self.label_a is None) != (self.label_b is None):
            raise ValueError("the labels of both sides are given together, or neither of them")
        if self.label_a is not None and self.labels is not None:
            raise ValueError("labels have no use where each side has its own; leave them out")
        return self
