"""Fixtures of the GUI tests: a real viewer, docked panels, a tiny cohort.

The models and cohorts are those of `tiny`, so that a whole computation takes about a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
from npe2 import PluginManifest


@dataclass(frozen=True)
class Panels:
    viewer: Any
    explain: Any
    peppr: Any

    @property
    def session(self) -> Any:
        return self.explain.session

    def layer_names(self) -> list[str]:
        return [layer.name for layer in self.viewer.layers]


@dataclass(frozen=True)
class TinyInputs:
    cohort: Path
    model: Path


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> TinyInputs:
    folder = tmp_path_factory.mktemp("tiny")
    return TinyInputs(
        tiny.write_cohort(folder / "cohort", size=40), tiny.write_linear(folder / "m")
    )


@pytest.fixture(scope="session")
def finished_run(inputs: TinyInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the tiny cohort with PEPPR along the map of one label."""
    from napari_globalxai import explain, peppr

    folder = tmp_path_factory.mktemp("runs") / "finished"
    run = explain(inputs.cohort, inputs.model, folder, "saliency")
    peppr(run, "left", steps=8, control_steps=4, controls=3, bootstrap=20)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _settings_in_memory() -> None:
    """Keep napari's settings out of the user's file, which each change would write anew."""
    from napari.settings import get_settings

    get_settings(None)


@pytest.fixture(scope="session", autouse=True)
def _plugins_looked_for_once() -> Iterator[None]:
    """Have the manifests of this environment read once, not for each viewer."""
    found: list[Any] = []
    discover = PluginManifest.discover

    def discover_once(paths: Sequence[str] = ()) -> Iterator[Any]:
        if paths:
            yield from discover(paths)
            return
        if not found:
            found.extend(discover())
        yield from found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", discover_once)
        yield


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Default run folders lie in the home folder; tests write into none but their own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def panels(make_napari_viewer: Callable[..., Any], qtbot: Any) -> Panels:
    from docked import dock_panels

    from napari_globalxai.widgets.jobs.event_turns import TURNS

    viewer = make_napari_viewer()
    docked = Panels(viewer, *dock_panels(viewer))
    # What is in a panel comes a turn later.
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=60_000)
    return docked


@pytest.fixture
def opened(panels: Panels, finished_run: Path, qtbot: Any) -> Panels:
    """Panels with a finished run open."""
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=60_000):
        panels.explain.open_run(finished_run)
    return panels


@pytest.fixture
def stops_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any, Callable[[Any], bool]], None]:
    """Have a button clicked at a report of progress; no job gets past it, however fast it is."""
    from napari_globalxai.widgets.jobs.workers import Job

    def prepare(runner: Any, button: Any, is_there: Callable[[Any], bool]) -> None:
        report = Job._report

        def report_and_wait(job: Job, progress: Any) -> None:
            report(job, progress)
            if job is runner._job and is_there(progress):
                job.progressed.emit(progress)
                job._stop.wait(60)
                job._check()

        def click(progress: Any) -> None:
            if is_there(progress) and not runner._job._stop.is_set():
                button.click()

        monkeypatch.setattr(Job, "_report", report_and_wait)
        runner.progressed.connect(click)

    return prepare


@pytest.fixture
def notifications() -> Any:
    from napari.utils.notifications import notification_manager

    shown: list[Any] = []
    notification_manager.notification_ready.connect(shown.append)
    yield shown
    notification_manager.notification_ready.disconnect(shown.append)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What napari asks about; a question is answered by closing it."""
    from napari._qt.dialogs.qt_reader_dialog import QtReaderDialog

    questions: list[str] = []

    def close(dialog: Any) -> tuple[str, bool]:
        questions.append(dialog.windowTitle())
        return "", False

    monkeypatch.setattr(QtReaderDialog, "get_user_choices", close)
    return questions


@pytest.fixture
def with_readers(npe2pm: Any, make_napari_viewer: Callable[..., Any]) -> Any:
    """A viewer in which napari's own readers and ours are known."""
    import napari_builtins

    # napari's own reader takes folders, too.
    builtins = Path(napari_builtins.__file__).with_name("builtins.yaml")
    for manifest in (builtins, Path(__file__).parents[2] / "napari.yaml"):
        npe2pm.register(PluginManifest.from_file(manifest))
    return make_napari_viewer()
