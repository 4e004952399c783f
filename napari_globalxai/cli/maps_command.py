"""`maps`: the maps of some of a run's images."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_globalxai.cli.machine_answers import records
from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import RunArgument, with_settings
from napari_globalxai.cli.printing import ProgressPrinter, say
from napari_globalxai.cohort.wording import counted
from napari_globalxai.settings.map_settings import MapsSettings, SelectionName

_NAME = SelectionName.model_fields["name"]


@with_json
@with_settings(settings=MapsSettings)
def maps(
    run: RunArgument,
    name: Annotated[str, typer.Option(help=f"{_NAME.description}.")],
    settings: MapsSettings,
) -> None:
    """Make the maps of some of a run's images: a site, a sex, what was wrongly predicted."""
    from napari_globalxai.runs.questions.selections import make_maps

    found = make_maps(run, name, settings, progress=ProgressPrinter())
    for row in found.statistics.itertuples():
        say(f"map {row.map}: {counted(row.n, 'image')} of {counted(row.n_patients, 'patient')}")
    for warning in found.warnings:
        say(f"  warning: {warning}")
    say(f"Maps: {found.folder}")
    tell({"folder": found.folder, **found.record, "maps": records(found.statistics)})
