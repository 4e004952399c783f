"""Decode a file with SimpleITK in a process of its own.

GDCM's decoders, inside SimpleITK, can crash on broken files: of some thousand bit-flipped JPEG
lossless files a few ended the process. In a process of its own that is one image's error. This file
is both sides: what calls, and the script that is called.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SECONDS = 120
# Beyond what the decoder's own libraries take: the picture twice, by ITK and as an array, and as
# many times again for codecs that keep their coefficients.
_TIMES, _LEAST = 8, 512 << 20
# By SIGKILL, which a system that has no memory left sends; Windows has no such status.
_KILLED = -9


def decode_guarded(path: Path, image_io: str, size: int) -> npt.NDArray[Any]:
    """Return the samples of an image as SimpleITK reads them.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    image_io : str
        Which of ITK's readers; no other is tried.
    size : int
        Bytes that the picture has as its file tells: no decoder gets much more memory.

    Returns
    -------
    numpy.ndarray
        As `SimpleITK.GetArrayFromImage` gives it.

    Raises
    ------
    ValueError
        When the file cannot be decoded, with SimpleITK's reason.
    MemoryError
        When the system has ended the decoder.
    """
    # -P: the script's folder stays off the path, where its neighbours would hide other packages.
    command = [sys.executable, "-P", __file__, str(path), image_io, str(size)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired as why:
        raise ValueError(f"its decoder did not end within {SECONDS} s") from why
    if done.returncode:
        lines = done.stderr.decode(errors="replace").split("\n")
        # A crash leaves no last words of its own, or those of a warning before it.
        reason = next((line[7:] for line in reversed(lines) if line.startswith("reason ")), "")
        if done.returncode == _KILLED:
            raise MemoryError("its decoder was ended by the system, perhaps for want of memory")
        raise ValueError(reason or "its decoder crashed")
    array: npt.NDArray[Any] = np.load(io.BytesIO(done.stdout), allow_pickle=False)
    return array


def _limit_memory(more: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        used = pages * resource.getpagesize()
    except OSError:  # macOS
        used = 4 << 30
    resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))


def _main(path: str, image_io: str, size: str) -> int:
    import SimpleITK

    _limit_memory(_TIMES * int(size) + _LEAST)
    settings: Any = SimpleITK.ProcessObject
    settings.SetGlobalWarningDisplay(False)
    # Callers decode several files at once.
    settings.SetGlobalDefaultNumberOfThreads(1)
    try:
        array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path, imageIO=image_io))
    except (RuntimeError, MemoryError) as why:
        lines = [line.strip() for line in str(why).splitlines() if line.strip()]
        sys.stderr.write(f"\nreason {lines[-1] if lines else type(why).__name__}\n")
        return 1
    np.save(sys.stdout.buffer, array, allow_pickle=False)
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
