"""`stability`: whether other patients would have given the same maps."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import RunArgument, with_settings
from napari_globalxai.cli.printing import ProgressPrinter, say
from napari_globalxai.settings.stability_settings import StabilitySettings, StableMaps

_NAME = StableMaps.model_fields["name"]


@with_json
@with_settings(settings=StabilitySettings)
def stability(
    run: RunArgument,
    settings: StabilitySettings,
    name: Annotated[str | None, typer.Option(help=f"{_NAME.description}.")] = None,
) -> None:
    """Tell whether maps are stable: reliability, bands, and how many patients they need."""
    from napari_globalxai.runs.questions.map_stability import stability as run_stability

    found = run_stability(run, name, settings, progress=ProgressPrinter())
    for label, facts in found.labels.items():
        say(f"{label}: {facts['sentence']}")
        if facts["warning"]:
            say(f"  warning: {facts['warning']}")
    say(f"Stability: {found.folder}")
    tell({"folder": found.folder, **found.record})
