"""The command `sanity`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import RunArgument, TrustOption, with_settings
from napari_globalxai.cli.printing import ProgressPrinter, say
from napari_globalxai.settings.execution_settings import DeviceSettings, WorkerSettings
from napari_globalxai.settings.sanity_settings import SanitySettings


@with_json
@with_settings(settings=SanitySettings, computing=DeviceSettings, workers=WorkerSettings)
def sanity(
    run: RunArgument,
    settings: SanitySettings,
    computing: DeviceSettings,
    workers: WorkerSettings,
    model: Annotated[Path | None, typer.Option(help="The model, if it has moved.")] = None,
    trust: TrustOption = False,
) -> None:
    """Test whether global maps come from the model: compare them with those of random weights."""
    from napari_globalxai.runs.questions.sanity import sanity as run_sanity

    found = run_sanity(
        run,
        settings,
        model=model,
        device=computing.device,
        batch_size=computing.batch_size,
        trust=trust,
        workers=workers,
        progress=ProgressPrinter(),
    )
    for label, each in found.items():
        say(f"{label}: {each['verdict']} ({each['reason']})")
    say(f"Results: {run / 'sanity' / 'sanity.json'}")
    tell({"run": run, "labels": found})
