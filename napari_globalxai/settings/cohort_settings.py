"""How a cohort table is read, where a guess does not do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from napari_globalxai.errors import InputError
from napari_globalxai.settings.declared import Folder, Placeholder, SettingsModel
from napari_globalxai.settings.lists import join_pairs, split_names, split_pairs

_GUESSED = Placeholder("Found by its name")


class CohortSettings(SettingsModel):
    """Which columns of a table play which role, and what their values mean."""

    noun: ClassVar[str] = "cohort setting"
    heading: ClassVar[str] = "Cohort table"

    image_root: Annotated[Path | None, Folder(), Placeholder("The table's")] = Field(
        default=None,
        title="Image folder",
        description="Folder of the images; by default the table's",
    )
    file_column: Annotated[str | None, _GUESSED] = Field(
        default=None,
        title="File column",
        description="Column of the image files; two, one for each side, where a row is a patient",
    )
    laterality_column: Annotated[str | None, _GUESSED] = Field(
        default=None,
        title="Side column",
        description="Column of L and R, by which images are mirrored; none: there is no such",
    )
    laterality_values: Annotated[str | None, Placeholder("0=L,1=R")] = Field(
        default=None,
        title="Side values",
        description="What the values of the side column mean, such as 0=L,1=R; it goes before "
        "what they would mean without it",
    )
    laterality_pattern: Annotated[str | None, Placeholder("(OD|OS)")] = Field(
        default=None,
        title="Side pattern",
        description="Regular expression that finds the side in a file's name, such as (OD|OS); "
        "none: do not guess it",
    )
    patient_column: Annotated[str | None, _GUESSED] = Field(
        default=None, title="Patient column", description="Column of patients"
    )
    label_columns: Annotated[tuple[str, ...] | None, Placeholder("All of 0 and 1")] = Field(
        default=None,
        title="Label columns",
        description="0/1 columns to take as labels, in place of every one that is no covariate",
    )
    label_values: Annotated[str | None, Placeholder("-1=unknown")] = Field(
        default=None,
        title="Label values",
        description="What values of the label columns mean, such as -1=unknown,blank=0, or what "
        "is uncertain in a word: U-Ones, U-Zeros or U-Ignore",
    )
    exclude_labels: tuple[str, ...] | None = Field(
        default=None, title="No labels", description="0/1 columns that are no labels"
    )
    class_column: Annotated[str | None, _GUESSED] = Field(
        default=None,
        title="Class column",
        description="The one class column of a multi-class table",
    )
    class_values: Annotated[str | None, Placeholder("1=glioma")] = Field(
        default=None,
        title="Class values",
        description="The model's label for values of the class column, such as "
        "1=meningioma,2=glioma; several with | between them; none or unknown where it has none",
    )

    @field_validator("laterality_values", "label_values", "class_values", mode="before")
    @classmethod
    def _text_of_pairs(cls, value: object) -> object:
        text = join_pairs(value) if isinstance(value, Mapping | list | tuple) else value
        if isinstance(text, str):
            _split(split_pairs, text)
        return text

    @field_validator("label_columns", "exclude_labels", mode="before")
    @classmethod
    def _names_of_text(cls, value: object) -> object:
        return _split(split_names, value) if isinstance(value, str) else value

    @field_validator("file_column", mode="before")
    @classmethod
    def _one_or_two_columns(cls, value: object) -> object:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return ",".join(f'"{name}"' for name in value)
        return value


def _split(split: Callable[[str], Any], text: str) -> Any:
    """Return what a text splits into; pydantic adds the field's name to what is wrong with it."""
    try:
        return split(text)
    except InputError as why:
        raise ValueError(str(why)) from why
