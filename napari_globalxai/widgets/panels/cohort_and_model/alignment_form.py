"""A form for how images are brought into the frame."""

from typing import Any

from qtpy.QtWidgets import QCheckBox, QComboBox, QWidget

from napari_globalxai.settings.declared import declared_fields
from napari_globalxai.settings.frame_settings import AlignmentSettings
from napari_globalxai.widgets.fields.path_field import PathField
from napari_globalxai.widgets.fields.settings_form import SettingsForm


class AlignmentForm(SettingsForm):
    """How images are moved onto each other.

    Parameters
    ----------
    settings : type of AlignmentSettings, optional
        Where the defaults come from.
    """

    def __init__(self, settings: type[AlignmentSettings] = AlignmentSettings) -> None:
        known = AlignmentSettings.model_fields
        super().__init__(
            AlignmentSettings.heading,
            [each for each in declared_fields(settings) if each.name in known],
        )

    @property
    def registration_box(self) -> QComboBox:
        """How images are moved onto each other."""
        return self.fields["registration"]  # type: ignore[return-value]

    @property
    def template_field(self) -> PathField:
        """The image that they are moved onto; the cohort's median image where it is empty."""
        return self.fields["template"]  # type: ignore[return-value]

    @property
    def sides_box(self) -> QCheckBox:
        """Whether unknown sides are estimated."""
        return self.fields["estimate_laterality"]  # type: ignore[return-value]

    def _make_fields(self) -> QWidget:
        content = super()._make_fields()
        self._on_registration()
        self.registration_box.currentTextChanged.connect(self._on_registration)
        return content

    def arguments(self) -> dict[str, Any]:
        """Return what is chosen; a template counts only where images are registered."""
        chosen = super().arguments()
        return {**chosen, "template": chosen["template"] if self._registers else None}

    def values(self) -> dict[str, Any]:
        """Return what differs from the defaults."""
        chosen = super().values()
        if "template" in chosen and not self._registers:
            del chosen["template"]
        return chosen

    @property
    def _registers(self) -> bool:
        return self.registration_box.currentText() != "none"

    def _on_registration(self) -> None:
        self.template_field.setEnabled(self._registers)
