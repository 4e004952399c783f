"""``run.json``: what a result folder holds and what its numbers rest on, typed and versioned.

The one module that reads and writes the file. A record of an older format is brought to the present
one when it is read; one of a newer format is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import ModelCard, facts_that_matter
from napari_globalxai.own_tables import is_record
from napari_globalxai.runs.folder import QUALITY_FILE, RUN_FILE, STACK_FOLDER, STORE_FOLDER
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.settings.frame_settings import AlignmentSettings
from napari_globalxai.storage import hash_value, read_json, write_json
from napari_globalxai.unusable import damaged

FORMAT = 2
Kind = Literal["run", "align", "check"]
# What a folder of each kind holds, and what to do with it.
_HOLDS: dict[str, tuple[str, str]] = {
    "run": ("a run", "open it as a run, with `report`, `peppr` or in napari"),
    "align": ("aligned images", "give it to `explain --aligned`"),
    "check": (
        "a quality control",
        "look at its quality.html, open it in the panel Quality control, or give it to "
        "`explain --aligned`",
    ),
}
_WANTED = {"RunRecord": "a run", "AlignRecord": "aligned images"}
# By which a folder is known to have been one of ours.
_LEFT_BESIDE = (STORE_FOLDER, STACK_FOLDER)
# What may differ between equal runs: where files lie, how it was computed.
_CIRCUMSTANCES = frozenset(
    ("batch_size", "precision", "device", "template", "cam_layer", "workers", "scheduler")
)


def _is_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


_Time = Annotated[str, AfterValidator(_is_time)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class TableReading(CohortSettings):
    """How the user had a table read; what was left to a guess is left out."""

    model_config = ConfigDict(extra="ignore")
    is_record: ClassVar[bool] = True

    @model_serializer(mode="wrap")
    def _as_given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value is not None}


class CohortRecord(_Part):
    """Where a cohort came from, how its table was to be read, and how it was understood."""

    table: str
    sha256: str
    images: int
    patients: int
    # Of the names of the images in their order; runs of earlier versions do not tell.
    names_sha256: str = ""
    columns: dict[str, str] = Field(default_factory=dict)
    reading: TableReading = Field(default_factory=TableReading)
    warnings: list[str] = Field(default_factory=list)


class ModelRecord(_Part):
    """Where a model came from, its card, and the hash of its weights.

    The hash is of the file, or of the parameters where the model came from none.
    """

    source: str | None
    sha256: str
    trusted: bool = False
    card: ModelCard
    cam_layer: str | None = None

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What stores of maps know the model by, JSON-like: what they left out stays left out."""
        values = self.model_dump(mode="json", exclude={"source", "trusted"})
        values["card"].pop("modality", None)
        return values

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this model and no other, whatever it is called; JSON-like."""
        values = self.fingerprint
        return {**values, "card": facts_that_matter(values["card"])}

    def is_of(self, sha256: str, card: ModelCard) -> bool:
        """Return whether a model with this hash and card is the recorded one."""
        cards = (facts_that_matter(each.model_dump(mode="json")) for each in (self.card, card))
        return self.sha256 == sha256 and next(cards) == next(cards)

    def named(self, name: str) -> ModelRecord:
        """Return the same model under another name."""
        return self.model_copy(update={"card": self.card.model_copy(update={"name": name})})


class FrameRecord(_Part):
    """Size and channels of the frame."""

    height: int
    width: int
    channels: tuple[str, ...]


class RunSettings(ExplainSettings):
    """The settings of a run as they were in force: nothing is left to a default.

    Attributes
    ----------
    alignment : str
        Hash of all that decides how an image looks in the frame, the template's content included.
    """

    is_record: ClassVar[bool] = True

    alignment: str = ""

    @model_validator(mode="before")
    @classmethod
    def _name_of_the_method(cls, values: Any) -> Any:
        method = values.get("method")
        if isinstance(method, dict):
            parameters = {name: value for name, value in method.items() if name != "name"}
            return {**values, "method": method["name"], "method_settings": parameters}
        return values

    @model_serializer(mode="plain")
    def _in_groups(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in type(self).model_fields}
        groups = {
            "method": {"name": values.pop("method"), **values.pop("method_settings")},
            "aggregation": {name: values.pop(name) for name in AggregationSettings.model_fields},
        }
        return {**groups, **values}

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that decide what comes out."""
        return {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name not in _CIRCUMSTANCES
        }

    @property
    def method_record(self) -> dict[str, Any]:
        """The method's name and parameters."""
        return {"name": self.method, **self.method_settings}


class AlignmentRecordSettings(AlignmentSettings):
    """How the images of a folder were aligned."""

    is_record: ClassVar[bool] = True


class RunCounts(_Part):
    """Images of a run by what became of them; constant maps by label."""

    images: int = 0
    explained: int = 0
    failed: int = 0
    constant_maps: dict[str, int] = Field(default_factory=dict)


class AlignCounts(_Part):
    """Images of an alignment by what became of them."""

    images: int = 0
    aligned: int = 0
    failed: int = 0
    registered: int = 0
    estimated_laterality: int = 0
    suspected_laterality: int = 0


class Record(_Part):
    """What every result folder tells of itself.

    Attributes
    ----------
    format : int
        Version of the record itself.
    kind : str
        What the folder holds: a ``run``, aligned images (``align``) or a quality control
        (``check``).
    status : str
        ``running`` until all is written, then ``finished``.
    started, finished : str
        Times in UTC, ISO 8601.
    cohort, frame, warnings
        What it rests on, and what to keep in mind, a sentence each.
    """

    format: int = FORMAT
    kind: Kind
    status: Literal["running", "finished"] = "running"
    started: _Time
    finished: _Time | None = None
    cohort: CohortRecord
    frame: FrameRecord
    warnings: list[str] = Field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Seconds from start to end, NaN while it runs."""
        if self.finished is None:
            return float("nan")
        end, start = (datetime.fromisoformat(text) for text in (self.finished, self.started))
        return (end - start).total_seconds()


class RunRecord(Record):
    """The record of a run; see `Record`.

    Attributes
    ----------
    version, code_sha256, python, platform, packages, device
        What it was computed with and on.
    model : ModelRecord
        The model.
    settings : RunSettings
        All settings in force.
    precision, precision_reason : str
        Number format that was taken, and why; empty before it was chosen.
    counts : RunCounts
        What became of the images.
    """

    kind: Literal["run"] = "run"
    version: str = ""
    code_sha256: str = ""
    python: str = ""
    platform: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    device: str = ""
    model: ModelRecord
    settings: RunSettings
    precision: str = ""
    precision_reason: str = ""
    counts: RunCounts = Field(default_factory=RunCounts)

    @property
    def fingerprint(self) -> str:
        """Hash of all that the stored maps depend on."""
        settings = self.settings
        return hash_value(
            [
                self.model.fingerprint,
                settings.method_record,
                list(settings.labels or ()),
                self.frame.model_dump(mode="json"),
                self.precision,
                settings.pooling,
                settings.alignment,
            ]
        )


class AlignRecord(Record):
    """The record of aligned images, or of a quality control; see `Record`."""

    kind: Literal["align", "check"] = "align"
    settings: AlignmentRecordSettings
    counts: AlignCounts = Field(default_factory=AlignCounts)
    problems: list[str] = Field(default_factory=list)


RecordT = TypeVar("RecordT", RunRecord, AlignRecord)


def has_record(folder: Path) -> bool:
    """Return whether a folder has a record."""
    return (folder / RUN_FILE).is_file()


def is_another_programs(folder: Path) -> bool:
    """Return whether a folder's ``run.json`` is whole, and no record of any version of ours."""
    path = folder / RUN_FILE
    try:
        values = read_json(path)
    except (OSError, ValueError, RecursionError):
        # What is wrong with it is said where it is opened.
        return False
    return not is_record(values)


def write_record(folder: Path, record: Record) -> None:
    """Write the record of a folder, atomically."""
    write_json(folder / RUN_FILE, record.model_dump(mode="json"))


def read_record(folder: Path) -> RunRecord | AlignRecord:
    """Read the record of a folder, whatever it holds.

    Raises
    ------
    InputError
        When there is none, it is damaged, or a newer version of this program wrote it.
    """
    path = folder / RUN_FILE
    if not path.exists():
        lost = [name for name in _LEFT_BESIDE if (folder / name).exists()]
        if lost:
            raise InputError(
                f"{path}: is missing, and nothing can be made of {' and '.join(lost)} without it; "
                "put it back, or make the folder anew elsewhere."
            )
    if not path.is_file():
        raise InputError(f"{folder}: is not a run folder, it has no {RUN_FILE}.")
    try:
        values = read_json(path)
        values = _migrated(folder, values)
        kind = RunRecord if values["kind"] == "run" else AlignRecord
        return kind.model_validate(values)
    except InputError as why:
        raise InputError(f"{path}: {why}") from why
    # What is no JSON, not of this form, or of other types.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as why:
        raise damaged(path) from why


def read_record_of(folder: Path, kind: type[RecordT]) -> RecordT:
    """Read the record of a folder that is to hold one kind of result.

    Raises
    ------
    InputError
        As `read_record`, and when the folder holds another kind.
    """
    record: Record = read_record(folder)
    if not isinstance(record, kind):
        raise InputError(other_kind(folder, record, _WANTED[kind.__name__]))
    return record


def other_kind(folder: Path, record: Record, wanted: str) -> str:
    """Return a sentence that says what a folder holds instead of what is wanted."""
    what, use = _HOLDS[record.kind]
    return f"{folder}: holds {what}, not {wanted}; {use}."


def what_it_holds(record: Record) -> str:
    """Return what a folder holds in words, such as ``a run``."""
    return _HOLDS[record.kind][0]


def _migrated(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Bring a record of an older format to the present one."""
    number = int(values.get("format", 1))
    if number > FORMAT:
        raise InputError(
            f"was written by a newer version of napari-globalxai (format {number}, this one reads "
            f"up to {FORMAT}); install the newest version."
        )
    for older in range(number, FORMAT):
        values = _MIGRATIONS[older](folder, values)
    return values


def _add_kind(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Format 1 called alignments and quality controls alike, and runs nothing."""
    if values.get("kind") == "alignment":
        kind = "check" if (folder / QUALITY_FILE).is_file() else "align"
    else:
        kind = "run"
    return {**values, "format": 2, "kind": kind}


_MIGRATIONS: dict[int, Callable[[Path, dict[str, Any]], dict[str, Any]]] = {1: _add_kind}
