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
from napari_globalxai.models.card.card_draft import CardDraft, draft_of, write_draft
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, flowing, text_label
from napari_globalxai.widgets.fields.settings_form import FormRows, settings_layout
from napari_globalxai.widgets.fields.wrapped import WrappedBox
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import JobRunner, LatestOnly
from napari_globalxai.widgets.panels.cohort_and_model.card_fields import CardFields, facts
from napari_globalxai.widgets.panels.maps.explain_jobs import reading
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.viewer_jobs import tell_napari
from napari_globalxai.widgets.words.panel_words import in_panel_words

if TYPE_CHECKING:
    from napari_globalxai.runs.inputs.check import CheckResult

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
        # Why there is none.
        self._why = ""
        self._asked: Any = None
        self._fields: list[CardFields] = []
        self._looking = LatestOnly(self)
        self.runner = JobRunner(self)
        tell_napari(self, self.runner, "Checking or writing a model's card")
        self._looking.ready.connect(self._on_looked)
        self.make_content(self._make_parts)
        self.look_at(None)

    def _make_parts(self) -> QWidget:
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
        self._form = FormRows()
        self._fields = [CardFields(self._form.form, facts("input"))]
        self.more = Fold("Network, shape and words")
        self.more.make_content(self._make_more)
        content = QWidget()
        box = in_column(content)
        for part in (
            *(self.said, self._form, self.more, self.unknown_box),
            *(flowing(self.check_button, self.write_button), self.job_bar, self.found),
        ):
            box.addWidget(part)
        self.check_button.clicked.connect(self.check)
        self.write_button.clicked.connect(lambda: self.write())
        self._show()
        return content

    def _make_more(self) -> QWidget:
        inside = QWidget()
        layout = settings_layout(inside)
        # Paths, arguments and transforms are long.
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        fields = CardFields(layout, facts("more"))
        if self._draft is not None:
            fields.show(self._draft.content, self._draft.open_facts)
        self._fields.append(fields)
        return inside

    @property
    def fields(self) -> dict[str, QWidget]:
        """The inputs by dotted name, such as ``input.height``; empty before a model is known."""
        if self._draft is None:
            return {}
        self.ensure_made()
        self.more.ensure_made()
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
        if self._draft is None or not self.is_made:
            return self._draft
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

    # What was found.

    def _on_looked(self, asked: Any, seen: CardDraft | str) -> None:
        if asked != self._asked:
            return
        self._draft, self._why = (
            (seen, seen.problem) if isinstance(seen, CardDraft) else (None, seen)
        )
        self.set_title(f"⚠ {_TITLE}" if self._why else _TITLE)
        if self.is_made:
            self._show()
        if self._why:
            self.expand()
        else:
            self.collapse()

    def _show(self) -> None:
        """Show what was found."""
        draft = self._draft
        for part in (self._form, self.more, self.check_button, self.write_button):
            part.setVisible(draft is not None)
        self.found.hide()
        self.job_bar.say("")
        self.unknown_box.setChecked(False)
        self.unknown_box.setVisible(draft is not None and bool(draft.unknown))
        sentence = self._why
        if draft is not None:
            self.unknown_box.setText(f"Leave out what no card has: {', '.join(draft.unknown)}")
            for each in self._fields:
                each.show(draft.content, draft.open_facts)
            if any(name in draft.open_facts for name, _ in facts("more")):
                self.more.expand()
            sentence = self._state(draft)
        self.said.setText(f"⚠ {in_panel_words(sentence)}" if self._why else sentence)

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

    def _complete(self) -> CardDraft | None:
        """Return the card as the form has it, or say what is missing and return None."""
        self.ensure_made()
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
        from napari_globalxai.runs.inputs.check_card import check_card

        cohort = None if table is None else reading(table, CohortSettings(**read))
        return check_card(draft, cohort, trust=trust, progress=progress)

    return work
