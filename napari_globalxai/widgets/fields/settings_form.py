"""Forms for settings, made from how the settings are declared."""

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from qtpy.QtCore import QEvent, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QWidget

from napari_globalxai.settings.declared import Declared
from napari_globalxai.settings.lists import split_names
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.setting_fields import (
    field_changed,
    field_value,
    make_field,
    set_field,
)
from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import LatestOnly

# Widths in heights of a letter.
_NARROW, _ROOMY = 14, 16


class SettingsForm(Fold):
    """Settings, folded away until somebody asks for them.

    Parameters
    ----------
    title : str
        Heading of the fold.
    settings : iterable of Declared
        What the form asks for.

    Attributes
    ----------
    changed : Signal
        A setting got another value.
    fields : dict of str to QWidget
        The input of each setting.
    """

    changed = Signal()

    def __init__(self, title: str, settings: Iterable[Declared] = ()) -> None:
        super().__init__(title)
        self._settings: tuple[Declared, ...] = ()
        self._fields: dict[str, QWidget] = {}
        self._defaults: dict[str, Any] = {}
        self._told: dict[str, Any] = {}
        self.show_settings(settings)

    @property
    def fields(self) -> dict[str, QWidget]:
        """The input of each setting; made where nobody has unfolded them."""
        self.ensure_made()
        return self._fields

    def show_settings(self, settings: Iterable[Declared]) -> None:
        """Ask for other settings, at their defaults."""
        self._settings, self._fields, self._defaults = tuple(settings), {}, {}
        self.make_content(self._make_fields)

    def _make_fields(self) -> QWidget:
        content = FormRows()
        for setting in self._settings:
            field = add_setting(content.form, setting)
            self._fields[setting.name] = field
            # As the field gives it back: a spin box rounds.
            self._defaults[setting.name] = field_value(field)
        self._told = self._texts()
        for field in self._fields.values():
            field_changed(field).connect(self._on_edited)
        return content

    def arguments(self) -> dict[str, Any]:
        """Return all settings as the settings' model takes them."""
        return {name: self._value(name) for name in self.fields}

    def values(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults."""
        # Fields that are not made are at theirs.
        return {
            name: self._value(name)
            for name, field in self._fields.items()
            if field_value(field) != self._defaults[name]
        }

    def _value(self, name: str) -> Any:
        value = field_value(self._fields[name])
        kinds = {each.name: each.kind for each in self._settings}
        if kinds[name] == "names" and value is not None:
            return tuple(split_names(value))
        return value

    def take(self, values: Mapping[str, Any]) -> None:
        """Choose settings by name, and leave all others to their defaults."""
        self.put({each.name: values.get(each.name, each.default) for each in self._settings})

    def put(self, values: Mapping[str, Any]) -> None:
        """Choose settings by name, and leave all others as they are."""
        known = {each.name: values[each.name] for each in self._settings if each.name in values}
        if not self.is_made and all(
            known.get(each.name, each.default) == each.default for each in self._settings
        ):
            return
        self.blockSignals(True)
        for name, value in known.items():
            set_field(self.fields[name], value)
        self.blockSignals(False)
        self._on_edited()

    def _texts(self) -> dict[str, Any]:
        return {name: field_value(field) for name, field in self._fields.items()}

    def _on_edited(self) -> None:
        # A line tells that somebody was there, whether or not they wrote anything.
        if not self.signalsBlocked() and self._texts() != self._told:
            self._told = self._texts()
            self.changed.emit()


class OpenForm(SettingsForm):
    """Settings that stand open, without a heading."""

    def __init__(self, settings: Iterable[Declared] = ()) -> None:
        super().__init__("", settings)
        self.button.hide()
        self.expand()


class MethodForm(SettingsForm):
    """The parameters of an attribution method, found in the background, as methods need torch."""

    def __init__(self) -> None:
        super().__init__("Method settings")
        self._method = ""
        self._shown = ""
        # What is to stand in the fields once they are there.
        self._wanted: dict[str, Any] = {}
        self._schemas = LatestOnly(self)
        self._schemas.ready.connect(self._on_parameters)
        self._schemas.failed.connect(self._on_failed)
        self.toggled.connect(self._ask)

    def show_method(self, name: str) -> None:
        """Show the parameters of another method, with their defaults."""
        self._method, self._shown, self._wanted = name, "", {}
        self.show_settings(())
        self._ask()
        self.changed.emit()

    def take(self, values: Mapping[str, Any]) -> None:
        """Choose settings of the method, whether its fields are there yet or not."""
        self._wanted = dict(values)
        self._fill_in()

    def values(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults, or those that are to."""
        return super().values() if self._shown == self._method else dict(self._wanted)

    def _fill_in(self) -> None:
        # What was to stand there stands there: nothing is chosen anew.
        self.blockSignals(True)
        for name, field in self.fields.items():
            if name in self._wanted:
                set_field(field, self._wanted[name])
        self.blockSignals(False)
        self._told = self._texts()

    def _ask(self) -> None:
        if not self.isExpanded() or not self._method or self._shown == self._method:
            return
        method = self._method

        def work() -> tuple[Declared, ...]:
            import_models()
            from napari_globalxai.attribution.method import declared_parameters

            return declared_parameters(method)

        self.show_content(text_label("Reading what the method can do…"))
        self._schemas.request(method, work)

    def _on_parameters(self, method: str, parameters: tuple[Declared, ...]) -> None:
        if method != self._method:
            return
        self._shown = method
        self.show_settings(parameters)
        self._fill_in()
        if not parameters:
            self.show_content(text_label(f"{method} has no settings."))

    def _on_failed(self, sentence: str) -> None:
        self.show_content(text_label(sentence))


class FormRows(QWidget):
    """A form in which every field stands below its name where there is little room for letters.

    Attributes
    ----------
    form : QFormLayout
        Its rows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.form = settings_layout(self)

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:  # noqa: UP045
        """Wrap all rows, or none that fits: names of all rows share a column."""
        super().resizeEvent(event)
        self._wrap()

    def changeEvent(self, event: Optional[QEvent]) -> None:  # noqa: UP045
        """Follow the size of the letters."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._wrap()

    def _wrap(self) -> None:
        letters = self.width() / self.fontMetrics().height()
        policies = QFormLayout.RowWrapPolicy
        is_wrapped = self.form.rowWrapPolicy() == policies.WrapAllRows
        # Two bounds, as a form that grows may bring a scroll bar.
        wraps = letters < (_ROOMY if is_wrapped else _NARROW)
        self.form.setRowWrapPolicy(policies.WrapAllRows if wraps else policies.WrapLongRows)


def settings_layout(content: QWidget | None = None) -> QFormLayout:
    """Return a form's layout, on a widget if one is given."""
    form = QFormLayout() if content is None else QFormLayout(content)
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    # Where a panel is narrow or letters are large, a field stands below its name.
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    return form


def named_field(name: str, field: QWidget) -> QWidget:
    """Return a field with its name before it, and the key in that, for a row of several."""
    pair = QWidget()
    settings_layout(pair).addRow(name, field)
    return pair


def add_setting(form: QFormLayout, setting: Declared, title: str | None = None) -> QWidget:
    """Add the input of a setting to a form, and return it.

    Parameters
    ----------
    form : QFormLayout
        The form.
    setting : Declared
        The setting.
    title : str, optional
        What stands before it, in place of its own title: with an ``&`` before the letter of its
        key.
    """
    field = make_field(setting)
    if isinstance(field, QCheckBox):
        form.addRow(field)
    else:
        add_field(form, setting, field, title)
    return field


def add_field(
    form: QFormLayout,
    setting: Declared,
    field: QWidget,
    title: str | None = None,
    first: QWidget | None = None,
) -> None:
    """Add an input that was made for a setting, under the name and with the help that it has.

    Parameters
    ----------
    form, setting, title
        As for `add_setting`.
    field : QWidget
        The input.
    first : QWidget, optional
        Of an input of several parts, the one that has the focus when its name is asked for.
    """
    label = QLabel(title or setting.title)
    label.setToolTip(tip_lines(setting.help))
    label.setBuddy(first or field)
    form.addRow(label, field)
