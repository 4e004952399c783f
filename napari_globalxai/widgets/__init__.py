"""The napari plugin: all that touches napari or Qt.

The names of the manifest are imported on first use, so that napari starts quickly.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_globalxai.widgets.panels.images.images_widget import ImagesWidget
    from napari_globalxai.widgets.panels.maps.explain_widget import ExplainWidget
    from napari_globalxai.widgets.panels.peppr.peppr_widget import PepprWidget
    from napari_globalxai.widgets.panels.quality.quality_widget import QualityWidget
    from napari_globalxai.widgets.panels.regions.regions_widget import RegionsWidget

_HOME = {
    "ExplainWidget": "napari_globalxai.widgets.panels.maps.explain_widget",
    "ImagesWidget": "napari_globalxai.widgets.panels.images.images_widget",
    "PepprWidget": "napari_globalxai.widgets.panels.peppr.peppr_widget",
    "QualityWidget": "napari_globalxai.widgets.panels.quality.quality_widget",
    "RegionsWidget": "napari_globalxai.widgets.panels.regions.regions_widget",
}

__all__ = ["ExplainWidget", "ImagesWidget", "PepprWidget", "QualityWidget", "RegionsWidget"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # By napari's menu, in the GUI thread.
    from napari_globalxai.widgets.jobs.warm_up import import_beside

    value = getattr(import_beside(_HOME[name]), name)
    globals()[name] = value
    return value
