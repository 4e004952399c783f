"""The panel that computes and shows global maps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import napari.viewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
)

from napari_globalxai.catalogue import METHODS
from napari_globalxai.errors import InputError
from napari_globalxai.models.card import MODEL_SUFFIXES
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.runs.record import RunRecord
from napari_globalxai.runs.tables import ERROR, FAILED, STATUS
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.declared import declared_fields
from napari_globalxai.settings.execution_settings import ExecutionSettings
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.widgets.alignment_form import AlignmentForm
from napari_globalxai.widgets.folders import default_folder
from napari_globalxai.widgets.layer_field import CamLayerField
from napari_globalxai.widgets.layers import RunLayers, layers_of, sample_paths
from napari_globalxai.widgets.parts import JobBar, Panel, PathField, heading, text_label
from napari_globalxai.widgets.result_tables import ImagePanel, MapTable
from napari_globalxai.widgets.run_view import RunView, open_view, read_view
from napari_globalxai.widgets.session import Session, plain_viewer, session_of
from napari_globalxai.widgets.settings_form import MethodForm, SettingsForm
from napari_globalxai.widgets.workers import JobRunner

_MOST_FAILURES_SHOWN = 8


def default_run_folder(cohort: Path, model: Path, method: str, settings: Mapping[str, Any]) -> Path:
    """Return where a run goes unless the user says otherwise.

    See `default_folder`. Settings that differ from the method's defaults are part of the name.
    """
    parts = [cohort.parent.name, cohort.stem, model.stem, method]
    parts += [f"{name}-{_short(value)}" for name, value in settings.items()]
    return default_folder(
        parts,
        lambda record: (
            isinstance(record, RunRecord)
            and record.cohort.table == str(cohort.absolute())
            and record.model.source == str(model.absolute())
        ),
    )


def _short(value: Any) -> str:
    if isinstance(value, Path):
        return value.stem
    return "-".join(value) if isinstance(value, tuple) else str(value)


class ExplainWidget(Panel):
    """Chooses cohort and model, computes global maps and shows them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer to show them in.

    Attributes
    ----------
    session : Session
        What the viewer works on.
    layers : RunLayers
        Keeps the layers in step with the session.
    runner : JobRunner
        Runs the work.
    cohort_field, model_field, output_field : PathField
        Table, model, run folder.
    trust_box : QCheckBox
        Whether code from the model's files may run.
    method_box, map_box : QComboBox
        Attribution method; map that is shown.
    layer_field : CamLayerField
        The CAM layer, for methods that look at one.
    settings_form : MethodForm
        Parameters of the method.
    cohort_form, maps_form, computing_form : SettingsForm
        How the table is read; how maps are averaged; where and how it is computed.
    alignment_form : AlignmentForm
        Registration and sides.
    native_box : QCheckBox
        Whether the image in view is shown as its file stores it.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.session: Session = session_of(viewer)
        self.layers: RunLayers = layers_of(viewer)
        self.runner = JobRunner(self)
        self._trusted_model: Optional[Path] = None  # noqa: UP045
        self._make_controls()
        self._lay_out()
        self._connect()
        for layer in viewer.layers:
            self._take_sample(layer)
        self.follow(plain_viewer(viewer).layers.events.inserted, self._on_layer)
        if self.session.view is not None:
            self._on_view(self.session.view)

    # What users and scripts do.

    def compute(self) -> None:
        """Explain the cohort; a run that was stopped goes on where it was."""
        cohort, model, out = self.cohort_field.path, self.model_field.path, self.output_field.path
        trust = self.session.trusts_model
        if cohort is None:
            self.job_bar.say("Choose a cohort table.")
            self.cohort_field.setFocus()
        elif model is None:
            self.job_bar.say("Choose a model.")
            self.model_field.setFocus()
        elif out is None:
            self.job_bar.say("Choose a folder for the run.")
            self.output_field.setFocus()
        elif not self.runner.is_running:
            try:
                reading, settings = CohortSettings(**self.cohort_form.values()), self.settings()
            except InputError as why:
                self.job_bar.say(str(why))
                return

            def work(progress: ProgressCallback) -> RunView:
                from napari_globalxai.cohort.table import read_cohort
                from napari_globalxai.runs.pipeline import explain

                run = explain(
                    read_cohort(cohort, reading),
                    model,
                    out,
                    settings,
                    resume=True,
                    trust=trust,
                    progress=progress,
                )
                return read_view(run, progress)

            self.runner.run(work)

    def settings(self) -> ExplainSettings:
        """Return what is chosen in the forms.

        Raises
        ------
        InputError
            When something does not fit.
        """
        return ExplainSettings(
            method=self.method_box.currentText(),
            method_settings=self.settings_form.values(),
            cam_layer=self.layer_field.layer,
            **self.alignment_form.values(),
            **self.maps_form.values(),
            **self.computing_form.values(),
        )

    def open_run(self, folder: Optional[Path] = None) -> None:  # noqa: UP045
        """Open a run folder; without one, let the user pick it."""
        if folder is None:
            start = str(self.output_field.path or Path.home())
            picked = QFileDialog.getExistingDirectory(self, "Open a run folder", start)
            folder = Path(picked) if picked else None
        if folder is not None and not self.runner.is_running:
            chosen = folder
            self.runner.run(lambda progress: open_view(chosen, progress))

    def cancel(self) -> None:
        """Stop the work under way; what is finished is kept."""
        self.job_bar.cancel()

    # Making the panel.

    def _make_controls(self) -> None:
        self.cohort_field = PathField(
            "Choose a cohort table", "Tables (*.csv *.tsv *.txt);;All files (*)"
        )
        self.cohort_field.setToolTip("CSV or TSV, one row an image: file, side, patient, labels")
        self.model_field = PathField(
            "Choose a model",
            f"Models ({' '.join(f'*{each}' for each in MODEL_SUFFIXES)});;All files (*)",
        )
        self.model_field.setToolTip(
            "The model card (model.yaml), or weights with a card beside them"
        )
        self.trust_box = QCheckBox("Trust this model's code")
        self.trust_box.setToolTip(
            "Pickled modules, programs of torch.export and some bundles run code when they are "
            "opened.\nTick this only if you trust where the model's files come from."
        )
        self.method_box = QComboBox()
        for name, method in METHODS.entries.items():
            self.method_box.addItem(name)
            self.method_box.setItemData(
                self.method_box.count() - 1, method.summary, Qt.ItemDataRole.ToolTipRole
            )
        self.method_box.setToolTip("How the model's output is traced back to pixels")
        self.layer_field = CamLayerField()
        self.settings_form = MethodForm()
        self.settings_form.show_method(self.method_box.currentText())
        self.alignment_form = AlignmentForm()
        self.cohort_form = SettingsForm(CohortSettings.heading, declared_fields(CohortSettings))
        chosen = declared_fields(ExplainSettings)
        self.maps_form = SettingsForm(
            ExplainSettings.heading,
            [each for each in chosen if each.heading == ExplainSettings.heading],
        )
        self.computing_form = SettingsForm(
            ExecutionSettings.heading,
            [each for each in chosen if each.name in ExecutionSettings.model_fields],
        )
        self.output_field = PathField("Choose a folder for the run")
        self.output_field.setToolTip("Where maps, attributions and tables are written")
        self.compute_button = QPushButton("Compute")
        self.compute_button.setToolTip("Explain every image and average the maps in the frame")
        self.open_button = QPushButton("Open run…")
        self.open_button.setToolTip("Show a run that was computed before")
        self.job_bar = JobBar(self.runner)
        self.map_box = QComboBox()
        self.map_box.setToolTip("The global map to show: of all labels together or of one")
        self.shared_scale_box = QCheckBox("One colour scale for all labels")
        self.shared_scale_box.setChecked(self.layers.shared_scale)
        self.shared_scale_box.setToolTip("Otherwise each map's own brightest pixel is the top")
        self.global_map_box = QCheckBox("Global map")
        self.global_map_box.setChecked(True)
        self.global_map_box.setToolTip("Show the mean over the images that carry the label")
        self.attribution_box = QCheckBox("This image's attribution")
        self.attribution_box.setToolTip("Show where the model looked in the image in view")
        self.map_table = MapTable()
        self.map_table.setAccessibleName("Global maps")
        self.native_box = QCheckBox("Native image")
        self.native_box.setToolTip(
            "Show the image as its file stores it, in full resolution, with the maps laid on it"
        )
        self.image_panel = ImagePanel()
        self.notes = text_label()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("&Cohort", self.cohort_field)
        form.addRow(self.cohort_form)
        form.addRow("&Model", self.model_field)
        form.addRow(self.trust_box)
        form.addRow("Me&thod", self.method_box)
        form.addRow("CAM &layer", self.layer_field)
        form.addRow(self.settings_form)
        form.addRow(self.maps_form)
        form.addRow(self.alignment_form)
        form.addRow(self.computing_form)
        form.addRow("&Run folder", self.output_field)
        buttons = QHBoxLayout()
        buttons.addWidget(self.compute_button, 1)
        buttons.addWidget(self.open_button, 1)
        shown = QFormLayout()
        shown.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        shown.addRow("Ma&p", self.map_box)
        boxes = QHBoxLayout()
        boxes.addWidget(self.global_map_box)
        boxes.addWidget(self.attribution_box)
        boxes.addStretch(1)
        self.content.addLayout(form)
        self.content.addLayout(buttons)
        self.content.addWidget(self.job_bar)
        self.content.addWidget(heading("Global maps"))
        self.content.addLayout(shown)
        self.content.addLayout(boxes)
        self.content.addWidget(self.shared_scale_box)
        self.content.addWidget(self.map_table)
        image_row = QHBoxLayout()
        image_row.addWidget(heading("Image in view"))
        image_row.addStretch(1)
        image_row.addWidget(self.native_box)
        self.content.addLayout(image_row)
        self.content.addWidget(self.image_panel)
        self.content.addWidget(self.notes)
        self.content.addStretch(1)
        self._results = (
            self.map_box,
            self.shared_scale_box,
            self.global_map_box,
            self.attribution_box,
            self.map_table,
            self.native_box,
            self.image_panel,
        )
        for part in self._results:
            part.setEnabled(False)

    def _connect(self) -> None:
        self.compute_button.clicked.connect(self.compute)
        self.open_button.clicked.connect(lambda: self.open_run())
        self.runner.started.connect(self._on_started)
        self.runner.finished.connect(self._on_finished)
        self.runner.succeeded.connect(self._on_succeeded)
        self.runner.cancelled.connect(self._on_cancelled)
        self.trust_box.toggled.connect(self._on_trust)
        # What was trusted was the other model.
        self.model_field.edited.connect(self._on_model)
        for field in (self.cohort_field, self.model_field):
            field.edited.connect(self._suggest_output)
        # Before the form, whose change suggests a run folder.
        self.method_box.currentTextChanged.connect(self._on_method)
        self.method_box.currentTextChanged.connect(self.settings_form.show_method)
        self.layer_field.changed.connect(self._suggest_output)
        self.layer_field.failed.connect(self.job_bar.say)
        for chosen in (self.cohort_form, self.settings_form, self.maps_form, self.alignment_form):
            chosen.changed.connect(self._suggest_output)
        self.map_box.currentTextChanged.connect(self._on_map_chosen)
        self.map_table.chosen.connect(self._on_map_chosen)
        self.shared_scale_box.toggled.connect(self._on_shared_scale)
        self.global_map_box.toggled.connect(
            lambda visible: self.layers.set_visible("global map", visible)
        )
        self.attribution_box.toggled.connect(
            lambda visible: self.layers.set_visible("attribution", visible)
        )
        self.native_box.toggled.connect(self.session.show_native)
        self.follow(self.session.native_changed, self._on_native)
        self.follow(self.layers.native_failed, self.job_bar.say)
        self.follow(self.session.inputs_suggested, self._on_inputs)
        self.follow(self.session.view_changed, self._on_view)
        self.follow(self.session.map_changed, self._on_map)
        self.follow(self.session.row_changed, self._on_row)

    # Inputs.

    def _on_layer(self, event: object) -> None:
        self._take_sample(event.value)  # type: ignore[attr-defined]

    def _take_sample(self, layer: object) -> None:
        paths = sample_paths(layer)
        if paths is not None:
            self.session.inputs_suggested.emit(*paths)

    def _on_inputs(self, cohort: Path, model: Path) -> None:
        self.cohort_field.path = cohort
        self.model_field.path = model

    def _suggest_output(self) -> None:
        cohort, model = self.cohort_field.path, self.model_field.path
        if cohort is not None and model is not None:
            settings = {
                **self.settings_form.values(),
                **self.alignment_form.values(),
                **self.maps_form.values(),
                **self.cohort_form.values(),
            }
            if self.layer_field.layer is not None:
                settings["layer"] = self.layer_field.layer
            self.output_field.suggest(
                default_run_folder(cohort, model, self.method_box.currentText(), settings)
            )

    def _on_model(self) -> None:
        if self.model_field.path != self._trusted_model:
            self.trust_box.setChecked(False)
        self.layer_field.show_model(self.model_field.path, trust=self.session.trusts_model)

    def _on_method(self, name: str) -> None:
        # Where it is not known before the method is imported, the user knows.
        self.layer_field.setEnabled(METHODS.entries[name].needs_split is not False)

    def _on_trust(self, trusted: bool) -> None:
        self._trusted_model = self.model_field.path if trusted else None
        self.session.trusts_model = trusted
        self.layer_field.show_model(self.model_field.path, trust=trusted)

    # Work.

    def _on_started(self) -> None:
        self.compute_button.setEnabled(False)
        self.open_button.setEnabled(False)

    def _on_finished(self) -> None:
        self.compute_button.setEnabled(True)
        self.open_button.setEnabled(True)

    def _on_succeeded(self, view: RunView) -> None:
        counts = view.run.record.counts
        self.job_bar.say(f"{counts.explained} of {counts.images} images explained.")
        self.session.open(view)

    def _on_cancelled(self) -> None:
        self.job_bar.say("Stopped. What is finished is kept: Compute goes on from there.")

    # Results.

    def _on_view(self, view: RunView) -> None:
        for part in self._results:
            part.setEnabled(True)
        self.map_box.blockSignals(True)
        self.map_box.clear()
        self.map_box.addItems(list(view.maps))
        self.map_box.blockSignals(False)
        self.map_table.show_run(view)
        self._on_map(self.session.map_name)
        self._on_row(self.session.row)
        self.notes.setText(self._notes(view))

    def _notes(self, view: RunView) -> str:
        images = view.run.images
        failed = [str(message) for message in images.loc[images[STATUS] == FAILED, ERROR]]
        lines = [f"⚠ {warning}" for warning in view.run.record.warnings]
        if failed:
            lines.append(f"⚠ {len(failed)} of {len(images)} images failed:")
            lines += [f"• {message}" for message in failed[:_MOST_FAILURES_SHOWN]]
            if len(failed) > _MOST_FAILURES_SHOWN:
                lines.append(f"• and {len(failed) - _MOST_FAILURES_SHOWN} more, see images.csv")
        return "\n".join(lines)

    def _on_map_chosen(self, name: str) -> None:
        if self.session.view is not None and name in self.session.view.maps:
            self.session.choose_map(name)

    def _on_map(self, name: str) -> None:
        self.map_box.setCurrentText(name)
        self.map_table.select(name)

    def _on_row(self, row: int) -> None:
        if self.session.view is not None and row < len(self.session.view.run.images):
            self.image_panel.show_image(self.session.view, row, native=self.session.native)

    def _on_native(self, native: bool) -> None:
        self.native_box.setChecked(native)
        self._on_row(self.session.row)

    def _on_shared_scale(self, shared: bool) -> None:
        self.layers.shared_scale = shared
