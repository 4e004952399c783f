"""PEPPR image by image: started here, listed by Δ, each shown along its own map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QWidget

from napari_globalxai.errors import InputError
from napari_globalxai.runs.folder import PEPPR_FOLDER, file_stem
from napari_globalxai.runs.turns import reading
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, flowing, text_label, tipped_button
from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.fields.settings_form import settings_layout
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import JobRunner, LatestOnly
from napari_globalxai.widgets.panels.peppr.peppr_form import PepprForm
from napari_globalxai.widgets.panels.peppr.peppr_jobs import testing_images
from napari_globalxai.widgets.session.image_result import image_result
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.words.table_words import number
from napari_globalxai.widgets.workbench.panel import Panel

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.questions.stored_images import StoredImages
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.layers.run_layers import RunLayers

ONE_BY_ONE = "PEPPR image by image"
_INTRODUCTION = (
    "Erases and restores each image that carries the label along its own map: whether single maps "
    "name what the model saw in single images. That says nothing of the global map."
)
_ORDERS = {"low": "Lowest Δ first", "high": "Highest Δ first"}
_MOST_IMAGES = 100


def read_images(run: Run) -> list[StoredImages]:
    """Return what the run holds. To be called in a worker."""
    from napari_globalxai.faithfulness.questions.stored_images import stored_images

    with reading(run.folder):
        return stored_images(run.folder / PEPPR_FOLDER)


class PerImageView(Fold):
    """Tests images along their own maps, and shows one of them.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.viewer.Viewer
        The viewer.
    session : Session
        What the viewer works on.
    layers : RunLayers
        Go to the image that was chosen.
    form : PepprForm
        Map and settings of the test.

    Attributes
    ----------
    left : Signal
        The global map is to be shown again.
    tested : Signal
        The run holds another result.
    runner : JobRunner
        Runs the work.
    compute_button, back_button : QPushButton
        Starts it; goes back to the global map's curves.
    label_box, order_box : QComboBox
        Which of the results; which images come first.
    table : PlainTable
        The images; a click or the arrow keys show one along its own map.
    rows : list of int
        Rows of the images in the table's order.
    followed : StoredImages or None
        The result whose images are shown.
    """

    left = Signal()
    tested = Signal(object)

    def __init__(
        self, panel: Panel, viewer: Any, session: Session, layers: RunLayers, form: PepprForm
    ) -> None:
        super().__init__("Image by image")
        self._session, self._layers, self._form = session, layers, form
        self.runner: JobRunner = runner_of(viewer, ONE_BY_ONE)
        self.followed: StoredImages | None = None
        self._found: list[StoredImages] = []
        self.rows: list[int] = []
        self._reads, self._shows = LatestOnly(self), LatestOnly(self)
        self._reads.ready.connect(self._on_read)
        self._shows.ready.connect(self._on_ready)
        self.toggled.connect(self._read)
        panel.follow(session.view_changed, self._on_view)
        panel.follow(session.map_changed, self._on_map)
        panel.follow(session.row_changed, self._on_row)
        self.make_content(self._make_controls, self.runner)
        if self.runner.is_running:
            self.expand()

    def compute(self) -> None:
        """Test the images of the map chosen along their own maps."""
        run = self._session.run
        if run is None or self.runner.is_running:
            return
        self.ensure_made()
        name = self._form.map_box.currentText()
        if name not in run.maps:
            self.job_bar.say("This map is a file; choose one of the run's own.")
            return
        try:
            settings, workers = self._form.settings(), self._form.workers()
            computing = self._form.computing()
        except InputError as why:
            self.job_bar.say(in_panel_words(str(why)))
            return
        use = self._session.use_of_model(run)
        self.runner.run(testing_images(run, name, settings, computing, workers, use))

    def cancel(self) -> None:
        """Stop the work under way."""
        if self.is_made:
            self.job_bar.cancel()

    def go_back(self) -> None:
        """Show the global map's own result again."""
        self.leave()
        self.left.emit()

    def leave(self) -> None:
        """Show images along their own maps no more."""
        self.followed = None
        self._on_changed()

    def follows(self, name: str) -> bool:
        """Tell whether images are shown along their own maps of this label."""
        return self.followed is not None and self.followed.label == name

    def _make_controls(self) -> QWidget:
        self.introduction = text_label(_INTRODUCTION)
        self.compute_button = tipped_button(
            "Test images",
            "Test the images along their own maps, with the settings above and each fill chosen",
        )
        self.back_button = tipped_button(
            "Global map again", "Show the curves of the global map, as before"
        )
        self.job_bar = JobBar(self.runner)
        self.label_box = choice_box("Result image by image", "Label, map and fill of the result")
        self.order_box = choice_box("Order of the images", "Which images come first")
        for name, words in _ORDERS.items():
            self.order_box.addItem(words, name)
        self.said = text_label()
        self.table = PlainTable(
            {
                "Image": "An image that carries the label",
                "Δ": "Area restored less area erased, along its own map",
                "Restored": "Area under the probability as it is restored",
                "Erased": "Area under the probability as it is erased",
            },
            most_rows=8,
        )
        self.table.setAccessibleName("Images along their own maps")
        # Names of files differ at their ends.
        self.table.setTextElideMode(Qt.TextElideMode.ElideLeft)
        self.found = QWidget()
        below = settings_layout(self.found)
        below.addRow(self.label_box)
        below.addRow(self.said)
        below.addRow(self.order_box)
        below.addRow(self.table)
        content = QWidget()
        box = in_column(content)
        for part in (
            self.introduction,
            flowing(self.compute_button, self.back_button),
            self.job_bar,
            self.found,
        ):
            box.addWidget(part)
        self._connect()
        self._list(self._found)
        self._on_changed()
        return content

    def _connect(self) -> None:
        self.compute_button.clicked.connect(self.compute)
        self.back_button.clicked.connect(self.go_back)
        self.runner.started.connect(self._on_changed)
        self.runner.finished.connect(self._on_changed)
        self.runner.succeeded.connect(self._on_tested)
        self.runner.cancelled.connect(self._on_cancelled)
        self._reads.failed.connect(self.job_bar.say)
        self._shows.failed.connect(self.job_bar.say)
        self.label_box.currentIndexChanged.connect(self._list_images)
        self.order_box.currentIndexChanged.connect(self._list_images)
        self.table.currentCellChanged.connect(self._on_cell)
        self.table.cellClicked.connect(self._on_cell)

    # Work.

    def _on_changed(self) -> None:
        if not self.is_made:
            return
        there = self._session.run is not None
        self.compute_button.setEnabled(there and not self.runner.is_running)
        self.back_button.setEnabled(self.followed is not None)

    def _on_cancelled(self) -> None:
        self.job_bar.say("Stopped. Images tested by then are kept; Test images goes on from them.")

    def _on_tested(self, run: Run) -> None:
        self.job_bar.say("")
        if run is self._session.run:
            self.tested.emit(run)
            self._read()

    # What the run holds.

    def _on_view(self, view: object) -> None:
        self.leave()
        if self.is_made:
            self.job_bar.forget()
            self._list([])
        self._read()

    def _read(self, *what: object) -> None:
        run = self._session.run
        if self.isExpanded() and run is not None:
            self._reads.request(run, lambda: read_images(run))

    def _on_read(self, run: Run, found: list[StoredImages]) -> None:
        if run is self._session.run:
            self._list(found)

    def _list(self, found: list[StoredImages]) -> None:
        chosen = self.label_box.currentText() or self._session.map_name
        self._found = found
        self.label_box.blockSignals(True)
        self.label_box.clear()
        for each in found:
            among = (
                "" if each.map_name == file_stem(each.label) else f", as part of {each.map_name}"
            )
            self.label_box.addItem(f"{each.label}, {each.fill}{among}")
        texts = [self.label_box.itemText(at) for at in range(len(found))]
        matching = (at for at, text in enumerate(texts) if text.startswith(chosen))
        self.label_box.setCurrentIndex(next(matching, 0) if found else -1)
        self.label_box.blockSignals(False)
        self.found.setVisible(bool(found))
        self._list_images()

    @property
    def _chosen(self) -> StoredImages | None:
        at = self.label_box.currentIndex()
        return self._found[at] if 0 <= at < len(self._found) else None

    def _list_images(self, *what: object) -> None:
        stored, run, lines = self._chosen, self._session.run, []
        self.rows = []
        if stored is not None and run is not None:
            sign = -1 if self.order_box.currentData() == "high" else 1
            order = np.argsort(sign * stored.areas["delta"], kind="stable")[:_MOST_IMAGES]
            self.rows = stored.rows[order].tolist()
            files = run.images["file"]
            values = [stored.areas[name][order] for name in ("delta", "insertion", "deletion")]
            lines = [
                [str(files.iloc[row]), *(number(float(value[at])) for value in values)]
                for at, row in enumerate(self.rows)
            ]
            self.said.setText(_summary(stored, len(self.rows)))
        self.table.blockSignals(True)
        self.table.fill(lines)
        self.table.setCurrentCell(-1, -1)
        self.table.blockSignals(False)

    # One of the images.

    def _on_cell(self, line: int, *rest: int) -> None:
        stored = self._chosen
        if stored is None or not 0 <= line < len(self.rows):
            return
        self.followed = stored
        self._on_changed()
        self._session.choose_map(stored.label)
        self._layers.step_to(self.rows[line])
        self._show(self.rows[line])

    def _on_map(self, name: str) -> None:
        if self.followed is not None and not self.follows(name):
            self.leave()

    def _on_row(self, row: int) -> None:
        if self.followed is not None:
            self._show(row)

    def _show(self, row: int) -> None:
        run, stored = self._session.run, self.followed
        if run is None or stored is None:
            return

        def work() -> Any:
            import_models()
            with reading(run.folder):
                return image_result(run, stored, row)

        self._shows.request((stored, row), work)

    def _on_ready(self, key: Any, result: Any) -> None:
        stored, row = key
        if stored is self.followed and row == self._session.row:
            self._session.set_result(result)


def _summary(stored: StoredImages, shown: int) -> str:
    delta, images = stored.summary["delta"], len(stored.rows)
    low, high = delta["mean_ci"]
    above = 100 * stored.summary["share_above_zero"]
    first = f" The first {shown} are listed." if shown < images else ""
    return (
        f"Mean Δ of the probability {number(delta['mean'])} ({number(low)} to {number(high)}) over "
        f"{images} images, above 0 in {above:.0f} %.{first}"
    )
