"""Curves of maps that are compared, side by side, which fill in while that is done."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QWidget

from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.settings_form import FormRows
from napari_globalxai.widgets.panels.peppr.growing_curves import (
    CurvesUnderWay,
    GrowingMaps,
    SideBySide,
)
from napari_globalxai.widgets.panels.peppr.peppr_plot import PepprPlot
from napari_globalxai.widgets.session.session import Session, plain_viewer
from napari_globalxai.widgets.workbench.panel import Panel

_TIP = "Ctrl and wheel, + and −: closer; arrow keys: move; 0: all of it; Ctrl+S: save"


class ComparedCurves(QWidget):
    """Shows them below the bar of the work; they stay until another test or run.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.viewer.Viewer
        The viewer.
    session : Session
        Whose run is on show.
    growing : CurvesUnderWay
        What looks on.

    Attributes
    ----------
    label_box : QComboBox
        The label whose curves are shown.
    plot : PepprPlot
        The curves.
    """

    def __init__(
        self, panel: Panel, viewer: Any, session: Session, growing: CurvesUnderWay
    ) -> None:
        super().__init__()
        self._session, self._growing = session, growing
        self.label_box = choice_box("Label", "The label whose curves are shown")
        self.plot = PepprPlot(plain_viewer(viewer).theme, has_fraction=False)
        self.plot.setAccessibleName("Curves of the maps compared")
        self.plot.setToolTip(_TIP)
        rows = FormRows()
        rows.form.addRow("Label", self.label_box)
        box = in_column(self)
        box.addWidget(rows)
        box.addWidget(self.plot)
        self.label_box.currentTextChanged.connect(self._on_label)
        panel.follow(growing.grown, self.show_grown)
        panel.follow(plain_viewer(viewer).events.theme, self._on_theme)
        # Not shown before it has a place.
        self.hide()

    def show_grown(self, *what: object) -> None:
        """Show what there is of the run on show, or nothing."""
        run = self._session.run
        found: SideBySide | None = None if run is None else self._growing.of_run(run)
        self.setVisible(found is not None)
        if found is None:
            return
        shown = str(found.result.curves["label"].iloc[0])
        self.label_box.blockSignals(True)
        self.label_box.clear()
        self.label_box.addItems(list(found.result.areas))
        self.label_box.setCurrentText(shown)
        self.label_box.blockSignals(False)
        # Maps to come show this one, too.
        self._growing.label = shown
        others = tuple((each.map_name, each) for each in found.others)
        self.plot.show_result(found.result, shown, others, found.result.map_name)

    def begin(self, maps: GrowingMaps) -> None:
        """Forget what there was: other maps are compared."""
        run = self._session.run
        if run is not None:
            self._growing.look_on(run, maps)
        self.show_grown()

    def _on_label(self, label: str) -> None:
        self._growing.label = label

    def _on_theme(self, event: Any) -> None:
        self.plot.set_theme(event.value)
