"""What PEPPR can be asked beside the curves along one map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from napari_globalxai.settings.declared import (
    Choices,
    Folder,
    OptionName,
    Repeatable,
    SettingsModel,
)

WITH_CONTROLS, PAPER = "with-controls", "paper"
PROTOCOLS = {
    WITH_CONTROLS: "Any map, held against control maps, across folds of patients, with a verdict",
    PAPER: "As close to the publication as its public sources allow: along the overall map, with "
    "neither controls nor folds nor verdict",
}
_OVERALL = "overall"


class PepprQuestion(SettingsModel):
    """What is asked."""

    noun: ClassVar[str] = "PEPPR setting"
    heading: ClassVar[str] = "PEPPR"

    maps: Annotated[tuple[str, ...], OptionName("map"), Repeatable()] = Field(
        default=(),
        title="Maps",
        description="overall, a label, or a TIFF file; of several, the maps are compared instead",
    )
    against: Annotated[tuple[Path, ...], Repeatable(), Folder()] = Field(
        default=(),
        title="Against",
        description="Another run, or several, whose maps of these names are compared with this "
        "run's instead",
    )
    regions: Path | None = Field(
        default=None,
        title="Regions",
        description="Keep and erase whole regions instead: a labels image of the frame's size, "
        "TIFF, PNG, npy or NIfTI; with one map, of that one alone, beside its curves",
    )
    protocol: Annotated[str, Choices(PROTOCOLS)] = Field(
        default=WITH_CONTROLS,
        title="Protocol",
        description="with-controls: a map is held against controls, across folds of patients, and "
        "judged; paper: as close to the publication as its public sources allow, along the overall "
        "map, with none of these",
    )
    per_image: bool = Field(
        default=False,
        title="Image by image",
        description="Test each image along its own map instead: another question than the cohort's",
    )

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked but the curves along one map."""
        return not (self.regions or self.compares or self.per_image or self.protocol == PAPER)

    @property
    def compares(self) -> bool:
        """Whether maps are compared."""
        return bool(self.against) or len(self.maps) > 1

    @property
    def one_map(self) -> str | None:
        """The map that was named, where it is one."""
        return self.maps[0] if len(self.maps) == 1 else None

    @property
    def clash(self) -> str:
        """What cannot be asked at once and what to leave out, in a sentence; empty without."""
        others = [
            option
            for option, is_asked in (
                ("--regions", self.regions is not None),
                ("--against", bool(self.against)),
                ("--map", len(self.maps) > 1),
            )
            if is_asked
        ]
        if self.protocol == PAPER and (self.per_image or others):
            return f"--protocol: the published one is run by itself; leave {_all(others)} out."
        if self.protocol == PAPER and self.one_map not in (None, _OVERALL):
            return "--protocol: the published one runs along the overall map; leave --map out."
        if self.per_image and others:
            return f"--per-image: images are tested by themselves; leave {_all(others)} out."
        if self.regions is not None and len(self.maps) > 1:
            return (
                "--map: several maps can only be compared; name one, or leave out what else is "
                "asked."
            )
        if self.regions is not None and self.against:
            return "--regions: are those of this run alone; leave --against out."
        return ""


def _all(options: list[str]) -> str:
    return " and ".join(options) or "--per-image"
