"""Maps that are stored pooled: the global maps lose nothing, and what was pooled is on record."""

import numpy as np
import pytest
import tiny

from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.runs.pipeline import explain

SIDE = 5  # divides neither height nor width
NAMES = ("overall", "left", "right")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return tiny.write_cohort(folder / "cohort", size=70), tiny.write_resnet(folder / "model")


def run(inputs, out, **options):
    return explain(*inputs, out, "input-x-gradient", **{"batch_size": 8, **options})


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    return run(inputs, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def pooled(inputs, tmp_path_factory):
    return run(inputs, tmp_path_factory.mktemp("pooled") / "run", pooling=SIDE)


def test_global_maps_keep_the_full_resolution(whole, pooled):
    for name in NAMES:
        np.testing.assert_allclose(pooled.maps[name], whole.maps[name], rtol=1e-5, atol=1e-9)
    for label in tiny.LABELS:
        sds = [(folder / "maps" / f"{label}.sd.tif") for folder in (pooled.folder, whole.folder)]
        np.testing.assert_allclose(*(tiny.read_tiff(path) for path in sds), rtol=1e-4, atol=1e-9)
    np.testing.assert_array_equal(pooled.statistics["n"], whole.statistics["n"])


def test_stored_maps_are_means_of_squares(whole, pooled):
    stored, fine = tiny.attributions(pooled), tiny.attributions(whole)
    assert stored.shape == (70, 2, 7, 10)
    for row in range(7):
        for column in range(10):
            square = fine[..., row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            np.testing.assert_allclose(
                stored[..., row, column], square.mean(axis=(2, 3)), rtol=1e-3, atol=1e-7
            )


def test_what_was_pooled_is_recorded(pooled):
    assert pooled.store.pooling == SIDE
    assert pooled.info["settings"]["pooling"] == SIDE
    np.testing.assert_allclose(pooled.store.grid.y, [2, 7, 12, 17, 22, 27, 30.5])
    assert pooled.store.grid.x[-1] == 46
    assert pooled.image_map(3, "left").shape == (tiny.HEIGHT, tiny.WIDTH)


@pytest.mark.parametrize("aggregation", [{"scale": "mass"}, {"constant_maps": "left-out"}])
def test_aggregation_settings_count(aggregation, inputs, tmp_path):
    pair = [
        run(inputs, tmp_path / name, aggregation=aggregation, pooling=side)
        for name, side in (("whole", 1), ("pooled", SIDE))
    ]
    np.testing.assert_allclose(pair[1].maps["left"], pair[0].maps["left"], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("done", [0, 16, 40, 69])
def test_a_stopped_run_ends_with_the_same_bits(done, inputs, pooled, tmp_path):
    def stop(progress):
        if "Explaining" in progress.stage and progress.done >= done:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(inputs, tmp_path / "run", pooling=SIDE, progress=stop)
    resumed = run(inputs, tmp_path / "run", pooling=SIDE, resume=True)
    assert np.array_equal(tiny.attributions(resumed), tiny.attributions(pooled))
    for name in NAMES:
        assert np.array_equal(resumed.maps[name], pooled.maps[name])
    assert len(list((tmp_path / "run").glob("*-observed-*.npz"))) == 1


def test_a_chunk_whose_line_was_lost_counts_once(inputs, pooled, tmp_path):
    """As after a crash between writing the sums and noting that they are written."""
    run(inputs, tmp_path / "run", pooling=SIDE)
    journal = tmp_path / "run" / "attributions.jsonl"
    # The file that the line before named is gone, as it is once the next line is written.
    lines = journal.read_text().splitlines(keepends=True)
    with pytest.raises(Cancelled):
        run(inputs, tmp_path / "other", pooling=SIDE, progress=StopAfterSums(tmp_path / "other"))
    other = tmp_path / "other" / "attributions.jsonl"
    assert len(other.read_text().splitlines()) == len(lines) - 1
    resumed = run(inputs, tmp_path / "other", pooling=SIDE, resume=True)
    for name in NAMES:
        assert np.array_equal(resumed.maps[name], pooled.maps[name])


class StopAfterSums:
    """Takes the last line of the journal away once the work has got to its end, and stops."""

    def __init__(self, folder):
        self.folder = folder
        self.kept = b""
        self.sums = {}

    def __call__(self, progress):
        journal = self.folder / "attributions.jsonl"
        files = self.folder.glob("*-observed-*.npz")
        if "Explaining" in progress.stage:
            self.kept = journal.read_bytes() if journal.exists() else b""
            self.sums |= {path.name: path.read_bytes() for path in files}
        elif "Averaging" in progress.stage:
            journal.write_bytes(self.kept)
            for name, content in self.sums.items():
                (self.folder / name).write_bytes(content)
            raise Cancelled


def test_new_images_enter_at_full_resolution(inputs, whole, tmp_path):
    table, model = inputs
    start = table.with_name("start.csv")
    start.write_text("".join(table.read_text().splitlines(keepends=True)[:51]))
    run((start, model), tmp_path / "run", pooling=SIDE)
    grown = run((table, model), tmp_path / "run", pooling=SIDE, resume=True)
    for name in NAMES:
        np.testing.assert_allclose(grown.maps[name], whole.maps[name], rtol=1e-4, atol=1e-8)
    assert not any("pooled by" in warning for warning in grown.info["warnings"])


def test_other_truth_falls_back_on_the_pooled_maps_and_says_so(inputs, tmp_path):
    table, model = inputs
    changed = table.with_name("changed.csv")
    changed.write_text(table.read_text())
    run((changed, model), tmp_path / "run", pooling=SIDE)
    changed.write_text(table.read_text().replace(",0,0\n", ",1,0\n"))
    again = run((changed, model), tmp_path / "run", pooling=SIDE, resume=True)
    assert any("pooled by 5" in warning for warning in again.info["warnings"])
    fresh = run((changed, model), tmp_path / "fresh")
    close = np.corrcoef(again.maps["left"].ravel(), fresh.maps["left"].ravel())[0, 1]
    assert 0.5 < close < 0.999


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", None])
def test_sums_that_a_power_cut_spoilt_are_told_by_the_stored_maps(inputs, tmp_path, content):
    before = run(inputs, tmp_path / "run", pooling=SIDE)
    mean = before.maps["left"].copy()
    (sums,) = (tmp_path / "run").glob("*-observed-*.npz")
    if content is None:
        sums.unlink()
    else:
        sums.write_bytes(content)
    again = run(inputs, tmp_path / "run", pooling=SIDE, resume=True)
    assert any("pooled by 5" in warning for warning in again.info["warnings"])
    assert np.corrcoef(again.maps["left"].ravel(), mean.ravel())[0, 1] > 0.5


def test_maps_of_cells_are_not_pooled(inputs, tmp_path):
    with pytest.raises(InputError, match="grad-cam have 4 × 6 cells; only maps with a value a"):
        explain(*inputs, tmp_path / "run", "grad-cam", pooling=2)
    assert not (tmp_path / "run").exists()
