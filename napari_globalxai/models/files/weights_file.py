"""A file of weights, wherever its bytes lie."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_globalxai.storage import hash_file, hash_value


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights, on disk or in an archive.

    Attributes
    ----------
    path : pathlib.Path
        Its name; where it lies, if `content` is None.
    content : bytes or None
        What was read from an archive.
    """

    path: Path
    content: bytes | None = None

    def source(self) -> Any:
        """Return what readers take: a path as text, or a stream."""
        return str(self.path) if self.content is None else io.BytesIO(self.content)

    @property
    def size(self) -> int:
        """How many bytes it has; 0 where it is not there."""
        if self.content is not None:
            return len(self.content)
        return self.path.stat().st_size if self.path.is_file() else 0


def hash_weights(path: Path) -> str:
    """Hash a file of weights that was read, and the files that it keeps tensors in.

    Returns
    -------
    str
        The file's SHA-256, or one over those of all the files.
    """
    if path.suffix.lower() == ".onnx":
        # Imports torch, which all other weights are hashed without.
        from napari_globalxai.models.files.onnx_file import external_files

        if others := external_files(path):
            return hash_value([hash_file(file) for file in (path, *others)])
    return hash_file(path)
