"""captum's methods that go back from a logit to the pixels, or to the CAM layer."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule
from torch import Tensor, nn

from napari_globalxai.attribution.base import Settings, baseline_input
from napari_globalxai.attribution.captum_adapter import (
    GradientMethod,
    HookMethod,
    LayerMethod,
    TunnelT,
)
from napari_globalxai.attribution.captum_networks import (
    LogitsModule,
    cam_module,
    refuse_reused_layers,
    refuse_unruled_functions,
    refuse_unseen_relus,
)
from napari_globalxai.attribution.captum_settings import (
    DeepLiftSettings,
    GradientShapSettings,
    GuidedGradCamSettings,
    IntegratedGradientsSettings,
    LayerGradCamSettings,
    LrpSettings,
    TunnelSettings,
)
from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier

# How far the map of an image may miss its logit's difference, as a share of it.
_TOLERANCE = 0.01
# Below this, rounding would count.
_LEAST = 0.01


class Saliency(GradientMethod[TunnelSettings]):
    """Absolute gradients of the logit (Simonyan et al., 2013, arXiv 1312.6034)."""

    name: ClassVar[str] = "captum:Saliency"
    signed: ClassVar[bool] = False
    settings_type = TunnelSettings


class InputXGradient(GradientMethod[TunnelSettings]):
    """The normalised image times its gradient (Shrikumar et al., 2016, arXiv 1605.01713)."""

    name: ClassVar[str] = "captum:InputXGradient"
    settings_type = TunnelSettings


class IntegratedGradients(GradientMethod[IntegratedGradientsSettings]):
    """Integrated gradients (Sundararajan et al., 2017, arXiv 1703.01365)."""

    name: ClassVar[str] = "captum:IntegratedGradients"
    settings_type = IntegratedGradientsSettings

    def make(self, classifier: Classifier, example: Tensor) -> Any:
        """Return captum's method for the model."""
        return self.captum_class()(
            classifier.logits, multiply_by_inputs=self.settings.multiply_by_inputs
        )

    def arguments(self, classifier: Classifier, example: Tensor) -> dict[str, Any]:
        """Return what captum's `attribute` takes beside image and label."""
        return {
            "baselines": baseline_input(classifier, example, self.settings.baselines),
            "n_steps": self.settings.n_steps,
            "method": self.settings.method,
            "internal_batch_size": classifier.images_a_forward,
        }


class GradientShap(GradientMethod[GradientShapSettings]):
    """Mean gradient at random points between baseline and image, times their difference."""

    name: ClassVar[str] = "captum:GradientShap"
    settings_type = GradientShapSettings

    def arguments(self, classifier: Classifier, example: Tensor) -> dict[str, Any]:
        """Return what captum's `attribute` takes beside image and label."""
        return {
            "baselines": baseline_input(classifier, example, self.settings.baselines),
            "n_samples": self.settings.n_samples,
            "stdevs": self.settings.stdevs,
        }


class _AddingUp(HookMethod[TunnelT]):
    """A method whose map sums to the logit's difference from that of the baselines.

    captum's hooks miss functions that are called directly; where that makes a map miss the
    difference, the model is refused.
    """

    def make(self, classifier: Classifier, example: Tensor) -> Any:
        """Return captum's method for a copy of the network."""
        module = LogitsModule(classifier, self.name)
        refuse_reused_layers(module, tuple(SUPPORTED_NON_LINEAR), example, self.name)
        return self.captum_class()(module)

    def explain_label(
        self,
        method: Any,
        classifier: Classifier,
        image: Tensor,
        label: int,
        arguments: dict[str, Any],
    ) -> Tensor:
        """Return the map, (rows, columns), of one image and label."""
        plain = method.attribute(image.clone(), target=label, **arguments)
        with torch.no_grad():
            # The copy of the network that is explained, at full precision.
            own = float(method.model(image)[0, label])
            of_baselines = float(method.model(arguments["baselines"])[:, label].mean())
        missed = abs(float(plain.sum()) - (own - of_baselines))
        if missed > _TOLERANCE * max(abs(own - of_baselines), _LEAST):
            raise InputError(
                f"{self.name} does not add up on this model (it misses the logit by {missed:.3g}): "
                "captum's hooks do not see all of its functions; deep-lift and "
                "integrated-gradients do."
            )
        if self.settings.noise_tunnel == "none":
            return plain.detach()[0].sum(dim=0)  # type: ignore[no-any-return]
        return super().explain_label(method, classifier, image, label, arguments)


class DeepLift(_AddingUp[DeepLiftSettings]):
    """DeepLIFT with the rescale rule (Shrikumar et al., 2017, arXiv 1704.02685)."""

    name: ClassVar[str] = "captum:DeepLift"
    settings_type = DeepLiftSettings

    def arguments(self, classifier: Classifier, example: Tensor) -> dict[str, Any]:
        """Return what captum's `attribute` takes beside image and label."""
        return {"baselines": baseline_input(classifier, example, self.settings.baselines)}


class DeepLiftShap(_AddingUp[TunnelSettings]):
    """DeepLIFT averaged over two baselines, the mean colour and black."""

    name: ClassVar[str] = "captum:DeepLiftShap"
    settings_type = TunnelSettings

    def arguments(self, classifier: Classifier, example: Tensor) -> dict[str, Any]:
        """Return what captum's `attribute` takes beside image and label."""
        both = [baseline_input(classifier, example, each) for each in ("mean-colour", "black")]
        return {"baselines": torch.cat(both)}


class GuidedBackprop(HookMethod[TunnelSettings]):
    """Guided backpropagation (Springenberg et al., 2014, arXiv 1412.6806)."""

    name: ClassVar[str] = "captum:GuidedBackprop"
    settings_type = TunnelSettings

    def make(self, classifier: Classifier, example: Tensor) -> Any:
        """Return captum's method for a copy of the network."""
        module = LogitsModule(classifier, self.name)
        refuse_unseen_relus(classifier, example, self.name, "guided-backprop does")
        return self.captum_class()(module)


class Deconvolution(GuidedBackprop):
    """Deconvolution (Zeiler & Fergus, 2014, arXiv 1311.2901): ReLUs act on gradients alone."""

    name: ClassVar[str] = "captum:Deconvolution"


class LRP(HookMethod[LrpSettings]):
    """Layer-wise relevance propagation (Bach et al., 2015, doi 10.1371/journal.pone.0130140).

    For networks of layers one after another: captum has no rule for what stands between them, such
    as the sums of residual networks.
    """

    name: ClassVar[str] = "captum:LRP"
    settings_type = LrpSettings

    def make(self, classifier: Classifier, example: Tensor) -> Any:
        """Return captum's method for a copy of the network."""
        module = LogitsModule(classifier, self.name)
        refuse_unruled_functions(classifier, example, self.name)
        return self.captum_class()(module)

    def explain_label(
        self,
        method: Any,
        classifier: Classifier,
        image: Tensor,
        label: int,
        arguments: dict[str, Any],
    ) -> Tensor:
        """Return the map, (rows, columns), of one image and label."""
        # captum takes the rules away after each call.
        for layer in method.model.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.rule = self._rule()
            elif isinstance(layer, nn.Identity | nn.Flatten):
                # What enters leaves; captum knows no rule for them.
                layer.rule = EpsilonRule()
        return super().explain_label(method, classifier, image, label, arguments)

    def _rule(self) -> Any:
        if self.settings.rule == "gamma":
            return GammaRule(self.settings.gamma)
        if self.settings.rule == "alpha1_beta0":
            return Alpha1_Beta0_Rule()
        return EpsilonRule(self.settings.epsilon) if self.settings.epsilon else EpsilonRule()


class LayerGradCam(LayerMethod[LayerGradCamSettings]):
    """Grad-CAM (Selvaraju et al., 2017, arXiv 1610.02391), with its sign unless asked otherwise."""

    name: ClassVar[str] = "captum:LayerGradCam"
    settings_type = LayerGradCamSettings

    def arguments(self, classifier: Classifier, example: Tensor) -> dict[str, Any]:
        """Return what captum's `attribute` takes beside image and label."""
        return {"relu_attributions": self.settings.relu_attributions}


class LayerGradientXActivation(LayerMethod[Settings]):
    """The CAM layer's output times its gradient, channels summed."""

    name: ClassVar[str] = "captum:LayerGradientXActivation"


class GuidedGradCam(HookMethod[GuidedGradCamSettings]):
    """Guided backpropagation times Grad-CAM, whose cells captum takes to tile the image evenly."""

    name: ClassVar[str] = "captum:GuidedGradCam"
    needs_split: ClassVar[bool] = True
    settings_type = GuidedGradCamSettings

    def make(self, classifier: Classifier, example: Tensor) -> Any:
        """Return captum's method for the CAM layer of a copy of the network."""
        module = LogitsModule(classifier, self.name)
        refuse_unseen_relus(classifier, example, self.name, "guided-backprop does")
        return self.captum_class()(module, cam_module(classifier, module, example, self.name))

    def arguments(self, classifier: Classifier, example: Tensor) -> dict[str, Any]:
        """Return what captum's `attribute` takes beside image and label."""
        return {"interpolate_mode": self.settings.interpolate_mode}
