"""Reading ahead gives the images that the stack gives, and reads each of them once."""

import numpy as np
import pytest
import tiny

from napari_globalxai.frame.read_ahead import ReadAhead


class Counting:
    """A stack that notes what was read of it."""

    def __init__(self, stack):
        self.stack = stack
        self.rows = []

    def read(self, rows):
        self.rows += list(rows)
        if 99 in rows:
            raise OSError("cannot be read")
        return self.stack.read(rows)


@pytest.fixture
def stack(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 2, 8, 8), dtype=np.uint8)
    return Counting(tiny.make_stack(tmp_path / "stack", images))


@pytest.mark.parametrize(
    "batches",
    [
        [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]],
        # The last batch of a chunk is shorter.
        [[0, 1, 2], [3], [4, 5, 6], [7], [8, 10], [11]],
        [[2, 5, 11]],
    ],
)
def test_each_image_is_read_once_and_right(stack, batches):
    order = [row for batch in batches for row in batch]
    with ReadAhead(stack, order) as images:
        for batch in batches:
            np.testing.assert_array_equal(images.read(batch), stack.stack.read(batch))
    assert sorted(stack.rows) == order


def test_the_next_batch_is_read_before_it_is_asked_for(stack):
    with ReadAhead(stack, range(12)) as images:
        images.read([0, 1, 2])
    # Leaving waits for what was begun.
    assert stack.rows == [0, 1, 2, 3, 4, 5]


def test_a_batch_again_in_parts_as_after_memory_ran_out(stack):
    with ReadAhead(stack, range(12)) as images:
        images.read([0, 1, 2, 3])
        for part in ([0, 1], [2, 3], [4, 5], [6, 7], [8]):
            np.testing.assert_array_equal(images.read(part), stack.stack.read(part))


def test_an_error_comes_out_where_the_image_is_asked_for(stack):
    with ReadAhead(stack, [0, 1, 99]) as images:
        images.read([0, 1])
        with pytest.raises(OSError, match="cannot be read"):
            images.read([99])
