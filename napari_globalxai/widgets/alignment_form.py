"""A form for how images are brought into the frame."""

from typing import Any

from qtpy.QtWidgets import QCheckBox, QComboBox

from napari_globalxai.settings.declared import declared_fields
from napari_globalxai.settings.frame_settings import AlignmentSettings
from napari_globalxai.widgets.path_field import PathField
from napari_globalxai.widgets.settings_form import SettingsForm


class AlignmentForm(SettingsForm):
    """How images are moved onto each other.

    Parameters
    ----------
    settings : type of AlignmentSettings, optional
        Where the defaults come from.

    Attributes
    ----------
    registration_box : QComboBox
        How images are moved onto each other.
    template_field : PathField
        The image that they are moved onto; the cohort's own median image where it is empty.
    sides_box : QCheckBox
        Whether unknown sides are estimated.
    """

    registration_box: QComboBox
    template_field: PathField
    sides_box: QCheckBox

    def __init__(self, settings: type[AlignmentSettings] = AlignmentSettings) -> None:
        known = AlignmentSettings.model_fields
        super().__init__(
            AlignmentSettings.heading,
            [each for each in declared_fields(settings) if each.name in known],
        )
        self.registration_box = self.fields["registration"]  # type: ignore[assignment]
        self.template_field = self.fields["template"]  # type: ignore[assignment]
        self.sides_box = self.fields["estimate_laterality"]  # type: ignore[assignment]
        self._on_registration()
        self.registration_box.currentTextChanged.connect(self._on_registration)

    def arguments(self) -> dict[str, Any]:
        """Return what is chosen; a template counts only where images are registered."""
        chosen = super().arguments()
        return {**chosen, "template": chosen["template"] if self._registers else None}

    def values(self) -> dict[str, Any]:
        """Return what differs from the defaults."""
        chosen = super().values()
        if not self._registers:
            chosen.pop("template", None)
        return chosen

    @property
    def _registers(self) -> bool:
        return self.registration_box.currentText() != "none"

    def _on_registration(self) -> None:
        self.template_field.setEnabled(self._registers)
