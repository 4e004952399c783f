"""`outliers`: images whose maps are unlike the global map."""

from __future__ import annotations

from napari_globalxai.cli.machine_answers import records
from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import RunArgument, with_settings
from napari_globalxai.cli.printing import ProgressPrinter, say
from napari_globalxai.cohort.wording import counted
from napari_globalxai.plain_text import numeral
from napari_globalxai.settings.outlier_settings import OutlierSettings

_MOST_SAID = 5


@with_json
@with_settings(settings=OutlierSettings)
def outliers(run: RunArgument, settings: OutlierSettings) -> None:
    """Rank images by how unlike the global map their own maps are."""
    from napari_globalxai.runs.questions.image_outliers import outliers as rank_images

    found = rank_images(run, settings, progress=ProgressPrinter())
    for label, table in found.tables.items():
        say(f"{label}: {counted(len(table), 'image')}, the least like the map first")
        first = table.dropna(subset="rank").head(_MOST_SAID)
        for file, similarity in zip(first["file"], first["similarity"], strict=True):
            say(f"  {file}: {numeral(similarity, '.2f')}")
    for warning in found.record["warnings"]:
        say(f"  warning: {warning}")
    say(f"Outliers: {found.folder}")
    ranked = {label: records(table) for label, table in found.tables.items()}
    tell({"folder": found.folder, **found.record, "ranked": ranked})
