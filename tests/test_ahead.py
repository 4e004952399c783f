"""What is made in a thread comes in its turn, and so does what goes wrong there."""

import threading

import pytest

from napari_globalxai.ahead import made_ahead


def test_the_next_item_is_made_while_one_is_in_use():
    asked = [threading.Event() for _ in range(4)]

    def items():
        for number in range(3):
            asked[number].set()
            yield number

    made = made_ahead(items())
    assert next(made) == 0
    assert asked[1].wait(10)
    assert not asked[2].is_set()
    assert list(made) == [1, 2]


def test_an_error_is_raised_where_its_item_would_come():
    def items():
        yield 1
        raise ValueError("no more")

    made = made_ahead(items())
    assert next(made) == 1
    with pytest.raises(ValueError, match="no more"):
        next(made)


def test_whoever_stops_early_leaves_no_thread():
    made = made_ahead(iter(range(9)))
    next(made)
    made.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("ahead")]
