"""Models as people save them, and files that were made to do harm."""

import json
import zipfile

import numpy as np
import tiny
import torch
import yaml

METADATA = {
    "name": "Tiny classifier",
    "network_data_format": {
        "inputs": {
            "image": {
                "num_channels": 2,
                "spatial_shape": [32, 48],
                "value_range": [0, 1],
                "channel_def": {"0": "red", "1": "green"},
            }
        },
        "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "left", "1": "right"}}},
    },
}
NETWORK = {"_target_": "ResNet", **tiny.RESNET}
REST = {"input": {"mean": 0.3, "std": 0.1}}


def write_bundle(folder, *, network=NETWORK, metadata=METADATA, rest=REST, config=(), name="json"):
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    content = {"network_def": network, **dict(config)}
    text = json.dumps(content) if name == "json" else yaml.safe_dump(content)
    (folder / "configs" / f"inference.{name}").write_text(text)
    torch.save(tiny.resnet().state_dict(), folder / "models" / "model.pt")
    if rest is not None:
        (folder / "model.yaml").write_text(yaml.safe_dump(rest))
    return folder


def zipped(folder, top="tiny_bundle/"):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{top}{file.relative_to(folder).as_posix()}")
    return path


def predictions(model):
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 32, 48), dtype=np.uint8)
    with torch.no_grad():
        expected = tiny.resnet()((torch.tensor(images).float() / 255 - 0.3) / 0.1)
    return model.predict(images), expected.numpy()


def assert_is_the_network(model):
    np.testing.assert_allclose(*predictions(model), rtol=1e-4, atol=1e-5)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))
