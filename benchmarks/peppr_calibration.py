"""How often PEPPR is wrong over maps that say nothing, and how often right over true ones.

By default the model is a stand-in, linear in the bundled images at a quarter of their resolution
and fitted to them where lesions were planted, whose predictions along an order are one product of
matrices, so that thousands of maps take minutes; ``--model contrast`` is a poor one, of
``--model random`` the weights are noise, and with ``--model honest`` or ``--model shortcut`` it is
the bundled network itself. All verdicts and predictions are kept in ``--folder``, and a second call
goes on there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from calibration_coverage import coverage, coverage_of_auc
from calibration_models import Bench, linear_bench, network_bench
from calibration_nulls import false_positives, heading
from calibration_power import stability

from napari_globalxai.settings.peppr_settings import PepprSettings

_LINEAR = ("fitted", "contrast", "random")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    models = (*_LINEAR, "honest", "shortcut")
    parser.add_argument("--model", default="fitted", choices=models)
    parser.add_argument("--folder", type=Path, default=Path("calibration"))
    parser.add_argument("--maps", type=int, default=300, help="null maps of each kind")
    parser.add_argument("--kinds", nargs="*", default=[], help="parts of the kinds' names")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--bank", type=int, default=240, help="surrogates of each true map")
    parser.add_argument("--steps", type=int, default=6, help="control steps of true maps")
    usual = PepprSettings().judged_up_to
    parser.add_argument("--judged-up-to", type=float, default=usual, help="as of `peppr`")
    parser.add_argument("--repeats", type=int, default=400, help="simulated cohorts")
    parser.add_argument("--parts", nargs="+", default=["nulls", "true", "coverage"])
    chosen = parser.parse_args()
    folder, up_to = chosen.folder, chosen.judged_up_to
    # What was judged otherwise is no part of the same table.
    verdicts = folder / f"up-to-{up_to:g}"
    verdicts.mkdir(parents=True, exist_ok=True)
    if "coverage" in chosen.parts:
        coverage(chosen.repeats)
        coverage_of_auc(chosen.repeats)
    if not {"nulls", "true"} & set(chosen.parts):
        return
    bench = _bench(chosen.model, folder)
    if "true" in chosen.parts:
        kept = verdicts / f"{chosen.model}-{chosen.steps}"
        kept.mkdir(exist_ok=True)
        stability(bench, chosen.steps, chosen.seeds, chosen.bank, up_to, kept)
    # A network takes seconds an order.
    if "nulls" in chosen.parts and chosen.model in _LINEAR:
        heading()
        false_positives(bench, chosen.maps, chosen.kinds, up_to, verdicts)


def _bench(model: str, folder: Path) -> Bench:
    if model in _LINEAR:
        return linear_bench(folder, model)
    return network_bench(model, folder)


if __name__ == "__main__":
    main()
