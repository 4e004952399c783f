"""What was measured of a region: in a sentence, by label, and by image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qtpy.QtWidgets import QWidget

from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import heading, text_label
from napari_globalxai.widgets.layers.run_layers import RunLayers
from napari_globalxai.widgets.panels.regions.region_tables import ImageShareTable, ShareTable
from napari_globalxai.widgets.panels.regions.region_view import LabelShare, sentence, strongest
from napari_globalxai.widgets.session.session import Session

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.questions.region_erasure import RegionEffect
    from napari_globalxai.widgets.workbench.panel import Panel


class RegionNumbers(QWidget):
    """Shows what was measured of a region; a click on a label or an image shows it.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    session : Session
        What the viewer works on.
    layers : RunLayers
        What is drawn.

    Attributes
    ----------
    said : QLabel
        What the region is, of the label on show; or what is to be done.
    table, image_table : PlainTable
        What the region holds by label; the images by its share of their map.
    shares : list of LabelShare
        What was measured, a label each.
    effects : dict of str to RegionEffect
        What erasing the region took, by label.
    where : str
        Of which images the shares are; empty for all.
    remark : str
        How the layer's pixels were read.
    found : dict of str to str
        What is said of a finding's label, until something else is drawn or asked.
    image_rows : list of int
        Rows of the images in their table's order.
    """

    def __init__(self, panel: Panel, session: Session, layers: RunLayers) -> None:
        super().__init__()
        self._session, self._layers = session, layers
        self._region: npt.NDArray[np.bool_] | None = None
        self.shares: list[LabelShare] = []
        self.effects: Mapping[str, RegionEffect] = {}
        self.where = self.remark = ""
        self.found: dict[str, str] = {}
        self.image_rows: list[int] = []
        self.said = text_label()
        self.said.setAccessibleName("What the region is")
        self.table = ShareTable()
        self.image_table = ImageShareTable()
        self._heading = heading("Images by share")
        box = in_column(self, spacing=8)
        box.addWidget(self.said)
        box.addWidget(self.table)
        box.addWidget(self._heading)
        box.addWidget(self.image_table)
        self.table.cellClicked.connect(self._on_label_clicked)
        self.image_table.cellClicked.connect(self._on_image_clicked)
        self.image_table.cellActivated.connect(self._on_image_clicked)
        panel.follow(session.map_changed, self._on_map)
        self._show()

    @property
    def is_there(self) -> bool:
        """Whether a region was measured."""
        return self._region is not None

    def is_of(self, region: npt.NDArray[np.bool_]) -> bool:
        """Return whether the numbers are those of a region."""
        return self._region is not None and np.array_equal(region, self._region)

    def forget(self) -> None:
        """Show nothing: another region is to be measured, or none."""
        self._region, self.shares, self.effects, self.found = None, [], {}, {}
        self.where = self.remark = ""
        self._show()

    def take(
        self,
        region: npt.NDArray[np.bool_],
        shares: list[LabelShare],
        effects: Mapping[str, RegionEffect],
        where: str = "",
    ) -> None:
        """Show what was measured of a region, of the images that a query means or of all."""
        self._region, self.shares, self.effects, self.where = region, shares, effects, where
        self._show()

    def _on_map(self, name: str) -> None:
        self._show()

    def _show(self) -> None:
        self.table.show_shares(self.shares, self.effects)
        share, view = strongest(self.shares, self._session.map_name), self._session.view
        if share is not None and view is not None:
            words = sentence(share, self.effects.get(share.label))
            if self.where:
                words += f" Of the images selected: {self.where}."
            elif self._session.selection is not None:
                words += " Of all images, not of those selected."
            if self.remark:
                words += f" {self.remark}"
            self.said.setText(self.found.get(share.label) or words)
        self.image_rows = self.image_table.show_share(
            share, [] if view is None else view.run.images["file"].tolist()
        )
        # Before anything is measured, a sentence says how to.
        for part in (self.table, self._heading, self.image_table):
            part.setVisible(bool(self.shares))

    def _on_label_clicked(self, row: int, column: int) -> None:
        if self._session.view is not None and 0 <= row < len(self.shares):
            self._session.choose_map(self.shares[row].label)

    def _on_image_clicked(self, row: int, column: int) -> None:
        if 0 <= row < len(self.image_rows):
            self._layers.step_to(self.image_rows[row])
