"""The input for one setting, made from how the setting is declared."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from napari_globalxai.settings.declared import Declared
from napari_globalxai.settings.lists import join_names
from napari_globalxai.widgets.fields.choice_box import keep_wheel_for_focus
from napari_globalxai.widgets.fields.elided_box import ElidedBox
from napari_globalxai.widgets.fields.layouts import in_row
from napari_globalxai.widgets.fields.number_box import NumberBox
from napari_globalxai.widgets.fields.path_field import PathField
from napari_globalxai.widgets.fields.wrapped import WrappedBox, tip_lines

_MOST = 2**31 - 1
_NOTHING = "Automatic"


class SizeField(QWidget):
    """Height and width in pixels.

    Attributes
    ----------
    edited : Signal
        One of them got another value.
    height_box, width_box : QSpinBox
        The two numbers.
    """

    edited = Signal()

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.height_box, self.width_box = QSpinBox(), QSpinBox()
        row = in_row(self)
        for box, value, name in zip(
            (self.height_box, self.width_box), size, ("Height", "Width"), strict=True
        ):
            box.setRange(16, 8192)
            box.setValue(value)
            box.setAccessibleName(name)
            box.setToolTip(f"{name} in pixels")
            keep_wheel_for_focus(box)
            box.valueChanged.connect(lambda: self.edited.emit())
        for part in (self.height_box, QLabel("×"), self.width_box):
            row.addWidget(part)
        row.addStretch(1)
        self.setFocusProxy(self.height_box)

    @property
    def size_in_pixels(self) -> tuple[int, int]:
        """Height and width."""
        return self.height_box.value(), self.width_box.value()

    @size_in_pixels.setter
    def size_in_pixels(self, size: tuple[int, int]) -> None:
        for box, value in zip((self.height_box, self.width_box), size, strict=True):
            box.setValue(value)


def make_field(setting: Declared) -> QWidget:
    """Return the input of a setting, at its default.

    What may be left to itself is empty then, or says so.
    """
    field = _make(setting)
    field.setToolTip(tip_lines(setting.help))
    field.setAccessibleName(setting.title)
    if isinstance(field, QAbstractSpinBox | QComboBox):
        keep_wheel_for_focus(field)
    return field


def _make(setting: Declared) -> QWidget:
    if setting.kind == "choice":
        return _choice_box(setting)
    if setting.kind == "flag":
        check = WrappedBox(setting.title)
        check.setChecked(bool(setting.default))
        return check
    if setting.kind in ("whole", "number"):
        return _number_box(setting)
    if setting.kind == "size":
        return SizeField(setting.default)
    if setting.kind == "path":
        files = None if setting.is_folder else "All files (*)"
        path = PathField(f"Choose: {setting.title.lower()}", files)
        path.line.setPlaceholderText(setting.placeholder)
        return path
    line = QLineEdit(_as_text(setting.default))
    line.setPlaceholderText(setting.placeholder)
    return line


def _choice_box(setting: Declared) -> QComboBox:
    box = ElidedBox()
    if setting.optional:
        box.addItem(setting.placeholder or _NOTHING, None)
    for name, words in setting.choices.items():
        box.addItem(name, name)
        box.setItemData(box.count() - 1, tip_lines(words), Qt.ItemDataRole.ToolTipRole)
    box.setCurrentIndex(max(0, box.findData(setting.default)))
    # Long names must not widen the panel.
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    return box


def _number_box(setting: Declared) -> QAbstractSpinBox:
    box: Any = QSpinBox() if setting.kind == "whole" else NumberBox()
    step: float = 1
    if setting.kind == "number":
        step = 0.001
        box.setDecimals(3)
        box.setSingleStep(0.01)
    # An excluded bound is kept out by the smallest step that the box knows.
    low = -_MOST if setting.low is None else setting.low + step * setting.low_excluded
    high = _MOST if setting.high is None else setting.high - step * setting.high_excluded
    number = int if setting.kind == "whole" else float
    if setting.optional:
        # One step below stands for nothing.
        box.setSpecialValueText(setting.placeholder or _NOTHING)
        low -= step
    box.setRange(number(low), number(high))
    box.setValue(number(low if setting.default is None else setting.default))
    return box  # type: ignore[no-any-return]


def field_value(field: QWidget) -> Any:
    """Return what stands in an input, None where it is left to itself."""
    if isinstance(field, QComboBox):
        return field.currentData()
    if isinstance(field, QCheckBox):
        return field.isChecked()
    if isinstance(field, QSpinBox | QDoubleSpinBox):
        left = bool(field.specialValueText()) and field.value() == field.minimum()
        return None if left else field.value()
    if isinstance(field, SizeField):
        return field.size_in_pixels
    if isinstance(field, PathField):
        return field.path
    assert isinstance(field, QLineEdit)
    return field.text().strip() or None


def set_field(field: QWidget, value: Any) -> None:
    """Put a value into an input, one that it cannot hold aside."""
    if isinstance(field, QComboBox):
        index = field.findData(value)
        if index >= 0:
            field.setCurrentIndex(index)
    elif isinstance(field, QCheckBox):
        field.setChecked(bool(value))
    elif isinstance(field, QSpinBox):
        field.setValue(field.minimum() if value is None else int(value))
    elif isinstance(field, QDoubleSpinBox):
        field.setValue(field.minimum() if value is None else float(value))
    elif isinstance(field, SizeField):
        field.size_in_pixels = value
    elif isinstance(field, PathField):
        field.path = value
    elif isinstance(field, QLineEdit):
        field.setText(_as_text(value))


def field_changed(field: QWidget) -> Any:
    """Return the signal by which an input tells of another value."""
    if isinstance(field, QComboBox):
        return field.currentIndexChanged
    if isinstance(field, QCheckBox):
        return field.toggled
    if isinstance(field, QSpinBox | QDoubleSpinBox):
        return field.valueChanged
    if isinstance(field, SizeField | PathField):
        return field.edited
    assert isinstance(field, QLineEdit)
    return field.editingFinished


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return join_names(value) if isinstance(value, tuple | list) else str(value)
