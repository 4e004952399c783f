"""What somebody does in napari's window with the panels, each as a function that is called again.

For `window_growth.py`, which counts what grows by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

TIMEOUT = 120.0
Act = Callable[[int], None]


def settle(least: float = 0.0) -> None:
    """Let Qt work until no job and no piece of work waits, and a while longer."""
    from qtpy.QtWidgets import QApplication
    from superqt.utils import WorkerBase

    from napari_globalxai.widgets.jobs.event_turns import TURNS

    began, quiet = time.monotonic(), 0
    # Jobs that are done start others.
    while quiet < 4 or time.monotonic() < began + least:
        if time.monotonic() > began + TIMEOUT:
            raise SystemExit("the window did not come to rest")
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, 52)  # deferred deletes
        time.sleep(0.002)
        quiet = quiet + 1 if TURNS.is_idle and not WorkerBase._worker_set else 0


class Work:
    """A window with a run on show, and what somebody does in it."""

    def __init__(self, runs: tuple[Path, Path], quality: Path) -> None:
        import napari

        from napari_globalxai.widgets.workbench.open_panels import PANELS, open_panel

        self.runs, self.quality = runs, quality
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1400, 900)
        self.open = partial(open_panel, self.viewer)
        for name in PANELS:
            self.open(name)
            settle()
        self.take_panels()
        self.explain.open_run(runs[0])
        settle(0.5)
        self.session, self.layers = self.explain.session, self.explain.layers
        self.count = len(self.session.run.images)

    def take_panels(self) -> None:
        from napari_globalxai.widgets.workbench.open_panels import PANELS

        self.explain, self.images, self.regions, self.peppr, self.control = map(self.open, PANELS)

    def acts(self) -> dict[str, Act]:
        """Return what is done, by name; what takes long ends with an asterisk."""
        return {
            "images, by the slider": self.slide,
            "images, on percentiles": self.slide_on_percentiles,
            "images, in the table": lambda n: self.images.view.selectRow(n % self.count),
            "table sorted, orders": self.sort,
            "label": self.label,
            "statistic": self.statistic,
            "scale of colours": lambda n: self.explain.maps.scale_box.setCurrentIndex(n % 3),
            "selection, less another": self.select,
            "filter": lambda n: self.images.filter(f"age > {50 + n % 30}" if n % 2 else ""),
            "back and forward": self.back,
            "layers shown, hidden": self.toggle,
            "native image": lambda n: self.explain.native_box.setChecked(n % 2 == 0),
            "region drawn, taken off": self.draw,
            "region drawn anew": self.draw_anew,
            "finding clicked": self.finding,
            "place taken": self.place,
            "scrubber": lambda n: self.session.scrub((n % 50) / 50, ("erase", "restore")[n % 2]),
            "curves: result, label": self.result,
            "parts folded, unfolded": self.fold,
            "panel in front": self.front,
            "theme*": self.theme,
            "letters*": self.letters,
            "window narrow, wide": self.narrow,
            "other run opened*": self.other,
            "run beside, difference*": self.beside,
            "PEPPR again*": self.test,
            "image by image": self.one_by_one,
            "quality control, back": self.check,
            "panels closed, opened*": self.close,
        }

    def slide(self, number: int) -> None:
        self.viewer.dims.set_current_step(0, number % self.count)

    def slide_on_percentiles(self, number: int) -> None:
        self.explain.maps.scale_box.setCurrentIndex(2)
        self.explain.attribution_box.setChecked(True)
        self.slide(number)

    def sort(self, number: int) -> None:
        from qtpy.QtCore import Qt

        order = (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder)[number % 2]
        self.images.view.sortByColumn(number % 4, order)
        self.images.preset_box.setCurrentIndex(number % 3)

    def label(self, number: int) -> None:
        box = self.explain.map_box
        box.setCurrentIndex(number % box.count())

    def statistic(self, number: int) -> None:
        more = self.explain.maps.more
        more.expand()
        more.statistic_box.setCurrentIndex(number % more.statistic_box.count())

    def select(self, number: int) -> None:
        more = self.explain.maps.more
        more.expand()
        for line, text in ((more.among_line, f"age > {50 + number % 20}"), (more.less_line, "")):
            line.setText(text if number % 3 else "left == 1")
            line.editingFinished.emit()

    def back(self, number: int) -> None:
        from napari_globalxai.widgets.session.looked_at import looked_at

        steps = looked_at(self.viewer)
        (steps.back if number % 2 else steps.forward)()
        if not steps.can_go_back:
            self.label(number)

    def toggle(self, number: int) -> None:
        maps = self.explain.maps
        boxes = (
            maps.global_map_box,
            maps.attribution_box,
            maps.contour_box,
            maps.colour_bar_box,
            maps.shared_scale_box,
            maps.residual_box,
        )
        boxes[number % len(boxes)].click()
        for layer in self.viewer.layers:
            layer.visible = not layer.visible

    def draw(self, number: int) -> None:
        self.regions.new_region()
        layer = self.regions.regions.layer
        height, width = self.session.view.valid.shape
        layer.add_rectangles(np.array([[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 0]]) * (height, width))
        settle(0.3)
        self.viewer.layers.remove(layer)

    def draw_anew(self, number: int) -> None:
        if self.regions.regions.layer is None:
            self.regions.new_region()
            settle()
        layer = self.regions.regions.layer
        height, width = self.session.view.valid.shape
        layer.data = []
        layer.add_rectangles(np.array([[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 0]]) * (height, width))
        settle(0.3)

    def finding(self, number: int) -> None:
        table = self.regions.findings
        if table.rowCount():
            table.cellClicked.emit(number % table.rowCount(), 0)

    def place(self, number: int) -> None:
        box = self.regions.places.box
        index = number % box.count()
        box.setCurrentIndex(index)
        box.activated.emit(index)

    def result(self, number: int) -> None:
        panel = self.peppr
        if panel.results.rowCount():
            panel.results.cellClicked.emit(number % panel.results.rowCount(), 0)
        settle()
        panel.label_box.setCurrentIndex(number % max(1, panel.label_box.count()))

    def fold(self, number: int) -> None:
        from napari_globalxai.widgets.fields.fold import Fold

        for panel in (self.explain, self.images, self.regions, self.peppr, self.control):
            for fold in panel.findChildren(Fold):
                (fold.expand if number % 2 == 0 else fold.collapse)()

    def front(self, number: int) -> None:
        from napari_globalxai.widgets.workbench.open_panels import PANELS

        self.open(list(PANELS)[number % len(PANELS)])

    def theme(self, number: int) -> None:
        self.viewer.theme = ("light", "dark")[number % 2]

    def letters(self, number: int) -> None:
        from napari.settings import get_settings

        get_settings().appearance.font_size = (12, 9)[number % 2]

    def narrow(self, number: int) -> None:
        self.viewer.window.resize(*((1024, 768), (1400, 900))[number % 2])

    def other(self, number: int) -> None:
        self.explain.open_run(self.runs[(number + 1) % 2])

    def beside(self, number: int) -> None:
        beside = self.explain.beside
        beside.open_run(self.runs[1])
        settle()
        beside.show_instead(("means", "image", "map")[number % 3])
        settle()
        beside.close_button.click()

    def test(self, number: int) -> None:
        panel = self.peppr
        panel.map_box.setCurrentText("left")
        settle()
        panel.steps_box.setValue(5 + number % 2)
        panel.controls_box.setValue(2)
        panel.compute_button.click()

    def one_by_one(self, number: int) -> None:
        view = self.peppr.images
        view.expand()
        settle()
        view.table.cellClicked.emit(number % max(1, view.table.rowCount()), 0)
        settle()
        if number % 2:
            view.go_back()

    def check(self, number: int) -> None:
        panel = self.control
        if panel.layers.view is None:
            panel.open_folder(self.quality)
            settle()
        panel.front_box.setChecked(number % 2 == 0)
        panel.table.cellClicked.emit(number % max(1, panel.table.rowCount()), 0)

    def close(self, number: int) -> None:
        for panel in (self.explain, self.images, self.regions, self.peppr, self.control):
            self.viewer.window.remove_dock_widget(panel)
        settle()
        self.take_panels()
