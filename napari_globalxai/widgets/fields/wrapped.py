"""Words on boxes and headings that go on in a second line where a panel is narrow.

Qt wraps the words of labels alone.
"""

from textwrap import fill
from typing import Optional

from qtpy.QtCore import QEvent, QSize, QTimer
from qtpy.QtGui import QFontMetrics, QResizeEvent
from qtpy.QtWidgets import QCheckBox, QSizePolicy, QWidget

from napari_globalxai.widgets.words.plain_labels import unbroken

_LETTERS_OF_A_TIP = 72


def wrapped(words: str, metrics: QFontMetrics, width: int) -> str:
    """Return words in as few lines as fit a width; a word that is wider has a line of its own."""
    lines: list[str] = []
    for word in unbroken(words).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and metrics.horizontalAdvance(longer) > width:
            lines.append(word)
        else:
            lines[-1:] = [longer]
    return "\n".join(lines)


def tip_lines(words: str) -> str:
    """Return a tooltip in lines that are read at a look; Qt has plain ones in one line."""
    return "\n".join(
        # Broken here and nowhere else: what it holds can be searched as it was said.
        fill(
            unbroken(line), _LETTERS_OF_A_TIP, break_long_words=False, break_on_hyphens=False
        ).replace("\N{NO-BREAK SPACE}", " ")
        for line in words.split("\n")
    )


class WrappedBox(QCheckBox):
    """A check box whose words wrap.

    Parameters
    ----------
    words : str
        What it asks.
    parent : QWidget, optional
        The parent.
    """

    def __init__(self, words: str, parent: Optional[QWidget] = None) -> None:  # noqa: UP045
        super().__init__(words, parent)
        self._words = words
        # A child, so that it ends with the box.
        self._once_more = QTimer(self)
        self._once_more.setSingleShot(True)
        self._once_more.setInterval(0)
        self._once_more.timeout.connect(self.updateGeometry)
        # With line breaks it would be read out in pieces.
        self.setAccessibleName(words)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def setText(self, words: Optional[str]) -> None:  # noqa: UP045
        """Ask something else."""
        self._words = words or ""
        self.setAccessibleName(self._words)
        self._break_lines()

    def heightForWidth(self, width: int) -> int:
        """Return the height that all words need."""
        more = wrapped(self._words, self.fontMetrics(), width - self._beside).count("\n")
        one_line: int = super().sizeHint().height() - self._height(self.text().count("\n"))
        return one_line + self._height(more)

    def minimumSizeHint(self) -> QSize:
        """Return the size of the longest word."""
        longest = max(map(self.fontMetrics().horizontalAdvance, unbroken(self._words).split(" ")))
        return QSize(self._beside + longest, super().minimumSizeHint().height())

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:  # noqa: UP045
        """Break the lines anew."""
        super().resizeEvent(event)
        self._break_lines()

    def changeEvent(self, event: Optional[QEvent]) -> None:  # noqa: UP045
        """Follow the size of the letters."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._break_lines()

    def _break_lines(self) -> None:
        text = wrapped(self._words, self.fontMetrics(), self.width() - self._beside)
        if text != self.text():
            super().setText(text)
            # Once more, as a layout at work forgets it.
            self._once_more.start()
        self.updateGeometry()

    @property
    def _beside(self) -> int:
        """Width of the box and the gap after it."""
        widest = max(map(self.fontMetrics().horizontalAdvance, self.text().split("\n")))
        return int(super().sizeHint().width()) - widest

    def _height(self, lines: int) -> int:
        return lines * self.fontMetrics().lineSpacing()
