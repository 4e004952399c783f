"""Explain batches as MONAI's loaders give them, inside an evaluation that somebody else runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from torch import Tensor

from napari_globalxai.attribution.batches import Batches
from napari_globalxai.attribution.method import Method, make_method
from napari_globalxai.attribution.precision import choose_batch_size
from napari_globalxai.errors import InputError
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.models.classifier import Classifier


class Explainer:
    """Explains batches of images for all labels at once.

    Parameters
    ----------
    classifier : Classifier
        The model.
    method : Method or str, optional
        The attribution method or its name.
    labels : sequence of str, optional
        Labels to explain; all of the model's by default.
    normalised : bool, optional
        Whether images come scaled as the network takes them, as in a MONAI evaluation; else as
        0–255. Both ways rows come before columns: where the card says that the network sees them
        transposed, that is done here.
    batch_size : int, optional
        How many images of a batch go together; found from memory if not given, and halved where
        memory runs out. Results do not depend on it.

    Raises
    ------
    InputError
        When there is no such method or label.

    Examples
    --------
    >>> explain = Explainer(load_model("model.yaml"), "grad-cam")  # doctest: +SKIP
    >>> for batch in explain.batches(loader):  # doctest: +SKIP
    ...     batch["attribution"]  # MetaTensor, (image, label, height, width)
    """

    def __init__(
        self,
        classifier: Classifier,
        method: Method | str = "grad-cam",
        labels: Sequence[str] | None = None,
        *,
        normalised: bool = True,
        batch_size: int | None = None,
    ) -> None:
        self.labels = tuple(classifier.labels if labels is None else labels)
        self.normalised = normalised
        unknown = [label for label in self.labels if label not in classifier.labels]
        if unknown:
            raise InputError(
                f"The model has no label {unknown[0]!r}; its labels are "
                f"{', '.join(classifier.labels)}."
            )
        self.method = make_method(method) if isinstance(method, str) else method
        # Before the copy, which then shares where the network is split.
        self._grid = self.method.grid(classifier)
        at_once = choose_batch_size(classifier) if batch_size is None else batch_size
        self.classifier = classifier.working_with(images_a_forward=at_once)
        indices = [classifier.labels.index(label) for label in self.labels]
        self._batches = Batches(self.classifier, self.method, indices)

    def __call__(self, images: Tensor) -> tuple[MetaTensor, Tensor]:
        """Explain a batch.

        Parameters
        ----------
        images : torch.Tensor or monai.data.MetaTensor
            (image, channel, height, width), on any device.

        Returns
        -------
        monai.data.MetaTensor
            Attributions, float32 (image, label, height, width), with the images' meta data.
        torch.Tensor
            Logits, float32 (image, all labels of the model).

        Raises
        ------
        InputError
            When the images do not have the size of the model's input, or memory does not hold one.
        """
        expected = (len(self.classifier.card.input.channels), *self.classifier.frame_shape)
        if images.ndim != 4 or not len(images) or tuple(images.shape[1:]) != expected:
            raise InputError(
                f"A batch has shape {tuple(images.shape)}, but the model takes images of shape "
                f"{expected}: channel, height, width."
            )
        # Plain, because operations on a MetaTensor carry its meta data along, at a price.
        plain = images.as_tensor() if isinstance(images, MetaTensor) else images
        each = [
            result
            for _, result in self._batches.explain(
                range(len(plain)), lambda part: self._to_input(plain[part[0] : part[-1] + 1])
            )
        ]
        attributions = torch.cat([result.maps for result in each]).cpu().numpy()
        maps = MetaTensor(torch.from_numpy(upsample(attributions, self._grid)))
        if isinstance(images, MetaTensor):
            maps.copy_meta_from(images)  # type: ignore[no-untyped-call]
            maps.is_batch = images.is_batch
        return maps, torch.cat([result.logits for result in each]).cpu()

    def _to_input(self, images: Tensor) -> Tensor:
        if not self.normalised:
            return self.classifier.to_input(images)
        inputs = images.to(self.classifier.device, torch.float32)
        return inputs.contiguous(memory_format=torch.channels_last)

    def batches(
        self, loader: Iterable[Mapping[str, Any]], image_key: str = "image"
    ) -> Iterator[dict[str, Any]]:
        """Give the batches of a loader with their attributions and logits.

        Parameters
        ----------
        loader : iterable of mapping
            Such as `monai.data.DataLoader` over a data set of dictionaries.
        image_key : str, optional
            Key of the images.

        Yields
        ------
        dict
            The batch, and under ``attribution`` and ``logits`` what calling the explainer gives.
        """
        for batch in loader:
            maps, logits = self(batch[image_key])
            yield {**batch, "attribution": maps, "logits": logits}
