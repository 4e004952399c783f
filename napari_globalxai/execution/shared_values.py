"""Values that all workers read from a file that they see, known by the hash of what it holds.

What is large and the same for many parts would otherwise go through the scheduler once a part. The
hash goes with the part, over a connection that is the cluster's own: what somebody else has put
into the file is never unpickled.
"""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_globalxai.errors import InputError
from napari_globalxai.storage import atomic_path, read_bytes


@dataclass(frozen=True)
class SharedValue:
    """A value in a file.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    sha256 : str
        Hash of its content.
    """

    path: Path
    sha256: str

    @classmethod
    def write(cls, folder: Path, value: Any) -> SharedValue:
        """Write a value into a folder, and return how it is known."""
        content = pickle.dumps(value, protocol=5)
        sha256 = hashlib.sha256(content).hexdigest()
        path = folder.absolute() / f"{sha256[:32]}.shared"
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
        return cls(path, sha256)

    def read(self) -> Any:
        """Return the value.

        Raises
        ------
        InputError
            When the file is gone or holds something else.
        """
        content = read_bytes(self.path) if self.path.exists() else b""
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InputError(
                f"{self.path}: is not there or was changed while workers used it; let all workers "
                "see the same files, and start again."
            )
        return pickle.loads(content)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
