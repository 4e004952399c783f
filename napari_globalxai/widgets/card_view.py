"""A model's card as a form: what is known, what is missing, tried on a probe, written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QPushButton,
    QWidget,
)

from napari_globalxai.errors import InputError
from napari_globalxai.models.card_draft import CardDraft, draft_of, write_draft
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.widgets.card_fields import CardFields, facts
from napari_globalxai.widgets.explain_jobs import reading
from napari_globalxai.widgets.fold import Fold
from napari_globalxai.widgets.layouts import in_column
from napari_globalxai.widgets.panel import take_in
from napari_globalxai.widgets.panel_words import in_panel_words
from napari_globalxai.widgets.parts import JobBar, flowing, text_label
from napari_globalxai.widgets.session import Session
from napari_globalxai.widgets.settings_form import FormRows, settings_layout
from napari_globalxai.widgets.viewer_jobs import tell_napari
from napari_globalxai.widgets.warm_up import import_models
from napari_globalxai.widgets.workers import JobRunner, LatestOnly
from napari_globalxai.widgets.wrapped import WrappedBox

if TYPE_CHECKING:
    from napari_globalxai.runs.check import CheckResult

_TITLE = "Model card"
Images = Callable[[], tuple[Optional[Path], Mapping[str, Any]]]  # noqa: UP045


class CardView(Fold):
    """A form that shows a model's card, and opens by itself where the card has to be mended.

    Parameters
    ----------
    session : Session
        Knows whether the model's code is trusted.
    images : callable
        Returns the cohort table that a check may predict images of, None where there is none, and
        how it is read.

    Attributes
    ----------
    written : Signal
        A card was written, at this path.
    runner : JobRunner
        Tries the model, and writes the card.
    said, found : QLabel
        What is to be said still; what the check found.
    unknown_box : QCheckBox
        Whether what no card has is left out; there where the card has some.
    check_button, write_button : QPushButton
        Try the model with the card as the form has it; write it.
    """

    written = Signal(object)

    def __init__(self, session: Session, images: Images) -> None:
        super().__init__(_TITLE)
        self._session, self._images = session, images
        self._draft: CardDraft | None = None
        self._asked: Any = None
        self._fields: list[CardFields] = []
        self._looking = LatestOnly(self)
        self.runner = JobRunner(self)
        tell_napari(self, self.runner, "Checking or writing a model's card")
        self.said = text_label()
        self.said.setAccessibleName("What the model card says")
        self.found = text_label()
        self.found.setAccessibleName("What the check of the model found")
        self.unknown_box: QCheckBox = WrappedBox("Leave out what no card has")
        self.check_button = QPushButton("Check card")
        self.check_button.setToolTip(
            "Load the model with this card, try it on a probe and on some of the cohort's images"
        )
        self.write_button = QPushButton("Write card…")
        self.write_button.setToolTip("Write the card where you say: beside the weights it is found")
        self.job_bar = JobBar(self.runner)
        self.more = Fold("Network, shape and words")
        self._lay_out()
        self.check_button.clicked.connect(self.check)
        self.write_button.clicked.connect(lambda: self.write())
        self._looking.ready.connect(self._on_looked)
        self.look_at(None)

    @property
    def fields(self) -> dict[str, QWidget]:
        """The inputs by dotted name, such as ``input.height``; empty before a model is known."""
        return {name: field for each in self._fields for name, field in each.fields.items()}

    @property
    def is_looking(self) -> bool:
        """Whether the model's files are still being looked at."""
        return self._looking.is_running

    # What users and scripts do.

    def look_at(self, model: Path | None, *, again: bool = False) -> None:
        """Show the card of a model, found in the background."""
        trust = self._session.trusts_model
        if (model, trust) == self._asked and not again:
            return
        is_same = self._asked is not None and model == self._asked[0]
        self._asked = (model, trust)
        # What trust lets be found out is of weights without a card.
        if is_same and not again and self._draft is not None and self._draft.exists:
            return
        self.setVisible(model is not None)
        if model is None:
            self._draft = None
        else:
            self._looking.request(self._asked, lambda: _look(model, trust))

    def draft(self) -> CardDraft | None:
        """Return the card as the form has it.

        Raises
        ------
        InputError
            When something cannot be read.
        """
        if self._draft is None:
            return None
        answers = {}
        for each in self._fields:
            answers.update(each.answers())
        drop = self.unknown_box.isVisibleTo(self) and self.unknown_box.isChecked()
        return self._draft.with_answers(answers, drop_unknown=drop)

    def check(self) -> None:
        """Try the model with the card as the form has it; nothing is written."""
        draft = self._complete()
        if draft is None or self.runner.is_running:
            return
        table, read = self._images()
        trust = self._session.trusts_model
        self.found.hide()
        self.runner.run(_checking(draft, table, read, trust), then=self._on_checked)

    def write(self, target: Path | None = None) -> None:
        """Write the card; without a path, let the user say where."""
        draft = self._complete()
        if draft is None or self.runner.is_running:
            return
        if target is None:
            picked, _ = QFileDialog.getSaveFileName(
                self, "Write the model card", str(draft.place), "Model cards (*.yaml *.yml)"
            )
            target = Path(picked) if picked else None
        if target is not None:
            path = target
            self.runner.run(lambda progress: write_draft(draft, path), then=self._on_written)

    # Making it.

    def _lay_out(self) -> None:
        content = QWidget()
        box = in_column(content)
        self._form = FormRows()
        inside = QWidget()
        self.more.show_content(inside)
        box.addWidget(self.said)
        box.addWidget(self._form)
        box.addWidget(self.more)
        box.addWidget(self.unknown_box)
        box.addWidget(flowing(self.check_button, self.write_button))
        box.addWidget(self.job_bar)
        box.addWidget(self.found)
        self.show_content(content)
        self.found.hide()

    def _make_fields(self) -> None:
        """Make the inputs when they are needed first: a panel is to open at once."""
        if not self._fields:
            first, more = self._form.form, settings_layout(self.more.content())
            # Paths, arguments and transforms are long.
            more.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
            self._fields = [CardFields(first, facts("input")), CardFields(more, facts("more"))]
            take_in(self)

    # What was found.

    def _on_looked(self, asked: Any, seen: CardDraft | str) -> None:
        if asked != self._asked:
            return
        self._draft = seen if isinstance(seen, CardDraft) else None
        for part in (self._form, self.more, self.check_button, self.write_button):
            part.setVisible(self._draft is not None)
        self.found.hide()
        self.job_bar.say("")
        if self._draft is None:
            self._say(str(seen), is_wrong=True)
            self.unknown_box.hide()
            return
        draft = self._draft
        self._make_fields()
        for each in self._fields:
            each.show(draft.content, draft.open_facts)
        self.unknown_box.setText(f"Leave out what no card has: {', '.join(draft.unknown)}")
        self.unknown_box.setChecked(False)
        self.unknown_box.setVisible(bool(draft.unknown))
        if any(name in self._fields[1].fields for name in draft.open_facts):
            self.more.expand()
        self._say(self._state(draft), is_wrong=bool(draft.problem))

    def _state(self, draft: CardDraft) -> str:
        if draft.open_facts:
            there = "is not complete" if draft.exists else "is not there yet"
            return (
                f"{draft.place.name} {there}. What the files tell is filled in; still to be said: "
                f"{self._titles(draft.open_facts)}."
            )
        return draft.problem or f"{draft.place.name} is complete. Check tries it."

    def _titles(self, names: Sequence[str]) -> str:
        # In the order of the form.
        titles = [field.accessibleName() for name, field in self.fields.items() if name in names]
        return ", ".join([*titles, *(name for name in names if name not in self.fields)])

    def _say(self, sentence: str, *, is_wrong: bool) -> None:
        self.said.setText(f"⚠ {in_panel_words(sentence)}" if is_wrong else sentence)
        self.set_title(f"⚠ {_TITLE}" if is_wrong else _TITLE)
        if is_wrong:
            self.expand()
        else:
            self.collapse()

    def _complete(self) -> CardDraft | None:
        """Return the card as the form has it, or say what is missing and return None."""
        try:
            draft = self.draft()
        except InputError as why:
            self.job_bar.say(in_panel_words(str(why)))
            return None
        if draft is not None and draft.open_facts:
            self.job_bar.say(f"Still to be said: {self._titles(draft.open_facts)}.")
            missing = [field for name, field in self.fields.items() if name in draft.open_facts]
            if missing:
                missing[0].setFocus()
            return None
        if draft is not None and draft.problem:
            self.job_bar.say(in_panel_words(draft.problem))
            return None
        return draft

    def _on_checked(self, checked: CheckResult) -> None:
        problems = [f"⚠ {in_panel_words(each)}" for each in checked.problems]
        counted = f"{len(problems)} problems" if problems else "No problem was found."
        self.found.setText("\n".join((counted, *problems, *checked.facts)))
        self.found.show()
        self.job_bar.say("")

    def _on_written(self, path: Path) -> None:
        # As it is written now, it is the card that is compared with.
        self.look_at(self._asked[0], again=True)
        self.job_bar.say(f"Written: {path}")
        self.written.emit(path)


def _look(model: Path, trust: bool) -> CardDraft | str:
    """Return what is known of a model, or why nothing is."""
    try:
        return draft_of(model, trust=trust)
    except InputError as why:
        return str(why)
    except OSError as why:
        return f"{model}: cannot be read ({why.strerror})."


def _checking(
    draft: CardDraft, table: Path | None, read: Mapping[str, Any], trust: bool
) -> Callable[[Any], CheckResult]:
    def work(progress: Any) -> CheckResult:
        import_models()
        from napari_globalxai.runs.check_card import check_card

        cohort = None if table is None else reading(table, CohortSettings(**read))
        return check_card(draft, cohort, trust=trust, progress=progress)

    return work
