"""The scrubber: which fraction of the pixels is erased or restored."""

from qtpy.QtCore import Qt, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QRadioButton,
    QSlider,
    QToolButton,
    QWidget,
)

from napari_globalxai.widgets.fields.choice_box import keep_wheel_for_focus
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import flowing

_TICKS = 1000
_MILLISECONDS_A_FRAME = 40
_TICKS_A_FRAME = 5


class Scrubber(QWidget):
    """A slider with a play button, and the choice between restoring and erasing.

    Attributes
    ----------
    moved : Signal
        The fraction and the arm.
    slider : QSlider
        In thousandths; the arrow keys move it by one percent.
    """

    moved = Signal(float, str)

    def __init__(self) -> None:
        super().__init__()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _TICKS)
        self.slider.setSingleStep(_TICKS // 100)
        self.slider.setPageStep(_TICKS // 20)
        self.slider.setToolTip(
            "Share of the valid pixels, the map's highest first; ← and → move it"
        )
        self.slider.setAccessibleName("Fraction of the valid pixels")
        keep_wheel_for_focus(self.slider)
        self.play_button = QToolButton()
        self.play_button.setCheckable(True)
        self.play_button.setToolTip("Play from here to the end")
        self.play_button.setAccessibleName("Play")
        self.value_label = QLabel()
        self.value_label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.restore_button = QRadioButton("&Restore")
        self.restore_button.setToolTip(
            "Begin with the fill; bring pixels back, most important first"
        )
        self.erase_button = QRadioButton("Er&ase")
        self.erase_button.setToolTip("Begin with the image; take pixels away, most important first")
        self.restore_button.setChecked(True)
        group = QButtonGroup(self)
        group.addButton(self.restore_button)
        group.addButton(self.erase_button)
        arms = flowing(self.restore_button, self.erase_button)
        row = QHBoxLayout()
        row.addWidget(self.play_button)
        row.addWidget(self.slider, 1)
        row.addWidget(self.value_label)
        layout = in_column(self)
        layout.addWidget(arms)
        layout.addLayout(row)
        self._timer = QTimer(self)
        self._timer.setInterval(_MILLISECONDS_A_FRAME)
        self._timer.timeout.connect(self._advance)
        self.slider.valueChanged.connect(self._on_moved)
        self.erase_button.toggled.connect(self._on_moved)
        self.play_button.toggled.connect(self._on_play)
        self._on_play(False)
        self._say()

    @property
    def fraction(self) -> float:
        """Fraction of the valid pixels."""
        return float(self.slider.value() / _TICKS)

    @property
    def arm(self) -> str:
        """``restore`` or ``erase``."""
        return "erase" if self.erase_button.isChecked() else "restore"

    def show_state(self, fraction: float, arm: str) -> None:
        """Follow a change made elsewhere, without telling of it."""
        blocked = [self.slider.blockSignals(True), self.erase_button.blockSignals(True)]
        # A click in the curves or a script may fall between two ticks; the slider shows the nearer.
        self.slider.setValue(round(fraction * _TICKS))
        (self.erase_button if arm == "erase" else self.restore_button).setChecked(True)
        self.slider.blockSignals(blocked[0])
        self.erase_button.blockSignals(blocked[1])
        self._say()

    def _say(self) -> None:
        self.value_label.setText(f"{100 * self.fraction:.1f} %")

    def _on_moved(self) -> None:
        self._say()
        self.moved.emit(self.fraction, self.arm)

    def _on_play(self, play: bool) -> None:
        self.play_button.setText("⏸" if play else "▶")
        if play:
            if self.slider.value() >= _TICKS:
                self.slider.setValue(0)
            self._timer.start()
        else:
            self._timer.stop()

    def _advance(self) -> None:
        self.slider.setValue(self.slider.value() + _TICKS_A_FRAME)
        if self.slider.value() >= _TICKS:
            self.play_button.setChecked(False)
