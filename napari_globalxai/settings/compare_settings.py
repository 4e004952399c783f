"""What is chosen for a comparison of two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from napari_globalxai.settings.aggregation_settings import SCALES
from napari_globalxai.settings.declared import Choices, Folder, Placeholder, SettingsModel


class OtherRun(SettingsModel):
    """With which run one is compared, and what the comparison is called."""

    noun: ClassVar[str] = "comparison setting"
    heading: ClassVar[str] = "Comparison"

    other: Annotated[Path | None, Folder()] = Field(
        default=None,
        title="Other run",
        description="Folder of the run that is taken away from the one on show",
    )
    name: Annotated[str, Placeholder("with-shortcut")] = Field(
        default="",
        title="Name",
        description="What to call it; its folder in comparisons gets this name",
    )


class CompareSettings(SettingsModel):
    """What is chosen for a comparison of two runs."""

    noun: ClassVar[str] = "comparison setting"
    heading: ClassVar[str] = "Comparison"

    labels: Annotated[tuple[str, ...] | None, Placeholder("All that both have")] = Field(
        default=None, title="Labels", description="Labels whose maps are compared"
    )
    where: Annotated[str, Placeholder("With the label")] = Field(
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
