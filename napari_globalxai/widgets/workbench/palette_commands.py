"""What can be done by a key or from napari's command palette."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_info

from napari_globalxai.widgets.layers.run_layers import layers_of
from napari_globalxai.widgets.session.image_ranking import facts_of, next_row
from napari_globalxai.widgets.session.looked_at import looked_at
from napari_globalxai.widgets.session.session import OVERALL, session_of
from napari_globalxai.widgets.words.plain_labels import plain

_MARKS = {
    "label": ("is_carrier", "that carries {name}"),
    "error": ("is_error", "that is predicted wrongly for {name}"),
    "outlier": ("is_outlier", "that is unlike the others with {name}"),
}


def go_to_next(viewer: Any, kind: str, step: int = 1) -> None:
    """Go to the next image of a kind, among those selected.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    kind : str
        ``label``, ``error`` or ``outlier``.
    step : int, optional
        1 for the next, −1 for the one before.
    """
    session = session_of(viewer)
    run, selection = session.run, session.selection
    if run is None:
        show_info("Open a run first, in the panel “Global explanations”.")
        return
    attribute, words = _MARKS[kind]
    marked = getattr(facts_of(run, session.map_name), attribute)
    row = next_row(marked, session.row, step, None if selection is None else selection.rows)
    if row is None:
        name = "any label" if session.map_name == OVERALL else session.map_name
        show_info(plain(f"There is no other image {words.format(name=name)}."))
    else:
        layers_of(viewer).step_to(row)


def toggle_map(viewer: Any) -> None:
    """Show or hide the global map."""
    layers = layers_of(viewer)
    layer = layers.layer("global map")
    if layer is not None and not layers.in_front:
        layers.bring_forward()
        layers.set_visible("global map", True)
    elif layer is not None:
        layers.set_visible("global map", not layer.visible)


# As the palette calls them: on the viewer that is in front.


def next_with_label() -> None:
    """Go to the next image that carries the label on show."""
    _in_front("label")


def previous_with_label() -> None:
    """Go to the image before that carries the label on show."""
    _in_front("label", -1)


def next_error() -> None:
    """Go to the next image that is predicted wrongly."""
    _in_front("error")


def previous_error() -> None:
    """Go to the image before that is predicted wrongly."""
    _in_front("error", -1)


def next_outlier() -> None:
    """Go to the next image that is unlike the others."""
    _in_front("outlier")


def previous_outlier() -> None:
    """Go to the image before that is unlike the others."""
    _in_front("outlier", -1)


def toggle_overlay() -> None:
    """Show or hide the global map."""
    import napari

    viewer = napari.current_viewer()
    if viewer is not None:
        toggle_map(viewer)


def to_explanations() -> None:
    """Open the global explanations, or bring them to the front, with the focus."""
    _lead_to("Global explanations")


def to_images() -> None:
    """Open the table of all images, or bring it to the front, with the focus."""
    _lead_to("All images")


def to_regions() -> None:
    """Open the regions, or bring them to the front, with the focus."""
    _lead_to("Regions")


def to_peppr() -> None:
    """Open PEPPR, or bring it to the front, with the focus."""
    _lead_to("PEPPR")


def to_quality() -> None:
    """Open the quality control, or bring it to the front, with the focus."""
    _lead_to("Quality control")


def go_back() -> None:
    """Go back to the map and the images that were looked at before."""
    import napari

    viewer = napari.current_viewer()
    if viewer is not None:
        looked_at(viewer).back()


def go_forward() -> None:
    """Go forward again to the map and the images that were left by going back."""
    import napari

    viewer = napari.current_viewer()
    if viewer is not None:
        looked_at(viewer).forward()


def _lead_to(panel: str) -> None:
    import napari

    # Whose panels import this.
    from napari_globalxai.widgets.workbench.open_panels import go_to_panel

    viewer = napari.current_viewer()
    if viewer is not None:
        go_to_panel(viewer, panel)


def _in_front(kind: str, step: int = 1) -> None:
    import napari

    viewer = napari.current_viewer()
    if viewer is not None:
        go_to_next(viewer, kind, step)
