"""Families of control orders, which a faithful map must beat or is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from napari_globalxai.catalogue import ORDERS
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.model_and_images import Images, Rows
from napari_globalxai.faithfulness.offered import offered_class
from napari_globalxai.faithfulness.orders import map_orders as orders
from napari_globalxai.faithfulness.orders.lattice import shifted_orders
from napari_globalxai.faithfulness.orders.map_orders import Mask, Order

# Each stands out from white and from the grounds of napari's dark and light themes by 3 to 1.
_NEUTRAL = "#8c7355"
_GREY, _PURPLE = "#767676", "#b4618f"
_IMAGES_A_READ = 64
_PARTS = ("name", "title", "colour", "judged", "orders")


@dataclass(frozen=True)
class Ranking:
    """What control orders are made from.

    Attributes
    ----------
    image : numpy.ndarray
        The map under test, (*spatial); under cross-fitting that of one fold.
    valid : numpy.ndarray
        Pixels that are ranked, bool (*spatial).
    order : numpy.ndarray
        The map's own order of them.
    images : Images
        The images.
    rows : numpy.ndarray
        Those that are evaluated.
    count : int
        Orders that a judged family gives at most.
    seed : int
        Of all that is random, the same in all folds.
    lattice : tuple of int
        Positions along each axis that the map is shifted to, the same in all folds.
    """

    image: npt.NDArray[np.floating]
    valid: Mask
    order: Order
    images: Images
    rows: Rows
    count: int
    seed: int
    lattice: tuple[int, ...] = ()

    @cached_property
    def mean_image(self) -> npt.NDArray[np.float32]:
        """Mean of the images evaluated, float32 (channel, *spatial)."""
        return self.images.mean_image(self.rows)

    @cached_property
    def sd_image(self) -> npt.NDArray[np.float64]:
        """SD of the images evaluated, (channel, *spatial)."""
        mean = self.mean_image.astype(np.float64)
        total = np.zeros_like(mean)
        for start in range(0, len(self.rows), _IMAGES_A_READ):
            part = self.images.read(self.rows[start : start + _IMAGES_A_READ])
            total += ((part - mean) ** 2).sum(axis=0)
        return np.asarray(np.sqrt(total / max(len(self.rows), 1)))


class OrderFamily(Protocol):
    """A family of control orders.

    Attributes
    ----------
    name : str
        Lower case with hyphens.
    title : str
        What its orders are called in a legend.
    colour : str
        In figures and plots, on light and on dark ground.
    judged : bool
        Whether the map is judged by its rank among many orders, as a p-value, or compared with
        one, as a difference with its interval over patients.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    colour: ClassVar[str]
    judged: ClassVar[bool]

    def orders(self, ranking: Ranking, /) -> Iterator[Order]:
        """Give the orders; of a family that is not judged, the first one counts.

        Under cross-fitting it is asked once a fold, and its orders are put together one by one, so
        the same seed must give what belongs together. A family that can be enumerated may say by
        a method ``positions(ranking)`` how many orders it has.
        """


class Shifted:
    """The map, shifted to every other position of a lattice."""

    name: ClassVar[str] = "shifted"
    title: ClassVar[str] = "Shifted maps"
    colour: ClassVar[str] = _PURPLE
    judged: ClassVar[bool] = True

    def positions(self, ranking: Ranking) -> int:
        """Return how many orders there are in all."""
        return int(np.prod(ranking.lattice)) - 1

    def orders(self, ranking: Ranking) -> Iterator[Order]:
        """Give orders by the map moved elsewhere."""
        return shifted_orders(ranking.image, ranking.valid, ranking.lattice, ranking.seed)


class Surrogate:
    """Random maps, as smooth as the map within the valid area, that fade at its rim as it does."""

    name: ClassVar[str] = "surrogate"
    title: ClassVar[str] = "Surrogate maps"
    colour: ClassVar[str] = _GREY
    judged: ClassVar[bool] = True

    def orders(self, ranking: Ranking) -> Iterator[Order]:
        """Give orders by maps that are drawn like the map."""
        # Imports much of SciPy, which a report or a viewer need not wait for.
        from napari_globalxai.faithfulness.orders.surrogates import ValidArea

        source = ValidArea.of(ranking.valid).source(ranking.image)
        for child in np.random.SeedSequence([ranking.seed, 5]).spawn(ranking.count):
            drawn = source.draw(np.random.default_rng(child))
            yield orders.order_by_map(drawn, ranking.valid, ranking.seed)


class Random:
    """Pixels in random order."""

    name: ClassVar[str] = "random"
    title: ClassVar[str] = "Random order"
    colour: ClassVar[str] = _NEUTRAL
    judged: ClassVar[bool] = False

    def orders(self, ranking: Ranking) -> Iterator[Order]:
        """Give a random order, the same for every image and map: its expected Δ is 0."""
        return orders.random_orders(ranking.valid, 1, ranking.seed)


class Reversed:
    """The map, least first."""

    name: ClassVar[str] = "reversed"
    title: ClassVar[str] = "Reversed order"
    colour: ClassVar[str] = _NEUTRAL
    judged: ClassVar[bool] = False

    def orders(self, ranking: Ranking) -> Iterator[Order]:
        """Give the map's own order from its end."""
        yield ranking.order[::-1]


class CentreDistance:
    """Nearness to the centre of the valid area."""

    name: ClassVar[str] = "centre-distance"
    title: ClassVar[str] = "Distance from the centre"
    colour: ClassVar[str] = _NEUTRAL
    judged: ClassVar[bool] = False

    def orders(self, ranking: Ranking) -> Iterator[Order]:
        """Give the order from the centre outwards."""
        yield orders.centre_distance_order(ranking.valid, ranking.seed)


class MeanIntensity:
    """Brightness of the mean image."""

    name: ClassVar[str] = "mean-intensity"
    title: ClassVar[str] = "Mean intensity"
    colour: ClassVar[str] = _NEUTRAL
    judged: ClassVar[bool] = False

    def orders(self, ranking: Ranking) -> Iterator[Order]:
        """Give the order from the brightest place to the darkest."""
        yield orders.mean_intensity_order(ranking.mean_image, ranking.valid, ranking.seed)


class SdImage:
    """How much the images differ at each place."""

    name: ClassVar[str] = "sd-image"
    title: ClassVar[str] = "SD image"
    colour: ClassVar[str] = _NEUTRAL
    judged: ClassVar[bool] = False

    def orders(self, ranking: Ranking) -> Iterator[Order]:
        """Give the order from the most variable place to the most constant."""
        yield orders.mean_intensity_order(ranking.sd_image, ranking.valid, ranking.seed)


@dataclass(frozen=True)
class FamilyLook:
    """How a family is shown.

    Attributes
    ----------
    name, title, colour : str
        As the family declares them.
    """

    name: str
    title: str
    colour: str

    @property
    def within(self) -> str:
        """The title as it stands within a sentence."""
        return self.title[:1].lower() + self.title[1:]


def order_family(name: str) -> OrderFamily:
    """Return a family of control orders by name.

    Raises
    ------
    InputError
        When there is no such family, or the package that offers it cannot be imported or does not
        keep to `OrderFamily`.
    """
    family: OrderFamily = offered_class(ORDERS, name, _PARTS)()
    return family


def order_families() -> dict[str, OrderFamily]:
    """Return all families by name, judged ones first."""
    families = {name: order_family(name) for name in ORDERS.entries}
    return dict(sorted(families.items(), key=lambda item: not item[1].judged))


def positions_of(family: OrderFamily, ranking: Ranking) -> int | None:
    """Return how many orders a family has in all, by its method ``positions``; None if many."""
    positions = getattr(family, "positions", None)
    return None if positions is None else int(positions(ranking))


def family_look(name: str) -> FamilyLook:
    """Return how a family of a result is shown, also where its package is gone."""
    try:
        family = order_family(name)
    except InputError:
        return FamilyLook(name, name, _NEUTRAL)
    return FamilyLook(name, family.title, family.colour)
