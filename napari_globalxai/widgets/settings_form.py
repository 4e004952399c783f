"""A form for the parameters of an attribution method, made from what the method declares."""

from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from napari_globalxai.widgets.parts import Fold, text_label
from napari_globalxai.widgets.workers import LatestOnly

_MOST = 2**31 - 1


class SettingsForm(Fold):
    """The parameters of the method chosen, folded away until somebody asks for them.

    What parameters there are is found in the background, as methods need torch.

    Attributes
    ----------
    changed : Signal
        A parameter got another value, or another method was shown.
    fields : dict of str to QWidget
        The input of each parameter.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__("Method settings")
        self.fields: dict[str, QWidget] = {}
        self._defaults: dict[str, Any] = {}
        self._method = ""
        self._shown = ""
        self._schemas = LatestOnly(self)
        self._schemas.ready.connect(self._on_schema)
        self._schemas.failed.connect(self._on_failed)
        self.toggled.connect(self._ask)

    def show_method(self, name: str) -> None:
        """Show the parameters of another method, with their defaults."""
        self._method = name
        self._clear()
        self._ask()
        self.changed.emit()

    def values(self) -> dict[str, Any]:
        """Return the parameters that differ from their defaults."""
        current = {name: _value(field) for name, field in self.fields.items()}
        return {name: value for name, value in current.items() if value != self._defaults[name]}

    def _ask(self) -> None:
        if not self.isExpanded() or not self._method or self._shown == self._method:
            return
        method = self._method

        def work() -> dict[str, Any]:
            from napari_globalxai.attribution.method import settings_schema

            return settings_schema(method)

        self._show(text_label("Reading what the method can do…"))
        self._schemas.request(method, work)

    def _on_schema(self, method: str, schema: dict[str, Any]) -> None:
        if method != self._method:
            return
        self._shown = method
        content = QWidget()
        form = QFormLayout(content)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, facts in schema.get("properties", {}).items():
            field = _field(facts)
            field.setToolTip(facts.get("description", ""))
            field.setAccessibleName(name.replace("_", " "))
            label = QLabel(name.replace("_", " ").capitalize())
            label.setToolTip(field.toolTip())
            form.addRow(label, field)
            self.fields[name] = field
            # As the field gives it back: a spin box rounds.
            self._defaults[name] = _value(field)
        self._show(content if self.fields else text_label(f"{method} has no settings."))

    def _on_failed(self, sentence: str) -> None:
        self._show(text_label(sentence))

    def _clear(self) -> None:
        self.fields = {}
        self._defaults = {}
        self._shown = ""
        self._show(QWidget())

    def _show(self, content: QWidget) -> None:
        self.show_content(content)
        for field in self.fields.values():
            _changed(field).connect(self._on_edited)

    def _on_edited(self) -> None:
        self.changed.emit()


def _field(facts: dict[str, Any]) -> QWidget:
    """Return the input for one property of a JSON schema, at its default."""
    default = facts.get("default")
    if "enum" in facts:
        box = QComboBox()
        box.addItems([str(choice) for choice in facts["enum"]])
        box.setCurrentText(str(default))
        return box
    if facts.get("type") == "boolean":
        check = QCheckBox()
        check.setChecked(bool(default))
        return check
    if facts.get("type") == "integer":
        whole = QSpinBox()
        whole.setRange(int(facts.get("minimum", -_MOST)), int(facts.get("maximum", _MOST)))
        whole.setValue(int(default or 0))
        return whole
    if facts.get("type") == "number":
        number = QDoubleSpinBox()
        number.setDecimals(3)
        number.setSingleStep(0.01)
        # An excluded bound is kept out by the smallest step that the box knows.
        low = facts.get("minimum", facts.get("exclusiveMinimum", -_MOST) + 0.001)
        high = facts.get("maximum", facts.get("exclusiveMaximum", _MOST) - 0.001)
        number.setRange(float(low), float(high))
        number.setValue(float(default or 0))
        return number
    return QLineEdit("" if default is None else str(default))


def _value(field: QWidget) -> Any:
    if isinstance(field, QComboBox):
        return field.currentText()
    if isinstance(field, QCheckBox):
        return field.isChecked()
    if isinstance(field, QSpinBox | QDoubleSpinBox):
        return field.value()
    assert isinstance(field, QLineEdit)
    return field.text()


def _changed(field: QWidget) -> Any:
    if isinstance(field, QComboBox):
        return field.currentTextChanged
    if isinstance(field, QCheckBox):
        return field.toggled
    if isinstance(field, QSpinBox | QDoubleSpinBox):
        return field.valueChanged
    assert isinstance(field, QLineEdit)
    return field.textEdited
