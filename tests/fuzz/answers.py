"""A run that many questions were asked of, and what reads the answers: report, panels, Python."""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure
from stored_run import Plan, write_run

import napari_globalxai as gx
from napari_globalxai.audit.strategy_files import read_clusters
from napari_globalxai.errors import InputError
from napari_globalxai.report.chapters import collect_chapters
from napari_globalxai.report.question_figures import draw_question_figures
from napari_globalxai.report.slice_chapter import draw_slice_figures
from napari_globalxai.runs.questions.image_outliers import open_outliers
from napari_globalxai.runs.questions.map_stability import open_stability
from napari_globalxai.runs.questions.selections import open_selection, selection_names, settings_of
from napari_globalxai.runs.run import Run

SHAPE = Plan().frame
SANITY = {
    "spearman": [0.1, 0.2], "ssim": [0.3, 0.1], "p": 0.5, "verdict": "sensitive",
    "reason": "Its map changes.", "stages": [{"share": 0.5, "spearman": 0.2}],
}  # fmt: skip


@functools.cache
def answered_run() -> Path:
    """A small run with answers, made once and without a model."""
    run = write_run(Path(tempfile.mkdtemp()) / "run", Plan(images=60, labels=2, shortcut=True))
    gx.make_maps(run, "some", where="site == 'A'")
    gx.contrast(run, "sides", "site == 'A'", "site == 'B'", permutations=99)
    gx.stability(run, splits=100, bootstrap=100)
    gx.outliers(run, top=2)
    gx.audit(run, permutations=199, bootstrap=100)
    gx.slices(run)
    (run / "sanity").mkdir()
    (run / "sanity" / "sanity.json").write_text(json.dumps({"L0": SANITY, "L1": SANITY}))
    return run


def files_of_answers() -> list[str]:
    run = answered_run()
    return sorted(
        path.relative_to(run).as_posix()
        for path in run.rglob("*")
        if path.suffix in (".csv", ".json", ".tif")
        and not {"attributions.zarr", "maps"} & set(path.parts)
        and path.parent != run
    )


def try_answers(name: str, content: bytes) -> None:
    """Read all answers, one of which is another one; anything but a sentence is raised."""
    path = answered_run() / name
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        for read in READERS:
            with contextlib.suppress(InputError):
                read(opened())
    finally:
        path.write_bytes(before)


def opened() -> Run:
    """Open the run, with black images in place of those that nobody made."""
    run = gx.open_run(answered_run())
    shape = (1, *SHAPE)
    black = SimpleNamespace(shape=shape, read=lambda rows: np.zeros((len(rows), *shape), np.uint8))
    vars(run)["stack"] = black
    return run


def _selections(run: Run) -> None:
    for name in selection_names(run):
        found = open_selection(run, name)
        settings_of(found)
        _ = found.warnings, dict(found.maps)


def _figures(run: Run) -> None:
    mean = np.zeros((1, *SHAPE))
    for drawn in (*draw_question_figures(run, mean), *draw_slice_figures(run, mean)):
        assert isinstance(drawn.figure, Figure)


READERS: tuple[Callable[[Run], object], ...] = (
    collect_chapters,
    _figures,
    _selections,
    lambda run: (open_stability(run).labels, open_stability(run).table, open_stability(run).growth),
    open_outliers,
    read_clusters,
)
