"""The longest gaps of the GUI thread in a window on the screen, beside those of napari alone.

Each in a process of its own, as what is done for the first time takes longest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heartbeat import Heartbeat

pytestmark = [pytest.mark.gui, pytest.mark.timed]

MOST, TRIES = 0.1, 4
# What napari itself is to add where a flow adds it: the slowest of these counts.
ALIKE = {
    "a run": ("a stack", "a map"),
    "the next image": ("a map",),
    "the first layers of PEPPR": ("labels", "a picture"),
    "contours": ("labels",),
    "another map": (),
    "a second run beside": ("a stack", "a map"),
    "a new region": ("shapes",),
    "the first panel": ("a dock",),
    "a panel": ("a dock",),
}


def wait(done: Callable[[], bool] = lambda: True, least: float = 0.4) -> None:
    from qtpy.QtWidgets import QApplication

    began = time.monotonic()
    while time.monotonic() - began < least or not done():
        assert time.monotonic() - began < 120
        QApplication.processEvents()
        time.sleep(0.001)


def window() -> Any:
    import napari

    viewer = napari.Viewer(show=True)
    wait(least=1)
    return viewer


def bare(folder: Path) -> dict[str, float]:
    """Add to napari what the flows add."""
    from napari.layers import Image, Labels
    from qtpy.QtWidgets import QScrollArea

    viewer = window()
    image = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    # Of the first layers, most is imports, which do not count: ours are beside the window.
    Image(image)
    Labels(np.zeros((2, 2), np.uint8))
    picture = (255 * image[..., None].repeat(3, axis=-1)).astype(np.uint8)

    def labels() -> None:
        layer = Labels((image > 0.5).astype(np.uint8))
        layer.contour = 1
        viewer.add_layer(layer)

    adds: dict[str, Callable[[], Any]] = {
        "a dock": lambda: viewer.window.add_dock_widget(QScrollArea(), area="right"),
        "a stack": lambda: viewer.add_image(np.stack([picture] * 40), rgb=True),
        "a map": lambda: viewer.add_image(image),
        "labels": labels,
        "a picture": lambda: viewer.add_image(picture, rgb=True),
        "shapes": lambda: viewer.add_shapes([[0, 0], [9, 9]], shape_type="rectangle"),
    }
    gaps = {}
    for name, add in adds.items():
        with Heartbeat(f"napari alone adds {name}") as beat:
            add()
            wait()
        gaps[name] = beat.own
    viewer.close()
    return gaps


def ours(folder: Path) -> dict[str, float]:
    """Go through the flows."""
    from napari_globalxai.widgets.jobs.event_turns import TURNS
    from napari_globalxai.widgets.jobs.warm_up import wait_until_warm
    from napari_globalxai.widgets.workbench.open_panels import find_panel, open_panel

    viewer = window()
    gaps = {}

    def measure(name: str, act: Callable[[], Any], done: Callable[[], bool] = lambda: True) -> None:
        with Heartbeat(name) as beat:
            act()
            wait(lambda: done() and TURNS.is_idle)
        gaps[name] = beat.own

    def shows(role: str) -> Callable[[], bool]:
        return lambda: explain.layers.layer(role) is not None

    measure("the first panel", lambda: open_panel(viewer, "Global explanations"))
    explain = find_panel(viewer, "Global explanations")
    wait_until_warm()
    wait()
    measure("a run", lambda: explain.open_run(folder), lambda: not explain.runner.is_running)
    measure("the next image", lambda: explain.layers.step_to(3), shows("attribution"))
    measure("a panel", lambda: open_panel(viewer, "PEPPR"))
    measure("the first layers of PEPPR", lambda: explain.session.choose_map("left"), shows("seen"))
    measure("contours", lambda: explain.maps.contour_box.setChecked(True), shows("contours"))
    measure("another map", lambda: explain.session.choose_map("right"))
    measure("a second run beside", lambda: explain.beside.open_run(folder), shows("other map"))
    regions = open_panel(viewer, "Regions")
    wait(lambda: TURNS.is_idle)
    measure("a new region", regions.new_region)
    viewer.close()
    return gaps


def measured(flow: str, folder: Path, home: Path) -> dict[str, float]:
    """Run one of the above in a process of its own."""
    code = (
        "import json, sys; from pathlib import Path; import test_flow_gaps as flows;"
        "print(json.dumps(getattr(flows, sys.argv[1])(Path(sys.argv[2]))))"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, flow, str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=here,
        env={**child_environment(), "HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    gaps: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return gaps


def child_environment() -> dict[str, str]:
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.mark.timeout(480)
def test_no_gap_is_longer_than_a_tenth_of_a_second_or_than_that_of_napari_alone(
    finished_run: Path, home: Path
) -> None:
    alone = measured("bare", finished_run, home)
    allowed = {
        flow: max(MOST, *(alone[part] for part in parts)) if parts else MOST
        for flow, parts in ALIKE.items()
    }
    flows: dict[str, float] = {}
    too_long = dict(allowed)
    # Other work on the machine only adds to a gap: the shortest of a few is what we take.
    for _ in range(TRIES):
        found = measured("ours", finished_run, home)
        assert set(found) == set(allowed)
        flows = {flow: min(gap, flows.get(flow, gap)) for flow, gap in found.items()}
        too_long = {flow: gap for flow, gap in flows.items() if gap > allowed[flow]}
        if not too_long:
            break
    told = {
        flow: f"{1000 * gap:.0f} ms, of {1000 * allowed[flow]:.0f} ms"
        for flow, gap in too_long.items()
    }
    assert not told
