"""A store of images that the run alone names is asked once a person says so, in place."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from napari_globalxai import addresses

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def test_a_store_is_asked_once_it_may_be(
    panels: Any,
    finished_run: Path,
    tmp_path: Path,
    qtbot: Any,
    notifications: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(addresses, "_NAMED", set())
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    table = pd.read_csv(run / "images.csv", keep_default_na=False)
    file = Path(table["path"][0])
    address = addresses.place(f"memory://far-pictures/{file.name}")
    address.write_bytes(file.read_bytes())
    table.loc[0, "path"] = str(address)
    table.to_csv(run / "images.csv", index=False)
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(run)
    panels.viewer.dims.set_current_step(0, 0)
    explain, consent = panels.explain, panels.explain.consent
    assert not consent.isVisibleTo(explain)
    with qtbot.waitSignal(explain.layers.native_refused, timeout=TIMEOUT):
        explain.native_box.click()
    assert consent.isVisibleTo(explain)
    assert "memory://far-pictures" in consent.said.text()
    assert not explain.native_box.isChecked()
    assert not addresses._NAMED
    assert not notifications
    # Images of this machine are shown all the same.
    with qtbot.waitSignal(explain.layers.native_shown, timeout=TIMEOUT):
        explain.layers.step_to(1)
        explain.native_box.click()
    with qtbot.waitSignal(explain.layers.native_shown, timeout=TIMEOUT):
        explain.layers.step_to(0)
        qtbot.waitUntil(lambda: not panels.session.native, timeout=TIMEOUT)
        consent.allow_button.click()
    assert explain.native_box.isChecked()
    assert not consent.isVisibleTo(explain)
    with Image.open(file) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(explain.layers.layer("native").data, expected)
