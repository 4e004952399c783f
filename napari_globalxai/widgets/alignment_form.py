"""A form for how images are brought into the frame."""

from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QWidget

from napari_globalxai.widgets.parts import Fold

# By name: their own module imports zarr. A test holds them equal.
REGISTRATIONS = {
    "none": "Images stay as they are, but for mirroring and size",
    "landmarks": "Turn, shift and scale images so that disc and macula meet their usual place",
    "similarity": "Landmarks, refined by comparing pixels: rotation, shift and scale",
    "affine": "Landmarks, refined by comparing pixels: shear and unequal scales, too",
}


class AlignmentForm(Fold):
    """Registration, and sides of eyes, folded away until somebody asks for them.

    Attributes
    ----------
    changed : Signal
        A field got another value.
    registration_box : QComboBox
        How images are moved onto each other.
    sides_box : QCheckBox
        Whether unknown sides are estimated.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__("Alignment")
        self.registration_box = QComboBox()
        for name, tip in REGISTRATIONS.items():
            self.registration_box.addItem(name)
            self.registration_box.setItemData(
                self.registration_box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole
            )
        self.registration_box.setToolTip(
            "Whether images are moved so that the same place lies at the same pixel in all.\n"
            "The model then sees the moved images."
        )
        self.sides_box = QCheckBox("Estimate unknown sides")
        self.sides_box.setToolTip(
            "Tell left from right eyes by disc and macula where neither table, DICOM nor file\n"
            "name says it. Otherwise such an image counts as a left eye."
        )
        content = QWidget()
        form = QFormLayout(content)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Re&gistration", self.registration_box)
        form.addRow(self.sides_box)
        self.show_content(content)
        self.registration_box.currentTextChanged.connect(self._on_edited)
        self.sides_box.toggled.connect(self._on_edited)

    def values(self) -> dict[str, Any]:
        """Return the arguments of `explain` that differ from their defaults."""
        registration, sides = self.registration_box.currentText(), self.sides_box.isChecked()
        values: dict[str, Any] = {}
        if registration != "none":
            values["registration"] = registration
        if sides:
            values["estimate_laterality"] = True
        return values

    def _on_edited(self) -> None:
        self.changed.emit()
