"""What is chosen for the check against random weights."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from napari_globalxai.settings.declared import Choices, SettingsModel

BATCH_NORMS = {
    "fitted": "Means and variances of some of the images under the new weights",
    "reset": "Means 0 and variances 1",
    "kept": "Means and variances of the trained model",
}


class SanitySettings(SettingsModel):
    """What is chosen for the check against random weights."""

    noun: ClassVar[str] = "sanity setting"
    heading: ClassVar[str] = "Random weights"

    seeds: int = Field(
        default=19,
        ge=1,
        le=9999,
        title="Seeds",
        description="Models with random weights; 19 are the fewest that can reach p = 0.05",
    )
    images: int = Field(
        default=200,
        ge=4,
        title="Images",
        description="Most images a label that maps are made of again, of whole patients",
    )
    stages: int = Field(
        default=4,
        ge=1,
        le=100,
        title="Stages",
        description="Steps from the answer down to the first layer, for the first three seeds",
    )
    batch_norm: Annotated[Literal["fitted", "reset", "kept"], Choices(BATCH_NORMS)] = Field(
        default="fitted",
        title="Batch normalisation",
        description="What becomes of running means and variances",
    )
    splits: int = Field(
        default=100,
        ge=10,
        le=10_000,
        title="Splits",
        description="Splits of the patients into halves that tell how like itself a map can be",
    )
    seed: int = Field(
        default=0, ge=0, title="Seed", description="Of weights, of chosen images and of splits"
    )
