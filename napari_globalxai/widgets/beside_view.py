"""Opens a second run beside the one on show, and says how alike their maps are."""

from pathlib import Path
from typing import Any, Optional

from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_globalxai.widgets.fold import Fold
from napari_globalxai.widgets.other_run import OtherRunLayers, open_beside, other_run_of
from napari_globalxai.widgets.panel import Panel
from napari_globalxai.widgets.parts import JobBar, flowing, text_label
from napari_globalxai.widgets.recognised import result_folder
from napari_globalxai.widgets.session import Session
from napari_globalxai.widgets.viewer_jobs import runner_of
from napari_globalxai.widgets.workers import JobRunner


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
    open_button, close_button : QPushButton
        Lay a run beside, take it away.
    said : QLabel
        Which run it is, and how alike the maps are.
    """

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__("Beside another run")
        self._session = session
        self.layers: OtherRunLayers = other_run_of(viewer)
        self.runner: JobRunner = runner_of(viewer, "Opening a second run")
        self.open_button = QPushButton("Open beside…")
        self.open_button.setToolTip("Lay a second run below, in step with the slider and the map")
        self.close_button = QPushButton("Take away")
        self.close_button.setToolTip("Show the first run alone again")
        self.said = text_label()
        self.said.setAccessibleName("Run beside")
        self.job_bar = JobBar(self.runner)
        content = QWidget()
        box = QVBoxLayout(content)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addLayout(flowing(self.open_button, self.close_button))
        box.addWidget(self.job_bar)
        box.addWidget(self.said)
        self.show_content(content)
        self.open_button.clicked.connect(self._on_clicked)
        self.close_button.clicked.connect(self.layers.close)
        self.runner.succeeded.connect(self._on_opened)
        panel.follow(self.layers.changed, self._on_changed)
        self._on_changed()

    def open_run(self, folder: Optional[Path] = None) -> None:  # noqa: UP045
        """Lay a run beside the one on show; without a folder, let the user pick it."""
        first = self._session.view
        if folder is None and first is not None:
            start = str(first.run.folder.parent)
            picked = QFileDialog.getExistingDirectory(self, "Open a run beside", start)
            folder = Path(picked) if picked else None
        if first is not None and folder is not None and not self.runner.is_running:
            chosen = result_folder(folder) or folder
            self.runner.run(
                lambda progress: open_beside(first, chosen, progress), then=self.layers.show
            )

    def _on_clicked(self) -> None:
        self.open_run()

    def _on_opened(self, other: object) -> None:
        self.job_bar.say("")

    def _on_changed(self) -> None:
        self.said.setText(self.layers.said)
        self.said.setVisible(bool(self.layers.said))
        self.close_button.setEnabled(self.layers.run is not None)
