"""What grows while somebody works in one window: each thing that a person does, again and again.

    python benchmarks/window_growth.py [--repeats 120] [--only WORD…] [--run A --second B]

In one window with all panels and two runs, what a person does is repeated so often twice: the first
time fills what is kept on purpose, of the second it is told what grew, for 100 times. Python's
objects, Qt's, connections, entries of the package's and napari's lists, lines of boxes, open files,
threads, memory and the files of the runs are counted. It needs a display;
`scripts/with_display.sh python …` brings one.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sized
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import ref

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from window_acts import Act, Work, settle  # noqa: E402

# Of what takes seconds: how many times fewer.
FEWER = 5
# Fewer a hundred times are the noise of caches that fill.
LEAST = 10
MOST_KINDS = 6


def write_runs(folder: Path) -> tuple[Path, Path]:
    """Explain a tiny cohort twice, and test it with PEPPR, image by image as well."""
    import tiny

    import napari_globalxai as gx

    cohort, model = tiny.write_cohort(folder / "cohort", size=40), tiny.write_linear(folder / "m")
    few = {"steps": 8, "control_steps": 4, "controls": 3, "bootstrap": 20}
    for name in ("one", "two"):
        run = gx.explain(cohort, model, folder / name, "input-x-gradient")
        gx.peppr(run, "left", **few)
        gx.peppr(run, "right", **few)
        gx.peppr_images(run, "left", **few)
    return folder / "one", folder / "two"


def write_quality(folder: Path) -> Path:
    """Check a tiny cohort."""
    import tiny

    import napari_globalxai as gx

    cohort = tiny.write_cohort(folder / "checked", size=24)
    gx.check_quality(
        cohort, folder / "quality", height=tiny.HEIGHT, width=tiny.WIDTH, registration="none"
    )
    return folder / "quality"


def entries() -> Iterator[tuple[str, int]]:
    """Give the lists and caches that modules of the package keep, and how much is in them."""
    for name, module in list(sys.modules.items()):
        if not name.startswith("napari_globalxai"):
            continue
        for key, value in list(vars(module).items()):
            if hasattr(value, "cache_info"):
                yield f"{name}.{key}", value.cache_info().currsize
            elif isinstance(value, Sized) and hasattr(value, "clear"):
                yield f"{name}.{key}", len(value)


def receivers(objects: list[Any]) -> int:
    """Count who is connected to the signals of Qt's objects."""
    from qtpy.QtCore import QMetaMethod

    count = 0
    for each in objects:
        meta = each.metaObject()
        for index in range(meta.methodCount()):
            method = meta.method(index)
            if method.methodType() == QMetaMethod.MethodType.Signal:
                try:
                    signal = getattr(each, bytes(method.name().data()).decode())
                    count += each.receivers(signal)
                # Names that a method of Python hides; objects that Qt made.
                except (AttributeError, TypeError, RuntimeError):
                    continue
    return count


def in_use(process: Any) -> int:
    """Return the bytes in memory, but for what is free and not given back."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(process.memory_info().rss)


def in_folders(folders: list[Path]) -> tuple[int, int]:
    """Count files, and KiB in them."""
    sizes = [each.stat().st_size for folder in folders for each in folder.rglob("*")]
    return len(sizes), sum(sizes) >> 10


def count_all(work: Work, folders: list[Path]) -> tuple[dict[str, int], Counter[str]]:
    """Count what is there now, and Python's objects by their kind."""
    import psutil
    from napari._app_model import get_app_model
    from napari.utils.action_manager import action_manager
    from napari.utils.colormaps import AVAILABLE_COLORMAPS
    from napari.utils.events import EventEmitter
    from psygnal import SignalInstance
    from qtpy.QtCore import QObject, QTimer
    from qtpy.QtGui import QAction
    from qtpy.QtWidgets import QApplication, QComboBox, QWidget

    settle(0.3)
    for _ in range(3):
        gc.collect()
        settle()
    # What the plugin has kept out of the search since this was asked last.
    gc.unfreeze()
    unreachable = gc.collect()
    gc.collect()
    ours = [each for each in gc.get_objects() if isinstance(each, QObject) and is_alive(each)]
    # Which makes some of Python's objects for those that are asked the first time.
    connections = receivers(ours)
    # pandas clears its dead ones by the hundred.
    objects = [each for each in gc.get_objects() if not (type(each) is ref and each() is None)]
    kinds = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in objects)
    known = [each for each in objects if isinstance(each, SignalInstance | EventEmitter)]
    callbacks = sum(
        len(each) if isinstance(each, SignalInstance) else len(each.callbacks) for each in known
    )
    del objects, known
    tops = list(QApplication.topLevelWidgets())
    all_of_qt = {id(each): each for top in tops for each in top.findChildren(QObject)}
    all_of_qt |= {id(each): each for each in (*tops, *ours)}
    boxes = [each for each in all_of_qt.values() if isinstance(each, QComboBox)]
    app, process = get_app_model(), psutil.Process()
    files, kib = in_folders(folders)
    found = {
        "Python's objects": sum(kinds.values()),
        "kept as garbage": unreachable,
        "Qt's objects": len(all_of_qt),
        "widgets": sum(isinstance(each, QWidget) for each in all_of_qt.values()),
        "windows": len(tops),
        "timers": sum(isinstance(each, QTimer) for each in all_of_qt.values()),
        "actions": sum(isinstance(each, QAction) for each in all_of_qt.values()),
        "Qt's connections": connections,
        "callbacks": callbacks,
        "lines of boxes": sum(box.count() for box in boxes),
        "the package's lists": sum(size for _, size in entries()),
        "napari's colours": len(AVAILABLE_COLORMAPS),
        "napari's actions": len(action_manager._actions) + len(list(app.commands)),
        "keys": len(list(app.keybindings)) + len(work.viewer.keymap),
        "layers": len(work.viewer.layers),
        "open files": process.num_fds(),
        "threads": process.num_threads(),
        "MiB": in_use(process) >> 20,
        "files of runs": files,
        "KiB of runs": kib,
        "temporary files": in_folders([Path(tempfile.gettempdir())])[0],
    }
    return found, kinds


def is_alive(each: Any) -> bool:
    """Return whether Qt's half is still there."""
    try:
        each.objectName()
    except RuntimeError:
        return False
    return True


def grown(before: Counter[str], after: Counter[str], times: int) -> str:
    """Tell the kinds of Python's objects that grew most."""
    more = Counter({kind: 100 * (after[kind] - before[kind]) / times for kind in after})
    shown = [(kind, count) for kind, count in more.most_common(MOST_KINDS) if count >= LEAST]
    return ", ".join(f"{kind} {count:.0f}" for kind, count in shown)


def repeat(act: Act, times: int) -> None:
    """Do something so many times, each to its end."""
    for number in range(times):
        act(number)
        settle()


def measure(work: Work, name: str, act: Act, times: int, folders: list[Path]) -> None:
    """Do something again and again, and tell what grew the second time."""
    times = max(2, times // FEWER) if name.endswith("*") else times
    repeat(act, times)
    before, kinds = count_all(work, folders)
    repeat(act, times)
    after, more = count_all(work, folders)
    # Which is counted anew each time.
    before["kept as garbage"] = 0
    told = {key: 100 * (after[key] - before[key]) / times for key in after}
    words = [f"{key} {value:+.0f}" for key, value in told.items() if abs(value) >= 1]
    print(
        f"| {name.rstrip('*')} | {times} | {', '.join(words)} | {grown(kinds, more, times)} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=120)
    parser.add_argument("--only", nargs="+", default=[""], help="words of what is to be done")
    parser.add_argument("--run", type=Path, help="a finished run that may be written to")
    parser.add_argument("--second", type=Path, help="another of the same images")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["HOME"], tempfile.tempdir = str(folder / "home"), str(folder / "temporary")
        (folder / "temporary").mkdir()
        runs = (asked.run, asked.second) if asked.run and asked.second else write_runs(folder)
        work = Work(runs, write_quality(folder))
        # What is looked at the first time has more attributes from then on.
        count_all(work, [])
        print("| done | times | grown for 100 | of which |\n|---|---|---|---|")
        for name, act in work.acts().items():
            if any(word in name for word in asked.only):
                measure(work, name, act, asked.repeats, [*runs, folder / "home"])
        work.viewer.close()


if __name__ == "__main__":
    main()
