"""A chain of MONAI's transforms that a card names: from an image of the frame to the input.

Transforms of a list here do nothing but arithmetic on pixels, or turn the whole image by right
angles or mirror it; they need no trust. Any other is code of somebody's, and runs only where the
user trusts the model. What it does to places is then tried out, so that maps lie where they belong.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.input_card import InputCard
from napari_globalxai.models.card.input_steps import Turn
from napari_globalxai.models.files.importing import importable
from napari_globalxai.models.files.networks import TRUST

# These change neither values nor places, of the images that are read here.
HARMLESS = frozenset(
    (
        *("EnsureChannelFirst", "AsChannelFirst", "EnsureType", "ToTensor", "CastToType"),
        *("Identity", "SelectItems", "ToDevice", "CopyItems", "DeleteItems"),
        *("DataStats", "IntensityStats"),
    )
)
# Each value of the result stands where the values stood that it was made of.
VALUES = frozenset(
    (
        *("ScaleIntensity", "ScaleIntensityRange", "ScaleIntensityRangePercentiles"),
        *("ScaleIntensityFixedMean", "NormalizeIntensity", "ClipIntensityPercentiles"),
        *("ThresholdIntensity", "ShiftIntensity", "StdShiftIntensity", "AdjustContrast"),
        *("HistogramNormalize", "GaussianSmooth", "GaussianSharpen", "MedianSmooth"),
    )
)
TURNS = frozenset(("Flip", "Rotate90", "Transpose"))
_GEOMETRY = ["Resize", "ResizeWithPadOrCrop", "CenterSpatialCrop", "SpatialPad"]
# Arguments that say which entries of a dictionary are meant; here it is the image.
_OF_DICTIONARIES = frozenset(("keys", "allow_missing_keys", "meta_keys", "meta_key_postfix"))
_FLOATS = ("float32", "torch.float32", "np.float32", "numpy.float32", "torch.float", "float")
# More than these takes all memory or hours, which a file must not do unasked.
_MOST = {"sigma": 100, "sigma1": 100, "sigma2": 100, "radius": 10, "num_bins": 65536}
_FAR = 4
_SPOT = 5

Step = Callable[[Tensor], Any]


def plain_name(target: str) -> str:
    """Return a transform's name without its module and without MONAI's mark of dictionaries."""
    name = target.rpartition(".")[2]
    for mark in ("Dict", "d", "D"):
        short = name.removesuffix(mark)
        if short != name and short in HARMLESS | VALUES | TURNS | {
            "LoadImage",
            "RepeatChannel",
            *_GEOMETRY,
        }:
            return short
    return name


def is_float(dtype: Any) -> bool:
    """Return whether a number format that a configuration names is that of our images."""
    return dtype is None or str(dtype).removeprefix("$") in _FLOATS


def is_known(step: Mapping[str, Any]) -> bool:
    """Return whether a transform is one that needs no trust."""
    target, name = str(step["_target_"]), plain_name(str(step["_target_"]))
    special = {key for key in step if key.startswith("_")} - {"_target_", "_desc_", "_disabled_"}
    of_monai = "." not in target or target.startswith("monai.transforms.")
    known = of_monai and name in HARMLESS | VALUES | TURNS and not special
    given = arguments_of(step)
    modest = all(_is_modest(given.get(key, 0), most) for key, most in _MOST.items())
    return known and modest and all(map(_is_plain, given.values()))


def _is_modest(value: Any, most: float) -> bool:
    """Return whether a number, or each of several, is no larger than what is reasonable."""
    values = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(each, int | float) and abs(each) <= most for each in values)


def arguments_of(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return a transform's arguments, without those of dictionaries, and without our own format."""
    given = {
        key: value
        for key, value in step.items()
        if not key.startswith("_") and key not in _OF_DICTIONARIES
    }
    if is_float(given.get("dtype")):
        given.pop("dtype", None)
    return given


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, str):
        return not value.startswith(("$", "@", "%"))
    return value is None or isinstance(value, bool | int | float)


class TransformChain:
    """Runs the transforms of a card.

    Parameters
    ----------
    card : InputCard
        Names the transforms; `transposed` turns images before them.
    source : pathlib.Path or None
        The card's or bundle's file, for messages, and beside which own code lies.
    trust : bool
        Whether transforms that are not known here may run.

    Attributes
    ----------
    turn : Turn
        What the chain does to places; all else leaves them. The network has to do it, since
        calling the chain undoes it.

    Raises
    ------
    InputError
        When a transform would have to be trusted, cannot be made, or moves pixels otherwise.
    """

    def __init__(self, card: InputCard, source: Path | None, trust: bool) -> None:
        self._name = str(source or "The model")
        self._channels = len(card.channels)
        shape = (card.height, card.width)
        first = Turn(transposed=card.transposed)
        self._first = first
        self._steps: list[tuple[str, Step]] = []
        places = first(
            torch.arange(card.height * card.width, dtype=torch.float64).reshape(1, 1, *shape)
        )
        for step in card.transforms:
            if step.get("_disabled_") is True:
                continue
            name = plain_name(str(step["_target_"]))
            known = is_known(step)
            if not known and not trust:
                raise InputError(f"{self._name}: {_why_refused(step, name)}")
            if known and name in HARMLESS:
                continue
            run = self._make(step, name, known, source)
            self._steps.append((str(step["_target_"]), run))
            if known and name in TURNS:
                places = self._run(len(self._steps) - 1, places[0].float())[None].double()
        turn = Turn.of(shape, places[0, 0])
        if turn is None:
            raise InputError(f"{self._name}: its transforms move pixels otherwise than by turns.")
        self.turn = turn
        self._try_places(shape)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the network's inputs, turned back to lie as the images do.

        Parameters
        ----------
        images : torch.Tensor
            float32 (n, channel, height, width) in 0–255.
        """
        results = [self._one(image) for image in self._first(images)]
        return self.turn.back(torch.stack(results)).to(images.device)

    def _one(self, image: Tensor) -> Tensor:
        # Some of MONAI's work in place.
        image = image.clone()
        for number in range(len(self._steps)):
            image = self._run(number, image)
        return image

    def _run(self, number: int, image: Tensor) -> Tensor:
        """Run one of the transforms on (channel, row, column)."""
        target, step = self._steps[number]
        try:
            with warnings.catch_warnings():
                # MONAI says of each image of a single value that it has no scale.
                warnings.simplefilter("ignore")
                result = torch.as_tensor(step(image))
        # Whatever transforms of all kinds of authors raise.
        except Exception as why:
            raise InputError(
                f"{self._name}: its transform {target} fails ({_first(why)})."
            ) from why
        result = result.as_subclass(Tensor).float()
        if result.ndim != 3 or len(result) != len(image):
            raise InputError(
                f"{self._name}: its transform {target} turns {len(image)} channels of an image "
                f"into {tuple(result.shape)}; the card's channels are those that the network takes."
            )
        return result

    def _make(self, step: Mapping[str, Any], name: str, known: bool, source: Path | None) -> Step:
        """Make a transform; MONAI builds those that are trusted, expressions included."""
        import monai.transforms

        try:
            if known:
                made: Step = getattr(monai.transforms, name)(**arguments_of(step))
                return made
            return _trusted(step, source)
        # Wrong arguments raise as many errors as there are transforms.
        except Exception as why:
            target = step["_target_"]
            raise InputError(
                f"{self._name}: its transform {target} fails ({_first(why)})."
            ) from why

    def _try_places(self, shape: tuple[int, int]) -> None:
        """Refuse a chain that gives another size, or shows a spot where it does not lie."""
        generator = torch.Generator().manual_seed(0)
        image = 60 + 100 * torch.rand((1, self._channels, *shape), generator=generator)
        # The ends of the scale lie outside the spots, so that these change no image's scale.
        image[:, :, 0, 0], image[:, :, 0, 1] = 40, 180
        plain = self._first(image)
        due = tuple(self.turn(image).shape[2:])
        given = self._one(plain[0])
        if tuple(given.shape[1:]) != due:
            raise InputError(
                f"{self._name}: its transforms make {given.shape[1]} × {given.shape[2]} pixels of "
                f"{shape[0]} × {shape[1]}, so that maps would not lie on the image; the card's fit "
                "says how images are cut or filled."
            )
        before = self.turn.back(given[None])
        reach = max(_FAR, max(shape) // 16)
        for row, column in ((1, 1), (1, 3), (3, 2)):
            centre = (shape[0] * row // 4, shape[1] * column // 4)
            spots = [slice(max(0, at - _SPOT // 2), at + _SPOT // 2 + 1) for at in centre]
            marked = image.clone()
            marked[:, :, spots[0], spots[1]] = 220 - marked[:, :, spots[0], spots[1]]
            change = (self.turn.back(self._one(self._first(marked)[0])[None]) - before).abs()
            seen = avg_pool2d(change.sum(1, keepdim=True), _SPOT, 1, _SPOT // 2)[0, 0]
            if not bool(torch.isfinite(seen).all()) or not float(seen.max()) > 0:
                continue
            found = np.unravel_index(int(seen.argmax()), seen.shape)
            if max(abs(int(a) - b) for a, b in zip(found, centre, strict=True)) > reach:
                raise InputError(
                    f"{self._name}: its transforms move pixels ({' > '.join(self._targets)}), so "
                    "that maps would not lie on the image; the card's transposed and fit say how "
                    "images are turned, cut or filled."
                )

    @property
    def _targets(self) -> list[str]:
        return [target for target, _ in self._steps]


def _trusted(step: Mapping[str, Any], source: Path | None) -> Step:
    """Let MONAI build a transform of anybody's."""
    from monai.bundle import ConfigParser
    from monai.transforms import MapTransform

    folder = Path() if source is None else source if source.is_dir() else source.parent
    target = str(step["_target_"])
    with importable(folder):
        made: Any = ConfigParser({"step": {**step, "_target_": target}}).get_parsed_content("step")
    if not callable(made):
        raise InputError(f"it is a {type(made).__name__}, which takes no image")
    if not isinstance(made, MapTransform):
        transform: Step = made
        return transform

    def on_image(image: Tensor) -> Any:
        return made(dict.fromkeys(made.keys, image))[made.keys[0]]

    return on_image


def _why_refused(step: Mapping[str, Any], name: str) -> str:
    target = step["_target_"]
    if name == "LoadImage":
        return f"{target} is not for a card's transforms; transposed: true says what it does."
    if name in _GEOMETRY:
        return f"{target} is not for a card's transforms; fit says how images are cut or filled."
    return f"its transform {target} is not one that is known to keep every pixel's place; {TRUST}."


def _first(why: BaseException) -> str:
    return (str(why).strip() or type(why).__name__).splitlines()[0][:200]
