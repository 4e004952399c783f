"""The commands `audit` and `slices`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import RunArgument, TrustOption, with_settings
from napari_globalxai.cli.printing import ProgressPrinter, say
from napari_globalxai.settings.audit_settings import AuditSettings, SlicesSettings
from napari_globalxai.settings.execution_settings import DeviceSettings
from napari_globalxai.storage import read_json


@with_json
@with_settings(settings=AuditSettings, computing=DeviceSettings)
def audit(
    run: RunArgument,
    settings: AuditSettings,
    computing: DeviceSettings,
    model: Annotated[Path | None, typer.Option(help="The model, if it has moved.")] = None,
    trust: TrustOption = False,
) -> None:
    """Search for shortcuts: where nothing is to be seen, between subgroups, between clusters."""
    from napari_globalxai.audit.shortcut_audit import AUDIT_FILE
    from napari_globalxai.audit.shortcut_audit import audit as run_audit

    result = run_audit(
        run,
        settings,
        model=model,
        device=computing.device,
        batch_size=computing.batch_size,
        trust=trust,
        progress=ProgressPrinter(),
    )
    for finding in result.findings:
        say(finding.sentence)
    count = len(result.findings)
    say(f"Findings: {count}" if count else "Nothing was found that needs a look.")
    if len(result.near_duplicates):
        say(f"Nearly the same images of different patients: {len(result.near_duplicates)} pairs")
    for remark in result.remarks:
        say(f"  remark: {remark}")
    say(f"Audit: {result.folder}")
    tell({"audit": result.folder, **read_json(result.folder / AUDIT_FILE)})


@with_json
@with_settings(settings=SlicesSettings)
def slices(run: RunArgument, settings: SlicesSettings) -> None:
    """Search for slices in which the model fails; write calibration and thresholds as well."""
    from napari_globalxai.audit.failing_slices import SLICES_FILE
    from napari_globalxai.audit.failing_slices import slices as find_slices

    result = find_slices(run, settings, progress=ProgressPrinter())
    for each in result.found:
        say(each.sentence)
    if not result.found:
        say("No slice was found that is worse than the rest.")
    say(f"Slices: {result.folder}")
    tell({"folder": result.folder, **read_json(result.folder / SLICES_FILE)})
