"""Noisy linear imputation: erased pixels are worked out from what is left around them.

As in ROAD (Rong et al., arXiv 2202.00449): every erased pixel is the weighted mean of its
neighbours, erased or not, plus a little noise, so that neither a hard edge nor a smooth patch tells
the model where something was erased.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.fills.fill_kinds import Fitting, FloatPixels, Pixels, one_colour
from napari_globalxai.faithfulness.model_and_images import Images, Rows
from napari_globalxai.faithfulness.orders.map_orders import Mask

# ROAD's, on a scale of 0–1.
NOISE = 0.01
Solve = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


class NoisyLinear:
    """Each erased pixel is the mean of its neighbours, plus noise.

    The mask is shared by all images, so the sparse system is factorised once a mask. Where nothing
    is left, all images are the mean colour of the valid area, plus the same noise.
    """

    name: ClassVar[str] = "noisy-linear"
    per_image: ClassVar[bool] = False
    per_mask: ClassVar[bool] = True

    def __init__(self, images: Images, rows: Rows, fitting: Fitting | None = None) -> None:
        known = fitting or Fitting(images, rows)
        self.seed = known.seed
        self._shape = tuple(images.shape)
        self._colour = known.mean_colour()
        self._weights = neighbour_weights(self._shape)
        self._factorised: tuple[bytes, Any, Solve] | None = None

    @classmethod
    def fitted(cls, fitting: Fitting) -> NoisyLinear:
        """Return the fill, with the noise of a seed."""
        return cls(fitting.images, fitting.rows, fitting)

    @property
    def facts(self) -> dict[str, Any]:
        """Standard deviation of the noise, on a scale of 0–1."""
        return {"noise": NOISE}

    def key(self) -> Any:
        """Return what tells it from another one."""
        return [self.seed, NOISE, self._colour.tolist()]

    def of(self, rows: Rows, pixels: Pixels) -> FloatPixels:
        """Return what all images are where nothing of them is left."""
        blank = one_colour(self._colour, self._shape)
        return _in_range(blank[None] + self._noise([self.seed], blank.shape))

    def under(self, rows: Rows, pixels: Pixels, kept: Mask) -> FloatPixels:
        """Return the images with what is erased worked out from what is left."""
        result = pixels.astype(np.float32)
        erased = ~kept.ravel()
        if not erased.any():
            return result
        from_kept, solve = self._system(kept)
        flat = pixels.reshape(-1, kept.size).T.astype(np.float64)
        solved = solve(np.asarray(from_kept @ flat[~erased]))
        noise = np.stack([self._noise([self.seed, 1, int(row)], pixels.shape[1:]) for row in rows])
        shown = result.reshape(-1, kept.size)
        shown[:, erased] = solved.T + noise.reshape(-1, kept.size)[:, erased]
        return _in_range(shown.reshape(pixels.shape))

    def _system(self, kept: Mask) -> tuple[Any, Solve]:
        """Return what takes kept pixels to the right-hand side, and the solution of the system."""
        token = np.packbits(kept).tobytes()
        if self._factorised is None or self._factorised[0] != token:
            from scipy.sparse import diags_array
            from scipy.sparse.linalg import splu

            known = kept.ravel()
            weights = self._weights
            rows = weights[~known]
            system = diags_array(rows.sum(axis=1)) - rows[:, ~known]
            # Symmetric and positive definite: no pivoting is needed, and half of the order is free.
            factors = splu(
                system.tocsc(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
            self._factorised = (token, rows[:, known], factors.solve)
        return self._factorised[1], self._factorised[2]

    @staticmethod
    def _noise(seed: list[int], shape: tuple[int, ...]) -> FloatPixels:
        drawn = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
        return np.asarray(255 * NOISE * drawn, np.float32)


def neighbour_weights(shape: tuple[int, ...]) -> Any:
    """Return how much each pixel counts for each of its neighbours, sparse (pixel, pixel).

    Neighbours that share a side count twice as much as those that share a corner, as in ROAD; along
    more axes, the inverse of the squared distance. Beyond the frame there are none.
    """
    from scipy.sparse import coo_array

    index = np.arange(int(np.prod(shape))).reshape(shape)
    rows, columns, values = [], [], []
    for step in product((-1, 0, 1), repeat=len(shape)):
        distance = sum(part * part for part in step)
        if not distance:
            continue
        here = tuple(slice(max(0, -part), min(0, -part) or None) for part in step)
        there = tuple(slice(max(0, part), min(0, part) or None) for part in step)
        rows.append(index[here].ravel())
        columns.append(index[there].ravel())
        values.append(np.full(rows[-1].size, 1 / (6 * distance)))
    place = (np.concatenate(rows), np.concatenate(columns))
    return coo_array((np.concatenate(values), place), shape=(index.size, index.size)).tocsr()


def _in_range(values: FloatPixels) -> FloatPixels:
    return np.asarray(np.clip(values, 0, 255), np.float32)
