"""Numbers and names as tables of the panels tell them."""

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.frame.modality import Modality
from napari_globalxai.plain_text import numeral

# Takes half a second to import, in the GUI thread.
if TYPE_CHECKING:
    import pandas as pd

NOTHING = "–"


def number(value: object, digits: int = 2) -> str:
    """Return a number for a table; a dash where there is none."""
    if isinstance(value, np.number):
        value = value.item()
    # Integers of a file may be larger than any float.
    if isinstance(value, int | float) and abs(value) < 1e300:
        return numeral(value, f".{digits}f")
    return NOTHING


def probability(value: object) -> str:
    """Return a p for a table: never 0, which no p is."""
    is_small = isinstance(value, int | float | np.number) and 0 <= float(value) < 0.0005
    return "< 0.001" if is_small else number(value, 3)


def share_in_percent(share: float) -> str:
    """Return a share of 0–1 in percent, with a tenth where it is below 10 %."""
    # A tenth of a percent may be some times the share of a small area.
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def local_time(moment: str) -> str:
    """Return a moment of a record, which holds that of Greenwich, as a clock on the wall has it."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"


def image_title(
    images: "pd.DataFrame", row: int, words: Modality, native_shape: tuple[int, int] | None = None
) -> str:
    """Return which image a row is: number, file, side and patient, or why it failed.

    Parameters
    ----------
    images : pandas.DataFrame
        Images of a cohort in its order.
    row : int
        Which of them.
    words : Modality
        What images show.
    native_shape : tuple of int, optional
        Height and width of its file, where it is seen as the file stores it.
    """
    image = images.iloc[row]
    right = f"{words.right}, mirrored" if native_shape is None else words.right
    side = {"L": words.left, "R": right}.get(str(image["laterality"]), "")
    facts = [str(image["file"]), side, f"patient {image['patient']}" if image["patient"] else ""]
    if native_shape is not None:
        height, width = native_shape
        facts.append(f"{width}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{height} pixels")
    title = ", ".join(fact for fact in facts if fact)
    if image["status"] == "failed":
        title = f"Failed: {image['error']}"
    return f"{row + 1} of {len(images)}: {title}"
