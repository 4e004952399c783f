"""Parts of a panel are made when somebody unfolds them: what looks at all of a panel does so."""

from typing import Any

from qtpy.QtWidgets import QWidget

from napari_globalxai.widgets.fields.fold import Fold


def unfold_once(panel: Any) -> Any:
    """Unfold what a person can, parts of parts as well, fold it again, and return the panel."""
    tried: list[Fold] = []
    folded: list[Fold] = []
    while waiting := [each for each in _folds(panel) if each not in tried]:
        tried += waiting
        folded += [each for each in waiting if not each.isExpanded()]
        for fold in waiting:
            fold.expand()
    for fold in reversed(folded):
        fold.collapse()
    return panel


def _folds(panel: QWidget) -> list[Fold]:
    return [each for each in panel.findChildren(Fold) if each.button.isVisibleTo(panel)]
