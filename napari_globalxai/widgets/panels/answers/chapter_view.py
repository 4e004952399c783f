"""A chapter of the report, shown in a panel: its words and its tables."""

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QWidget

from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.workbench.panel import Panel

if TYPE_CHECKING:
    from napari_globalxai.report.chapter import Chapter, ChapterTable

_MOST_ROWS = 8
# More are for the report: Qt lays a text out anew for each width, a hundred lines in milliseconds.
_MOST_POINTS = 20
# Longer texts than this, in letters, are read below a table of few rows.
_LONG = 40


class ChapterView(QWidget):
    """What a chapter says; its figures are shown elsewhere.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.

    Attributes
    ----------
    said : QLabel
        Its paragraphs, findings and warnings.
    tables : list of PlainTable
        Its tables.
    """

    def __init__(self, panel: Panel) -> None:
        super().__init__()
        self._panel = panel
        self.said = text_label()
        self.tables: list[PlainTable] = []
        self._content = QWidget()
        self._box = in_column(self)
        self._box.addWidget(self.said)
        self._box.addWidget(self._content)
        self.show_chapter(None)

    def show_chapter(self, chapter: "Chapter | None") -> None:
        """Show a chapter, or nothing."""
        self.setVisible(chapter is not None)
        before, self._content, self.tables = self._content, QWidget(), []
        inside = in_column(self._content)
        if chapter is not None:
            points = [f"• {point}" for point in chapter.points[:_MOST_POINTS]]
            more = len(chapter.points) - len(points)
            if more:
                points.append(f"… and {more:,} more, which the report tells of.")
            warnings = [f"⚠ {in_panel_words(warning)}" for warning in chapter.warnings]
            self.said.setText("\n".join([*chapter.text, *points, *warnings]))
            self.said.setAccessibleName(chapter.title)
            for number, each in enumerate(chapter.tables):
                if each.title:
                    inside.addWidget(text_label(each.title))
                table, sentences = _table(each)
                table.setAccessibleName(each.title or f"{chapter.title} {number + 1}")
                inside.addWidget(table)
                if sentences:
                    inside.addWidget(text_label("\n".join(sentences)))
                self.tables.append(table)
        self._box.replaceWidget(before, self._content)
        before.hide()
        before.deleteLater()
        if self.tables:
            self._panel.take_letters()


def _table(table: "ChapterTable") -> tuple[PlainTable, list[str]]:
    """Return a table, and in a line each the texts that are too long for it."""
    is_short = len(table.rows) <= _MOST_ROWS
    long = [
        column
        for column in range(1, len(table.columns))
        if is_short and any(len(row[column]) > _LONG for row in table.rows)
    ]
    kept = [column for column in range(len(table.columns)) if column not in long]
    shown = PlainTable({}, most_rows=_MOST_ROWS)
    shown.setWordWrap(False)
    shown.set_columns([(table.columns[column], table.columns[column]) for column in kept])
    shown.fill([[row[column] for column in kept] for row in table.rows])
    for line, row in enumerate(table.rows):
        for place, column in enumerate(kept):
            item = shown.item(line, place)
            if item is not None:
                item.setToolTip(row[column])
    return shown, [f"{row[0]}: {row[column]}" for column in long for row in table.rows]
