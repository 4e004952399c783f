"""The adapter that brings attributions of captum under the protocol of our own methods.

Images are explained one by one, and what draws at random draws the same for each, so that a map
does not depend on what else is in the batch. Hooks go on a copy of the network, and generators of
random numbers are put back.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import captum.attr
import numpy as np
import torch
from torch import Tensor

from napari_globalxai.attribution.base import (
    CamBase,
    MethodBase,
    PixelBase,
    Settings,
    SettingsT,
    baseline_input,
    logits_without_graph,
)
from napari_globalxai.attribution.captum_networks import LogitsModule, cam_module
from napari_globalxai.attribution.captum_settings import HidingSettings, TunnelSettings
from napari_globalxai.attribution.image_features import ShownFeatures, Squares, superpixels
from napari_globalxai.attribution.method import Attribution
from napari_globalxai.errors import InputError, is_out_of_memory
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.settings.aggregation_settings import Part

HidingT = TypeVar("HidingT", bound=HidingSettings)
TunnelT = TypeVar("TunnelT", bound=TunnelSettings)

ExplainImage = Callable[[Tensor], Tensor]
"""Takes one normalised image, (1, channel, height, width); gives maps, (label, rows, columns)."""


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch and numpy draw from a seed, and go on afterwards as if they had not."""
    before = np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            torch.manual_seed(seed)
            np.random.seed(seed)
            yield
        finally:
            np.random.set_state(before)


class CaptumMethod(MethodBase[SettingsT]):
    """An attribution of captum; its class has the name behind the colon."""

    name: ClassVar[str]

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        logits = logits_without_graph(classifier, inputs)
        try:
            # captum warns of its hooks, and of inputs that do not require gradients yet.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                explain = self.explainer(classifier, inputs[:1], labels)
                maps = [explain(image[None]) for image in inputs]
        except InputError:
            raise
        # captum asserts, and raises whatever comes first, where a network does not suit it.
        except Exception as why:
            if is_out_of_memory(why):
                raise
            reason = (str(why).strip() or type(why).__name__).splitlines()[0][:300]
            reason = reason.partition(". ")[0].rstrip(".")
            raise InputError(f"{self.name} cannot explain this model ({reason}).") from why
        return Attribution(torch.stack(maps).float(), logits)

    @abstractmethod
    def explainer(
        self, classifier: Classifier, example: Tensor, labels: Sequence[int]
    ) -> ExplainImage:
        """Return what explains images one by one; `example` is one of them."""

    def captum_class(self) -> Any:
        """Return the class of captum."""
        return getattr(captum.attr, self.name.partition(":")[2])


class HidingMethod(CaptumMethod[HidingT]):
    """Shows and hides features of an image, and watches the logits.

    captum is given a vector with an entry a feature, not the image, so that its arithmetic costs
    nothing beside the network's, and all labels are answered from the same forwards.
    """

    needs_gradients: ClassVar[bool] = False
    default_part: ClassVar[Part] = "positive"
    share_of_height: ClassVar[int] = 8

    def grid(self, classifier: Classifier) -> CellGrid:
        """Return the centres of the squares, or the pixels for superpixels."""
        if self.settings.features == "superpixels":
            return CellGrid.pixels(classifier.frame_shape)
        return self._squares(classifier).grid()

    def explainer(
        self, classifier: Classifier, example: Tensor, labels: Sequence[int]
    ) -> ExplainImage:
        """Return what explains images one by one; see `CaptumMethod`."""
        hidden = baseline_input(classifier, example, self.settings.baselines)

        def explain(image: Tensor) -> Tensor:
            model = ShownFeatures(classifier, image, hidden, self._members(classifier, image))
            values = self.attribute_features(model, labels, self._at_once(classifier)).float()
            if self.settings.features == "superpixels":
                return values[:, model.members]
            return values.reshape(len(labels), *self._squares(classifier).shape)

        return explain

    @abstractmethod
    def attribute_features(
        self, model: ShownFeatures, labels: Sequence[int], at_once: int
    ) -> Tensor:
        """Return what each feature adds to the logits of the labels, (label, feature)."""

    def attribute_jointly(self, model: ShownFeatures, labels: Sequence[int], **more: Any) -> Tensor:
        """Return captum's attributions for all labels from one call, (label, feature)."""
        shown = torch.ones((1, model.count), device=model.members.device)
        method = self.captum_class()(lambda vectors: model(vectors)[:, list(labels)])
        values: Tensor = method.attribute(shown, baselines=0, **more)
        return values.reshape(len(labels), model.count)

    def _squares(self, classifier: Classifier) -> Squares:
        height = classifier.frame_shape[0]
        side = self.settings.side or max(2, -(-height // self.share_of_height))
        return Squares(side, classifier.frame_shape)

    def _members(self, classifier: Classifier, image: Tensor) -> Tensor:
        if self.settings.features == "squares":
            members = self._squares(classifier).members()
        else:
            members = superpixels(
                image[0].cpu().numpy(), self.settings.superpixels, self.settings.compactness
            )
        found = torch.from_numpy(members).to(image.device)
        if int(found.max()) == 0:
            raise InputError(
                f"{self.name} has only one feature to show or hide; choose a smaller side or more "
                "superpixels."
            )
        return found

    def _at_once(self, classifier: Classifier) -> int:
        return self.settings.perturbations_per_eval or classifier.images_a_forward


class GradientMethod(CaptumMethod[SettingsT], PixelBase[SettingsT]):
    """Goes back from a label's logit to the pixels; a forward and a backward pass a label.

    Attributions of the channels are summed.
    """

    def explainer(
        self, classifier: Classifier, example: Tensor, labels: Sequence[int]
    ) -> ExplainImage:
        """Return what explains images one by one; see `CaptumMethod`."""
        method = self.make(classifier, example)
        arguments = self.arguments(classifier, example)

        def explain(image: Tensor) -> Tensor:
            return torch.stack(
                [
                    self.explain_label(method, classifier, image, label, arguments)
                    for label in labels
                ]
            )

        return explain

    def make(self, classifier: Classifier, example: Tensor) -> Any:
        """Return captum's method for the model."""
        return self.captum_class()(classifier.logits)

    def arguments(self, classifier: Classifier, example: Tensor) -> dict[str, Any]:
        """Return what captum's `attribute` takes beside image and label."""
        return {}

    def explain_label(
        self,
        method: Any,
        classifier: Classifier,
        image: Tensor,
        label: int,
        arguments: dict[str, Any],
    ) -> Tensor:
        """Return the map, (rows, columns), of one image and label."""
        settings: Settings = self.settings
        if isinstance(settings, TunnelSettings) and settings.noise_tunnel != "none":
            method = captum.attr.NoiseTunnel(method)
            arguments = {
                **arguments,
                "nt_type": settings.noise_tunnel,
                "nt_samples": settings.nt_samples,
                # Of what takes many points for each copy already, one at a time.
                "nt_samples_batch_size": 1
                if "internal_batch_size" in arguments
                else min(settings.nt_samples, classifier.images_a_forward),
                "stdevs": settings.stdevs,
            }
        with seeded(getattr(settings, "seed", 0), image.device):
            # A copy, because captum switches gradients on, and may write into what it is given.
            values = method.attribute(image.clone(), target=label, **arguments)
        return values.detach()[0].sum(dim=0)  # type: ignore[no-any-return]


class HookMethod(GradientMethod[SettingsT]):
    """A gradient method that changes the backward pass by hooks, on a copy of the network."""

    changes_backward: ClassVar[bool] = True

    def make(self, classifier: Classifier, example: Tensor) -> Any:
        """Return captum's method for a copy of the network."""
        return self.captum_class()(LogitsModule(classifier, self.name))


class LayerMethod(CamBase[SettingsT], HookMethod[SettingsT]):
    """A method whose maps have the cells of the CAM layer."""

    def make(self, classifier: Classifier, example: Tensor) -> Any:
        """Return captum's method for the CAM layer of a copy of the network."""
        module = LogitsModule(classifier, self.name)
        return self.captum_class()(module, cam_module(classifier, module, example, self.name))
