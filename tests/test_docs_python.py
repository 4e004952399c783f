"""The Python that the pages show is run, each page's from its beginning, on a tiny cohort."""

import functools
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
import yaml
from PIL import Image
from test_docs import PAGES, blocks

import napari_globalxai as gx

LABELS = ("AMD", "Gla")
# Of PEPPR: the least that it takes, for that is not what the pages are about.
QUICK = {"steps": 4, "control_steps": 3, "controls": 1, "bootstrap": 20, "fewest_positives": 2}
SHOWN = [page for page in PAGES if blocks(page, "python", "py")]
# What the text around a piece says is there already.
GIVEN = {
    "python": lambda: {"loader": [{"image": torch.full((2, 2, tiny.HEIGHT, tiny.WIDTH), 99.0)}]},
    "questions": lambda: {"run": gx.open_run("run")},
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with what the pages name: a cohort, a model, a run, an aligned cohort, a mask."""
    folder = tmp_path_factory.mktemp("docs")
    table = tiny.write_cohort(folder, 12)
    heading, *rows = table.read_text().splitlines()
    heading = heading.replace("left,right", ",".join(LABELS))
    lines = [f"{each},{'AB'[number % 2]}" for number, each in enumerate(rows)]
    table.write_text("\n".join([f"{heading},site", *lines]) + "\n")
    card = tiny.write_resnet(folder)
    content = yaml.safe_load(card.read_text())
    card.write_text(yaml.safe_dump({**content, "labels": list(LABELS)}))
    shutil.copy(folder / "images" / "007.png", folder / "mask.png")
    Image.fromarray(np.full((60, 80, 3), 120, np.uint8)).save(folder / "eye.jpg")
    gx.peppr(gx.explain(table, card, folder / "run", device="cpu"), map="overall", **QUICK)
    gx.align(table, folder / "aligned", height=tiny.HEIGHT, width=tiny.WIDTH)
    return folder


def test_there_is_python_to_run():
    assert {page.stem for page in SHOWN} >= {"README", "python", "frame", "audit", "extending"}


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, workplace, tmp_path, monkeypatch):
    # Each page finds the folder as it was.
    place = shutil.copytree(workplace, tmp_path / "place")
    monkeypatch.chdir(place)
    quick = SimpleNamespace(**{name: getattr(gx, name) for name in gx.__all__})
    # What was explained and tested is gone on with.
    quick.explain = functools.partial(gx.explain, resume=True)
    quick.peppr = functools.partial(gx.peppr, **QUICK)
    names = GIVEN.get(page.stem, dict)() | {"gx": quick}
    for piece in blocks(page, "python", "py"):
        code = piece.replace("import napari_globalxai as gx", "")
        exec(compile(code, str(page), "exec"), names)
