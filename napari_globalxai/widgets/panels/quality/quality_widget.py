"""The panel that checks a cohort before any model is involved."""

from pathlib import Path
from typing import Optional

import napari.viewer
from napari.utils.notifications import show_info
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFileDialog,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QWidget,
)

from napari_globalxai.errors import InputError
from napari_globalxai.runs.free_folder import refuse_other_folder
from napari_globalxai.runs.record import AlignRecord
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.declared import declared_fields
from napari_globalxai.settings.frame_settings import (
    AlignmentSettings,
    CohortFrameSettings,
    FrameSettings,
)
from napari_globalxai.widgets.fields.folder_note import FolderNote
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, flowing, heading, text_label
from napari_globalxai.widgets.fields.path_field import PathField
from napari_globalxai.widgets.fields.setting_fields import SizeField
from napari_globalxai.widgets.fields.settings_form import FormRows, SettingsForm
from napari_globalxai.widgets.fields.wrapped import WrappedBox
from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.layers.quality_layers import (
    COMPANIONS,
    QualityLayers,
    quality_layers_of,
)
from napari_globalxai.widgets.layers.run_layers import sample_paths
from napari_globalxai.widgets.panels.cohort_and_model.alignment_form import AlignmentForm
from napari_globalxai.widgets.panels.cohort_and_model.cohort_preview import CohortPreview
from napari_globalxai.widgets.panels.images.outlier_table import OutlierTable
from napari_globalxai.widgets.panels.quality.facts_table import FactsTable
from napari_globalxai.widgets.panels.quality.quality_words import INTRODUCTION, noticed_text
from napari_globalxai.widgets.session.folders import default_folder
from napari_globalxai.widgets.session.quality_view import QualityView, check_view, open_quality_view
from napari_globalxai.widgets.session.recognised import Recognised, recognise, result_folder
from napari_globalxai.widgets.session.session import plain_viewer
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.words.plain_labels import plain, plain_label
from napari_globalxai.widgets.words.table_words import image_title
from napari_globalxai.widgets.workbench.dropped_files import take
from napari_globalxai.widgets.workbench.panel import Panel

_PROBLEMS_HEIGHT = 84
# What is not recognised stands where it was dropped, and is looked at when it is used.
_TABLES = (Recognised.COHORT, Recognised.NOTHING)


def default_quality_folder(cohort: Path) -> Path:
    """Return where a cohort's quality control goes, see `default_folder`."""
    return default_folder(
        (cohort.parent.name, cohort.stem, "quality"),
        lambda record: (
            isinstance(record, AlignRecord) and record.cohort.table == str(cohort.absolute())
        ),
    )


class QualityWidget(Panel):
    """Checks a cohort, lists what was found, and shows the images that differ.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer to show them in.

    Attributes
    ----------
    layers : QualityLayers
        What is shown in the viewer.
    runner : JobRunner
        Runs the work.
    cohort_field, output_field : PathField
        Table; folder of what is found.
    alignment_form : AlignmentForm
        Registration and sides.
    cohort_form, frame_form : SettingsForm
        How the table is read; size and channels of the frame.
    height_box, width_box : QSpinBox
        The frame's size.
    facts : FactsTable
        Counts of images by kind of problem, and the sharpness of the mean.
    problems : QPlainTextEdit
        What is wrong, a line each.
    table : OutlierTable
        The images that differ.
    title, noticed : QLabel
        The image in view, and in what it differs.
    """

    short_name = "Quality"

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = plain_viewer(viewer)
        self.layers: QualityLayers = quality_layers_of(viewer)
        self.runner: JobRunner = runner_of(viewer, "Quality control")
        self._make_controls()
        self._lay_out()
        self._connect()
        for layer in viewer.layers:
            self._take_sample(layer)
        self.follow(self._viewer.layers.events.inserted, self._on_layer)
        self._on_view(self.layers.view)
        if self.runner.is_running:
            self._on_started()

    # What users and scripts do.

    def check(self) -> None:
        """Check the cohort; images that are aligned already are not aligned again."""
        cohort, out = self.cohort_field.path, self.output_field.path
        if cohort is None:
            self.job_bar.say("Choose a cohort table.")
            self.cohort_field.setFocus()
        elif out is None:
            self.job_bar.say("Choose a folder for what is found.")
            self.output_field.setFocus()
        elif not self.runner.is_running:
            try:
                reading = CohortSettings(**self.cohort_form.values())
                frame = CohortFrameSettings(
                    **self.frame_form.values(), **self.alignment_form.values()
                )
            except InputError as why:
                self.job_bar.say(in_panel_words(str(why)))
                return
            shown = self.layers.view
            if shown is not None and shown.quality.folder.absolute() == out.absolute():
                # The viewer may read its images from the stack that is written anew.
                self.layers.remove()
            self.layers.make_slider()
            self.runner.run(
                lambda progress: check_view(cohort, out, reading, frame, progress),
                then=self.layers.show,
            )

    def open_folder(self, folder: Optional[Path] = None) -> None:  # noqa: UP045
        """Open a finished quality control; without a folder, let the user pick it."""
        if folder is None:
            start = str(self.output_field.path or Path.home())
            picked = QFileDialog.getExistingDirectory(self, "Open a quality control", start)
            folder = Path(picked) if picked else None
        if folder is not None and self.runner.is_running:
            # The bar tells of the work, line by line.
            show_info(
                plain(f"{folder.name} is not opened while another cohort is checked or read.")
            )
        elif folder is not None:
            chosen = result_folder(folder) or folder
            self.layers.make_slider()
            self.runner.run(
                lambda progress: open_quality_view(chosen, progress), then=self.layers.show
            )

    def open_page(self) -> None:
        """Show the page of the quality control in the browser."""
        view = self.layers.view
        if view is not None and view.page is not None:
            url = QUrl.fromLocalFile(str(view.page.absolute()))
            if not QDesktopServices.openUrl(url):
                self.job_bar.say(f"No browser was found; the page is {view.page}.")

    def cancel(self) -> None:
        """Stop the work under way; what is finished is kept."""
        self.job_bar.cancel()

    # Making the panel.

    def _make_controls(self) -> None:
        self.cohort_field = PathField(
            "Choose a cohort table", "Tables (*.csv *.tsv *.txt);;All files (*)"
        )
        self.cohort_field.setToolTip("CSV or TSV, one row an image: file, side, patient")
        self.cohort_field.takes = lambda path: recognise(path) in _TABLES
        self.preview = CohortPreview()
        self.output_field = PathField("Choose a folder for what is found")
        self.output_field.setToolTip("Where aligned images, tables and the page are written")
        self.output_note = FolderNote(
            "Why the folder cannot be taken", self.output_field, refuse_other_folder
        )
        self.cohort_form = SettingsForm(
            CohortSettings.heading,
            # Labels play no part before there is a model.
            [each for each in declared_fields(CohortSettings) if "label" not in each.name],
        )
        self.alignment_form = AlignmentForm(CohortFrameSettings)
        self.alignment_form.expand(animate=False)
        self.frame_form = SettingsForm(
            FrameSettings.heading,
            [
                each
                for each in declared_fields(CohortFrameSettings)
                if each.name not in AlignmentSettings.model_fields
            ],
        )
        self.frame_form.expand(animate=False)
        size: SizeField = self.frame_form.fields["size"]  # type: ignore[assignment]
        self.height_box, self.width_box = size.height_box, size.width_box
        self.check_button = QPushButton("Check")
        self.stress(self.check_button)
        self.check_button.setToolTip("Compare every image with all others")
        self.open_button = QPushButton("Open…")
        self.open_button.setToolTip("Show what was found before")
        self.job_bar = JobBar(self.runner)
        self.introduction = text_label(INTRODUCTION)
        self.facts = FactsTable()
        self.problems_heading = heading("")
        self.problems = QPlainTextEdit()
        self.problems.setReadOnly(True)
        self.problems.setFixedHeight(_PROBLEMS_HEIGHT)
        self.problems.setTabChangesFocus(True)
        self.problems.setAccessibleName("Problems")
        self.table = OutlierTable()
        self.table.setAccessibleName("Images that differ")
        self.front_box: QCheckBox = WrappedBox("Show in the viewer")
        self.front_box.setToolTip("Otherwise the run that is open is shown")
        self.companion_buttons = QButtonGroup(self)
        self.companions: dict[str, QRadioButton] = {}
        for role, name in (*COMPANIONS.items(), ("", "Nothing")):
            button = QRadioButton(name.removesuffix(" image"))
            self.companions[role] = button
            self.companion_buttons.addButton(button)
        self.title = text_label()
        self.noticed = text_label()
        self.page_button = QPushButton("Open page")
        self.page_button.setToolTip(
            "All that was found as one HTML file, in the browser, to read and pass on"
        )

    def _lay_out(self) -> None:
        rows = FormRows()
        form = rows.form
        form.addRow("Coho&rt", self.cohort_field)
        form.addRow(self.preview)
        form.addRow(self.cohort_form)
        form.addRow("Fold&er", self.output_field)
        form.addRow(self.output_note)
        form.addRow(self.alignment_form)
        form.addRow(self.frame_form)
        buttons = flowing(self.check_button, self.open_button)
        below = flowing(plain_label("Below:"), *self.companions.values())
        self.results = QWidget()
        found = in_column(self.results, spacing=6)
        found.addWidget(self.facts)
        found.addWidget(heading("Images that differ", wraps=True))
        found.addWidget(self.table)
        found.addWidget(heading("Image in view", wraps=True))
        found.addWidget(self.title)
        found.addWidget(self.noticed)
        found.addWidget(self.front_box)
        found.addWidget(below)
        found.addWidget(self.problems_heading)
        found.addWidget(self.problems)
        found.addWidget(self.page_button)
        self.content.addWidget(rows)
        self.content.addWidget(buttons)
        self.content.addWidget(self.job_bar)
        self.content.addWidget(self.introduction)
        self.content.addWidget(self.results)
        self.content.addStretch(1)

    def _connect(self) -> None:
        self.check_button.clicked.connect(self.check)
        self.open_button.clicked.connect(self._on_open_clicked)
        self.page_button.clicked.connect(self.open_page)
        self.runner.started.connect(self._on_started)
        self.runner.finished.connect(self._on_finished)
        self.runner.succeeded.connect(self._on_succeeded)
        self.runner.cancelled.connect(self._on_cancelled)
        self.cohort_field.edited.connect(self._on_cohort)
        self.cohort_form.changed.connect(self._on_cohort)
        self.cohort_field.dropped.connect(self._on_other)
        self.table.chosen.connect(self.layers.look_at)
        self.front_box.toggled.connect(self._on_front_toggled)
        for role, button in self.companions.items():
            button.clicked.connect(lambda checked, role=role: self.layers.compare_with(role))
        self.follow(self.layers.view_changed, self._on_view)
        self.follow(self.layers.row_changed, self._on_row)
        self.follow(self.layers.front_changed, self._on_front)

    # Inputs.

    def _on_layer(self, event: object) -> None:
        self._take_sample(event.value)  # type: ignore[attr-defined]

    def _take_sample(self, layer: object) -> None:
        paths = sample_paths(layer)
        if paths is not None:
            self.cohort_field.path = paths[0]

    def _on_cohort(self) -> None:
        cohort = self.cohort_field.path
        if cohort is not None:
            self.output_field.suggest(default_quality_folder(cohort))
        self.preview.look_at(cohort, self.cohort_form.values())

    def _on_other(self, path: Path) -> None:
        take(self._viewer, path)

    # Work.

    def _on_open_clicked(self) -> None:
        self.open_folder()

    def _on_started(self) -> None:
        self.check_button.setEnabled(False)
        self.open_button.setEnabled(False)

    def _on_finished(self) -> None:
        self.check_button.setEnabled(True)
        self.open_button.setEnabled(True)

    def _on_succeeded(self, view: QualityView) -> None:
        self.job_bar.say("")

    def _on_cancelled(self) -> None:
        self.job_bar.say("Stopped. What is finished is kept: Check goes on from there.")

    # Results.

    def _on_view(self, view: Optional[QualityView]) -> None:  # noqa: UP045
        self.results.setVisible(view is not None)
        self.introduction.setVisible(view is None)
        if view is None:
            return
        findings = view.quality.findings
        self.facts.show_findings(findings, view.quality.modality)
        self.table.show_outliers(view)
        problems = findings.problems
        self.problems_heading.setText(f"Problems: {len(problems)}" if problems else "No problems")
        self.problems.setPlainText("\n".join(map(in_panel_words, problems)))
        self.problems.setVisible(bool(problems))
        self.page_button.setEnabled(view.page is not None)
        self.companions[self.layers.companion].setChecked(True)
        self._on_front(self.layers.in_front)
        self._on_row(self.layers.row)

    def _on_row(self, row: int) -> None:
        view = self.layers.view
        if view is not None:
            self.title.setText(image_title(view.quality.images, row, view.quality.modality))
            self.noticed.setText(noticed_text(view, row))
            self.table.select(row)

    def _on_front(self, in_front: bool) -> None:
        self.front_box.setChecked(in_front)
        for button in self.companions.values():
            button.setEnabled(in_front)

    def _on_front_toggled(self, in_front: bool) -> None:
        if in_front:
            self.layers.bring_forward()
        else:
            self.layers.step_back()
