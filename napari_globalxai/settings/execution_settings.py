"""Where and how work runs; none of it decides what comes out, but for roundings."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import Field, field_validator, model_validator

from napari_globalxai.settings.declared import Choices, Placeholder, SettingsModel

_ADDRESS = re.compile(r".+://.+|.+:\d+")
PRECISIONS = {
    "auto": "The fastest that a trial on some of the images shows to be harmless",
    "float32": "Full precision",
    "tf32": "Factors rounded to ten bits, on CUDA",
    "bfloat16-gradients": "Half-size numbers in the backward pass alone",
    "bfloat16": "Half-size numbers with the range of full ones",
    "float16": "Half-size numbers",
}
# What is not taken over from a result: the device of another machine, and whom to connect to, which
# a file of somebody else's is not to say.
OF_THIS_MACHINE = ("device", "scheduler")


class DeviceSettings(SettingsModel):
    """On what a model runs."""

    noun: ClassVar[str] = "execution setting"
    heading: ClassVar[str] = "Computing"

    device: str = Field(
        default="auto", title="Device", description="auto, cpu, cuda, mps …: where the model runs"
    )
    batch_size: Annotated[int | None, Placeholder("Fastest")] = Field(
        default=None,
        ge=1,
        title="Batch size",
        description="Images a forward; by default as many as are fastest and fit into memory",
    )


class ExecutionSettings(DeviceSettings):
    """On what a model runs, and in which number format."""

    precision: Annotated[str, Choices(PRECISIONS)] = Field(
        default="auto", title="Precision", description="Number format"
    )


class WorkerSettings(SettingsModel):
    """How many processes share the work, or where they are."""

    noun: ClassVar[str] = "execution setting"
    heading: ClassVar[str] = "Computing"

    workers: Annotated[int | None, Placeholder("One")] = Field(
        default=None,
        ge=1,
        title="Workers",
        description="Processes of Dask on this machine that share the work",
    )
    scheduler: Annotated[str | None, Placeholder("None")] = Field(
        default=None,
        title="Scheduler",
        description="Address of the scheduler of a Dask cluster that does the work, such as "
        "tcp://cluster:8786; its workers must see the same files",
    )

    @field_validator("scheduler")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        # Of a name alone Dask tells after a minute, with a traceback.
        if value is not None and not _ADDRESS.fullmatch(value):
            raise ValueError(f"{value!r} is no address such as tcp://cluster:8786")
        return value

    @model_validator(mode="after")
    def _one_of_both(self) -> WorkerSettings:
        if self.workers is not None and self.scheduler is not None:
            raise ValueError(
                "a cluster has its own workers; give either their number or the scheduler"
            )
        return self
