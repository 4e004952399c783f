"""Opens a second run beside the one on show, and says how alike their maps are."""

from pathlib import Path
from typing import Any, Optional

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, flowing, raise_flag, red_flag, text_label
from napari_globalxai.widgets.fields.settings_form import FormRows
from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.layers.other_run import OtherRunLayers, open_beside, other_run_of
from napari_globalxai.widgets.layers.run_difference import MEANS, SHOWN, Differences, differences_of
from napari_globalxai.widgets.session.recognised import result_folder
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.workbench.panel import Panel


class BesideView(Fold):
    """A second run beside the first.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.viewer.Viewer
        The viewer.
    session : Session
        What the viewer works on.

    Attributes
    ----------
    layers : OtherRunLayers
        What is laid beside.
    runner : JobRunner
        Reads it.
    shown_box : QComboBox
        What the lower picture shows: its own map, or how the two runs differ.
    open_button, close_button : QPushButton
        Lay a run beside, take it away.
    said : QLabel
        Which run it is, and how alike the maps are.
    outside : QLabel
        A warning where much of the maps below lies outside the field of view.
    """

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__("Beside another run")
        self._session = session
        self.layers: OtherRunLayers = other_run_of(viewer)
        self.runner: JobRunner = runner_of(viewer, "Opening a second run")
        panel.follow(self.layers.changed, self._on_changed)
        self.make_content(self._make_parts, self.runner)

    def _make_parts(self) -> QWidget:
        self.open_button = QPushButton("Open beside…")
        self.open_button.setToolTip("Lay a second run below, in step with the slider and the map")
        self.close_button = QPushButton("Take away")
        self.close_button.setToolTip("Show the first run alone again")
        self.said = text_label()
        self.said.setAccessibleName("Run beside")
        self.outside = red_flag("Mass outside the field of view, below")
        self.shown_box = choice_box("Shown below", "What the lower picture shows")
        for name, (title, words) in SHOWN.items():
            self.shown_box.addItem(title, name)
            self.shown_box.setItemData(
                self.shown_box.count() - 1, words, Qt.ItemDataRole.ToolTipRole
            )
        self.job_bar = JobBar(self.runner)
        content = QWidget()
        box = in_column(content)
        box.addWidget(flowing(self.open_button, self.close_button))
        shown = FormRows()
        shown.form.addRow("Shown below", self.shown_box)
        box.addWidget(shown)
        box.addWidget(self.job_bar)
        box.addWidget(self.said)
        box.addWidget(self.outside)
        self.open_button.clicked.connect(self._on_clicked)
        self.close_button.clicked.connect(self.layers.close)
        self.shown_box.activated.connect(self._on_shown)
        self.runner.succeeded.connect(self._on_opened)
        self.runner.finished.connect(self._on_changed)
        self._on_changed()
        return content

    def open_run(self, folder: Optional[Path] = None) -> None:  # noqa: UP045
        """Lay a run beside the one on show; without a folder, let the user pick it."""
        first = self._session.view
        self.expand()
        if folder is None and first is not None:
            start = str(first.run.folder.parent)
            picked = QFileDialog.getExistingDirectory(self, "Open a run beside", start)
            folder = Path(picked) if picked else None
        if first is not None and folder is not None and not self.runner.is_running:
            chosen = result_folder(folder) or folder
            self.runner.run(
                lambda progress: open_beside(first, chosen, progress), then=self.layers.show
            )

    def show_instead(self, shown: str) -> None:
        """Show something else in the lower picture, one of `SHOWN`; runs are compared once."""
        other, layers = self.layers.other, self.layers
        if other is None or self.runner.is_running:
            self._on_changed()
        elif shown != MEANS or layers.has_differences:
            layers.show_instead(shown)
        else:

            def show(found: Differences) -> None:
                if layers.other is other:
                    layers.show_instead(MEANS, found)

            runs = (other.first.run, other.view.run)
            self.runner.run(lambda progress: differences_of(*runs, progress), then=show)

    def _on_shown(self, index: int) -> None:
        self.show_instead(self.shown_box.itemData(index))

    def _on_clicked(self) -> None:
        self.open_run()

    def _on_opened(self, other: object) -> None:
        self.job_bar.say("")

    def _on_changed(self) -> None:
        if not self.is_made:
            return
        self.said.setText(self.layers.said)
        self.said.setVisible(bool(self.layers.said))
        raise_flag(self.outside, self.layers.outside)
        is_there = self.layers.run is not None
        self.close_button.setEnabled(is_there)
        self.shown_box.setEnabled(is_there)
        self.shown_box.setCurrentIndex(self.shown_box.findData(self.layers.shown))
