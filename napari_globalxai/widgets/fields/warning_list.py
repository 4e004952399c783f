"""What is wrong, a sentence each: the worst in view, the rest folded under what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.tall_column import TallColumn
from napari_globalxai.widgets.words.kinds_of_warnings import by_kind, kinds_in_words
from napari_globalxai.widgets.words.panel_words import in_panel_words

# More would push what a person came for out of view.
_MOST_IN_VIEW = 3


class WarningList(TallColumn):
    """Errors, then a few warnings, and a heading that unfolds the others.

    Parameters
    ----------
    name : str
        What it is a list of, for those who do not see it.

    Attributes
    ----------
    first : QLabel
        All errors, and a warning of each kind as long as there is room.
    rest : Fold
        The others, under how many there are of each kind.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.first, self._others = text_label(), text_label()
        self.first.setAccessibleName(name)
        self._others.setAccessibleName(f"{name}: the others")
        self.rest = Fold(f"{name}: more")
        self.rest.show_content(self._others)
        box = in_column(self, spacing=2)
        box.addWidget(self.first)
        box.addWidget(self.rest)
        self.show_lines()

    def show_lines(self, errors: Sequence[str] = (), warnings: Sequence[str] = ()) -> None:
        """Show errors and warnings, in the words of the panels; hide where there are none."""
        wrong = [f"✗ {in_panel_words(each)}" for each in errors]
        kinds = by_kind(map(in_panel_words, dict.fromkeys(warnings)))
        # The first of each kind: thirty labels with the same fault do not hide another one.
        seen = [lines[0] for lines in kinds.values()][: max(0, _MOST_IN_VIEW - len(wrong))]
        others = {
            kind: left
            for kind, lines in kinds.items()
            if (left := [line for line in lines if line not in seen])
        }
        self.first.setText("\n".join([*wrong, *_marked(seen)]))
        self.first.setVisible(bool(wrong or seen))
        self._others.setText(
            "\n".join(_marked(line for lines in others.values() for line in lines))
        )
        self.rest.collapse()
        if others:
            self.rest.set_title(kinds_in_words(others, is_more=bool(wrong or seen)))
        self.rest.setVisible(bool(others))
        self.setVisible(bool(wrong or kinds))

    def text(self) -> str:
        """Return all of it, also what is folded away."""
        return "\n".join(each for each in (self.first.text(), self._others.text()) if each)


def _marked(lines: Iterable[str]) -> list[str]:
    return [f"⚠ {line}" for line in lines]
