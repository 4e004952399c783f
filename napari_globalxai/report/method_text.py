"""The method in brief, as it was applied in a run."""

from __future__ import annotations

from collections.abc import Sequence

from napari_globalxai.catalogue import ORDERS
from napari_globalxai.faithfulness.orders.order_families import family_look
from napari_globalxai.report.style import percent
from napari_globalxai.runs.run import Run


def method_in_brief(run: Run, same_images: bool, families: Sequence[str]) -> list[str]:
    """Return the method in brief, as it was applied in this run.

    Parameters
    ----------
    run : Run
        The run.
    same_images : bool
        Whether maps were built on the images that PEPPR used.
    families : sequence of str
        Families of control orders that maps were judged by.
    """
    settings = run.record.settings
    aggregation = run.aggregation
    words = run.modality
    mirroring = words.mirrored if (run.images["laterality"] == "R").any() else "; none was mirrored"
    constant = "are counted" if aggregation.constant_maps == "counted" else "are left out"
    scale = {
        "none": "not rescaled, so that a confident prediction weighs more",
        "max": "scaled to maximum 1",
        "mass": "scaled to mass 1",
    }[aggregation.scale]
    paragraphs = [
        f"Every {words.one} was brought into one frame{mirroring}. A pixel is valid where at least "
        f"{percent(settings.valid_share)} of the images have it in their field of view; nothing "
        "outside is ranked, erased or counted.",
        f"Each image was explained by {settings.method} for each label. A label's "
        f"global map is the pixel-wise mean over its {aggregation.selection.replace('-', ' ')} of "
        f"the {aggregation.part} part of those maps, each {scale}; constant maps {constant}. "
        + (
            f"The map is smoothed with a Gaussian of {aggregation.smoothing:g} pixels. "
            if aggregation.smoothing > 0
            else ""
        )
        + "The overall map is the mean of the label-wise maps, each first scaled to mass 1.",
        "PEPPR (progressive erasing plus progressive restoration; Engelmann, Storkey and Bernabeu, "
        "arXiv 2112.09591) ranks the valid pixels by the global map. Erasing replaces the first "
        "pixels by a fill image, restoring shows only them; at each step the model predicts every "
        "image and the ROC AUC is taken. A_E and A_R are the areas under the two curves: a "
        "faithful map makes A_E small and A_R large, so Δ = A_R − A_E is large.",
        "The details are our protocol, where the paper's abstract leaves them open: ties are "
        "broken by one seeded random field; "
        f"{_controls(families)}p = (1 + number of controls with a Δ at least as large) / (1 + "
        "number of controls), with its interval, where Δ is taken over all of the pixels "
        "unless asked otherwise (judged_up_to); where the interval lies on both sides of "
        "0.05 the verdict is undecided. A map is called faithful when p ≤ 0.05 against every "
        "family of controls and the 95 % interval of Δ lies above 0, and specific to this model "
        "when over the first fifth of the pixels it also leads every simple order that never saw "
        "the model. A label's own map is judged by that label, the overall map by the mean over "
        "labels. That a map is faithful means that the model's performance rests on these places; "
        "whether it should is not asked. The sufficient fraction is the share of the valid area "
        "whose restoration "
        "brings the AUC 95 % of the way from 0.5 to that of the intact images; the necessary "
        "fraction is the share whose erasing takes half of that way; both are read off the "
        "isotonic curve. Intervals are over patients, not images.",
    ]
    if same_images:
        paragraphs.append(
            "The global maps and PEPPR used the same images. The numbers may be a little better "
            "than on patients who had no part in the maps."
        )
    return paragraphs


def _controls(families: Sequence[str]) -> str:
    """Say what the families of control orders are."""
    if not families:
        return ""
    words = {name: word[:1].lower() + word[1:] for name, word in ORDERS.summaries().items()}
    listed = [
        family_look(name).within + (f" ({words[name]})" if name in words else "")
        for name in families
    ]
    return f"controls are {'; '.join(listed)}; "
