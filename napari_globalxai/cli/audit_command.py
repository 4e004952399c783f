"""The command ``audit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_globalxai.cli.options import RunArgument, TrustOption, with_settings
from napari_globalxai.cli.printing import ProgressPrinter, say
from napari_globalxai.settings.audit_settings import AuditSettings
from napari_globalxai.settings.execution_settings import DeviceSettings
from napari_globalxai.storage import read_json

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, for machines, and nothing else.")
]


@with_settings(settings=AuditSettings, computing=DeviceSettings)
def audit(
    run: RunArgument,
    settings: AuditSettings,
    computing: DeviceSettings,
    model: Annotated[Path | None, typer.Option(help="The model, if it has moved.")] = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
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
    if as_json:
        say(json.dumps(read_json(result.folder / AUDIT_FILE), indent=2))
        return
    for finding in result.findings:
        say(finding.sentence)
    say(
        f"{len(result.findings)} findings."
        if result.findings
        else "Nothing was found that needs a look."
    )
    if len(result.near_duplicates):
        say(f"Nearly the same images of different patients: {len(result.near_duplicates)} pairs")
    for remark in result.remarks:
        say(f"  remark: {remark}")
    say(f"Audit: {result.folder}")
