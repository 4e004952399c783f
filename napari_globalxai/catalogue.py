"""What can be chosen by name, without importing any of it: methods, fills, registrations and so on.

A package adds its own by an entry point in the group that the catalogue names; what is added there
appears by itself on the command line, in the panels, in tables, figures and the report.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from napari_globalxai.errors import InputError

_MOST_LISTED = 12


@dataclass(frozen=True)
class Entry:
    """Where something lives, and a word on it.

    Attributes
    ----------
    target : str
        ``module:class``.
    summary : str
        What it is, in half a sentence.
    needs_split : bool or None
        Of a method: whether it looks at a CAM layer; None where only the method itself, once
        imported, can say.
    """

    target: str
    summary: str
    needs_split: bool | None = None


@dataclass(frozen=True)
class Catalogue:
    """Things of one kind by name: the package's own, then those of other packages.

    Attributes
    ----------
    noun, plural : str
        What one and several of them are called.
    group : str
        Group of the entry points by which packages add their own.
    own : mapping of str to Entry
        The package's own.
    """

    noun: str
    plural: str
    group: str
    own: Mapping[str, Entry]

    @property
    def _others(self) -> dict[str, Entry]:
        return {
            point.name: Entry(point.value, f"From {point.value.partition(':')[0]}")
            for point in _points_of(self.group, tuple(sys.path))
            if point.name not in self.own
        }

    @property
    def entries(self) -> dict[str, Entry]:
        """All of them; those that other packages add come last."""
        return {**self.own, **self._others}

    def summaries(self) -> dict[str, str]:
        """Return a word on each by name."""
        return {name: entry.summary for name, entry in self.entries.items()}

    def load(self, name: str) -> Any:
        """Return a class by name.

        Raises
        ------
        InputError
            When there is none of that name, or the package that offers it cannot be imported.
        """
        entries = self.entries
        if name not in entries:
            raise InputError(
                f"There is no {self.noun} {name!r}; {names_like(name, entries, self.plural)}."
            )
        module, _, attribute = entries[name].target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as why:
            raise InputError(f"The {self.noun} {name!r} cannot be loaded ({why}).") from why


@lru_cache(maxsize=1)
def _points(path: tuple[str, ...]) -> Any:
    """Return all entry points that packages on a path declare: a file of each, so read once.

    What it is depends on the release of Python; all can select a group.
    """
    return entry_points()


@lru_cache(maxsize=16)
def _points_of(group: str, path: tuple[str, ...]) -> list[Any]:
    """Return those of a group by name; looked for once, among hundreds of packages."""
    return sorted(_points(path).select(group=group), key=lambda point: point.name)


def names_like(name: str, known: Iterable[str], noun: str) -> str:
    """Return, for a message, the known names: the nearest ones where they are many, or else all."""
    by_key = {each.casefold(): each for each in known}
    near = get_close_matches(name.casefold(), by_key, n=3) if len(by_key) > _MOST_LISTED else []
    if near:
        return f"the nearest {noun} are {', '.join(by_key[key] for key in near)}"
    return f"{noun} are {', '.join(by_key.values())}"


def _own(module: str, name: str, summary: str, *, needs_split: bool = False) -> Entry:
    return Entry(f"napari_globalxai.attribution.{module}:{name}", summary, needs_split)


_METHODS = {
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


def _captum(
    module: str, summaries: Mapping[str, str], *, needs_split: bool = False
) -> dict[str, Entry]:
    return {
        f"captum:{name}": _own(f"captum_{module}", name, summary, needs_split=needs_split)
        for name, summary in summaries.items()
    }


# Listed, because neither captum nor torch is to be imported for a name.
_METHODS |= {
    **_captum(
        "perturbation",
        {
            "FeatureAblation": "What the output loses when a square or superpixel is hidden; slow",
            "Lime": "Weights of squares or superpixels in a sparse linear model; slow",
            "KernelShap": "Shapley values of squares or superpixels, by least squares; slow",
            "ShapleyValueSampling": "Shapley values by random orders; very slow",
            "ShapleyValues": "Exact Shapley values of seven squares at most; very slow",
            "Occlusion": "What the output loses when squares over a pixel are hidden; slow",
        },
    ),
    **_captum(
        "gradients",
        {
            "Saliency": "Absolute gradients, also in a noise tunnel",
            "InputXGradient": "Image times gradient, also in a noise tunnel",
            "IntegratedGradients": "With a choice of sums, also in a noise tunnel; slower",
            "GradientShap": "Gradients at random points of noisy copies; slower",
            "DeepLift": "By differences, for networks whose activations are layers, once each",
            "DeepLiftShap": "DeepLIFT from two baselines, mean colour and black",
            "GuidedBackprop": "Positive influences alone; shows the image more than the model",
            "Deconvolution": "Positive gradients alone; shows the image more than the model",
            "LRP": "Layer-wise relevance, for networks of layers one after another",
        },
    ),
    **_captum(
        "gradients",
        {
            "GuidedGradCam": "Guided backpropagation times Grad-CAM; sharp",
            "LayerGradCam": "Grad-CAM with its sign; quick",
            "LayerGradientXActivation": "Output of the CAM layer times its gradient; quick",
        },
        needs_split=True,
    ),
}

METHODS = Catalogue("attribution method", "methods", "napari_globalxai.methods", _METHODS)

FILLS = Catalogue(
    "fill",
    "fills",
    "napari_globalxai.fills",
    {
        "mean-image": Entry(
            "napari_globalxai.faithfulness.fills.fill_kinds:MeanImage",
            "The mean of the cohort: erased lesions become healthy-looking places",
        ),
        "mean-colour": Entry(
            "napari_globalxai.faithfulness.fills.fill_kinds:MeanColour",
            "One colour, the mean of the cohort in the valid area",
        ),
        "black": Entry(
            "napari_globalxai.faithfulness.fills.fill_kinds:Black",
            "Black; on dark images this can itself look like a disease",
        ),
        "blur": Entry(
            "napari_globalxai.faithfulness.fills.blurred_fill:Blur",
            "Each image itself, blurred; it keeps large forms, which may tell the label",
        ),
        "noisy-linear": Entry(
            "napari_globalxai.faithfulness.fills.noisy_linear:NoisyLinear",
            "Worked out from what is left around, with a little noise, as in ROAD; slower",
        ),
        "neighbour": Entry(
            "napari_globalxai.faithfulness.fills.neighbour_fill:Neighbour",
            "The most similar image, of another patient, without the label; slower",
        ),
        "local-neighbour": Entry(
            "napari_globalxai.faithfulness.fills.neighbour_fill:LocalNeighbour",
            "The same, chosen anew for each part of the frame; slower",
        ),
    },
)
# Beside those, any picture: the name is this and the file.
IMAGE_FILL_PREFIX = "image:"
IMAGE_FILL = Entry("napari_globalxai.faithfulness.fills.image_fill:ImageFill", "A picture of yours")

ORDERS = Catalogue(
    "family of orders",
    "families",
    "napari_globalxai.orders",
    {
        "shifted": Entry(
            "napari_globalxai.faithfulness.orders.order_families:Shifted",
            "The map, shifted to the other positions of a lattice: as smooth, but elsewhere",
        ),
        "surrogate": Entry(
            "napari_globalxai.faithfulness.orders.order_families:Surrogate",
            "Random maps, as smooth within the valid area, that fade at its rim as the map does",
        ),
        "random": Entry(
            "napari_globalxai.faithfulness.orders.order_families:Random", "Pixels in random order"
        ),
        "reversed": Entry(
            "napari_globalxai.faithfulness.orders.order_families:Reversed", "The map, least first"
        ),
        "centre-distance": Entry(
            "napari_globalxai.faithfulness.orders.order_families:CentreDistance",
            "Nearness to the centre of the valid area",
        ),
        "mean-intensity": Entry(
            "napari_globalxai.faithfulness.orders.order_families:MeanIntensity",
            "Brightness of the cohort's mean image",
        ),
        "sd-image": Entry(
            "napari_globalxai.faithfulness.orders.order_families:SdImage",
            "How much the images differ at each place",
        ),
    },
)

STATISTICS = Catalogue(
    "statistic",
    "statistics",
    "napari_globalxai.statistics",
    {
        "n": Entry("napari_globalxai.statistics.map_statistics:Images", "Images in the mean"),
        "n_patients": Entry(
            "napari_globalxai.statistics.map_statistics:Patients", "Patients of those images"
        ),
        "n_constant": Entry(
            "napari_globalxai.statistics.map_statistics:ConstantMaps",
            "Images whose own map has one value everywhere, so that it points nowhere",
        ),
        "reliability": Entry(
            "napari_globalxai.statistics.map_statistics:Reliability",
            "How alike maps of two halves of the patients rank places, brought to all patients: "
            "1 for alike, 0 for not at all",
        ),
    },
)


# How images are moved onto each other. One registrar may offer several ways; it is asked for sides
# where images are not moved, too.
REGISTRATIONS = Catalogue(
    "registration",
    "registrations",
    "napari_globalxai.registrations",
    {
        "landmarks": Entry(
            "napari_globalxai.frame.retina.retina_registrar:RetinaRegistrar",
            "Turn, shift and scale images so that the landmarks of all meet their usual place",
        ),
        "similarity": Entry(
            "napari_globalxai.frame.retina.retina_registrar:RetinaRegistrar",
            "Landmarks, refined by comparing pixels: rotation, shift and scale",
        ),
        "affine": Entry(
            "napari_globalxai.frame.retina.retina_registrar:RetinaRegistrar",
            "Landmarks, refined by comparing pixels: shear and unequal scales, too",
        ),
    },
)

# What images may show; a model card may name any other kind in its own words.
MODALITIES = Catalogue(
    "modality",
    "modalities",
    "napari_globalxai.modalities",
    {"retina": Entry("napari_globalxai.frame.retina.words:RETINA", "Photographs of the retina")},
)
