"""What `explain` takes of a table and a model, and why it refuses them, as `check` tells before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from napari_globalxai.attribution.method import Method, make_method
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.inputs.label_names import choose_labels
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.statistics.recorded_statistics import declared_statistics


def check_names(cohort: Cohort, model: Classifier) -> None:
    """Refuse files whose names no table and no record can hold, as names on Linux may be.

    Raises
    ------
    InputError
        When there is one.
    """
    for path in (model.source, cohort.source, *cohort.files):
        try:
            str(path).encode()
        except UnicodeEncodeError as why:
            raise InputError(
                f"{str(path)!a} has letters that are no text (UTF-8); rename the file or folder."
            ) from why


def labels_to_explain(
    cohort: Cohort, model: Classifier, settings: ExplainSettings
) -> tuple[str, ...]:
    """Return the labels to explain.

    Raises
    ------
    InputError
        When there are none, or a run folder cannot hold their names.
    """
    return choose_labels(cohort, model.labels, settings.labels)


def method_for(model: Classifier, settings: ExplainSettings) -> tuple[Method, CellGrid]:
    """Return the method, and where the cells of its maps lie.

    Raises
    ------
    InputError
        When its settings cannot be used, or it does not fit the network.
    """
    # A statistic of another package that cannot be used is refused here, too.
    declared_statistics()
    method = make_method(settings.method, **settings.method_settings)
    # A network that cannot be split fails here, before any image was read.
    grid = method.grid(model)
    if settings.pooling > 1 and not grid.is_frame:
        raise InputError(
            f"The maps of {method.name} have {' × '.join(map(str, grid.shape))} cells; only maps "
            "with a value a pixel are pooled."
        )
    return method, grid


def refusals(
    cohort: Cohort,
    model: Classifier,
    settings: ExplainSettings,
    image: npt.NDArray[np.uint8] | None = None,
) -> list[str]:
    """Return all that `explain` would refuse of a table and a model, a sentence each.

    Parameters
    ----------
    cohort : Cohort
        The images.
    model : Classifier
        The model.
    settings : ExplainSettings
        What would be explained, and how.
    image : numpy.ndarray, optional
        One in the frame, (channel, height, width), on which the method is tried: some of them tell
        only then that they do not fit a network.
    """
    found: list[str] = []

    def told(step: Callable[[], object]) -> None:
        try:
            step()
        except InputError as why:
            found.append(str(why))

    def fit_method() -> None:
        method, _ = method_for(model, settings)
        if image is not None:
            # One label of one image, as `explain` would.
            method.attribute(model, model.to_input(image[None]), (0,))

    told(lambda: check_names(cohort, model))
    told(lambda: labels_to_explain(cohort, model, settings))
    told(fit_method)
    return found
