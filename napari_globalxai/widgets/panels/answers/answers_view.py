"""What other commands, or other panels, left in a run: a chapter of its report each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_globalxai.runs.turns import reading
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.viewer_jobs import ASKING, runner_of
from napari_globalxai.widgets.workbench.panel import Panel

if TYPE_CHECKING:
    from napari_globalxai.report.chapter import Chapter
    from napari_globalxai.runs.run import Run

# What the panel shows elsewhere.
_ELSEWHERE = ("performance", "alignment")
_NOTHING = (
    "Nothing yet. What is asked here, in other panels or by commands is shown here once it is "
    "answered."
)


def read_chapters(run: Run) -> dict[str, Chapter]:
    """Return the chapters that a run has something for. To be called in a worker."""
    import_models()
    from napari_globalxai.report.chapters import collect_chapters

    with reading(run.folder):
        found = collect_chapters(run)
    return {
        name: chapter
        for name, chapter in found.items()
        if chapter is not None and chapter.is_answered and name not in _ELSEWHERE
    }


class AnswersView(Fold):
    """The chapters of a run, one at a time; read when it is unfolded, and when one is added.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.Viewer
        The viewer.
    session : Session
        What the viewer works on.

    Attributes
    ----------
    ask : AskView
        Asks more.
    box : QComboBox
        The questions that the run was asked.
    chapter : ChapterView
        What came of one of them.
    figures : FiguresView
        Its figures, as the report has them.
    """

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__("What the run was asked")
        self._session = session
        self._chapters: dict[str, Chapter] = {}
        # The chapter of an answer that is still to be read.
        self._wanted = ""
        self._reads = LatestOnly(self)
        self._reads.ready.connect(self._on_read)
        self.toggled.connect(self._read)
        panel.follow(session.view_changed, self._read)
        panel.follow(session.answered, self._read)
        asker = runner_of(viewer, ASKING)
        self.make_content(lambda: self._make_parts(panel, viewer), asker)
        if asker.is_running:
            self.expand()

    def _make_parts(self, panel: Panel, viewer: Any) -> QWidget:
        # The panel opens without them.
        from napari_globalxai.widgets.panels.answers.ask_view import AskView
        from napari_globalxai.widgets.panels.answers.chapter_view import ChapterView
        from napari_globalxai.widgets.panels.answers.figures_view import FiguresView

        self.ask = AskView(panel, viewer, self._session)
        self.box = choice_box("Question", "What was asked of the run, here or by command")
        self.nothing = text_label(_NOTHING)
        self.chapter = ChapterView(panel)
        self.figures = FiguresView(panel, viewer)
        content = QWidget()
        box = in_column(content)
        for part in (self.ask, self.box, self.nothing, self.chapter, self.figures):
            box.addWidget(part)
        self._reads.failed.connect(self.nothing.setText)
        self.box.currentIndexChanged.connect(self._on_chosen)
        self.ask.answered.connect(self._on_answered)
        self._list({})
        return content

    def _on_answered(self, chapter: str) -> None:
        self._wanted = chapter
        self._read()

    def _read(self, *what: object) -> None:
        run = self._session.run
        if self.isExpanded() and run is not None:
            self._reads.request(run, lambda: read_chapters(run))

    def _on_read(self, run: Run, chapters: dict[str, Chapter]) -> None:
        if run is self._session.run:
            self._list(chapters)

    def _list(self, chapters: dict[str, Chapter]) -> None:
        chosen, self._chapters = self.box.currentData(), chapters
        if self._wanted in chapters:
            chosen, self._wanted = self._wanted, ""
        self.box.blockSignals(True)
        self.box.clear()
        for name, chapter in chapters.items():
            self.box.addItem(name.capitalize(), name)
            self.box.setItemData(self.box.count() - 1, chapter.title, Qt.ItemDataRole.ToolTipRole)
        self.box.setCurrentIndex(max(0, self.box.findData(chosen)) if chapters else -1)
        self.box.blockSignals(False)
        self.box.setVisible(bool(chapters))
        self.nothing.setText(_NOTHING)
        self.nothing.setVisible(not chapters)
        self._on_chosen()

    def _on_chosen(self, *what: object) -> None:
        name = self.box.currentData()
        chapter = self._chapters.get(name)
        self.chapter.show_chapter(chapter)
        has_figures = chapter is not None and bool(chapter.figures)
        self.figures.show_chapter(self._session.run if has_figures else None, name or "")
