"""What a number rests on: versions, hashes, device, settings."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari_globalxai
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.runs.inputs.table_reading import reading_of
from napari_globalxai.runs.record import CohortRecord, FrameRecord, ModelRecord
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.storage import hash_file, hash_value

if TYPE_CHECKING:
    # Aligning needs no model, and torch takes seconds to import.
    from napari_globalxai.models.classifier import Classifier

_PACKAGES = ("torch", "monai", "captum", "numpy", "scipy", "scikit-learn", "zarr", "pillow")


@cache
def code_hash() -> str:
    """Return a hash of the package's own source files."""
    root = Path(napari_globalxai.__file__).parent
    files = sorted(path for path in root.rglob("*.py") if "sample_data" not in path.parts)
    return hash_value([[path.relative_to(root).as_posix(), hash_file(path)] for path in files])


def environment(classifier: Classifier) -> dict[str, Any]:
    """Return versions, hash of the code, and device."""
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "version": napari_globalxai.__version__,
        "code_sha256": code_hash(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "device": str(classifier.device),
    }


def describe_cohort(cohort: Cohort) -> CohortRecord:
    """Return where the cohort came from and how its table was understood."""
    return CohortRecord(
        table=str(cohort.source.absolute()),
        sha256=cohort.sha256,
        images=len(cohort),
        patients=len(set(cohort.patients)),
        names_sha256=hash_value(list(cohort.names)),
        columns=cohort.guesses,
        reading=reading_of(cohort),
        warnings=cohort.warnings,
    )


def describe_frame(frame: FrameSettings) -> FrameRecord:
    """Return size and channels of a frame."""
    return FrameRecord(height=frame.height, width=frame.width, channels=frame.channels)


def describe_model(classifier: Classifier, split_at: str | None = None) -> ModelRecord:
    """Return where the model came from, its card and the hash of its weights.

    Parameters
    ----------
    classifier : Classifier
        The model.
    split_at : str, optional
        The CAM layer in use, where it was found and not named by the card.
    """
    return ModelRecord(
        source=str(classifier.source.absolute()) if classifier.source else None,
        sha256=classifier.digest,
        trusted=classifier.trusted,
        card=classifier.card,
        cam_layer=split_at or classifier.card.cam_layer,
    )
