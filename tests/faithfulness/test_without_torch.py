"""What shows results starts without torch and without SciPy: report, panels, open runs."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise AssertionError(name + " is imported")

sys.meta_path.insert(0, Block())
import {module}
{then}
"""
MODULES = (
    "fills.fill_kinds",
    "orders.map_orders",
    "orders.order_families",
    "result",
    "scores.auc_scores",
    "verdict.verdicts",
)


def run_blocked(module, names, then=""):
    code = BLOCKED.format(module=module, names=names, then=then)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", MODULES)
def test_imports_neither_torch_nor_scipy(module):
    done = run_blocked(
        f"napari_globalxai.faithfulness.{module}", ("torch", "monai", "scipy", "sklearn", "zarr")
    )
    assert done.returncode == 0, done.stderr


def test_every_family_and_fill_loads_without_torch():
    then = (
        "from napari_globalxai.catalogue import FILLS, ORDERS\n"
        "for each in (FILLS, ORDERS):\n"
        "    for name in each.entries:\n"
        "        assert each.load(name).name == name\n"
    )
    done = run_blocked("napari_globalxai.catalogue", ("torch", "scipy", "sklearn"), then)
    assert done.returncode == 0, done.stderr


def test_the_block_blocks():
    module = "napari_globalxai.faithfulness.predictions.masked_prediction"
    assert run_blocked(module, ("torch",)).returncode
