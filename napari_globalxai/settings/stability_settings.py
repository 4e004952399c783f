"""What is chosen to tell whether a map is stable."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from napari_globalxai.settings.declared import Placeholder, SettingsModel


class StableMaps(SettingsModel):
    """Whose stability is asked."""

    noun: ClassVar[str] = "stability setting"
    heading: ClassVar[str] = "Stability"

    name: Annotated[str | None, Placeholder("The run's own maps")] = Field(
        default=None,
        title="Selection",
        description="Name of a selection whose maps were kept; else the run's own maps",
    )


class StabilitySettings(SettingsModel):
    """How often patients are drawn anew, and what is called stable."""

    noun: ClassVar[str] = "stability setting"
    heading: ClassVar[str] = "Stability"

    splits: int = Field(
        default=200,
        ge=100,
        le=100_000,
        title="Splits",
        description="Random splits of the patients into halves, and draws of each smaller size",
    )
    bootstrap: int = Field(
        default=1000,
        ge=100,
        le=100_000,
        title="Resamples",
        description="Resamples of patients for the bands around the map",
    )
    settled: float = Field(
        default=0.9,
        gt=0,
        lt=1,
        title="Settled",
        description="Reliability from which a map is called settled",
    )
    floor: float = Field(
        default=0.7,
        ge=0,
        le=1,
        title="Floor",
        description="Below this reliability a map carries a warning",
    )
    fewest_patients: int = Field(
        default=20,
        ge=2,
        title="Fewest patients",
        description="Below this number of patients a map carries a warning",
    )
    seed: int = Field(default=0, ge=0, title="Seed", description="Of the draws")
