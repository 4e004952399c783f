"""All that is chosen to explain a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from napari_globalxai.catalogue import METHODS
from napari_globalxai.settings.aggregation_settings import (
    PARTS,
    AggregationSettings,
    Part,
)
from napari_globalxai.settings.declared import (
    Choices,
    OptionName,
    Placeholder,
    SettingsModel,
)
from napari_globalxai.settings.execution_settings import ExecutionSettings, WorkerSettings
from napari_globalxai.settings.frame_settings import AlignmentSettings, FrameSettings

_METHODS_OWN = Placeholder("Method's own")


class MethodChoice(SettingsModel):
    """Which attribution method explains, and what of the model."""

    noun: ClassVar[str] = "method setting"
    heading: ClassVar[str] = "Method"

    method: Annotated[str, Choices(METHODS.summaries, METHODS.noun, METHODS.plural)] = Field(
        default="grad-cam",
        title="Method",
        description="How the model's output is traced back to pixels",
    )
    method_settings: Annotated[dict[str, Any], OptionName("set")] = Field(
        default_factory=dict,
        title="Method settings",
        description="Parameters of the method, such as steps=50",
    )
    cam_layer: Annotated[str | None, Placeholder("Card's, or last")] = Field(
        default=None,
        title="CAM layer",
        description="Layer for CAM methods in place of the card's",
    )


class ExplainSettings(
    WorkerSettings, ExecutionSettings, AlignmentSettings, AggregationSettings, MethodChoice
):
    """All that is chosen to explain a cohort.

    The fields of `AggregationSettings` may be given together, as a mapping `aggregation`.
    """

    noun: ClassVar[str] = "setting"
    heading: ClassVar[str] = AggregationSettings.heading

    labels: Annotated[tuple[str, ...] | None, Placeholder("All of the table")] = Field(
        default=None, title="Labels", description="Labels to explain"
    )

    part: Annotated[Part | None, Choices(PARTS), _METHODS_OWN] = Field(  # type: ignore[assignment]
        default=None,
        title="Part",
        description="What of each image's map enters, after channel reduction; by default what "
        "suits the method",
    )
    valid_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        title="Valid share",
        description="Share of images whose field of view must hold a pixel for it to be valid",
    )
    pooling: Annotated[int, OptionName("pool")] = Field(
        default=1,
        ge=1,
        title="Pooling",
        description="Pixel-level maps are averaged over squares of this side before they are "
        "stored, to save room; global maps keep the full resolution",
    )
    seed: int = Field(default=0, ge=0, title="Seed", description="Of everything random")

    @model_validator(mode="before")
    @classmethod
    def _spread_aggregation(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "aggregation" in values:
            rest = {name: value for name, value in values.items() if name != "aggregation"}
            group = values["aggregation"] or {}
            if isinstance(group, AggregationSettings):
                group = group.model_dump()
            unknown = [name for name in group if name not in AggregationSettings.model_fields]
            if unknown:
                known = ", ".join(AggregationSettings.model_fields)
                raise ValueError(
                    f"the aggregation setting {unknown[0]}: there is none of that name, but {known}"
                )
            return {**group, **rest}
        return values

    def aggregation_of(self, part: Part) -> AggregationSettings:
        """Return how maps are aggregated.

        Parameters
        ----------
        part : str
            The method's own, taken where none was chosen.
        """
        chosen = {name: getattr(self, name) for name in AggregationSettings.model_fields}
        return AggregationSettings.model_validate({**chosen, "part": self.part or part})

    def frame_of(self, of_model: Mapping[str, Any]) -> FrameSettings:
        """Return the frame that a model's card tells, with the alignment chosen."""
        alignment = {name: getattr(self, name) for name in AlignmentSettings.model_fields}
        return FrameSettings(**of_model, **alignment)
