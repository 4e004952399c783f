"""The form of the next run: cohort, model, method and how all is computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_globalxai.catalogue import METHODS
from napari_globalxai.models.card.model_card import MODEL_SUFFIXES
from napari_globalxai.runs.free_folder import run_in
from napari_globalxai.runs.inputs.table_reading import recorded_reading
from napari_globalxai.runs.record import RunRecord
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.declared import declared_fields
from napari_globalxai.settings.execution_settings import (
    OF_THIS_MACHINE,
    ExecutionSettings,
    WorkerSettings,
)
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.folder_note import FolderNote
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.path_field import PathField
from napari_globalxai.widgets.fields.settings_form import FormRows, MethodForm, SettingsForm
from napari_globalxai.widgets.fields.wrapped import WrappedBox
from napari_globalxai.widgets.panels.cohort_and_model.alignment_form import AlignmentForm
from napari_globalxai.widgets.panels.cohort_and_model.card_view import CardView
from napari_globalxai.widgets.panels.cohort_and_model.cohort_preview import CohortPreview
from napari_globalxai.widgets.panels.cohort_and_model.layer_field import CamLayerField
from napari_globalxai.widgets.session.folders import default_folder
from napari_globalxai.widgets.session.recognised import Recognised, recognise
from napari_globalxai.widgets.session.session import Session

TABLES = "Tables (*.csv *.tsv *.txt);;All files (*)"


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


class RunForm(Fold):
    """What the next run is to be. What is on show is said elsewhere.

    Parameters
    ----------
    session : Session
        Knows whether the model's code is trusted.

    Attributes
    ----------
    run_dropped : Signal
        The user dropped a run on one of the fields.
    cohort_field, model_field, output_field : PathField
        Table, model, run folder.
    trust_box : QCheckBox
        Whether code from the model's files may run.
    method_box : QComboBox
        Attribution method.
    layer_field : CamLayerField
        The CAM layer, for methods that look at one.
    settings_form : MethodForm
        Parameters of the method.
    cohort_form, maps_form, computing_form : SettingsForm
        How the table is read; how maps are averaged; where and how it is computed.
    alignment_form : AlignmentForm
        Registration and sides.
    card : CardView
        The model's card, to be mended and tried.
    preview : CohortPreview
        What was recognised in the table, and its problems.
    output_note : FolderNote
        Why the run folder cannot be taken.
    """

    run_dropped = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__("Next run")
        self._session = session
        self._trusted_model: Path | None = None
        self._make_fields()
        self._make_forms()
        self._lay_out()
        self._connect()
        self.expand()

    def settings(self) -> ExplainSettings:
        """Return what is chosen.

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

    def follow_record(self, folder: Path, record: RunRecord) -> None:
        """Show what a run was to be, and put its folder in place of the suggested one."""
        self.cohort_field.path = Path(record.cohort.table)
        self.model_field.path = None if record.model.source is None else Path(record.model.source)
        self.method_box.setCurrentText(record.settings.method)
        self.settings_form.take(record.settings.method_settings)
        self.layer_field.choose(record.settings.cam_layer)
        self.cohort_form.take(recorded_reading(record.cohort))
        chosen = {
            name: getattr(record.settings, name)
            for name in ExplainSettings.model_fields
            if name not in OF_THIS_MACHINE
        }
        for form in (self.alignment_form, self.maps_form, self.computing_form):
            form.take(chosen)
        # It is this run that is gone on with, also where its table or model have moved.
        self.output_field.choose(folder)
        self.expand()

    def missing(self) -> tuple[str, PathField] | None:
        """Return what has to be chosen first, and where; None where all is there."""
        for field, what in (
            (self.cohort_field, "a cohort table"),
            (self.model_field, "a model"),
            (self.output_field, "a folder for the run"),
        ):
            if field.path is None:
                return f"Choose {what}.", field
        return None

    def _make_fields(self) -> None:
        self.cohort_field = PathField("Choose a cohort table", TABLES)
        self.cohort_field.setToolTip("CSV or TSV, one row an image: file, side, patient, labels")
        suffixes = " ".join(f"*{each}" for each in MODEL_SUFFIXES)
        self.model_field = PathField("Choose a model", f"Models ({suffixes});;All files (*)")
        self.model_field.setToolTip(
            "The model card (model.yaml), or weights with a card beside them"
        )
        self.trust_box: QCheckBox = WrappedBox("Trust this model's code")
        self.trust_box.setToolTip(
            "Pickled modules, programs of torch.export and some bundles run code when they are "
            "opened.\nTick this only if you trust where the model's files come from."
        )
        self.method_box = choice_box("Method", "How the model's output is traced back to pixels")
        for name, method in METHODS.entries.items():
            self.method_box.addItem(name)
            self.method_box.setItemData(
                self.method_box.count() - 1, method.summary, Qt.ItemDataRole.ToolTipRole
            )
        self.layer_field = CamLayerField()
        self.output_field = PathField("Choose a folder for the run")
        self.output_field.setToolTip("Where maps, attributions and tables are written")

    def _make_forms(self) -> None:
        self.settings_form = MethodForm()
        self.settings_form.show_method(self.method_box.currentText())
        self.alignment_form = AlignmentForm()
        self.cohort_form = SettingsForm(CohortSettings.heading, declared_fields(CohortSettings))
        chosen = declared_fields(ExplainSettings)
        self.maps_form = SettingsForm(
            ExplainSettings.heading,
            [each for each in chosen if each.heading == ExplainSettings.heading],
        )
        computing = {*ExecutionSettings.model_fields, *WorkerSettings.model_fields}
        self.computing_form = SettingsForm(
            ExecutionSettings.heading,
            [each for each in chosen if each.name in computing],
        )
        self.preview = CohortPreview()
        self.output_note = FolderNote(
            "Why the run folder cannot be taken", self.output_field, run_in
        )
        self.card = CardView(
            self._session, lambda: (self.cohort_field.path, self.cohort_form.values())
        )

    def _lay_out(self) -> None:
        content = QWidget()
        box = in_column(content)
        form = FormRows()
        form.form.addRow("Coho&rt", self.cohort_field)
        form.form.addRow(self.preview)
        form.form.addRow(self.cohort_form)
        form.form.addRow("&Model", self.model_field)
        form.form.addRow(self.trust_box)
        form.form.addRow(self.card)
        form.form.addRow("Meth&od", self.method_box)
        form.form.addRow("CAM la&yer", self.layer_field)
        form.form.addRow(self.settings_form)
        form.form.addRow(self.maps_form)
        form.form.addRow(self.alignment_form)
        form.form.addRow(self.computing_form)
        form.form.addRow("R&un folder", self.output_field)
        form.form.addRow(self.output_note)
        box.addWidget(form)
        self.show_content(content)

    def _connect(self) -> None:
        others = {
            Recognised.RUN,
            Recognised.QUALITY,
            Recognised.COHORT,
            Recognised.MODEL,
        }
        # What is not recognised stands where it was dropped, and is looked at when it is used.
        self.cohort_field.takes = lambda path: recognise(path) not in others - {Recognised.COHORT}
        self.model_field.takes = lambda path: recognise(path) not in others - {Recognised.MODEL}
        self.trust_box.toggled.connect(self._on_trust)
        # What was trusted was the other model.
        self.model_field.edited.connect(self._on_model)
        self.card.written.connect(self._on_card)
        for field in (self.cohort_field, self.model_field):
            field.edited.connect(self._suggest_output)
            field.dropped.connect(self.take)
        self.cohort_field.edited.connect(self._on_cohort)
        self.cohort_form.changed.connect(self._on_cohort)
        # Before the form, whose change suggests a run folder.
        self.method_box.currentTextChanged.connect(self._on_method)
        self.method_box.currentTextChanged.connect(self.settings_form.show_method)
        self.layer_field.changed.connect(self._suggest_output)
        for chosen in (self.cohort_form, self.settings_form, self.maps_form, self.alignment_form):
            chosen.changed.connect(self._suggest_output)

    def take(self, path: Path) -> None:
        """Put what was dropped on another field where it belongs."""
        kind = recognise(path)
        if kind is Recognised.COHORT:
            self.cohort_field.path = path
        elif kind is Recognised.MODEL:
            self.model_field.path = path
        else:
            self.run_dropped.emit(path)

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

    def _on_cohort(self) -> None:
        self.preview.look_at(self.cohort_field.path, self.cohort_form.values())

    def _on_model(self) -> None:
        if self.model_field.path != self._trusted_model:
            self.trust_box.setChecked(False)
        self.layer_field.show_model(self.model_field.path, trust=self._session.trusts_model)
        self.card.look_at(self.model_field.path)

    def _on_card(self, path: Path) -> None:
        # A card that stands elsewhere is what names the model now.
        model = self.model_field.path
        if model is None or path.parent != (model if model.is_dir() else model.parent):
            self.model_field.path = path

    def _on_method(self, name: str) -> None:
        # Where it is not known before the method is imported, the user knows.
        self.layer_field.setEnabled(METHODS.entries[name].needs_split is not False)

    def _on_trust(self, trusted: bool) -> None:
        self._trusted_model = self.model_field.path if trusted else None
        self._session.trusted_model = self._trusted_model
        self.layer_field.show_model(self.model_field.path, trust=trusted)
        self.card.look_at(self.model_field.path)
