"""What the window remembers from one time to the next: recent runs, and what was last chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_globalxai.storage import read_json, write_json
from napari_globalxai.widgets.session.folders import results_home

# Offered first; more are in the list.
_MOST_RECENT, _MOST_RUNS = 8, 40
_RUNS = "recent_runs"
_CHOSEN = "chosen"
_MOVED = "moved"
_MOST_MOVED = 40


def _file() -> Path:
    return results_home() / "window.json"


def listed_runs() -> list[Path]:
    """Return the runs that were opened, the newest first, also those that are gone by now."""
    found = _read().get(_RUNS, [])
    return (
        [Path(path) for path in found if isinstance(path, str)] if isinstance(found, list) else []
    )


def recent_runs() -> list[Path]:
    """Return the runs that were opened last and are still there, the newest first."""
    return [path for path in listed_runs()[:_MOST_RECENT] if (path / "run.json").is_file()]


def remember_run(folder: Path) -> None:
    """Put a run at the top of the list."""
    others = [path for path in listed_runs() if path != folder.absolute()]
    _write({_RUNS: [str(path) for path in (folder.absolute(), *others)][:_MOST_RUNS]})


def forget_run(folder: Path) -> None:
    """Take a run off the list; its folder stays as it is."""
    _write({_RUNS: [str(path) for path in listed_runs() if path != folder]})


def chosen() -> dict[str, str]:
    """Return what was last chosen in the form, by field."""
    found = _read().get(_CHOSEN, {})
    return (
        {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    )


def remember_chosen(values: Mapping[str, str]) -> None:
    """Remember what is chosen in the form."""
    _write({_CHOSEN: {**chosen(), **values}})


def moved_to(what: str) -> Path | None:
    """Return where something is now, as somebody told: the hash of a model, or a run's folder."""
    found = _moved().get(what)
    return None if found is None else Path(found)


def remember_moved(what: str, path: Path) -> None:
    """Remember where something is now."""
    known = {what: str(path.absolute()), **{k: v for k, v in _moved().items() if k != what}}
    _write({_MOVED: dict(list(known.items())[:_MOST_MOVED])})


def _moved() -> dict[str, str]:
    found = _read().get(_MOVED, {})
    return (
        {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    )


def _read() -> dict[str, Any]:
    try:
        found = read_json(_file())
    # A memory that is gone or damaged is no reason not to work.
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(values: Mapping[str, Any]) -> None:
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_json(_file(), {**_read(), **values})
    # A home folder that cannot be written to, likewise.
    except OSError:
        return
