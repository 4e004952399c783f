"""A box for a number with decimals, which are written with a point wherever the window runs."""

from __future__ import annotations

from typing import Any, Optional

from qtpy.QtCore import QLocale
from qtpy.QtWidgets import QDoubleSpinBox


class NumberBox(QDoubleSpinBox):
    """A number with a point, as in tables, queries and on the command line; a comma is one, too.

    With the decimal comma of many countries, Qt reads 0.25 as 0, or as 25, and says nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        # Without a separator of thousands, which would be the comma.
        plain = QLocale(QLocale.Language.C)
        plain.setNumberOptions(
            QLocale.NumberOption.OmitGroupSeparator | QLocale.NumberOption.RejectGroupSeparator
        )
        self.setLocale(plain)

    def validate(self, text: Optional[str], at: int) -> Any:  # noqa: UP045
        """Take a comma that is typed for a point."""
        return super().validate((text or "").replace(",", "."), at)

    def valueFromText(self, text: Optional[str]) -> float:  # noqa: UP045
        """Read a number."""
        return super().valueFromText((text or "").replace(",", "."))
