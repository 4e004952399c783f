"""Hold a network against a card that need not be written yet, on a probe and on some images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress

import numpy as np

from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.card_draft import CardDraft
from napari_globalxai.models.loaders import load_model
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.inputs.check import CheckResult, check_inputs, describe_model
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.storage import absence_of_file

# With as many without, a chance result is told from a card that is wrong.
_MOST_WITH_A_LABEL = 40


def check_card(
    draft: CardDraft,
    cohort: Cohort | None = None,
    *,
    device: str = "auto",
    trust: bool = False,
    progress: ProgressCallback = ignore_progress,
) -> CheckResult:
    """Load a network with a card as it is drafted, and tell what it does.

    Parameters
    ----------
    draft : CardDraft
        The card.
    cohort : Cohort, optional
        Images of which some are predicted, so that a wrong order of labels or a wrong scale shows.
    device : str, optional
        Where the model runs.
    trust : bool, optional
        As for `load_model`.
    progress : callable, optional
        May raise `Cancelled`.

    Raises
    ------
    InputError
        When something is missing, or the network does not fit the card.
    """
    card = draft.card()
    progress(Progress("Trying the model on a probe", 0, 1))
    if draft.is_bundle:
        classifier = load_model(draft.model, device=device, trust=trust)
        if classifier.card.model_dump(exclude={"weights"}) != card.model_dump(exclude={"weights"}):
            raise InputError(
                f"{draft.model}: a bundle is checked with the card that lies in it; write the card "
                "first."
            )
    else:
        if kind := absence_of_file(draft.model):
            raise InputError(f"{draft.place}: the weights {card.weights}: the file {kind}.")
        classifier = load_model(draft.model, device=device, trust=trust, content=draft.content)
    outputs = f"The network takes the input and gives {len(card.labels)} outputs, one a label."
    if cohort is None:
        told = describe_model(classifier, ExplainSettings())
        return CheckResult([outputs, *told.facts], told.problems)
    rows = _some_rows(cohort, card.labels)
    known = set(cohort.problems)
    found = check_inputs(
        _part(cohort, rows), classifier, read_images=False, device=device, progress=progress
    )
    facts = [outputs, f"Tried on {len(rows)} of {len(cohort)} images.", *found.facts]
    # What is wrong with the table is said beside the table.
    problems = [each for each in found.problems if each not in known]
    return CheckResult(facts, problems, found.performance)


def _some_rows(cohort: Cohort, labels: Sequence[str]) -> list[int]:
    """Return rows with and without each label, spread over the cohort; of few images, all."""
    truth, chosen = cohort.truth(labels), set()
    for column in truth.T:
        for value in (0, 1):
            rows = np.flatnonzero(column == value)
            at = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_WITH_A_LABEL)).astype(int)
            chosen |= set(rows[at].tolist())
    return sorted(chosen)


def _part(cohort: Cohort, rows: Sequence[int]) -> Cohort:
    """Return some rows of a cohort."""
    taken = np.isin(np.arange(len(cohort)), rows)
    return replace(
        cohort,
        files=tuple(compress(cohort.files, taken)),
        names=tuple(compress(cohort.names, taken)),
        laterality=tuple(compress(cohort.laterality, taken)),
        laterality_source=tuple(compress(cohort.laterality_source, taken)),
        patients=tuple(compress(cohort.patients, taken)),
        table=cohort.table.loc[taken].reset_index(drop=True),
        warnings=[],
    )
