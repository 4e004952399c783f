"""What a region holds, by label and by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.words.table_words import NOTHING, number, share_in_percent

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.questions.region_erasure import RegionEffect
    from napari_globalxai.widgets.panels.regions.region_view import LabelShare

_MOST_IMAGES = 50


class ShareTable(PlainTable):
    """A row a label: mass, area, and the model without the region."""

    def __init__(self) -> None:
        super().__init__(
            {
                "Label": "A label of the model",
                "Mass": "Share of the map's mass in the region",
                "Area": "The region's share of the frame",
                "Times": "Mass over area: 1 is what any place would have",
                "AUC": "ROC AUC of the images as they are",
                "Erased": "ROC AUC with the region erased",
                "Logit": "Mean change of the logit of the images that carry the label",
            }
        )
        self.setAccessibleName("The region by label")

    def show_shares(
        self, shares: Sequence[LabelShare], effects: Mapping[str, RegionEffect]
    ) -> None:
        """Show what a region holds, and what erasing it did where that is known."""
        self.fill([_line(share, effects.get(share.label)) for share in shares])


class ImageShareTable(PlainTable):
    """A row an image: those with most of their map in the region first."""

    def __init__(self) -> None:
        super().__init__(
            {
                "Image": "Images that carry the label on show, those with most in the region first",
                "Share": "Share of the image's map in the region",
            },
            most_rows=8,
        )
        self.setAccessibleName("Images by the region's share")

    def show_share(self, share: LabelShare | None, files: Sequence[str]) -> list[int]:
        """Show the images of a label, and return their rows in the run."""
        rows, lines = [], []
        if share is not None:
            order = np.argsort(-np.nan_to_num(share.by_image, nan=-1), kind="stable")
            for at in order[:_MOST_IMAGES]:
                rows.append(int(share.rows[at]))
                known = np.isfinite(share.by_image[at])
                text = share_in_percent(share.by_image[at]) if known else NOTHING
                lines.append([str(files[rows[-1]]), text])
        self.fill(lines)
        return rows


def _line(share: LabelShare, effect: RegionEffect | None) -> list[str]:
    mass = share_in_percent(share.share) if np.isfinite(share.share) else NOTHING
    held = [share.label, mass, share_in_percent(share.area), number(share.ratio, 1)]
    if effect is None:
        return [*held, NOTHING, NOTHING, NOTHING]
    aucs = (number(auc, 3) for auc in (effect.intact_auc, effect.erased_auc))
    return [*held, *aucs, number(effect.logit_change)]
