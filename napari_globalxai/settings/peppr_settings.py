"""What is chosen for PEPPR."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from napari_globalxai.catalogue import FILLS
from napari_globalxai.settings.declared import Choices, Placeholder, SettingsModel


class PepprSettings(SettingsModel):
    """What is chosen for PEPPR."""

    noun: ClassVar[str] = "PEPPR setting"
    heading: ClassVar[str] = "PEPPR"

    fill: Annotated[str, Choices(FILLS.summaries, FILLS.noun, FILLS.plural)] = Field(
        default="mean-image", title="Fill", description="What erased pixels show"
    )
    steps: int = Field(
        default=30,
        ge=4,
        le=1000,
        title="Steps",
        description="Steps of the curves along the map, rounded up to even",
    )
    control_steps: int = Field(
        default=6,
        ge=3,
        le=1000,
        title="Control steps",
        description="Steps, out of those, at which controls are evaluated, most of them early; "
        "Δ is compared on these alone",
    )
    controls: int = Field(
        default=499,
        ge=0,
        le=9999,
        title="Controls",
        description="Control orders of each family at most; shifts are all tested, as far as there "
        "are as many",
    )
    adaptive: bool = Field(
        default=True,
        title="Adaptive",
        description="Stop drawing controls as soon as p is clearly on one side of 0.05",
    )
    folds: int = Field(
        default=5,
        ge=1,
        le=100,
        title="Folds",
        description="Folds of patients, each tested along a map of the others; 1 tests on the "
        "images that the map is made of, as do cohorts with too few patients",
    )
    judge_labels: bool = Field(
        default=False,
        title="Judge by label",
        description="Judge the overall map by each label, too, not by all together alone",
    )
    bootstrap: int = Field(
        default=400,
        ge=20,
        le=100_000,
        title="Resamples",
        description="Resamples of patients for the intervals",
    )
    fewest_positives: int = Field(
        default=10,
        ge=2,
        title="Fewest positives",
        description="Patients with, and without, a label that are needed for a verdict, and for "
        "the map of each fold",
    )
    seed: int = Field(default=0, ge=0, title="Seed", description="Of ties, controls and resamples")
    valid_share: Annotated[float | None, Placeholder("As for the maps")] = Field(
        default=None,
        ge=0,
        le=1,
        title="Valid share",
        description="Share of images whose field of view holds a pixel that is ranked; by default "
        "as for the maps, 0 ranks the full frame",
    )
