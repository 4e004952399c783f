"""The folder of a quality control, and what is not taken for a finished one."""

import posed
import pytest

from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.runs.inputs.quality_control import check_quality, open_quality

FRAME = {"height": 48, "width": 64}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return posed.draw(6, seed=1).write(tmp_path_factory.mktemp("cohort"))


@pytest.mark.parametrize("stage", ["Aligning images", "Averaging images"])
def test_what_was_stopped_is_not_opened_as_what_was_found_before(cohort, tmp_path, stage):
    check_quality(cohort, tmp_path / "quality", **FRAME)
    assert len(open_quality(tmp_path / "quality").images) == 6

    def stop(progress):
        if progress.stage == stage:
            raise Cancelled

    # Of another size, so that the images are aligned anew.
    with pytest.raises(Cancelled):
        check_quality(cohort, tmp_path / "quality", height=24, width=32, progress=stop)
    with pytest.raises(InputError, match=r"no quality\.json|was stopped"):
        open_quality(tmp_path / "quality")


def test_other_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no quality control, it has no quality\.json"):
        open_quality(tmp_path)
