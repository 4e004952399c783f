"""Of which images a map is, and of what: selection, difference of two, statistic."""

from typing import Any, Optional

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_globalxai.errors import InputError
from napari_globalxai.settings.map_settings import STATISTICS_OF_CELLS
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.settings_form import FormRows
from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.panels.maps.keep_selection import KEEPING, KeepSelection
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.shown_maps import MapChoice, Selection, selection_of
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.workbench.panel import Panel

_TITLE = "Of which images"


class WhichImages(Fold):
    """Asks for maps of some of the images, less those of others, and keeps them in the run.

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
    refused : Signal
        One sentence: why a query was not taken.
    among_line, less_line : QLineEdit
        Queries: of which images, and less those of which.
    statistic_box : QComboBox
        What is shown of the images' maps.
    counts : QLabel
        How many images the map on show is of.
    kept : KeepSelection
        Keeps the maps of a selection in the run.
    """

    refused = Signal(str)

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__(_TITLE)
        self._session = session
        panel.follow(session.view_changed, self._show)
        panel.follow(session.map_changed, self._on_map)
        panel.follow(session.selection_changed, self._on_selection)
        panel.follow(session.choice_changed, self._on_choice)
        self.make_content(lambda: self._make_parts(panel, viewer), runner_of(viewer, KEEPING))

    def _make_parts(self, panel: Panel, viewer: Any) -> QWidget:
        self.statistic_box = choice_box("Statistic", "What is shown of the images' maps")
        for name, words in STATISTICS_OF_CELLS.items():
            self.statistic_box.addItem("SD" if name == "sd" else name.capitalize(), name)
            self.statistic_box.setItemData(
                self.statistic_box.count() - 1, words, Qt.ItemDataRole.ToolTipRole
            )
        self.among_line = _query_line(
            "Among", "The maps of these images only", "All, or site == 'B'"
        )
        self.less_line = _query_line(
            "Less",
            "Take the maps of these images away: the difference of two selections",
            "Nothing, or site == 'A'",
        )
        self.counts = text_label()
        self.kept = KeepSelection(panel, viewer, self._session)
        content = FormRows()
        content.form.addRow("Amon&g", self.among_line)
        content.form.addRow("Less", self.less_line)
        content.form.addRow("Statistic", self.statistic_box)
        content.form.addRow(self.counts)
        content.form.addRow(self.kept)
        self._show()
        self.statistic_box.currentIndexChanged.connect(self._on_statistic)
        self.among_line.editingFinished.connect(self._on_among)
        self.less_line.editingFinished.connect(self._on_less)
        return content

    def _show(self, *what: object) -> None:
        self._on_selection(self._session.selection)
        self._on_choice(self._session.choice)
        self._on_map(self._session.map_name)

    def _on_map(self, name: str) -> None:
        shown = self._session.shown
        # Told while it is folded, too: the maps are of some of the images.
        self.set_title(_TITLE if shown is None else f"{_TITLE}: {shown.choice.title}")
        if not self.is_made:
            return
        if shown is None:
            self.counts.setText("")
        elif self._session.map_image is None:
            self.counts.setText(f"{name}: no image")
        else:
            sides = [side for side in (shown.choice.among, shown.choice.less) if side is not None]
            odd = [f"⚠ {remark}." for side in sides for remark in side.remarks]
            self.counts.setText("\n".join([f"{name}: {shown.counts.get(name, '')}", *odd]))
        # Without anything to say it takes no room.
        self.counts.setVisible(bool(self.counts.text()))

    def _on_selection(self, selection: Optional[Selection]) -> None:  # noqa: UP045
        if self.is_made:
            self.among_line.setText("" if selection is None else selection.where)

    def _on_choice(self, choice: MapChoice) -> None:
        if self.is_made:
            self.less_line.setText("" if choice.less is None else choice.less.where)
            self.statistic_box.setCurrentIndex(self.statistic_box.findData(choice.statistic))

    def _on_among(self) -> None:
        known = self._session.selection
        text = self.among_line.text().strip()
        if text != ("" if known is None else known.where):
            selection = self._selection(text)
            if selection is not None or not text:
                self._session.select(selection)
        else:
            # What was wrong has been taken back.
            self._on_map(self._session.map_name)

    def _on_less(self) -> None:
        text = self.less_line.text().strip()
        selection = self._selection(text)
        if selection is not None or not text:
            self._on_map(self._session.map_name)
            self._session.compare_with(selection)

    def _refuse(self, sentence: str) -> None:
        # The panel's line may be scrolled out of view.
        self.counts.setText(f"⚠ {sentence}")
        self.refused.emit(sentence)

    def _selection(self, text: str) -> Optional[Selection]:  # noqa: UP045
        view = self._session.view
        if view is None or not text:
            return None
        try:
            return selection_of(text, view.run)
        except InputError as why:
            self._refuse(in_panel_words(str(why)))
            return None

    def _on_statistic(self) -> None:
        self._session.choose_statistic(self.statistic_box.currentData())


def _query_line(name: str, tip: str, example: str) -> QLineEdit:
    line = QLineEdit()
    line.setAccessibleName(name)
    columns = "Columns are those of images.csv; names with blanks in backticks."
    line.setPlaceholderText(example)
    # Also where the example has no room in the line.
    line.setToolTip(f"{tip_lines(f'{tip}. {columns}')}\n{example}")
    return line
