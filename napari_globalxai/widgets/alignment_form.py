"""A form for how images are brought into the frame."""

from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QWidget

from napari_globalxai.widgets.parts import Fold, PathField

# By name: their own module imports zarr. A test holds them equal.
REGISTRATIONS = {
    "none": "Images stay as they are, but for mirroring and size",
    "landmarks": "Turn, shift and scale images so that the landmarks of all meet their usual place",
    "similarity": "Landmarks, refined by comparing pixels: rotation, shift and scale",
    "affine": "Landmarks, refined by comparing pixels: shear and unequal scales, too",
}


class AlignmentForm(Fold):
    """Registration and sides.

    Parameters
    ----------
    registration : str, optional
        What is chosen at first, one of `REGISTRATIONS`.
    estimate_laterality : bool, optional
        Whether unknown sides are estimated at first.

    Attributes
    ----------
    changed : Signal
        A field got another value.
    registration_box : QComboBox
        How images are moved onto each other.
    template_field : PathField
        The image that they are moved onto; the cohort's own median image where it is empty.
    sides_box : QCheckBox
        Whether unknown sides are estimated.
    """

    changed = Signal()

    def __init__(self, registration: str = "none", estimate_laterality: bool = False) -> None:
        super().__init__("Alignment")
        self.registration_box = QComboBox()
        for name, tip in REGISTRATIONS.items():
            self.registration_box.addItem(name)
            self.registration_box.setItemData(
                self.registration_box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole
            )
        self.registration_box.setCurrentText(registration)
        self.registration_box.setToolTip(
            "Whether images are moved so that the same place lies at the same pixel in all.\n"
            "The model then sees the moved images."
        )
        self.template_field = PathField("Choose an image to register onto", "Images (*)")
        self.template_field.line.setPlaceholderText("The cohort's median image")
        self.template_field.setToolTip(
            "The image that the others are moved onto, not one to be mirrored;\n"
            "empty for the median image of the cohort itself"
        )
        self.sides_box = QCheckBox("Estimate unknown sides")
        self.sides_box.setChecked(estimate_laterality)
        self.sides_box.setToolTip(
            "Tell sides from the images where neither table, DICOM nor file name says them;\n"
            "otherwise such an image is not mirrored"
        )
        content = QWidget()
        form = QFormLayout(content)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Re&gistration", self.registration_box)
        form.addRow("O&nto", self.template_field)
        form.addRow(self.sides_box)
        self.show_content(content)
        self._defaults = self.arguments()
        self._on_registration()
        self.registration_box.currentTextChanged.connect(self._on_registration)
        for signal in (
            self.registration_box.currentTextChanged,
            self.template_field.edited,
            self.sides_box.toggled,
        ):
            signal.connect(self._on_edited)

    def arguments(self) -> dict[str, Any]:
        """Return what is chosen as arguments of `align`, `explain` and `check_quality`."""
        registration = self.registration_box.currentText()
        return {
            "registration": registration,
            "template": None if registration == "none" else self.template_field.path,
            "estimate_laterality": self.sides_box.isChecked(),
        }

    def changes(self) -> dict[str, Any]:
        """Return the arguments that differ from what the form began with."""
        return {
            name: value for name, value in self.arguments().items() if value != self._defaults[name]
        }

    def _on_registration(self) -> None:
        self.template_field.setEnabled(self.registration_box.currentText() != "none")

    def _on_edited(self) -> None:
        self.changed.emit()
