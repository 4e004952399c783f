"""What is chosen for a comparison of two runs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from napari_globalxai.settings.aggregation_settings import SCALES
from napari_globalxai.settings.declared import Choices, Placeholder, SettingsModel


class CompareSettings(SettingsModel):
    """What is chosen for a comparison of two runs."""

    noun: ClassVar[str] = "comparison setting"
    heading: ClassVar[str] = "Comparison"

    labels: Annotated[tuple[str, ...] | None, Placeholder("All that both have")] = Field(
        default=None, title="Labels", description="Labels whose maps are compared"
    )
    where: Annotated[str, Placeholder("Images that carry the label")] = Field(
        default="",
        title="Images",
        description="Query over the first run's images.csv that chooses whose maps are compared; "
        "by default those that carry the label",
    )
    scale: Annotated[Literal["none", "max", "mass"], Choices(SCALES)] = Field(
        default="mass",
        title="Scale",
        description="How each image's map is scaled; of two models or methods, only maps of one "
        "mass tell where it lies",
    )
    permutations: int = Field(
        default=1000,
        ge=19,
        le=1_000_000,
        title="Permutations",
        description="Sign flips of patients; 19 are the fewest that can reach p = 0.05",
    )
    threshold: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        title="Threshold",
        description="Probability from which an image counts as predicted positive",
    )
    seed: int = Field(default=0, ge=0, title="Seed", description="Of the permutations")
