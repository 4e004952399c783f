"""Work under way is in view, wherever a panel is scrolled to and whatever is folded away."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_globalxai.progress import Progress
from napari_globalxai.widgets.fields.parts import JobBar
from napari_globalxai.widgets.workbench.job_foot import JobFoot

pytestmark = pytest.mark.gui

TIMEOUT = 20_000


class Work:
    """A job that goes on until it is told to report again."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()

    def __call__(self, progress: Any) -> None:
        done = 0
        while True:
            progress(Progress("Looking at images, of which there are a great many", done, 100))
            done = min(done + 1, 99)
            self.goes_on.wait(0.02)


@pytest.fixture
def small(panels: Any, qtbot: Any) -> Any:
    panels.viewer.window.show()
    panels.viewer.window.resize(1024, 600)
    panels.explain.bring_forward()
    qtbot.wait(100)
    return panels


def shown(foot: JobFoot) -> list[Any]:
    return [line for line in foot.lines if line.isVisible()]


def test_a_bar_out_of_view_is_followed_at_the_foot_and_cancelled_there(
    small: Any, qtbot: Any
) -> None:
    panel = small.explain
    (foot,) = panel.findChildren(JobFoot)
    assert panel.verticalScrollBar().maximum() > 0
    assert not foot.isVisible()
    panel.runner.run(Work())
    qtbot.waitUntil(lambda: panel.job_bar.bar.value() > 0, timeout=TIMEOUT)
    panel.ensureWidgetVisible(panel.job_bar)
    qtbot.waitUntil(lambda: not shown(foot), timeout=TIMEOUT)
    # Out of view at the other end: a line at the foot, which covers nothing of the panel.
    panel.verticalScrollBar().setValue(panel.verticalScrollBar().maximum())
    qtbot.waitUntil(lambda: len(shown(foot)) == 1, timeout=TIMEOUT)
    (line,) = shown(foot)
    assert line.bar is panel.job_bar
    qtbot.waitUntil(lambda: foot.height() == panel.viewportMargins().bottom(), timeout=TIMEOUT)
    assert foot.geometry().top() == panel.viewport().geometry().bottom() + 1
    words = line.cancel_button.accessibleName()
    assert words.startswith("Cancel: Looking at images, of which there are a great many: ")
    panel.ensureWidgetVisible(panel.job_bar)
    qtbot.waitUntil(lambda: not shown(foot), timeout=TIMEOUT)
    panel.verticalScrollBar().setValue(panel.verticalScrollBar().maximum())
    qtbot.waitUntil(lambda: len(shown(foot)) == 1, timeout=TIMEOUT)
    with qtbot.waitSignal(panel.runner.cancelled, timeout=TIMEOUT):
        qtbot.mouseClick(line.cancel_button, Qt.MouseButton.LeftButton)
        assert not line.cancel_button.isEnabled()
    qtbot.waitUntil(lambda: not foot.isVisible(), timeout=TIMEOUT)
    assert panel.viewportMargins().bottom() == 0


def test_a_folded_part_keeps_its_job_in_view(small: Any, qtbot: Any) -> None:
    panel = small.peppr
    panel.bring_forward()
    qtbot.wait(50)
    (foot,) = panel.findChildren(JobFoot)
    assert {line.bar for line in foot.lines} == set(panel.content.parent().findChildren(JobBar))
    # Nobody has looked at it, so that its bar is made for the job.
    assert not panel.sanity.is_made
    with qtbot.waitSignal(panel.sanity.runner.cancelled, timeout=TIMEOUT):
        panel.sanity.runner.run(Work())
        qtbot.waitUntil(lambda: len(shown(foot)) == 1, timeout=TIMEOUT)
        (line,) = shown(foot)
        line.cancel_button.setFocus()
        qtbot.keyClick(line.cancel_button, Qt.Key.Key_Space)
