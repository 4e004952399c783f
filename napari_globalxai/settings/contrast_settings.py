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
_AS_THE_RUN = Placeholder("As for the run's maps")


class ContrastSettings(SettingsModel):
    """What is chosen for a contrast between two sides of a run."""

    noun: ClassVar[str] = "contrast setting"
    heading: ClassVar[str] = "Contrast"

    labels: Annotated[tuple[str, ...] | None, Placeholder("All of the run")] = Field(
        default=None, title="Labels", description="Labels whose maps are compared"
    )
    label_a: Annotated[str | None, Placeholder("The same on both sides")] = Field(
        default=None,
        title="Label of side A",
        description="Compare this label's maps with those of --label-b, of the same images or of "
        "the two sides",
    )
    label_b: Annotated[str | None, Placeholder("The same on both sides")] = Field(
        default=None, title="Label of side B", description="See --label-a"
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
            raise ValueError("label_a and label_b are given together, or neither of them")
        if self.label_a is not None and self.labels is not None:
            raise ValueError("labels has no use beside label_a and label_b; leave it out")
        return self
