"""Whether the maps of a run come from its model: they are compared with those of random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton, QWidget

from napari_globalxai.errors import InputError
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.runs.turns import reading
from napari_globalxai.settings.declared import SettingsModel, declared_fields
from napari_globalxai.settings.execution_settings import DeviceSettings, WorkerSettings
from napari_globalxai.settings.sanity_settings import SanitySettings
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, text_label
from napari_globalxai.widgets.fields.settings_form import SettingsForm
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import JobRunner, LatestOnly, Work
from napari_globalxai.widgets.panels.answers.chapter_view import ChapterView
from napari_globalxai.widgets.session.present_run import while_present
from napari_globalxai.widgets.session.session import ModelUse, Session
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.workbench.panel import Panel

if TYPE_CHECKING:
    from napari_globalxai.report.chapter import Chapter
    from napari_globalxai.runs.run import Run

RANDOM_WEIGHTS = "Random weights"
_INTRODUCTION = (
    "Makes the maps again with random weights. A map that survives them shows the images or the "
    "method, not the model."
)


def read_sanity(run: Run) -> Chapter | None:
    """Return what was found, None where nobody looked. To be called in a worker."""
    import_models()
    from napari_globalxai.report.question_chapters import sanity_chapter

    with reading(run.folder):
        return sanity_chapter(run.folder)


def comparing_with_random(
    run: Run,
    settings: SanitySettings,
    computing: DeviceSettings,
    workers: WorkerSettings,
    use: ModelUse,
) -> Work:
    """Return what makes the maps again with random weights, or goes on with that."""

    def work(progress: ProgressCallback) -> Run:
        import_models()
        from napari_globalxai.runs.questions.sanity import sanity

        sanity(
            run,
            settings,
            device=computing.device,
            batch_size=computing.batch_size,
            workers=workers,
            model=use.model,
            trust=use.trust,
            progress=while_present(run, progress),
        )
        return run

    return work


class SanityView(Fold):
    """Runs the check against random weights, and tells what came of it.

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
    runner : JobRunner
        Runs the work.
    form : SettingsForm
        What is chosen.
    compute_button : QPushButton
        Starts it, or goes on with it.
    chapter : ChapterView
        What came of it, as the report has it.
    """

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__(RANDOM_WEIGHTS)
        self._session = session
        self.runner: JobRunner = runner_of(viewer, RANDOM_WEIGHTS)
        self._reads = LatestOnly(self)
        self._reads.ready.connect(self._on_read)
        self.toggled.connect(self._read)
        panel.follow(session.view_changed, self._on_view)
        panel.follow(session.answered, self._read)
        self.make_content(lambda: self._make_parts(panel), self.runner)
        if self.runner.is_running:
            self.expand()

    def _make_parts(self, panel: Panel) -> QWidget:
        self.form = SettingsForm(
            "Settings",
            [
                setting
                for model in (SanitySettings, DeviceSettings, WorkerSettings)
                for setting in declared_fields(model)
            ],
        )
        self.compute_button = QPushButton("Compare")
        self.compute_button.setToolTip("Compare the maps with those of models with random weights")
        self.job_bar = JobBar(self.runner)
        self.introduction = text_label(_INTRODUCTION)
        self.chapter = ChapterView(panel)
        content = QWidget()
        box = in_column(content)
        for part in (
            *(self.introduction, self.form, self.compute_button),
            *(self.job_bar, self.chapter),
        ):
            box.addWidget(part)
        self._reads.failed.connect(self.job_bar.say)
        self.compute_button.clicked.connect(self.compute)
        self.runner.started.connect(self._on_changed)
        self.runner.finished.connect(self._on_changed)
        self.runner.cancelled.connect(self._on_cancelled)
        self.runner.succeeded.connect(self._on_computed)
        self._on_changed()
        return content

    def compute(self) -> None:
        """Compare the maps with those of random weights; finished seeds are not made again."""
        run = self._session.run
        if run is None or self.runner.is_running:
            return
        self.ensure_made()
        try:
            settings, computing, workers = (
                self._chosen(model) for model in (SanitySettings, DeviceSettings, WorkerSettings)
            )
        except InputError as why:
            self.job_bar.say(in_panel_words(str(why)))
            return
        session = self._session
        work = comparing_with_random(run, settings, computing, workers, session.use_of_model(run))
        # Told to all panels, also where this one is closed by then.
        self.runner.run(work, then=lambda done: session.answered.emit())

    def cancel(self) -> None:
        """Stop the work under way; finished seeds are kept."""
        if self.is_made:
            self.job_bar.cancel()

    def _chosen(self, model: type[SettingsModel]) -> Any:
        known = model.model_fields
        return model(**{name: value for name, value in self.form.values().items() if name in known})

    def _on_changed(self) -> None:
        if not self.is_made:
            return
        is_free = self._session.run is not None and not self.runner.is_running
        self.compute_button.setEnabled(is_free)

    def _on_cancelled(self) -> None:
        self.job_bar.say("Stopped. Finished seeds are kept: Compare goes on from there.")

    def _on_computed(self, run: Run) -> None:
        self.job_bar.say("")

    def _on_view(self, view: object) -> None:
        if self.is_made:
            self.job_bar.forget()
        self._read()

    def _read(self, *what: object) -> None:
        self._on_changed()
        run = self._session.run
        if self.isExpanded() and run is not None:
            self._reads.request(run, lambda: read_sanity(run))

    def _on_read(self, run: Run, chapter: Chapter | None) -> None:
        if run is self._session.run:
            self.chapter.show_chapter(chapter)
            # Which says so, too.
            self.introduction.setVisible(chapter is None)
