"""Parameters of captum's methods, under captum's names, with bounds and a word on each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_globalxai.attribution.base import Baseline, Settings
from napari_globalxai.attribution.image_features import Features

_SEED = "Of everything random; the same for every image, whatever goes along with it"
_STDEVS = "SD of the noise on the normalised image, whose own SD is about 1"


class HidingSettings(Settings):
    """Of methods that show and hide features of an image."""

    features: Features = Field(
        default="squares",
        description="What is shown or hidden as one: squares, or the superpixels of each image",
    )
    side: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Side of the squares in pixels; 0 is an eighth of the frame's height",
    )
    superpixels: int = Field(
        default=64, ge=2, le=10_000, description="Superpixels of an image, roughly"
    )
    compactness: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="How much nearness counts beside colour in superpixels",
    )
    baselines: Baseline = Field(default="mean-colour", description="What hides")
    perturbations_per_eval: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Altered copies a forward; 0 is as many as memory holds, which is the most",
    )


class ShapleyValuesSettings(HidingSettings):
    """Of exact Shapley values."""

    side: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Side of the squares in pixels; 0 is half of the frame's height",
    )
    superpixels: int = Field(default=6, ge=2, le=7, description="Superpixels of an image, roughly")


class SampledSettings(HidingSettings):
    """Of methods that draw what they show."""

    n_samples: int = Field(default=256, ge=2, le=1_000_000, description="Random sets of features")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description=_SEED)


class ShapleyValueSamplingSettings(SampledSettings):
    """Of sampled Shapley values."""

    n_samples: int = Field(
        default=25, ge=1, le=100_000, description="Random orders in which features are added"
    )


class KernelShapSettings(SampledSettings):
    """Of Kernel SHAP."""

    n_samples: int = Field(
        default=256,
        ge=2,
        le=1_000_000,
        description="Random sets of features; at least two more than there are features",
    )


class LimeSettings(SampledSettings):
    """Of LIME."""

    alpha: float = Field(
        default=0.01, gt=0, le=1000, description="How hard the lasso pulls small weights to 0"
    )
    distance_mode: Literal["cosine", "euclidean"] = Field(
        default="cosine", description="Distance of an altered copy from the image"
    )
    kernel_width: float = Field(
        default=1.0, gt=0, le=1e6, description="Distance at which a copy counts for 0.6"
    )


class OcclusionSettings(Settings):
    """Of captum's occlusion."""

    sliding_window_shapes: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Side of the hidden square in pixels; 0 is an eighth of the frame's height",
    )
    strides: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Distance between squares in pixels; 0 is half the window",
    )
    baselines: Baseline = Field(default="mean-colour", description="What hides")
    perturbations_per_eval: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Altered copies a forward; 0 is as many as memory holds, which is the most",
    )


class TunnelSettings(Settings):
    """Of methods that can be averaged over noisy copies of the image."""

    noise_tunnel: Literal["none", "smoothgrad", "smoothgrad_sq", "vargrad"] = Field(
        default="none",
        description="What is taken of the maps of noisy copies: nothing, as there are none, their "
        "mean, the mean of their squares, or their variance",
    )
    nt_samples: int = Field(
        default=8, ge=1, le=10_000, description="Noisy copies in the noise tunnel"
    )
    stdevs: float = Field(default=0.5, gt=0, le=1000, description=_STDEVS)
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description=_SEED)


class IntegratedGradientsSettings(TunnelSettings):
    """Of captum's integrated gradients."""

    n_steps: int = Field(default=50, ge=1, le=10_000, description="Points along the path")
    method: Literal[
        "gausslegendre", "riemann_trapezoid", "riemann_left", "riemann_right", "riemann_middle"
    ] = Field(default="gausslegendre", description="How the integral becomes a sum")
    multiply_by_inputs: bool = Field(
        default=True,
        description="Whether gradients are multiplied by the difference from the baseline",
    )
    baselines: Baseline = Field(default="mean-colour", description="Where the path starts")


class GradientShapSettings(Settings):
    """Of captum's gradient SHAP."""

    n_samples: int = Field(
        default=20, ge=1, le=10_000, description="Random points between baseline and image"
    )
    stdevs: float = Field(default=0.1, ge=0, le=1000, description=_STDEVS)
    baselines: Baseline = Field(default="mean-colour", description="Where the path starts")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description=_SEED)


class DeepLiftSettings(TunnelSettings):
    """Of captum's DeepLIFT."""

    baselines: Baseline = Field(default="mean-colour", description="What images are compared with")


class LrpSettings(Settings):
    """Of layer-wise relevance propagation."""

    rule: Literal["epsilon", "gamma", "alpha1_beta0"] = Field(
        default="epsilon", description="How convolutions and linear layers share relevance out"
    )
    epsilon: float = Field(
        default=0.0,
        ge=0,
        le=1e3,
        description="Of the epsilon rule: what absorbs noise; 0 only keeps from dividing by 0",
    )
    gamma: float = Field(
        default=0.25, gt=0, le=1e3, description="Of the gamma rule: how positive weights weigh"
    )


class LayerGradCamSettings(Settings):
    """Of captum's Grad-CAM."""

    relu_attributions: bool = Field(
        default=False, description="Whether what speaks against the label is left out"
    )


class GuidedGradCamSettings(TunnelSettings):
    """Of guided Grad-CAM."""

    interpolate_mode: Literal["nearest", "bilinear", "area"] = Field(
        default="nearest", description="How captum brings the cells of Grad-CAM to pixels"
    )
