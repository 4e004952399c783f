"""How much of a map lies where it is not tested, and the words that say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.numbers_in_words import in_interval, in_percent
from napari_globalxai.plain_text import numeral

# Below these, what lies outside does not change what a verdict means.
MASS_WORTH_SAYING = 0.1
AUC_WORTH_SAYING = 0.02


def outside_share(image: npt.NDArray[np.floating], valid: npt.NDArray[np.bool_]) -> float:
    """Return the share of a map's mass that lies outside the valid area.

    Parameters
    ----------
    image : numpy.ndarray
        The map, (*spatial); its absolute value counts, what is not finite counts as 0.
    valid : numpy.ndarray
        Pixels that are ranked, bool (*spatial).

    Returns
    -------
    float
        0–1; NaN for a map without mass.
    """
    mass = np.abs(np.nan_to_num(np.asarray(image, np.float64), posinf=0.0, neginf=0.0))
    total = mass.sum()
    return float(mass[~valid].sum() / total) if total > 0 else float("nan")


def outside_cautions(values: Mapping[str, Any]) -> list[str]:
    """Return, in words, why a verdict on the valid area leaves out something that matters.

    Parameters
    ----------
    values : mapping
        Of one label: ``mass_outside``, ``intact_auc``, ``intact_auc_full`` and, where there is an
        outside, ``outside`` with ``auc_change_ci``; see `measure_outside`.

    Returns
    -------
    list of str
        Sentences without a full stop; none where the outside does not matter.
    """
    cautions = []
    share = values.get("mass_outside")
    if share is not None and share > MASS_WORTH_SAYING:
        cautions.append(
            f"{in_percent(share)} of the map's mass lies outside the valid area, where "
            "nothing was tested"
        )
    full, inside = values.get("intact_auc_full"), values.get("intact_auc")
    low, high = values.get("outside", {}).get("auc_change_ci") or (0.0, 0.0)
    if full is None or inside is None or abs(full - inside) < AUC_WORTH_SAYING:
        return cautions
    if low > 0 or high < 0:
        gains = "gains" if full > inside else "loses"
        cautions.append(
            f"the model's AUC is {full:.3f} on whole images, but {inside:.3f} on the valid area: "
            f"it {gains} by what lies outside"
        )
    return cautions


def outside_sentence(outside: Mapping[str, Any]) -> str:
    """Return what erasing all that lies outside did to one label.

    Parameters
    ----------
    outside : mapping
        As `measure_outside` gives it.
    """
    change = in_interval(*outside["auc_change_ci"])
    low, high = outside["logit_change_ci"]
    return (
        f"erasing all that lies outside the valid area ({in_percent(outside['area_share'])} of the "
        f"frame) takes the AUC from {outside['auc_intact']:.3f} to {outside['auc_erased']:.3f} "
        f"(change {numeral(outside['auc_change'])}, {change}) and changes the mean logit of "
        f"images with the label by {numeral(outside['logit_change'], '.2f')} "
        f"({in_interval(low, high, 2)})"
    )
