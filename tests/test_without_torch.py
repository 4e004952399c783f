"""Reading a run, its statistics and its report, in a process in which torch cannot be imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

import napari_globalxai as gx

ROOT = Path(__file__).parent.parent
BLOCKED = {"torch", "monai", "captum"}
# Not needed to look at global maps, and slow to import.
SLOW = ("matplotlib", "scipy", "sklearn", "SimpleITK", "zarr")
START = f"""
import importlib.abc, json, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED}:
            raise ImportError(f"{{name}} cannot be imported here")

sys.meta_path.insert(0, Blocker())
import napari_globalxai as gx
run = gx.open_run(sys.argv[1])
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocked")
    tiny.write_cohort(folder / "cohort", size=16)
    model = tiny.write_resnet(folder / "model")
    run = gx.explain(folder / "cohort" / "cohort.csv", model, folder / "run")
    gx.peppr(run, steps=4, control_steps=3, controls=1, bootstrap=20, fewest_positives=2)
    return run


def in_process(code, run):
    """Run code where torch is blocked and return what it prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", START + code, str(run.folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_blocker_blocks(run):
    """Otherwise nothing here would be tried: loading the model must fail."""
    code = """
try:
    run.classifier()
except ImportError as why:
    print(json.dumps(str(why)))
"""
    assert "cannot be imported here" in in_process(code, run)


def test_global_maps(run):
    code = f"""
total = float(run.maps["overall"].sum(dtype="float64"))
columns = list(run.statistics.columns)
print(json.dumps([total, columns, [name for name in {SLOW} if name in sys.modules]]))
"""
    total, columns, slow = in_process(code, run)
    assert total == float(run.maps["overall"].sum(dtype="float64"))
    assert columns == list(run.statistics.columns)
    assert slow == []


def test_image_wise_maps_and_subgroups(run):
    code = """
own = run.image_map(3, "left")
some = run.maps_of(range(8))
place = run.to_native("overall", 2)
print(json.dumps([float(each.sum(dtype="float64")) for each in
                  (own, some["left"].mean, some["overall"].mean, place)]))
"""
    some = run.maps_of(range(8))
    expected = (
        run.image_map(3, "left"), some["left"].mean, some["overall"].mean,
        run.to_native("overall", 2),
    )  # fmt: skip
    assert in_process(code, run) == [float(each.sum(dtype="float64")) for each in expected]


def test_the_report(run):
    code = """
from napari_globalxai.report.html import write_report
print(json.dumps(str(write_report(run))))
"""
    page = Path(in_process(code, run))
    text = page.read_text()
    assert "Along the map" in text
    assert text.count("data:image/png") >= 5


def test_an_audit(run):
    code = """
result = gx.audit(run, erase="none", fewest_patients=2)
print(json.dumps([sorted(set(result.regions["region"])), len(result.clusters)]))
"""
    regions, clusters = in_process(code, run)
    assert {"outside-field", "corner-top-left"} & set(regions)
    assert clusters > 0


def test_contrasts_and_comparisons(run, tmp_path):
    code = f"""
found = gx.contrast(run, "blocked", "left == 1", "left == 0", permutations=19)
other = gx.compare(run, run, {str(tmp_path)!r}, permutations=19)
moved = other.labels["left"].facts["moved_share"]
print(json.dumps([found.facts["labels"]["left"]["min_p"], moved]))
"""
    expected = gx.contrast(run, "free", "left == 1", "left == 0", permutations=19)
    assert in_process(code, run) == [expected.facts["labels"]["left"]["min_p"], 0]


def test_commands_on_stored_maps(run, tmp_path):
    """Every command that asks stored maps alone, as a shell would call it."""
    commands = [
        ["maps", "--name", "low", "--where", "left == 1", "--statistic", "median"],
        ["maps", "--name", "paper", "--like-the-paper"],
        ["stability", "--splits", "100", "--bootstrap", "100"],
        ["contrast", "--name", "c", "--a", "left == 1", "--b", "left == 0", "--permutations", "19"],
        ["outliers"],
        ["audit", "--erase", "none", "--permutations", "199", "--bootstrap", "100"],
        ["slices"],
        ["compare", str(run.folder), "--out", str(tmp_path / "c"), "--permutations", "19"],
        ["report"],
    ]
    code = f"""
from typer.testing import CliRunner
from napari_globalxai.cli.commands import app

found = {{}}
for name, *options in {commands}:
    outcome = CliRunner().invoke(app, [name, sys.argv[1], *options, "--json"])
    found[f"{{name}} {{options}}"] = [outcome.exit_code, str(outcome.exception or "")]
    json.loads(outcome.stdout)
print(json.dumps(found))
"""
    found = in_process(code, run)
    assert len(found) == len(commands)
    assert set(map(tuple, found.values())) == {(0, "")}


def test_rooms_of_the_statistics(run):
    modules = (
        "catalogue",
        "cohort.table",
        "maps.store",
        "maps.upsampling",
        "runs.questions.subgroup_maps",
        "runs.write_maps",
        "settings.explain_settings",
        "statistics.global_map",
        "statistics.regions",
        "statistics.similarity",
        "statistics.streaming",
        "storage",
    )
    code = f"""
import importlib
for name in {modules}:
    importlib.import_module(f"napari_globalxai.{{name}}")
print(json.dumps(sorted({BLOCKED} & sys.modules.keys())))
"""
    assert in_process(code, run) == []
