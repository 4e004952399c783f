"""Time saliency, integrated gradients and occlusion of 8 labels beside captum, in one run.

Ours is timed in float32, and with gradients in bfloat16, which `explain` takes by itself where they
change little. captum is timed as it comes, and with the network in the layout that is fastest. It
explains one label a call; all calls take the same time, so that two of them are timed and counted
four times.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from captum.attr import IntegratedGradients, Occlusion, Saliency
from side_by_side import LABELS, arguments, classifier, images, network, print_table, race
from torch import Tensor

from napari_globalxai.attribution.method import make_method

STEPS = 8
SQUARE = 128
TIMED_LABELS = 2
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SETTINGS = {
    "saliency": {},
    "integrated-gradients": {"steps": STEPS},
    "occlusion": {"window": SQUARE, "stride": SQUARE},
}


def ours(name: str, inputs: Tensor, device: str, precision: str) -> Callable[[], Tensor]:
    model = classifier(precision, device)
    method = make_method(name, **SETTINGS[name])
    prepared = inputs.contiguous(memory_format=torch.channels_last)
    return lambda: method.attribute(model, prepared, range(len(LABELS))).maps


def captum(
    name: str, inputs: Tensor, device: str, layout: torch.memory_format
) -> Callable[[], Tensor]:
    model = network().to(device).to(memory_format=layout)
    prepared = inputs.contiguous(memory_format=layout)

    def explain(label: int) -> Tensor:
        if name == "saliency":
            given = prepared.clone().requires_grad_()
            return Saliency(model).attribute(given, target=label).sum(dim=1)
        if name == "integrated-gradients":
            maps = IntegratedGradients(model).attribute(
                prepared, target=label, n_steps=STEPS, internal_batch_size=len(prepared)
            )
            return maps.sum(dim=1)
        square = (prepared.shape[1], SQUARE, SQUARE)
        with torch.no_grad():
            maps = Occlusion(model).attribute(
                prepared, square, strides=square, target=label, baselines=0.0
            )
        return maps[:, 0, SQUARE // 2 :: SQUARE, SQUARE // 2 :: SQUARE]

    return lambda: torch.stack([explain(label) for label in range(TIMED_LABELS)], dim=1).detach()


def precisions(name: str) -> tuple[str, ...]:
    """Return how a method is timed; hiding squares needs no gradient."""
    return ("float32",) if name == "occlusion" else ("float32", "bfloat16-gradients")


def main() -> None:
    options = arguments(__doc__ or "", batch=2)
    inputs = images(options.batch, options.device)
    contestants = {}
    for name in SETTINGS:
        for precision in precisions(name):
            contestants[f"napari-globalxai, {name}, {precision}"] = ours(
                name, inputs, options.device, precision
            )
        for layout in LAYOUTS:
            contestants[f"captum, {name}, {layout}"] = captum(
                name, inputs, options.device, LAYOUTS[layout]
            )
    medians, results = race(contestants, options, once=("captum",))
    rows = []
    for name, precision in ((each, way) for each in SETTINGS for way in precisions(each)):
        own = medians[f"napari-globalxai, {name}, {precision}"]
        row = [name, precision, f"{own:.3f}"]
        for layout in LAYOUTS:
            peer = medians[f"captum, {name}, {layout}"] * len(LABELS) / TIMED_LABELS
            row.append(f"{peer:.3f} ({peer / own:.1f} times)")
        given = results[f"napari-globalxai, {name}, {precision}"][:, :TIMED_LABELS].cpu()
        expected = results[f"captum, {name}, contiguous"].cpu()
        row.append(f"{float((given - expected).norm() / expected.norm()):.1e}")
        rows.append(row)
    print_table(
        "Pixel-level methods",
        [
            "method",
            "precision",
            "ours, seconds an image",
            *(f"captum, {each}" for each in LAYOUTS),
            "difference",
        ],
        rows,
        options,
    )


if __name__ == "__main__":
    main()
