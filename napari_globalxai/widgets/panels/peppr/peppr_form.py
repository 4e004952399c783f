"""The form of PEPPR: which map, and what is chosen for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import QWidget

from napari_globalxai.settings.declared import SettingsModel, declared_fields
from napari_globalxai.settings.execution_settings import (
    OF_THIS_MACHINE,
    DeviceSettings,
    WorkerSettings,
)
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.setting_fields import field_value, set_field
from napari_globalxai.widgets.fields.settings_form import (
    FormRows,
    SettingsForm,
    add_field,
    add_setting,
)
from napari_globalxai.widgets.panels.peppr.fills_field import FillsField

# What stands in the panel itself, with the letter of its key; the rest is folded away.
_IN_FRONT = {"steps": "St&eps", "controls": "C&ontrols"}


class PepprForm(QWidget):
    """What the next test is to be.

    Attributes
    ----------
    map_box : QComboBox
        Map to test; the panel has it beside the label, as it tells whose result is shown, too.
    fills : FillsField
        The fills.
    fill_box, steps_box, controls_box : QWidget
        The settings that most people change; the first of the fills.
    more_form : SettingsForm
        The others.
    chosen : Fold
        All of them; folded away where there is a result, so that its curves are in view.
    """

    def __init__(self) -> None:
        super().__init__()
        self.map_box = choice_box("Map", "The map whose order pixels are erased and restored in")
        settings = declared_fields(PepprSettings)
        form = FormRows()
        by_name = {each.name: each for each in settings}
        self.fills = FillsField(by_name["fill"])
        add_field(form.form, by_name["fill"], self.fills, "F&ill")
        self._fields = {
            name: add_setting(form.form, by_name[name], title) for name, title in _IN_FRONT.items()
        }
        self.steps_box, self.controls_box = (self._fields[name] for name in _IN_FRONT)
        self.fill_box = self.fills.box
        self.more_form = SettingsForm(
            "More settings",
            [
                *(each for each in settings if each.name not in ("fill", *_IN_FRONT)),
                *declared_fields(DeviceSettings),
                *declared_fields(WorkerSettings),
            ],
        )
        self.chosen = Fold("Settings of the test")
        content = QWidget()
        inside = in_column(content)
        inside.addWidget(form)
        inside.addWidget(self.more_form)
        self.chosen.show_content(content)
        self.chosen.expand()
        # By a person, since the last test was begun.
        self._is_wanted = False
        self.chosen.button.clicked.connect(self._on_folded)
        in_column(self).addWidget(self.chosen)

    def settings(self) -> PepprSettings:
        """Return what is chosen.

        Raises
        ------
        InputError
            When something does not fit.
        """
        in_front = {name: field_value(self._fields[name]) for name in _IN_FRONT}
        more = self._more(PepprSettings)
        return PepprSettings(fill=self.fills.value, **in_front, **more)

    def computing(self) -> DeviceSettings:
        """Return where the model is to run."""
        return DeviceSettings(**self._more(DeviceSettings))

    def workers(self) -> WorkerSettings:
        """Return how many processes are to share the work, or where they are.

        Raises
        ------
        InputError
            When both are given.
        """
        return WorkerSettings(**self._more(WorkerSettings))

    def follow_settings(self, settings: dict[str, Any], fills: Sequence[str]) -> None:
        """Let the boxes say what a result was made with, and make room for its curves.

        Settings that somebody has unfolded stay so, until the next test.

        Parameters
        ----------
        settings : dict
            Its settings.
        fills : sequence of str
            Its fill, and those that the map was tested with beside it.
        """
        if not self._is_wanted:
            self.chosen.collapse()
        if fills:
            self.fills.put(fills)
        chosen = {name: value for name, value in settings.items() if name not in OF_THIS_MACHINE}
        for name, field in self._fields.items():
            if name in chosen:
                set_field(field, chosen[name])
        self.more_form.put(chosen)

    def make_room(self) -> None:
        """Fold the settings away, whoever unfolded them: the test that takes them has begun."""
        self._is_wanted = False
        self.chosen.collapse()

    def _on_folded(self) -> None:
        self._is_wanted = self.chosen.isExpanded()

    def _more(self, of: type[SettingsModel]) -> dict[str, Any]:
        known = of.model_fields
        return {name: value for name, value in self.more_form.values().items() if name in known}
