"""Does a sample have more than one mode? Silverman's test, by the bandwidth that hides the second.

B. W. Silverman, Using kernel density estimates to investigate multimodality, 1981.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_BINS = 256
# Of the range of the samples, added at both ends, so that the kernels have room.
_MARGIN = 0.5
_WIDEST = 2.0
_HALVINGS = 12


def critical_bandwidth(values: FloatArray) -> float:
    """Return the least bandwidth, in SDs of a sample, at which its density has one mode."""
    standard = _standardised(values)[None]
    low, high = 0.0, _WIDEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if count_modes(standard, middle)[0] > 1:
            low = middle
        else:
            high = middle
    return high


def count_modes(samples: FloatArray, bandwidth: float) -> npt.NDArray[np.int64]:
    """Return how many modes the density of each sample has.

    Parameters
    ----------
    samples : numpy.ndarray
        (sample, item).
    bandwidth : float
        SD of the Gaussian kernel, in the units of the samples.
    """
    # Takes a moment to import.
    from scipy.ndimage import gaussian_filter1d

    low, high = samples.min(), samples.max()
    span = (high - low) * (1 + 2 * _MARGIN)
    place = (samples - (low - (high - low) * _MARGIN)) / span * _BINS
    flat = place.astype(np.int64) + _BINS * np.arange(len(samples))[:, None]
    counts = np.bincount(flat.ravel(), minlength=_BINS * len(samples)).astype(float)
    density = gaussian_filter1d(
        counts.reshape(-1, _BINS), bandwidth / span * _BINS, axis=1, mode="constant"
    )
    rising = np.diff(density, axis=1, prepend=0.0, append=0.0) > 0
    # Level ground goes on as it began: the top of a plateau is one mode.
    falling = np.diff(density, axis=1, prepend=0.0, append=0.0) < 0
    direction = np.where(rising, 1, np.where(falling, -1, 0))
    return np.array([_turns(each) for each in direction])


def one_mode_p(values: FloatArray, resamples: int, generator: np.random.Generator) -> float:
    """Return p of the hypothesis that a sample comes from a density with one mode.

    Parameters
    ----------
    values : numpy.ndarray
        (item,).
    resamples : int
        Samples drawn from the sample's own density at its critical bandwidth.
    generator : numpy.random.Generator
        For them.

    Returns
    -------
    float
        1 for samples without spread, or of fewer than four.
    """
    if len(values) < 4 or np.ptp(values) == 0:
        return 1.0
    standard = _standardised(values)
    bandwidth = critical_bandwidth(values)
    shape = (resamples, len(standard))
    noise = bandwidth * generator.standard_normal(shape)
    # Shrunk to the sample's variance, or the kernel's would come on top.
    drawn = (generator.choice(standard, shape) + noise) / np.sqrt(1 + bandwidth**2)
    return float((1 + (count_modes(drawn, bandwidth) > 1).sum()) / (1 + resamples))


def _turns(direction: npt.NDArray[np.int64]) -> int:
    """Return how often a course turns from rising to falling."""
    moving = direction[direction != 0]
    return int(((moving[:-1] > 0) & (moving[1:] < 0)).sum())


def _standardised(values: FloatArray) -> FloatArray:
    return np.asarray((values - values.mean()) / values.std())
