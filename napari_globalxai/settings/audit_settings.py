"""What is chosen for an audit and for the search for failing slices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from napari_globalxai.settings.declared import Choices, Placeholder, SettingsModel

ERASING = {
    "none": "No region; the model is not needed",
    "found": "Those that findings name, where the model is there",
    "all": "Every region, which takes a prediction of the cohort for each",
}


class SearchSettings(SettingsModel):
    """What an audit and a search for slices have in common."""

    noun: ClassVar[str] = "search setting"
    heading: ClassVar[str] = "Search"

    columns: Annotated[tuple[str, ...] | None, Placeholder("All that part images")] = Field(
        default=None,
        title="Columns",
        description="Columns of images.csv that part images into subgroups; by default all that "
        "are neither truth nor prediction",
    )
    fewest_patients: int = Field(
        default=8,
        ge=2,
        title="Fewest patients",
        description="Patients that a subgroup, and the rest, must each have to be compared",
    )
    level: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        title="Level",
        description="Probability of any false finding in the whole search",
    )
    seed: int = Field(
        default=0, ge=0, title="Seed", description="Of permutations, resamples and clusters"
    )


class AuditSettings(SearchSettings):
    """What is chosen for an audit."""

    noun: ClassVar[str] = "audit setting"
    heading: ClassVar[str] = "Audit"

    regions: Annotated[Path | None, Placeholder("Modality's")] = Field(
        default=None,
        title="Regions",
        description="Labels image of the frame's size (TIFF, PNG or npy), a number a region, in "
        "place of the modality's own zones",
    )
    erase: Annotated[Literal["none", "found", "all"], Choices(ERASING)] = Field(
        default="found",
        title="Erase",
        description="Regions whose erasure is tried on the model",
    )
    permutations: int = Field(
        default=999,
        ge=199,
        le=99_999,
        title="Permutations",
        description="Permutations of the patients",
    )
    bootstrap: int = Field(
        default=1000,
        ge=100,
        le=100_000,
        title="Resamples",
        description="Resamples of patients for the intervals",
    )
    least_ratio: float = Field(
        default=1.5,
        ge=1,
        title="Least ratio",
        description="How many times its share of area a place must hold of a map to be a finding, "
        "however certain",
    )
    duplicates: bool = Field(
        default=True,
        title="Duplicates",
        description="Look for images of different patients that are nearly the same",
    )


class SlicesSettings(SearchSettings):
    """What is chosen to find slices in which the model fails."""

    noun: ClassVar[str] = "slices setting"
    heading: ClassVar[str] = "Slices"

    depth: int = Field(
        default=2,
        ge=1,
        le=3,
        title="Depth",
        description="Most conditions that a slice may join by and",
    )
    fewest_images: int = Field(
        default=10,
        ge=2,
        title="Fewest images",
        description="Images with, and without, the label that a slice and the rest must each have",
    )
    least_auc_loss: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        title="Least loss of AUC",
        description="How far below the rest an AUC must lie to be told",
    )
    least_miscalibration: float = Field(
        default=0.1,
        ge=0,
        le=1,
        title="Least miscalibration",
        description="How much further than the rest probabilities must lie from what happens",
    )
