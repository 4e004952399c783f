"""The clusters of images that an audit found, as selections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_globalxai.errors import InputError
from napari_globalxai.statistics.global_map import OVERALL
from napari_globalxai.widgets.session.shown_maps import Selection

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


def cluster_of(run: Run, label: str, row: int) -> Selection:
    """Return the images that the model decided as it did an image, as far as their maps tell.

    Parameters
    ----------
    run : Run
        A run that was audited.
    label : str
        Whose maps.
    row : int
        The image.

    Raises
    ------
    InputError
        When there are no clusters, or the image is in none; the sentence says what to do.
    """
    from napari_globalxai.audit.strategy_files import read_clusters

    if label == OVERALL:
        raise InputError("Clusters are those of one label's maps; choose a label's map.")
    table = read_clusters(run)
    if table is None:
        raise InputError("No clusters are known yet; press “Audit” in the panel “Regions”.")
    own = table[table["label"] == label]
    numbers = own.loc[own["row"] == row, "cluster"]
    if not len(numbers):
        raise InputError(
            f"The image in view is in no cluster of {label}; go to one that carries the label."
        )
    number = int(numbers.iloc[0])
    rows = own.loc[own["cluster"] == number, "row"]
    of = int(own["cluster"].max())
    return Selection(f"cluster {number} of {of} of {label}", tuple(int(each) for each in rows))
