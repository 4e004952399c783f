"""The command `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import folder_option, with_settings
from napari_globalxai.cli.printing import ProgressPrinter, say
from napari_globalxai.plain_text import numeral
from napari_globalxai.settings.compare_settings import CompareSettings


@with_json
@with_settings(settings=CompareSettings)
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of A.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of B.")],
    out: Annotated[Path, folder_option("Folder for the page and the maps.")],
    settings: CompareSettings,
) -> None:
    """Compare two runs of the same images, by two models or methods; differences are A minus B."""
    from napari_globalxai.report.comparison_page import compare as run_compare
    from napari_globalxai.report.comparison_page import facts_of

    found = run_compare(first, second, out, settings, progress=ProgressPrinter())
    say(f"{found.images} images in common")
    for remark in found.remarks:
        say(f"  warning: {remark}")
    for label, each in found.labels.items():
        facts = each.facts
        auc = facts["auc_difference"]
        said = [f"maps of {facts['n']} images"]
        if facts["moved_share"] is not None:
            said.append(
                f"{facts['moved_share']:.0%} of the mass elsewhere, least p "
                f"{numeral(facts['min_p'], '.3g')}"
            )
        if auc is not None:
            said.append(
                f"ROC AUC {facts['auc_a']:.3f} and {facts['auc_b']:.3f}, difference {numeral(auc)} "
                f"({numeral(facts['ci_low'])} to {numeral(facts['ci_high'])})"
            )
        say(f"{label}: {'; '.join(said)}")
    for row in found.peppr:
        say(
            f"PEPPR along {row['map']} ({row['fill']}), {row['label']}: Δ "
            f"{numeral(row['delta_a'])} and {numeral(row['delta_b'])}, difference "
            f"{numeral(row['difference'])} "
            f"({numeral(row['ci_low'])} to {numeral(row['ci_high'])})"
        )
    say(f"{len(found.changed)} answers changed")
    say(f"Comparison: {out / 'comparison.html'}")
    tell({"folder": out, **facts_of(found, settings)})
