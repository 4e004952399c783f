"""The registrar of photographs of the retina, by optic disc and macula."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from napari_globalxai.frame.local_detail import Mask, plain_channel
from napari_globalxai.frame.registrar import FramedImage, Steps
from napari_globalxai.frame.retina.atlas import Atlas, Sides, learn_atlas
from napari_globalxai.frame.retina.landmarks import Picture

_THREADS = 4


@dataclass(frozen=True)
class RetinaAtlas:
    """What was learnt of a cohort of retinas.

    Attributes
    ----------
    atlas : napari_globalxai.frame.retina.atlas.Atlas
        Look and place of disc, macula and their surroundings.
    """

    atlas: Atlas

    @property
    def tells_sides(self) -> bool:
        """Whether it may tell the side of an image that nothing else tells."""
        return self.atlas.tells_sides

    def compare_sides(self, image: FramedImage) -> Sides:
        """Compare an image as it lies with its mirror image, by where disc and macula lie."""
        return self.atlas.sides(_picture(image))

    def onto(self, image: FramedImage) -> RetinaAtlas | None:
        """Return an atlas onto which images are moved to lie as this one; None if it is unlike."""
        anchored = self.atlas.anchored_on(_picture(image), image.aspect)
        return None if anchored is None else RetinaAtlas(anchored)

    def steps(self, registration: str, keys: Sequence[str], size: tuple[int, int]) -> Steps:
        """Return what moves images: by ``landmarks`` alone, as a ``similarity``, or ``affine``."""
        from napari_globalxai.frame.retina.atlas_transforms import KeepFinerd, RegisterToAtlasd

        return Steps(
            [KeepFinerd(keys[0], size)], [RegisterToAtlasd(keys, self.atlas, registration)]
        )

    def zones(self, field: Mask, aspect: float) -> dict[str, Mask]:
        """Return zones around disc and macula, quadrants, lids; see `KnowsZones`."""
        from napari_globalxai.frame.retina.zones import zones_of_the_eye

        scale = field.shape[1] / self.atlas.template.width
        # The anchor counts from the centre of the first pixel, at either size.
        disc, macula = (self.atlas.anchor + 0.5) * scale - 0.5
        return zones_of_the_eye(disc, macula, aspect, field)

    def save(self, path: Path) -> None:
        """Write the atlas to one file, atomically."""
        self.atlas.save(path)


class RetinaRegistrar:
    """Learns from a cohort what its retinas look like, and where disc and macula lie.

    Attributes
    ----------
    images_to_learn_from : int
        A median over so many changes little with more.
    """

    images_to_learn_from = 96

    def learn(self, images: Iterable[FramedImage]) -> RetinaAtlas | None:
        """Learn an atlas; None where the images are too few or have too little in common."""
        pictures, sides, aspects = [], [], []
        with ThreadPoolExecutor(_THREADS) as pool:
            # Images are asked for here, one at a time: whoever gives them may tell progress.
            for image in images:
                pictures.append(pool.submit(_picture, image))
                sides.append(image.side)
                aspects.append(image.aspect)
        if not pictures:
            return None
        atlas = learn_atlas([each.result() for each in pictures], sides, aspects)
        return None if atlas is None else RetinaAtlas(atlas)

    def load(self, path: Path) -> RetinaAtlas:
        """Read an atlas that was saved."""
        return RetinaAtlas(Atlas.load(path))


def _picture(image: FramedImage) -> Picture:
    """Return what is searched for landmarks."""
    return Picture(image.image[plain_channel(image.channels)], image.field)
