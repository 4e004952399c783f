"""What lies where in a run folder."""

from __future__ import annotations

import re

RUN_FILE = "run.json"
STACK_FOLDER = "aligned.zarr"


def file_stem(name: str) -> str:
    """Return a label or map name as a file name: anything unusual becomes an underscore."""
    return re.sub(r"[^\w.+-]", "_", name)
