"""What the panel of PEPPR has done in workers, as functions of what was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_globalxai.progress import ProgressCallback
from napari_globalxai.settings.execution_settings import DeviceSettings, WorkerSettings
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.widgets.present_run import while_present
from napari_globalxai.widgets.warm_up import import_models
from napari_globalxai.widgets.workers import Work

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.faithfulness.watching import Watcher
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.session import ModelUse


def testing(
    run: Run,
    name: str,
    settings: PepprSettings,
    computing: DeviceSettings,
    workers: WorkerSettings,
    use: ModelUse,
    watcher: Watcher,
) -> Work:
    """Return what tests a map of a run, or goes on with it, while somebody looks on."""

    def work(progress: ProgressCallback) -> PepprResult:
        import_models()
        from napari_globalxai.faithfulness.watching import watched_by
        from napari_globalxai.runs.evaluate import peppr

        with watched_by(watcher):
            return peppr(
                run,
                name,
                settings,
                device=computing.device,
                batch_size=computing.batch_size,
                workers=workers,
                model=use.model,
                trust=use.trust,
                progress=while_present(run, progress),
            )

    return work


def testing_images(
    run: Run,
    name: str,
    settings: PepprSettings,
    computing: DeviceSettings,
    workers: WorkerSettings,
    use: ModelUse,
) -> Work:
    """Return what tests images along their own maps: those that carry the map's label, or any."""

    def work(progress: ProgressCallback) -> Run:
        import_models()
        from napari_globalxai.runs.evaluate_otherwise import peppr_images

        peppr_images(
            run,
            name,
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
