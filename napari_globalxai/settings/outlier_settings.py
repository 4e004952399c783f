"""What is chosen to compare images with the global maps."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from napari_globalxai.settings.aggregation_settings import SELECTIONS, Selection
from napari_globalxai.settings.declared import Choices, OptionName, Placeholder, SettingsModel


class OutlierSettings(SettingsModel):
    """Which images are compared with the global maps, and how many are shown."""

    noun: ClassVar[str] = "outlier setting"
    heading: ClassVar[str] = "Outliers"

    where: Annotated[str | None, Placeholder("All images")] = Field(
        default=None,
        title="Where",
        description="Which images are compared, as a query over the columns of images.csv, such "
        "as \"site == 'B' and age > 60\"",
    )
    labels: Annotated[tuple[str, ...] | None, Placeholder("Those of the run")] = Field(
        default=None, title="Labels", description="Labels that are looked at"
    )
    selection: Annotated[
        Selection | None,
        Choices(SELECTIONS),
        OptionName("select"),
        Placeholder("In the map"),
    ] = Field(
        default=None,
        title="Images",
        description="Which of these images are compared; by default those that make the label's "
        "map",
    )
    top: int = Field(
        default=20,
        ge=0,
        le=10_000,
        title="Shown",
        description="Outliers of each label whose residual maps and nearest images are written",
    )
    neighbours: int = Field(
        default=5,
        ge=1,
        le=1000,
        title="Neighbours",
        description="Nearest other images of each of them",
    )
