"""What a run is asked stops within a batch of its work, and leaves the run as it was."""

from __future__ import annotations

import shutil

import pytest
from stored_run import Plan, write_run

import napari_globalxai as gx
from napari_globalxai.errors import Cancelled
from napari_globalxai.progress import may_stop_here, stopped_by

A, B = "age > 60", "not (age > 60)"
ASKED = {
    "stability": lambda run, how: gx.stability(run, splits=100, bootstrap=100, **how),
    "outliers": lambda run, how: gx.outliers(run, **how),
    "maps": lambda run, how: gx.make_maps(run, "old", where=A, **how),
    "contrast": lambda run, how: gx.contrast(
        run, "age", A, B, permutations=100, correction="tfce", **how
    ),
    "slices": lambda run, how: gx.slices(run, **how),
    "audit": lambda run, how: gx.audit(run, erase="none", permutations=199, bootstrap=100, **how),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("stopped") / "run", Plan(images=400, labels=1))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Stop:
    """Stops work at one of the places at which it may stop."""

    def __init__(self, at=None):
        self.at, self.places, self.told = at, 0, []

    def __call__(self, progress=None):
        self.places += 1
        self.told += [] if progress is None else [progress]
        if self.places == self.at:
            raise Cancelled


@pytest.mark.parametrize("name", ASKED)
def test_it_stops_within_a_label_and_leaves_nothing(name, written, tmp_path):
    run = gx.open_run(shutil.copytree(written, tmp_path / "run"))
    before = contents(run.folder)
    never = Stop()
    with stopped_by(never):
        ASKED[name](run, {"progress": never})
    # There is one label alone: these places lie within it.
    assert never.places > 6
    if name in ("stability", "outliers", "slices"):
        done = [each.done for each in never.told]
        assert len(set(done)) > 1
        assert done == sorted(done)
        assert done[-1] == never.told[-1].total
    shutil.rmtree(run.folder)
    run = gx.open_run(shutil.copytree(written, run.folder))
    for share in (0.2, 0.9):
        stop = Stop(round(share * never.places))
        with stopped_by(stop), pytest.raises(Cancelled):
            ASKED[name](run, {"progress": stop})
        assert contents(run.folder) == before
    # Asked again, it is answered.
    ASKED[name](run, {})
    assert contents(run.folder).keys() > before.keys()


def test_nothing_stops_where_nobody_asks():
    may_stop_here()
    with stopped_by(Stop(1)), pytest.raises(Cancelled):
        may_stop_here()
    may_stop_here()
