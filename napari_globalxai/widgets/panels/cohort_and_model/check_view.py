"""What *Check* found of cohort and model."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QWidget

from napari_globalxai.cohort.wording import counted
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, text_label
from napari_globalxai.widgets.fields.warning_list import WarningList
from napari_globalxai.widgets.jobs.workers import JobRunner

Checked = tuple[Sequence[str], Sequence[str], Sequence[str]]


class CheckView(QWidget):
    """The check's bar; below it problems, the worst first, and folded away what was understood.

    Parameters
    ----------
    runner : JobRunner
        Runs the check; its result are facts, what `explain` would refuse, and other problems.

    Attributes
    ----------
    bar : JobBar
        The bar, which tells how many problems there are.
    problems : WarningList
        The problems.
    facts : Fold
        What was understood.
    """

    def __init__(self, runner: JobRunner) -> None:
        super().__init__()
        self.bar = JobBar(runner)
        self.problems = WarningList("Problems that Check found")
        self._facts = text_label()
        self._facts.setAccessibleName("What Check understood")
        self.facts = Fold("What was understood")
        self.facts.show_content(self._facts)
        box = in_column(self)
        for part in (self.bar, self.problems, self.facts):
            box.addWidget(part)
        runner.started.connect(self._forget)
        runner.succeeded.connect(self._show)
        self._forget()

    def _forget(self) -> None:
        self.problems.show_lines()
        self.facts.hide()

    def _show(self, found: Checked) -> None:
        facts, refusals, problems = found
        number = len(refusals) + len(problems)
        self.bar.say(counted(number, "problem") if number else "No problem was found.")
        self.problems.show_lines(refusals, problems)
        self._facts.setText("\n".join(facts))
        self.facts.setVisible(bool(facts))
