"""What one viewer works on, without any window."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_globalxai.widgets.session.session import Session

pytestmark = pytest.mark.gui


@pytest.mark.parametrize(
    ("names", "first"), [(("left", "right"), "left"), (("a", "overall"), "overall")]
)
def test_the_overall_map_comes_first_where_the_run_has_it(names: Any, first: str) -> None:
    session = Session()
    maps = {name: np.zeros((2, 2), np.float32) for name in names}
    session.open(SimpleNamespace(maps=maps))  # type: ignore[arg-type]
    assert session.map_name == first
    assert session.map_image is maps[first]
