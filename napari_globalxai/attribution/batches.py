"""Explain images in batches that the memory holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from napari_globalxai.attribution.method import Attribution, Method
from napari_globalxai.errors import InputError, is_out_of_memory
from napari_globalxai.models.classifier import Classifier


class Batches:
    """Explains images in batches, smaller ones once memory has run out.

    Parameters
    ----------
    classifier : Classifier
        The model; as many images as its `images_a_forward` go together.
    method : Method
        The attribution method.
    labels : sequence of int
        Indices of the labels to explain.

    Attributes
    ----------
    empty : dict
        By row, the labels whose map came out 0 everywhere. From the first of them on, the
        classifier's warnings say so.
    """

    def __init__(self, classifier: Classifier, method: Method, labels: Sequence[int]) -> None:
        self._classifier = classifier
        self._method = method
        self._labels = labels
        self.empty: dict[int, list[str]] = {}

    def explain(
        self, rows: Sequence[int], read_input: Callable[[Sequence[int]], Tensor]
    ) -> Iterator[tuple[list[int], Attribution]]:
        """Give the rows of each batch and their attributions.

        Parameters
        ----------
        rows : sequence of int
            What to explain, in this order.
        read_input : callable
            Gives what the network takes for some of the rows; may be asked for the same again.

        Raises
        ------
        InputError
            When memory does not hold a single image.
        """
        position = 0
        while position < len(rows):
            part = list(rows[position : position + self._classifier.images_a_forward])
            result = self._explain(part, read_input)
            if result is None:
                self._halve()
                continue
            self._look_for_empty(part, result)
            yield part, result
            position += len(part)

    def _look_for_empty(self, part: Sequence[int], result: Attribution) -> None:
        names = [self._classifier.labels[label] for label in self._labels]
        for row, places in zip(part, result.empty.tolist(), strict=True):
            labels = [name for name, is_empty in zip(names, places, strict=True) if is_empty]
            if labels:
                self.empty[row] = labels
        if self.empty:
            self._classifier.warn(empty_maps_warning(self._classifier))

    def _explain(
        self, part: Sequence[int], read_input: Callable[[Sequence[int]], Tensor]
    ) -> Attribution | None:
        """Explain a batch; None where memory does not hold it."""
        try:
            with self._classifier.rounding():
                return self._method.attribute(self._classifier, read_input(part), self._labels)
        # Out of memory has no one class; all else goes on up.
        except Exception as why:
            if not is_out_of_memory(why):
                raise
        return None

    def _halve(self) -> None:
        # Only here has the error, which holds on to the tensors of the failed batch, gone.
        if self._classifier.device.type == "cuda":
            torch.cuda.empty_cache()
        before = self._classifier.images_a_forward
        if before == 1:
            raise InputError(
                f"The memory of {self._classifier.device} does not hold one image for "
                f"{self._method.name}; choose another method or another --device."
            )
        self._classifier = self._classifier.working_with(images_a_forward=before // 2)


def empty_maps_warning(
    classifier: Classifier, counts: Mapping[str, int] | None = None, total: int = 0
) -> str:
    """Say that maps are 0 everywhere, and why that may be.

    Parameters
    ----------
    classifier : Classifier
        The model.
    counts : mapping, optional
        How many, by label.
    total : int, optional
        Of how many images.
    """
    which = "some images"
    if counts:
        listed = ", ".join(f"{label} {count}" for label, count in counts.items())
        which = f"some of {total} images ({listed})"
    reason = (
        "the model's own sigmoid or softmax saturates, so that gradients vanish, and could not be "
        "taken off; export the model without it"
        if classifier.activation == "none"
        else "nothing of what is explained changes the logit there"
    )
    return f"Maps are 0 everywhere for {which}: {reason}."
