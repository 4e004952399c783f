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
from napari_globalxai.faithfulness import orders
from napari_globalxai.faithfulness.model_and_images import Images, Rows
from napari_globalxai.faithfulness.offered import offered_class
from napari_globalxai.faithfulness.orders import Mask, Order

# Each stands out from white and from the grounds of napari's dark and light themes by 3 to 1.
_NEUTRAL = "#8c7355"
_GREY, _PURPLE = "#767676", "#b4618f"
_PARTS = ("name", "title", "colour", "judged", "orders")


@dataclass(frozen=True)
class Ranking:
    """What control orders are made from.

    Attributes
    ----------
    image : numpy.ndarray
        The map under test, (*spatial).
    valid : numpy.ndarray
        Pixels that are ranked, bool (*spatial).
    order : numpy.ndarray
        The map's own order of them.
    images : Images
        The images.
    rows : numpy.ndarray
        Those that are evaluated.
    count : int
        Orders that a judged family gives.
    seed : int
        Of all that is random.
    """

    image: npt.NDArray[np.floating]
    valid: Mask
    order: Order
    images: Images
    rows: Rows
    count: int
    seed: int

    @cached_property
    def mean_image(self) -> npt.NDArray[np.float32]:
        """Mean of the images evaluated, float32 (channel, *spatial)."""
        return self.images.mean_image(self.rows)


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
        """Give the orders; of a family that is not judged, the first one counts."""


class Random:
    """Pixels in random order."""

    name: ClassVar[str] = "random"
    title: ClassVar[str] = "Random orders"
    colour: ClassVar[str] = _GREY
    judged: ClassVar[bool] = True

    def orders(self, ranking: Ranking) -> Iterator[Order]:
        """Give random orders, the same for every image and map."""
        return orders.random_orders(ranking.valid, ranking.count, ranking.seed)


class Shifted:
    """The map, circularly shifted."""

    name: ClassVar[str] = "shifted"
    title: ClassVar[str] = "Shifted maps"
    colour: ClassVar[str] = _PURPLE
    judged: ClassVar[bool] = True

    def orders(self, ranking: Ranking) -> Iterator[Order]:
        """Give orders by the map moved elsewhere."""
        return orders.shifted_orders(ranking.image, ranking.valid, ranking.count, ranking.seed)


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


def family_look(name: str) -> FamilyLook:
    """Return how a family of a result is shown, also where its package is gone."""
    try:
        family = order_family(name)
    except InputError:
        return FamilyLook(name, name, _NEUTRAL)
    return FamilyLook(name, family.title, family.colour)
