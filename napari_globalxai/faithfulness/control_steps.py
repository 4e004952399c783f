"""At which of the map's steps its controls are evaluated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_EARLY, _HALF = 0.2, 0.5
# Early steps crowd towards 0, where a map's curve bends.
_CROWDING = 1.6


def control_steps(counts: npt.NDArray[np.int64], steps: int) -> npt.NDArray[np.int64]:
    """Choose steps of the map for its controls, ends included, the same from either end.

    Most of them lie in the first fifth, where a true map leads. They are symmetric, so that the
    expected Δ of a random order is 0.

    Parameters
    ----------
    counts : numpy.ndarray
        Pixels at each step of the map, symmetric.
    steps : int
        How many, rounded to even, beside the two ends.
    """
    half = max(steps // 2, 2)
    early = half if half <= 3 else -(-4 * half // 5)
    wanted = _EARLY * (np.arange(1, early + 1) / early) ** _CROWDING
    later = np.linspace(_EARLY, _HALF, half - early + 1)[1:]
    fractions = counts / counts[-1]
    last = len(counts) - 1
    lower = [
        int(np.argmin(np.abs(fractions[: last // 2 + 1] - share)))
        for share in np.concatenate([wanted, later])
    ]
    chosen = np.array([0, *lower], np.int64)
    return np.unique(np.concatenate([chosen, last - chosen]))
