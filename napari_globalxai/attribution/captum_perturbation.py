"""captum's methods that hide parts of the image and watch the logits; they need no gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import torch
from captum._utils.models.linear_model import SkLearnLasso
from captum.attr._core.lime import get_exp_kernel_similarity_function
from torch import Tensor

from napari_globalxai.attribution.base import PixelBase, baseline_input
from napari_globalxai.attribution.captum_adapter import (
    CaptumMethod,
    ExplainImage,
    HidingMethod,
    seeded,
)
from napari_globalxai.attribution.captum_settings import (
    HidingSettings,
    KernelShapSettings,
    LimeSettings,
    OcclusionSettings,
    SampledSettings,
    ShapleyValueSamplingSettings,
    ShapleyValuesSettings,
)
from napari_globalxai.attribution.image_features import ShownFeatures
from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.settings.aggregation_settings import Part

_MOST_FEATURES_IN_ALL_ORDERS = 7

SampledT = TypeVar("SampledT", bound=SampledSettings)


class FeatureAblation(HidingMethod[HidingSettings]):
    """What the logit loses when a feature is hidden."""

    name: ClassVar[str] = "captum:FeatureAblation"
    settings_type = HidingSettings

    def attribute_features(
        self, model: ShownFeatures, labels: Sequence[int], at_once: int
    ) -> Tensor:
        """Return what each feature adds; see `HidingMethod`."""
        return self.attribute_jointly(model, labels, perturbations_per_eval=at_once)


class ShapleyValueSampling(HidingMethod[ShapleyValueSamplingSettings]):
    """What a feature adds when features are shown in random orders (Castro et al., 2009)."""

    name: ClassVar[str] = "captum:ShapleyValueSampling"
    settings_type = ShapleyValueSamplingSettings

    def attribute_features(
        self, model: ShownFeatures, labels: Sequence[int], at_once: int
    ) -> Tensor:
        """Return what each feature adds; see `HidingMethod`."""
        with seeded(self.settings.seed, model.members.device):
            return self.attribute_jointly(
                model,
                labels,
                n_samples=self.settings.n_samples,
                perturbations_per_eval=at_once,
            )


class ShapleyValues(HidingMethod[ShapleyValuesSettings]):
    """What a feature adds in the mean of all orders in which features can be shown."""

    name: ClassVar[str] = "captum:ShapleyValues"
    settings_type = ShapleyValuesSettings
    share_of_height: ClassVar[int] = 2

    def attribute_features(
        self, model: ShownFeatures, labels: Sequence[int], at_once: int
    ) -> Tensor:
        """Return what each feature adds; see `HidingMethod`."""
        if model.count > _MOST_FEATURES_IN_ALL_ORDERS:
            raise InputError(
                f"{self.name} goes through all orders of {model.count} features; choose a larger "
                f"side, for {_MOST_FEATURES_IN_ALL_ORDERS} at most, or captum:ShapleyValueSampling."
            )
        return self.attribute_jointly(model, labels, perturbations_per_eval=at_once)


class _Surrogate(HidingMethod[SampledT]):
    """Weights of a linear model of the logit, fitted to random sets of features."""

    def surrogate(self, model: ShownFeatures, label: int) -> Any:
        """Return captum's method for a label."""
        return self.captum_class()(lambda vectors: model(vectors)[:, label])

    def attribute_features(
        self, model: ShownFeatures, labels: Sequence[int], at_once: int
    ) -> Tensor:
        """Return what each feature adds; see `HidingMethod`."""
        shown = torch.ones((1, model.count), device=model.members.device)
        weights = []
        for label in labels:
            # The same sets for every label: their logits are known after the first.
            with seeded(self.settings.seed, shown.device):
                found = self.surrogate(model, label).attribute(
                    shown,
                    baselines=0,
                    n_samples=self.settings.n_samples,
                    perturbations_per_eval=at_once,
                    return_input_shape=False,
                )
            weights.append(found.flatten().to(shown.device))
        return torch.stack(weights)


class KernelShap(_Surrogate[KernelShapSettings]):
    """Shapley values by weighted least squares (Lundberg & Lee, 2017, arXiv 1705.07874)."""

    name: ClassVar[str] = "captum:KernelShap"
    settings_type = KernelShapSettings

    def surrogate(self, model: ShownFeatures, label: int) -> Any:
        """Return captum's method for a label."""
        if self.settings.n_samples < model.count + 2:
            raise InputError(
                f"{self.name} cannot tell {model.count} features apart by "
                f"{self.settings.n_samples} samples; set n_samples to {model.count + 2} or more, "
                "or choose fewer features."
            )
        return super().surrogate(model, label)


class Lime(_Surrogate[LimeSettings]):
    """LIME (Ribeiro et al., 2016, arXiv 1602.04938): the lasso's weights of the features."""

    name: ClassVar[str] = "captum:Lime"
    settings_type = LimeSettings

    def surrogate(self, model: ShownFeatures, label: int) -> Any:
        """Return captum's method for a label."""
        kernel = get_exp_kernel_similarity_function(
            self.settings.distance_mode, self.settings.kernel_width
        )

        def similarity(whole: Tensor, some: Tensor, *_: Any, **__: Any) -> Any:
            # Between pictures, as captum does it, not between the vectors that it is given here.
            return kernel(model.pictures(whole), model.pictures(some), None)

        return self.captum_class()(
            lambda vectors: model(vectors)[:, label],
            interpretable_model=SkLearnLasso(alpha=self.settings.alpha),
            similarity_func=similarity,
        )


class Occlusion(CaptumMethod[OcclusionSettings], PixelBase[OcclusionSettings]):
    """What the logit loses when a square is hidden, as the mean over all squares on a pixel."""

    name: ClassVar[str] = "captum:Occlusion"
    needs_gradients: ClassVar[bool] = False
    default_part: ClassVar[Part] = "positive"
    settings_type = OcclusionSettings

    def explainer(
        self, classifier: Classifier, example: Tensor, labels: Sequence[int]
    ) -> ExplainImage:
        """Return what explains images one by one; see `CaptumMethod`."""
        settings, (height, width) = self.settings, classifier.frame_shape
        hidden = baseline_input(classifier, example, settings.baselines)
        side = min(settings.sliding_window_shapes or max(2, height // 8), height, width)
        stride = min(settings.strides or max(1, side // 2), side)
        at_once = settings.perturbations_per_eval or classifier.images_a_forward

        def explain(image: Tensor) -> Tensor:
            def logits(shown: Tensor) -> Tensor:
                pictures = torch.where(shown > 0.5, image, hidden)
                pictures = pictures.contiguous(memory_format=torch.channels_last)
                return classifier.logits(pictures)[:, list(labels)]

            # One channel that says what is shown, in place of the image's: all are hidden at once.
            values: Tensor = self.captum_class()(logits).attribute(
                torch.ones_like(image[:, :1]),
                sliding_window_shapes=(1, side, side),
                strides=(1, stride, stride),
                baselines=0,
                perturbations_per_eval=at_once,
            )
            return values[:, 0]

        return explain
