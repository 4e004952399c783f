"""What is chosen for PEPPR."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from napari_globalxai.faithfulness.fills import Fill


class PepprSettings(BaseModel):
    """What is chosen for PEPPR.

    Attributes
    ----------
    fill : str
        What erased pixels show: ``mean-image`` of the cohort, its ``mean-colour``, or ``black``.
    steps : int
        Steps of the curves along the map, rounded up to even.
    control_steps : int
        Steps, out of those, at which controls are evaluated. Δ is compared on these alone.
    controls : int
        Number of random and of circularly shifted orders each; 19 is the fewest that can reach
        p = 0.05.
    bootstrap : int
        Resamples of patients for the intervals.
    fewest_positives : int
        Images with (and without) a label needed for a verdict.
    seed : int
        Of ties, controls and resamples.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fill: Fill = "mean-image"
    steps: int = Field(default=30, ge=4, le=1000)
    control_steps: int = Field(default=6, ge=3)
    controls: int = Field(default=19, ge=0, le=9999)
    bootstrap: int = Field(default=200, ge=20)
    fewest_positives: int = Field(default=10, ge=2)
    seed: int = 0
