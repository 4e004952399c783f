"""Long work: what becomes of it when napari ends in the middle."""

import subprocess
import sys
import textwrap

import pytest
from qtpy import API_NAME

pytestmark = pytest.mark.gui

ENDING = textwrap.dedent(
    """
    import threading
    from qtpy.QtCore import QCoreApplication
    from qtpy.QtWidgets import QApplication
    from napari_globalxai.progress import Progress
    from napari_globalxai.widgets.jobs.workers import Job

    application = QApplication([])
    started, deleted = threading.Event(), threading.Event()

    def work(report):
        started.set()
        assert deleted.wait(30)
        report(Progress("Explaining", 1, 2))

    job = Job(work)
    thread = threading.Thread(target=job.run)
    thread.start()
    assert started.wait(30)
    {delete}
    deleted.set()
    thread.join(30)
    print("ended well")
    """
)


DELETE = {
    "PyQt6": "from PyQt6 import sip; sip.delete(job.signals)",
    "PySide6": "import shiboken6; shiboken6.delete(job.signals)",
}


def test_a_job_whose_signals_qt_has_deleted_ends_in_silence():
    code = ENDING.format(delete=DELETE[API_NAME])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ended well"
    assert "Traceback" not in done.stderr


def test_where_workers_are_shown_stands_below_the_bar_until_the_next_job(qtbot):
    from napari_globalxai.progress import Progress
    from napari_globalxai.widgets.fields.parts import JobBar
    from napari_globalxai.widgets.jobs.workers import JobRunner

    runner = JobRunner()
    bar = JobBar(runner)
    qtbot.addWidget(bar)
    address = "http://127.0.0.1:40000/status"
    runner.progressed.emit(Progress(f"Starting workers, shown at {address}", 1, 1))
    assert bar.status.text().count(address) == 1
    runner.progressed.emit(Progress("Testing shifted maps", 1, 5))
    assert bar.status.text().endswith(f"Workers are shown at {address}")
    runner.started.emit()
    runner.progressed.emit(Progress("Testing shifted maps", 1, 5))
    assert address not in bar.status.text()
