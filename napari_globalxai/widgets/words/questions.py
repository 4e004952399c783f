"""What a finished run is asked from its panel: the questions of the commands, from their settings.

A question added to `QUESTIONS` appears in the panel by itself, with a form of its settings, and its
answer as the chapter of the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_globalxai.errors import InputError
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.settings.audit_settings import AuditSettings, SlicesSettings
from napari_globalxai.settings.compare_settings import CompareSettings, OtherRun
from napari_globalxai.settings.contrast_settings import ContrastSettings, ContrastSides
from napari_globalxai.settings.declared import (
    Declared,
    SettingError,
    SettingsModel,
    declared_fields,
)
from napari_globalxai.settings.execution_settings import DeviceSettings
from napari_globalxai.settings.map_settings import MapsSettings, SelectionName
from napari_globalxai.settings.outlier_settings import OutlierSettings
from napari_globalxai.settings.stability_settings import StabilitySettings, StableMaps

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

# A run, the settings in the order of the models, whether the model's code is trusted, progress.
Ask = Callable[["Run", Sequence[Any], bool, ProgressCallback], object]


@dataclass(frozen=True)
class Question:
    """A question that a command asks of a finished run.

    Attributes
    ----------
    name : str
        The command's.
    title, summary : str
        What it is called, and what it tells.
    chapter : str
        The chapter of the report that has its answer.
    models : tuple of type
        What is chosen.
    first : tuple of str
        Fields that are asked for at once; the others are folded away.
    ask : callable
        Asks it, and keeps the answer in the run. To be called in a worker.
    """

    name: str
    title: str
    summary: str
    chapter: str
    models: tuple[type[SettingsModel], ...]
    first: tuple[str, ...]
    ask: Ask

    def fields(self) -> tuple[Declared, ...]:
        """Return all that is asked for."""
        return tuple(each for model in self.models for each in declared_fields(model))

    def settings(self, values: Mapping[str, Any]) -> list[SettingsModel]:
        """Return the settings that values make.

        Raises
        ------
        InputError
            When one cannot be taken; the sentence calls it what the form does.
        """
        titles = {each.name: each.title for each in self.fields()}
        made = []
        for model in self.models:
            known = {name: value for name, value in values.items() if name in model.model_fields}
            try:
                made.append(model(**known))
            except SettingError as why:
                if why.field not in titles:
                    raise
                raise InputError(f"“{titles[why.field]}”: {why.reason}.") from why
        return made


def _maps(run: Run, chosen: Sequence[Any], trust: bool, progress: ProgressCallback) -> object:
    from napari_globalxai.runs.questions.selections import make_maps

    named, settings = chosen
    return make_maps(run, named.name, settings, progress=progress)


def _contrast(run: Run, chosen: Sequence[Any], trust: bool, progress: ProgressCallback) -> object:
    from napari_globalxai.runs.questions.contrast import contrast

    sides, settings = chosen
    return contrast(run, sides.name, sides.a, sides.b, settings, progress=progress)


def _stability(run: Run, chosen: Sequence[Any], trust: bool, progress: ProgressCallback) -> object:
    from napari_globalxai.runs.questions.map_stability import stability

    maps, settings = chosen
    return stability(run, maps.name, settings, progress=progress)


def _outliers(run: Run, chosen: Sequence[Any], trust: bool, progress: ProgressCallback) -> object:
    from napari_globalxai.runs.questions.image_outliers import outliers

    return outliers(run, chosen[0], progress=progress)


def _slices(run: Run, chosen: Sequence[Any], trust: bool, progress: ProgressCallback) -> object:
    from napari_globalxai.audit.failing_slices import slices

    return slices(run, chosen[0], progress=progress)


def _audit(run: Run, chosen: Sequence[Any], trust: bool, progress: ProgressCallback) -> object:
    from napari_globalxai.audit.shortcut_audit import audit

    settings, computing = chosen
    return audit(
        run,
        settings,
        device=computing.device,
        batch_size=computing.batch_size,
        trust=trust,
        progress=progress,
    )


def _compare(run: Run, chosen: Sequence[Any], trust: bool, progress: ProgressCallback) -> object:
    from napari_globalxai.report.comparison_chapter import COMPARISONS_FOLDER
    from napari_globalxai.report.comparison_page import compare

    other, settings = chosen
    if other.other is None:
        raise InputError("“Other run”: choose the folder of the run to compare with.")
    if not other.name.strip():
        raise InputError("“Name”: is empty; give the comparison a name, which its folder gets.")
    out = run.folder / COMPARISONS_FOLDER / file_stem(other.name)
    return compare(run, other.other, out, settings, progress=progress)


_ALL = (
    Question(
        "contrast",
        "Contrast",
        "Where do the maps of two groups of images differ? p is corrected for all places of a map.",
        "contrasts",
        (ContrastSides, ContrastSettings),
        ("name", "a", "b", "labels"),
        _contrast,
    ),
    Question(
        "maps",
        "Selection",
        "What do the maps of some images show: of a site, of what was wrongly predicted?",
        "selections",
        (SelectionName, MapsSettings),
        ("name", "where", "labels", "selection", "statistic"),
        _maps,
    ),
    Question(
        "stability",
        "Stability",
        "Would other patients give the same maps? Reliability, bands, and how many a map needs.",
        "stability",
        (StableMaps, StabilitySettings),
        ("name",),
        _stability,
    ),
    Question(
        "outliers",
        "Outliers",
        "Which images have maps that are unlike the global map?",
        "outliers",
        (OutlierSettings,),
        ("where", "labels"),
        _outliers,
    ),
    Question(
        "slices",
        "Failing slices",
        "In which parts of the cohort is ROC AUC or calibration worse than in the rest?",
        "slices",
        (SlicesSettings,),
        ("columns", "depth"),
        _slices,
    ),
    Question(
        "audit",
        "Audit",
        "Does anything look like a shortcut: places, subgroups, clusters? With one error rate.",
        "findings",
        (AuditSettings, DeviceSettings),
        ("columns", "erase"),
        _audit,
    ),
    Question(
        "compare",
        "Comparison",
        "What differs between the run on show and another one of the same images?",
        "comparisons",
        (OtherRun, CompareSettings),
        ("other", "name", "where", "labels"),
        _compare,
    ),
)
QUESTIONS: dict[str, Question] = {each.name: each for each in _ALL}
