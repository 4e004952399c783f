"""What is chosen for PEPPR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from napari_globalxai.catalogue import FILLS, IMAGE_FILL_PREFIX
from napari_globalxai.settings.declared import Choices, Placeholder, Repeatable, SettingsModel

AREAS = {
    "valid": "What lies in the field of view of enough images",
    "frame": "The whole frame",
}


class PepprSettings(SettingsModel):
    """What is chosen for PEPPR."""

    noun: ClassVar[str] = "PEPPR setting"
    heading: ClassVar[str] = "PEPPR"

    fill: Annotated[
        str | tuple[str, ...],
        Choices(FILLS.summaries, FILLS.noun, FILLS.plural, (IMAGE_FILL_PREFIX,)),
        Repeatable(),
    ] = Field(
        default="mean-image",
        title="Fill",
        description="What erased pixels show; image:FILE takes a picture of the frame's size, and "
        "with several each gives a verdict",
    )
    steps: int = Field(
        default=30,
        ge=4,
        le=1000,
        title="Steps",
        description="Steps of the curves along the map at most, rounded up to even",
    )
    step_tolerance: float = Field(
        default=0.005,
        ge=0,
        lt=0.5,
        title="Step tolerance",
        description="How far Δ and the fractions that suffice may be off for want of steps: the "
        "map's steps are placed where its curves bend until they are not, and 0 takes the same "
        "steps for every map",
    )
    control_steps: int = Field(
        default=6,
        ge=3,
        le=1000,
        title="Control steps",
        description="Steps, out of those, at which controls are evaluated, most of them early; "
        "Δ is compared on these alone",
    )
    judged_up_to: float = Field(
        default=1.0,
        gt=0,
        le=1,
        title="Judged up to",
        description="Share of the pixels over which the map is held against its controls; 0.2 "
        "takes half of the forwards and suits compact findings, not scattered ones",
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
    random_weights: bool = Field(
        default=True,
        title="Random weights",
        description="Compare a run's own map with that of the model with random weights, for which "
        "some of the images are explained once more",
    )
    judge_labels: bool = Field(
        default=False,
        title="Judge by label",
        description="Judge the overall map by each label, too, not by all together alone",
    )
    most_images: int = Field(
        default=0,
        ge=0,
        title="Images at most",
        description="Test on about so many images, of whole patients that are drawn evenly over "
        "the labels; 0 tests on all. The map is of all images either way",
    )
    bootstrap: int = Field(
        default=400,
        ge=20,
        le=100_000,
        title="Resamples",
        description="Resamples of patients for the intervals of fractions that suffice",
    )
    remade_maps: int = Field(
        default=0,
        ge=0,
        le=1000,
        title="Remade maps",
        description="How often a run's own map is made again of half of its patients, and tested, "
        "so that the interval of Δ holds the luck of who they were",
    )
    fewest_positives: int = Field(
        default=10,
        ge=2,
        title="Fewest positives",
        description="Patients with, and without, a label that are needed for a verdict, and for "
        "the map of each fold",
    )
    area: Annotated[str, Choices(AREAS)] = Field(
        default="valid", title="Area", description="What is ranked, erased and restored"
    )
    seed: int = Field(
        default=0, ge=0, title="Seed", description="Of ties, controls, resamples and noise"
    )
    valid_share: Annotated[float | None, Placeholder("As maps")] = Field(
        default=None,
        ge=0,
        le=1,
        title="Valid share",
        description="Share of images whose field of view holds a pixel that is ranked; by default "
        "as for the maps, 0 ranks the full frame",
    )

    @property
    def fills(self) -> tuple[str, ...]:
        """All fills that are chosen, each once."""
        chosen = (self.fill,) if isinstance(self.fill, str) else self.fill
        return tuple(dict.fromkeys(chosen))

    @property
    def first_fill_alone(self) -> str:
        """What questions that take one fill say of several, in a sentence; empty for one."""
        if len(self.fills) < 2:
            return ""
        return f"Of the fills, {self.fills[0]} alone is taken here."

    @field_validator("fill")
    @classmethod
    def _at_least_one_fill(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value:
            raise ValueError("name at least one fill")
        return value


class PepprPlaces(SettingsModel):
    """Where PEPPR finds what it needs, and where its results go."""

    noun: ClassVar[str] = "PEPPR setting"
    heading: ClassVar[str] = "PEPPR"

    model: Path | None = Field(
        default=None, title="Model", description="The model, if it has moved"
    )
    map_from: Path | None = Field(
        default=None,
        title="Map from",
        description="Another run, whose map of that name is tested on the images of this one",
    )
    out: Path | None = Field(
        default=None, title="Results", description="Folder for the results, in place of the run's"
    )
