"""Asks where a run's images are now, where they are not any more where the run says."""

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QWidget

from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.path_field import PathField
from napari_globalxai.widgets.fields.settings_form import FormRows
from napari_globalxai.widgets.layers.run_layers import RunLayers
from napari_globalxai.widgets.session.remembered import moved_to, remember_moved
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.panel import Panel


class MovedImages(QWidget):
    """Appears where the file of the image in view is gone; takes the folder that it is in now.

    Each file must have the content that the run was made of.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    layers : RunLayers
        What shows the image.

    Attributes
    ----------
    said : QLabel
        Which image is gone, or why it is not the one that was named.
    field : PathField
        The folder.
    """

    def __init__(self, panel: Panel, layers: RunLayers) -> None:
        super().__init__()
        self._session = layers.session
        self.said = text_label()
        self.said.setAccessibleName("What is wrong with the image's file")
        self.field = PathField("Choose the folder of the images")
        self.field.setToolTip("Where the images are now; each is taken if its content is the same")
        form = FormRows()
        form.form.addRow("Images", self.field)
        box = in_column(self)
        box.addWidget(self.said)
        box.addWidget(form)
        self.field.edited.connect(self._on_edited)
        panel.follow(layers.native_moved, self._on_moved)
        panel.follow(layers.native_shown, self._on_shown)
        panel.follow(self._session.view_changed, self._on_view)
        self.hide()
        if self._session.view is not None:
            self._on_view()

    def _on_view(self, *what: object) -> None:
        self.hide()
        run = self._session.run
        known = None if run is None else moved_to(str(run.folder))
        if run is not None and known is not None and self._session.image_folder_of(run) is None:
            self._session.name_image_folder(run, known)

    def _on_moved(self, sentence: str) -> None:
        words = in_panel_words(sentence)
        # Also where another panel is in front.
        show_error(plain(words))
        self.said.setText(f"⚠ {words}")
        self.show()

    def _on_edited(self) -> None:
        run, folder = self._session.run, self.field.path
        # Leaving the field counts as editing it.
        if run is None or folder is None or folder == self._session.image_folder_of(run):
            return
        self._session.name_image_folder(run, folder)
        self._session.show_native(True)

    def _on_shown(self, row: int) -> None:
        run = self._session.run
        folder = None if run is None else self._session.image_folder_of(run)
        if run is not None and folder is not None and self.isVisibleTo(self.parentWidget()):
            remember_moved(str(run.folder), folder)
        self.hide()
