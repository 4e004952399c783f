"""Global explanations of medical image classifiers, and the proof that they are faithful.

The public names are imported on first use: importing this package loads neither torch, MONAI
nor Qt, so that the command line answers at once and napari does not stall at start-up.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from napari_globalxai.attribution.explainer import Explainer
    from napari_globalxai.audit.failing_slices import Slices, slices
    from napari_globalxai.audit.shortcut_audit import Audit, audit
    from napari_globalxai.cohort.table import Cohort, read_cohort
    from napari_globalxai.errors import Cancelled, InputError
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.models.classifier import Classifier
    from napari_globalxai.models.loaders import load_model
    from napari_globalxai.report.comparison_page import compare
    from napari_globalxai.runs.inputs.align_cohort import align
    from napari_globalxai.runs.inputs.quality_control import Quality, check_quality, open_quality
    from napari_globalxai.runs.peppr.compare_maps import compare_maps
    from napari_globalxai.runs.peppr.evaluate import peppr
    from napari_globalxai.runs.peppr.evaluate_otherwise import peppr_as_published, peppr_images
    from napari_globalxai.runs.peppr.evaluate_regions import peppr_regions
    from napari_globalxai.runs.pipeline import explain
    from napari_globalxai.runs.questions.contrast import contrast
    from napari_globalxai.runs.questions.image_outliers import outliers
    from napari_globalxai.runs.questions.map_stability import stability
    from napari_globalxai.runs.questions.sanity import sanity
    from napari_globalxai.runs.questions.selections import make_maps, open_selection
    from napari_globalxai.runs.run import Run, open_run

_HOME = {
    "Audit": "napari_globalxai.audit.shortcut_audit",
    "Cancelled": "napari_globalxai.errors",
    "Classifier": "napari_globalxai.models.classifier",
    "Cohort": "napari_globalxai.cohort.table",
    "Explainer": "napari_globalxai.attribution.explainer",
    "InputError": "napari_globalxai.errors",
    "PepprResult": "napari_globalxai.faithfulness.result",
    "Quality": "napari_globalxai.runs.inputs.quality_control",
    "Run": "napari_globalxai.runs.run",
    "Slices": "napari_globalxai.audit.failing_slices",
    "align": "napari_globalxai.runs.inputs.align_cohort",
    "audit": "napari_globalxai.audit.shortcut_audit",
    "check_quality": "napari_globalxai.runs.inputs.quality_control",
    "compare": "napari_globalxai.report.comparison_page",
    "compare_maps": "napari_globalxai.runs.peppr.compare_maps",
    "contrast": "napari_globalxai.runs.questions.contrast",
    "explain": "napari_globalxai.runs.pipeline",
    "load_model": "napari_globalxai.models.loaders",
    "make_maps": "napari_globalxai.runs.questions.selections",
    "open_quality": "napari_globalxai.runs.inputs.quality_control",
    "open_selection": "napari_globalxai.runs.questions.selections",
    "open_run": "napari_globalxai.runs.run",
    "outliers": "napari_globalxai.runs.questions.image_outliers",
    "peppr": "napari_globalxai.runs.peppr.evaluate",
    "peppr_as_published": "napari_globalxai.runs.peppr.evaluate_otherwise",
    "peppr_images": "napari_globalxai.runs.peppr.evaluate_otherwise",
    "peppr_regions": "napari_globalxai.runs.peppr.evaluate_regions",
    "read_cohort": "napari_globalxai.cohort.table",
    "sanity": "napari_globalxai.runs.questions.sanity",
    "stability": "napari_globalxai.runs.questions.map_stability",
    "slices": "napari_globalxai.audit.failing_slices",
}

__all__ = [
    "Audit",
    "Cancelled",
    "Classifier",
    "Cohort",
    "Explainer",
    "InputError",
    "PepprResult",
    "Quality",
    "Run",
    "Slices",
    "__version__",
    "align",
    "audit",
    "check_quality",
    "compare",
    "compare_maps",
    "contrast",
    "explain",
    "load_model",
    "make_maps",
    "open_quality",
    "open_run",
    "open_selection",
    "outliers",
    "peppr",
    "peppr_as_published",
    "peppr_images",
    "peppr_regions",
    "read_cohort",
    "sanity",
    "stability",
    "slices",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
