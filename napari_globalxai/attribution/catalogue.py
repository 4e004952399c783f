"""The attribution methods by name, without importing any of them: each needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points

ENTRY_POINTS = "napari_globalxai.methods"


@dataclass(frozen=True)
class Entry:
    """Where a method lives, and a word on it.

    Attributes
    ----------
    target : str
        ``module:class``.
    summary : str
        What it shows, in half a sentence.
    needs_split : bool or None
        Whether it looks at a CAM layer; None where only the method itself, once imported, can say.
    """

    target: str
    summary: str
    needs_split: bool | None = None


def _own(module: str, name: str, summary: str, *, needs_split: bool = False) -> Entry:
    return Entry(f"napari_globalxai.attribution.{module}:{name}", summary, needs_split)


BUILT_IN = {
    "grad-cam": _own(
        "cam",
        "GradCam",
        "Where the last stage of the network sees the label; quick",
        needs_split=True,
    ),
    "grad-cam-plus-plus": _own(
        "cam",
        "GradCamPlusPlus",
        "Grad-CAM that gives several small findings their due; quick",
        needs_split=True,
    ),
    "layer-cam": _own(
        "cam",
        "LayerCam",
        "Grad-CAM with a weight a cell, also for earlier stages; quick",
        needs_split=True,
    ),
    "score-cam": _own(
        "perturbation",
        "ScoreCam",
        "What each channel of the last stage shows adds; no gradients",
        needs_split=True,
    ),
    "saliency": _own(
        "gradients",
        "Saliency",
        "Where a small change of a pixel changes the output most; fine, noisy",
    ),
    "input-x-gradient": _own(
        "gradients", "InputXGradient", "What each pixel would add, were the model linear; fine"
    ),
    "smooth-grad": _own(
        "averaged_gradients", "SmoothGrad", "Saliency averaged over noisy copies; fine, slower"
    ),
    "integrated-gradients": _own(
        "averaged_gradients",
        "IntegratedGradients",
        "What each pixel adds to the output; fine, slower",
    ),
    "gradient-shap": _own(
        "averaged_gradients",
        "GradientShap",
        "Integrated gradients at random points of noisy copies; fine, slower",
    ),
    "deep-lift": _own(
        "modified_backward", "DeepLift", "What each pixel adds, by differences; fine, quick"
    ),
    "guided-backprop": _own(
        "modified_backward",
        "GuidedBackprop",
        "Positive influences alone; sharp, but shows the image more than the model",
    ),
    "occlusion": _own(
        "perturbation", "Occlusion", "What the output loses when a square is hidden; slow"
    ),
    "rise": _own("perturbation", "Rise", "Which random parts keep the output; slow"),
}


def method_entries() -> dict[str, Entry]:
    """Return all methods by name; those that other packages add by entry point come last."""
    others = {
        point.name: Entry(point.value, f"From {point.value.partition(':')[0]}")
        for point in entry_points(group=ENTRY_POINTS)
    }
    return {**BUILT_IN, **{name: each for name, each in others.items() if name not in BUILT_IN}}


def method_names() -> list[str]:
    """Return the names of all methods."""
    return list(method_entries())
