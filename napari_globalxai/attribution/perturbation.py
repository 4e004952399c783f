"""Methods that hide parts of the image and watch the logits; they need no gradients.

What is hidden is the same for every image and serves all labels at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import interpolate

from napari_globalxai.attribution.base import (
    Baseline,
    CamBase,
    MethodBase,
    PixelBase,
    Settings,
    baseline_input,
    logits_without_graph,
    split_of,
)
from napari_globalxai.attribution.method import Attribution
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.settings.aggregation_settings import Part

_T = TypeVar("_T")


class OcclusionSettings(Settings):
    """Parameters of occlusion."""

    window: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Side of the hidden square in pixels; 0 is an eighth of the frame's height",
    )
    stride: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Distance between squares in pixels; 0 is half the window",
    )
    baseline: Baseline = Field(default="mean-colour", description="What hides")


class Occlusion(MethodBase[OcclusionSettings]):
    """What the logit loses when a square is hidden (Zeiler & Fergus, 2014, arXiv 1311.2901).

    A cell of the map is a square, centred where the square lies.
    """

    name: ClassVar[str] = "occlusion"
    needs_gradients: ClassVar[bool] = False
    default_part: ClassVar[Part] = "positive"
    settings_type = OcclusionSettings

    def grid(self, classifier: Classifier) -> CellGrid:
        """Return the centres of the squares."""
        height, width = classifier.frame_shape
        size, _ = self._size_and_stride(height, width)
        rows, columns = (starts.astype(np.float64) for starts in self._starts(height, width))
        middle = (size - 1) / 2
        return CellGrid((rows + middle, columns + middle), (height, width))

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        height, width = classifier.frame_shape
        size, _ = self._size_and_stride(height, width)
        rows, columns = self._starts(height, width)
        hidden = baseline_input(classifier, inputs, self.settings.baseline)
        logits = logits_without_graph(classifier, inputs)
        squares = [(int(row), int(column)) for row in rows for column in columns]
        losses = []
        for part in _parts(squares, _copies(classifier, inputs)):
            copies = inputs.repeat(len(part), 1, 1, 1)
            for copy, (row, column) in zip(copies.chunk(len(part)), part, strict=True):
                square = (..., slice(row, row + size), slice(column, column + size))
                copy[square] = hidden[square]
            outputs = logits_without_graph(classifier, copies).view(len(part), len(inputs), -1)
            losses.append(logits - outputs)
        maps = torch.cat(losses)[..., list(labels)].permute(1, 2, 0)
        return Attribution(maps.reshape(*maps.shape[:2], len(rows), len(columns)), logits)

    def _size_and_stride(self, height: int, width: int) -> tuple[int, int]:
        size = min(self.settings.window or max(2, height // 8), height, width)
        return size, self.settings.stride or max(1, size // 2)

    def _starts(
        self, height: int, width: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return first rows and columns of the squares; the last ones end with the frame."""
        size, stride = self._size_and_stride(height, width)
        starts = [
            np.unique(np.append(np.arange(0, length - size, stride), length - size))
            for length in (height, width)
        ]
        return starts[0], starts[1]


class RiseSettings(Settings):
    """Parameters of RISE."""

    masks: int = Field(default=500, ge=2, le=100_000, description="Random masks")
    cells: int = Field(
        default=8, ge=2, le=64, description="Cells of a mask along the shorter side of the frame"
    )
    visible: float = Field(default=0.5, gt=0, lt=1, description="Share of the cells that are shown")
    score: Literal["probability", "logit"] = Field(
        default="probability", description="What is averaged; the paper takes the probability"
    )
    baseline: Baseline = Field(default="mean-colour", description="What hides")
    seed: int = Field(default=0, ge=0, description="Of the masks")


class Rise(PixelBase[RiseSettings]):
    """RISE (Petsiuk et al., 2018, arXiv 1806.07421): mean score of the masks that show a pixel.

    The mean score of all masks is taken off, so that a pixel that does not matter is near 0.
    """

    name: ClassVar[str] = "rise"
    needs_gradients: ClassVar[bool] = False
    default_part: ClassVar[Part] = "positive"
    settings_type = RiseSettings

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        hidden = baseline_input(classifier, inputs, self.settings.baseline)
        shape = inputs.shape[2:]
        weighted = torch.zeros((len(inputs), len(labels), *shape), device=inputs.device)
        shown = torch.zeros(tuple(shape), device=inputs.device)
        sums = torch.zeros((len(inputs), len(labels)), device=inputs.device)
        for masks in self._masks(inputs, _copies(classifier, inputs)):
            copies = hidden + masks[:, None, None] * (inputs - hidden)
            outputs = logits_without_graph(classifier, copies.flatten(0, 1))
            scores = self._scores(classifier, outputs).view(len(masks), len(inputs), -1)
            scores = scores[..., list(labels)]
            weighted += torch.einsum("mhw,mnl->nlhw", masks, scores)
            shown += masks.sum(dim=0)
            sums += scores.sum(dim=0)
        maps = weighted / shown - (sums / self.settings.masks)[..., None, None]
        return Attribution(maps, logits_without_graph(classifier, inputs))

    def _scores(self, classifier: Classifier, logits: Tensor) -> Tensor:
        if self.settings.score == "logit":
            return logits
        if classifier.activation == "softmax":
            return logits.softmax(dim=1)
        return logits.sigmoid()

    def _masks(self, inputs: Tensor, number: int) -> Iterator[Tensor]:
        """Give parts of the masks, (mask, height, width): coarse random grids, smooth, shifted."""
        height, width = inputs.shape[2:]
        cell = -(-min(height, width) // self.settings.cells)
        rows, columns = -(-height // cell), -(-width // cell)
        rng = np.random.default_rng(self.settings.seed)
        for part in _parts(range(self.settings.masks), number):
            masks = []
            for _ in part:
                # One cell more than the frame holds, cut out at a random place.
                coarse = rng.random((rows + 1, columns + 1)) < self.settings.visible
                top, left = rng.integers(0, cell, 2)
                grid = torch.from_numpy(coarse.astype(np.float32))[None, None]
                fine = interpolate(
                    grid, ((rows + 1) * cell, (columns + 1) * cell), mode="bilinear"
                )[0, 0]
                masks.append(fine[top : top + height, left : left + width])
            yield torch.stack(masks).to(inputs.device)


class ScoreCamSettings(Settings):
    """Parameters of Score-CAM."""

    channels: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="How many channels are used, those that vary most in the image; 0 is all",
    )


class ScoreCam(CamBase[ScoreCamSettings]):
    """Score-CAM (Wang et al., 2020, arXiv 1910.01279).

    Each channel, stretched to 0–1 and laid over the image, shows a part of it; the channel's weight
    is the softmax over channels of the logit's gain over the mean colour. One forward a channel
    serves all labels.
    """

    name: ClassVar[str] = "score-cam"
    needs_gradients: ClassVar[bool] = False
    settings_type = ScoreCamSettings

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        with torch.no_grad():
            activations, outputs = split_of(classifier).activations(inputs)
        logits = classifier.outputs_to_logits(outputs).detach()
        # The channels of all calls of the CAM layer, where there are several, hide on their own.
        values = classifier.cell_places.laid_out([each.detach().float() for each in activations])
        blank = logits_without_graph(classifier, torch.zeros_like(inputs[:1]))
        maps = [
            self._explain_one(classifier, image, channels, blank, labels)
            for image, channels in zip(inputs, values, strict=True)
        ]
        return Attribution(torch.stack(maps), logits)

    def _explain_one(
        self,
        classifier: Classifier,
        image: Tensor,
        channels: Tensor,
        blank: Tensor,
        labels: Sequence[int],
    ) -> Tensor:
        wanted = self.settings.channels
        if 0 < wanted < len(channels):
            spread = channels.flatten(1).std(dim=1)
            channels = channels[spread.topk(wanted).indices.sort().values]
        low = channels.amin(dim=(1, 2), keepdim=True)
        span = channels.amax(dim=(1, 2), keepdim=True) - low
        alive = span.flatten() > 0
        channels, low, span = channels[alive], low[alive], span[alive]
        gains = []
        for part in _parts(range(len(channels)), classifier.images_a_forward):
            chosen = slice(part[0], part[-1] + 1)
            stretched = ((channels[chosen] - low[chosen]) / span[chosen]).cpu().numpy()
            masks = upsample(stretched, classifier.cell_grid)
            copies = image * torch.as_tensor(masks, device=image.device)[:, None]
            gains.append(logits_without_graph(classifier, copies) - blank)
        weights = torch.cat(gains)[:, list(labels)].softmax(dim=0)
        return torch.einsum("khw,kl->lhw", channels, weights)


def _copies(classifier: Classifier, inputs: Tensor) -> int:
    """Return how many altered copies of each image one forward takes."""
    return max(1, classifier.images_a_forward // len(inputs))


def _parts(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
