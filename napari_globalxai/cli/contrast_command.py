"""The command `contrast`."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import RunArgument, with_settings
from napari_globalxai.cli.printing import ProgressPrinter, say
from napari_globalxai.plain_text import numeral
from napari_globalxai.settings.contrast_settings import ContrastSettings, ContrastSides

_SIDES = ContrastSides.model_fields


@with_json
@with_settings(settings=ContrastSettings)
def contrast(
    run: RunArgument,
    name: Annotated[str, typer.Option(help=f"{_SIDES['name'].description}.")],
    settings: ContrastSettings,
    a: Annotated[str, typer.Option("--a", help=f"{_SIDES['a'].description}.")] = "",
    b: Annotated[str, typer.Option("--b", help=f"{_SIDES['b'].description}.")] = "",
) -> None:
    """Test where the maps of two groups of images differ: sites, right and wrong, two labels."""
    from napari_globalxai.runs.questions.contrast import contrast as run_contrast

    found = run_contrast(run, name, a, b, settings, progress=ProgressPrinter())
    for warning in found.facts["warnings"]:
        say(f"warning: {warning}")
    for label, facts in found.facts["labels"].items():
        say(
            f"{label}: {facts['n_a']} images of {facts['patients_a']} patients against "
            f"{facts['n_b']} of {facts['patients_b']}, least p {numeral(facts['min_p'], '.3g')}, "
            f"{facts['significant_share']:.1%} of the frame at p <= 0.05"
        )
    say(f"Results: {found.folder}")
    tell({"folder": found.folder, **found.facts})
