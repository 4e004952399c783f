"""Which fills PEPPR is run with: one, or several at one start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QFileDialog, QWidget

from napari_globalxai.catalogue import IMAGE_FILL_PREFIX
from napari_globalxai.settings.declared import Declared
from napari_globalxai.widgets.fields.check_list import CheckList
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import flowing, tipped_button
from napari_globalxai.widgets.fields.setting_fields import make_field

_TIP = "Other fills to test the map with, too: each gives a result of its own"
_PICTURES = "Pictures (*.png *.tif *.tiff *.jpg *.jpeg *.bmp)"


class FillsField(QWidget):
    """A box of fills, and below it, once they are asked for, the others to tick.

    Parameters
    ----------
    setting : Declared
        How the fill is declared.

    Attributes
    ----------
    edited : Signal
        Other fills are chosen.
    box : QComboBox
        The fill, or the first of several.
    others : CheckList
        Those that the map is tested with, too.
    more_button, picture_button : QPushButton
        Ask for others; add a picture of one's own.
    """

    edited = Signal()

    def __init__(self, setting: Declared) -> None:
        super().__init__()
        self._setting = setting
        # Of a picture, its file's name.
        self._words = {name: name for name in setting.choices}
        box: Any = make_field(setting)
        self.box: QComboBox = box
        self.others = CheckList("Fills to test with, too", _TIP)
        self.more_button = tipped_button("More fills…", _TIP)
        self.picture_button = tipped_button(
            "Add a picture…", "Fill with a picture of the frame's size, too"
        )
        column = in_column(self)
        for part in (self.box, self.others, flowing(self.more_button, self.picture_button)):
            column.addWidget(part)
        self.setFocusProxy(self.box)
        self._show_others(False)
        self.more_button.clicked.connect(self._ask_for_others)
        self.picture_button.clicked.connect(self._pick)
        self.others.edited.connect(self.edited)
        self.others.dropped.connect(self._on_dropped)
        self.box.currentIndexChanged.connect(self._on_first)

    @property
    def value(self) -> str | tuple[str, ...]:
        """The fill, or several, the one in the box first."""
        first, others = str(self.box.currentData()), self.others.ticked()
        return (first, *others) if others else first

    def put(self, fills: Sequence[str]) -> None:
        """Choose fills, also those that are not offered here: pictures, fills of a plugin gone."""
        for fill in fills:
            self._know(fill)
        self.others.tick(())
        self.box.setCurrentIndex(self.box.findData(fills[0]))
        self._list_others()
        self.others.tick(fills[1:])
        if len(fills) > 1:
            self._show_others(True)

    def add_picture(self, path: Path) -> None:
        """Test with a picture of one's own, too."""
        fill = f"{IMAGE_FILL_PREFIX}{path}"
        self._know(fill)
        self._list_others()
        self.others.tick((*self.others.ticked(), fill))

    def _know(self, fill: str) -> None:
        if fill not in self._words:
            is_picture = fill.startswith(IMAGE_FILL_PREFIX)
            words = Path(fill.removeprefix(IMAGE_FILL_PREFIX)).name if is_picture else fill
            self._words[fill] = words
            self.box.addItem(words, fill)

    def _ask_for_others(self) -> None:
        self._show_others(True)
        # The button that had the keys is gone.
        self.others.setFocus()

    def _show_others(self, are_shown: bool) -> None:
        self._list_others()
        self.others.setVisible(are_shown)
        self.more_button.setVisible(not are_shown)
        self.picture_button.setVisible(are_shown)

    def _list_others(self) -> None:
        first = self.box.currentData()
        names = [(fill, words) for fill, words in self._words.items() if fill != first]
        self.others.show_names(names)

    def _on_first(self) -> None:
        self._list_others()
        self.edited.emit()

    def _on_dropped(self, paths: list[Path]) -> None:
        for path in paths:
            self.add_picture(path)

    def _pick(self) -> None:
        picked, _ = QFileDialog.getOpenFileName(self, "Add a picture", str(Path.home()), _PICTURES)
        if picked:
            self.add_picture(Path(picked))
