"""A stranger's store is looked at before it is opened."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tiny
import zarr

import napari_globalxai as gx
from napari_globalxai.errors import InputError
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.stored_arrays import check_store


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    base = tmp_path_factory.mktemp("stores")
    gx.explain(
        tiny.write_cohort(base / "cohort"), tiny.linear_classifier(), base / "run", "saliency"
    )
    return base / "run"


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_what_we_write_is_read(finished):
    check_store(finished / "attributions.zarr")
    check_store(finished / "aligned.zarr")


def with_codec(path, codec):
    meta = json.loads((path / "zarr.json").read_text())
    meta["codecs"] = [*meta["codecs"], codec]
    (path / "zarr.json").write_text(json.dumps(meta))


@pytest.mark.parametrize(
    "codec",
    [
        {"name": "numcodecs.pickle", "configuration": {}},
        {"name": "vlen-bytes"},
        {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "own.code"}]}},
    ],
)
@pytest.mark.parametrize("place", ["attributions.zarr", "aligned.zarr/0"])
def test_another_codec_is_refused_by_name(run, codec, place):
    with_codec(run / place, codec)
    named = codec.get("configuration", {}).get("codecs", [codec])[0]["name"]
    opened = gx.open_run(run)
    with pytest.raises(InputError, match=f"names the codec '{named}', which we do not write"):
        _ = opened.store if place.startswith("attributions") else opened.stack


@pytest.mark.parametrize("place", ["attributions.zarr", "aligned.zarr/field_of_view"])
def test_an_array_of_the_old_version_is_refused(run, place):
    shutil.rmtree(run / place)
    zarr.create_array(run / place, data=np.zeros((2, 2)), zarr_format=2)
    opened = gx.open_run(run)
    with pytest.raises(InputError, match="old version of Zarr"):
        _ = opened.store if place.startswith("attributions") else opened.stack
    table = run.parent / "no.csv"
    table.write_text("file,left,right\nx.png,1,0\ny.png,0,1\n")
    model = tiny.linear_classifier()
    if "aligned" in place:
        with pytest.raises(InputError, match="old version of Zarr"):
            gx.explain(table, model, run.parent / "new", "saliency", aligned=run)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"zarr_format": 4}', "[" * 100_000])
def test_metadata_that_are_none_are_refused(run, text):
    (run / "attributions.zarr" / "zarr.json").write_text(text)
    with pytest.raises(InputError, match="is not as we write it"):
        AttributionStore(run / "attributions.zarr")
