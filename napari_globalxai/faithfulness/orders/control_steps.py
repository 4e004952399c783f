"""At which of the map's steps its controls are evaluated, and at which of them it is judged."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.scores.auc_scores import FloatArray

# Where a map must lead: the first fifth of the pixels.
EARLY = 0.2
_HALF = 0.5
_ROUNDING = 0.01
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
    wanted = EARLY * (np.arange(1, early + 1) / early) ** _CROWDING
    later = np.linspace(EARLY, _HALF, half - early + 1)[1:]
    fractions = counts / counts[-1]
    last = len(counts) - 1
    lower = [
        int(np.argmin(np.abs(fractions[: last // 2 + 1] - share)))
        for share in np.concatenate([wanted, later])
    ]
    chosen = np.array([0, *lower], np.int64)
    return np.unique(np.concatenate([chosen, last - chosen]))


def early_steps(fractions: FloatArray, up_to: float = EARLY) -> npt.NDArray[np.int64]:
    """Return which of the control steps a map is judged at: the first ones, and the ends.

    Beyond it all that is not the lesion is told apart, too: the area up to there parts a true map
    from its controls better than the whole area does, at half of the forwards.

    Parameters
    ----------
    fractions : numpy.ndarray
        Fractions of the valid pixels at the control steps, rising from 0 to 1.
    up_to : float
        Where the area ends by which the map is judged; 1 takes all steps.
    """
    # A fifth of the pixels may be no whole number.
    reached = int(np.searchsorted(fractions, up_to - _ROUNDING)) + 1
    return np.append(np.arange(min(reached, len(fractions) - 1)), len(fractions) - 1)
