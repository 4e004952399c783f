"""What is read of a run before it is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stored_run import Plan, write_run

from napari_globalxai import open_run
from napari_globalxai.runs.record import RunRecord, read_record_of, write_record
from napari_globalxai.widgets.session.run_view import attribution_limit

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("smoothing", [0.0, 2.0])
def test_attributions_are_as_bright_as_half_of_those_of_their_label(
    smoothing: float, tmp_path: Path
) -> None:
    folder = write_run(tmp_path, Plan(images=60, labels=2))
    record = read_record_of(folder, RunRecord)
    settings = record.settings.model_copy(update={"smoothing": smoothing})
    write_record(folder, record.model_copy(update={"settings": settings}))
    run = open_run(folder)
    carrying = np.flatnonzero(run.images["L1"] == 1)
    assert 8 < len(carrying) < 64
    if smoothing:
        peaks = [run.image_map(row, "L1").max() for row in carrying[:: len(carrying) // 8]]
    else:
        peaks = [run.store.read(row, 1).max() for row in carrying]
        whole = np.median([run.image_map(row, "L1").max() for row in carrying])
        assert 0.9 * attribution_limit(run, "L1") < whole <= attribution_limit(run, "L1")
    assert attribution_limit(run, "L1") == pytest.approx(np.median(peaks), rel=1e-6)
