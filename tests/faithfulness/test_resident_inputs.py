"""Images are read and normalised once, as far as there is room, and the answers stay the same."""

import numpy as np
import pytest
import tiny

from napari_globalxai.faithfulness.fills.fill_kinds import fit_fill
from napari_globalxai.faithfulness.predictions.masked_prediction import predict_masked
from napari_globalxai.faithfulness.predictions.resident_inputs import ResidentInputs

ROWS = list(range(10))


class Counted:
    """Images in memory that count how often they are read."""

    def __init__(self, model):
        rng = np.random.default_rng(2)
        shape = (len(ROWS), len(model.card.input.channels), *model.frame_shape)
        self.images = rng.integers(0, 256, shape).astype(np.uint8)
        self.shape = model.frame_shape
        self.reads = 0

    def read(self, rows):
        self.reads += len(rows)
        return self.images[np.asarray(rows, int)]

    def mean_image(self, rows):
        return self.images[np.asarray(rows, int)].mean(axis=0).astype(np.float32)


@pytest.mark.parametrize("fill_name", ["mean-image", "blur"])
def test_the_second_pass_reads_nothing_and_says_the_same(fill_name):
    model = tiny.counting_classifier()
    stack = Counted(model)
    fill = fit_fill(fill_name, stack, ROWS)
    masks = [np.random.default_rng(seed).random(model.frame_shape) < 0.5 for seed in range(3)]

    def logits(resident):
        return predict_masked(model, stack, ROWS, masks, fill, batch_size=4, resident=resident)

    usual = logits(None)
    resident = ResidentInputs(1 << 30)
    np.testing.assert_array_equal(logits(resident), usual)
    before = stack.reads
    np.testing.assert_array_equal(logits(resident), usual)
    assert stack.reads == before


def test_no_more_is_kept_than_there_is_room_for():
    model = tiny.counting_classifier()
    stack = Counted(model)
    fill = fit_fill("mean-image", stack, ROWS)
    mask = np.random.default_rng(0).random(model.frame_shape) < 0.5
    a_batch = 4 * stack.images[0].size * 4 + stack.images[0].size * 4
    resident = ResidentInputs(a_batch)
    stack.reads = 0
    for _ in range(2):
        predict_masked(model, stack, ROWS, [mask], fill, batch_size=4, resident=resident)
    # The first batch of four is kept, the others are read again.
    assert stack.reads == 10 + 6
    assert resident.room == 0
