"""What is chosen for the maps of some of a run's images."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from napari_globalxai.errors import InputError
from napari_globalxai.settings.aggregation_settings import (
    CONSTANT_MAPS,
    PARTS,
    SCALES,
    SELECTIONS,
    AggregationSettings,
    Part,
    Selection,
)
from napari_globalxai.settings.declared import Choices, OptionName, Placeholder, SettingsModel

STATISTICS_OF_CELLS = {
    "mean": "Mean over the images",
    "signed-mean": "Mean of what speaks for and against the label, which cancel each other",
    "median": "Median over the images",
    "trimmed-mean": "Mean without a tenth of the images at either end",
    "sd": "SD over the images",
    "standard-error": "Standard error of the mean, patients being the unit",
    "positive-share": "Share of images in which the place speaks for the label",
}
_AS_THE_RUN = Placeholder("As the run")
# The authors' public code scales each Grad-CAM map, clamped at 0, to maximum 1.
_OF_THE_PAPER: dict[str, Any] = {
    "statistic": "mean",
    "part": "positive",
    "scale": "max",
    "constant_maps": "counted",
    "smoothing": 0.0,
}


class SelectionName(SettingsModel):
    """Under which name maps of a selection are kept."""

    noun: ClassVar[str] = "map setting"
    heading: ClassVar[str] = "Global maps"

    name: Annotated[str, Placeholder("site-b")] = Field(
        default="",
        title="Name",
        description="Under which they are kept, in selections/NAME",
    )


class MapsSettings(SettingsModel):
    """Which images of a run, and how their maps become global maps.

    What is left open is as for the run's own maps.
    """

    noun: ClassVar[str] = "map setting"
    heading: ClassVar[str] = "Global maps"

    where: Annotated[str | None, Placeholder("All images")] = Field(
        default=None,
        title="Where",
        description="Which images, as a query over the columns of images.csv, such as "
        "\"site == 'B' and age > 60\"",
    )
    labels: Annotated[tuple[str, ...] | None, Placeholder("Those of the run")] = Field(
        default=None, title="Labels", description="Labels whose maps are made"
    )
    selection: Annotated[
        Selection | None, Choices(SELECTIONS), OptionName("select"), _AS_THE_RUN
    ] = Field(
        default=None,
        title="Images",
        description="Which of these images enter a label's map; by default as for the run",
    )
    threshold: Annotated[float | None, _AS_THE_RUN] = Field(
        default=None,
        gt=0,
        lt=1,
        title="Threshold",
        description="Probability from which an image counts as predicted positive",
    )
    part: Annotated[Part | None, Choices(PARTS), _AS_THE_RUN] = Field(
        default=None, title="Part", description="What of each image's map enters"
    )
    scale: Annotated[Literal["none", "max", "mass"] | None, Choices(SCALES), _AS_THE_RUN] = Field(
        default=None, title="Scale", description="How each image's map is scaled"
    )
    statistic: Annotated[str, Choices(STATISTICS_OF_CELLS)] = Field(
        default="mean", title="Statistic", description="What a map shows of its images"
    )
    constant_maps: Annotated[
        Literal["counted", "left-out"] | None, Choices(CONSTANT_MAPS), _AS_THE_RUN
    ] = Field(
        default=None,
        title="Constant maps",
        description="What becomes of maps with one value only",
    )
    smoothing: Annotated[float | None, _AS_THE_RUN] = Field(
        default=None,
        ge=0,
        le=1000,
        title="Smoothing",
        description="SD in pixels of the frame of a Gaussian over the finished map; 0 is none",
    )
    fewest_images: Annotated[int | None, _AS_THE_RUN] = Field(
        default=None,
        ge=1,
        title="Fewest images",
        description="Below this number of images a map carries a warning",
    )
    like_the_paper: bool = Field(
        default=False,
        title="Like the paper",
        description="As the public code of the method's authors does: the mean of positive parts, "
        "each image's map scaled to maximum 1, nothing smoothed",
    )

    def of_run(self, own: AggregationSettings) -> AggregationSettings:
        """Return how maps are made, what is left open as for the run's own.

        Parameters
        ----------
        own : AggregationSettings
            Of the run.

        Raises
        ------
        InputError
            When two choices contradict each other.
        """
        given = {
            name: value
            for name in AggregationSettings.model_fields
            if (value := getattr(self, name)) is not None
        }
        if self.like_the_paper:
            for name, value in _OF_THE_PAPER.items():
                if name in self.model_fields_set and getattr(self, name) not in (None, value):
                    raise InputError(
                        f"Like the paper means {name.replace('_', '-')} {value}, but "
                        f"{getattr(self, name)} was asked for; leave one of them out."
                    )
            given |= {name: value for name, value in _OF_THE_PAPER.items() if name != "statistic"}
        if self.statistic == "signed-mean":
            if given.get("part", "signed") != "signed":
                raise InputError(
                    f"The signed mean is that of signed maps, but part {given['part']} was asked "
                    "for; leave one of them out."
                )
            given["part"] = "signed"
        return AggregationSettings.model_validate({**own.model_dump(), **given})
