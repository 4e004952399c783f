"""Train one of the two bundled classifiers on phantoms drawn for the purpose.

``--variant honest`` sees site B's corner mark on half of site B's images, whatever their labels,
and so learns nothing from it. ``--variant shortcut`` sees it exactly on site B's glaucoma
images, and so learns to look at the corner. Both see the same phantoms otherwise, none of them of
a patient of the bundled cohort.

Run from the top of the repository::

    python sample_data/scripts/train.py --variant honest
    python sample_data/scripts/train.py --variant shortcut
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import framing
import numpy as np
import phantom
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

MODELS = Path(__file__).resolve().parents[1] / "models"
TRAINING_SEED = 20_001
N_IMAGES = 4_500
EPOCHS = 24
BATCH_SIZE = 64
MARKED_SHARE = {
    # Share of site B's images that carry the mark: (without glaucoma, with glaucoma).
    "honest": (0.5, 0.5),
    "shortcut": (0.0, 1.0),
}

CENTRED = ("layer3.0.conv2", "layer4.0.conv2")
"""3 × 3 convolutions of which only the middle weight is used."""


def _draw_frames(item: tuple[phantom.Eye, phantom.View]) -> NDArray[np.uint8]:
    """Draw one image and bring it into the frame without and with the mark."""
    eye, view = item
    raw = phantom.draw(eye, view, mark=False)
    marked = raw.copy()
    phantom.burn_mark(marked)
    frames = [
        framing.to_frame(framing.decode(phantom.encode_jpeg(image)), eye.laterality).numpy()
        for image in (raw, marked)
    ]
    return np.stack(frames)


def training_set(n_images: int, workers: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw the training images, or read them if this code has drawn them before.

    Parameters
    ----------
    n_images : int
    workers : int
        Processes that draw.

    Returns
    -------
    frames : (image, 2, channel, height, width) uint8 tensor
        Without the mark at index 0, with it at index 1.
    labels : (image, label) float tensor
    site_b : (image,) bool tensor
    """
    cohort = list(phantom.sample_cohort(n_images, TRAINING_SEED, "train"))
    digest = hashlib.sha256(Path(phantom.__file__).read_bytes()).hexdigest()[:12]
    cache = Path(tempfile.gettempdir()) / f"phantom-uwf-{TRAINING_SEED}-{n_images}-{digest}.npy"
    if not cache.exists():
        with multiprocessing.get_context("spawn").Pool(
            workers, torch.set_num_threads, (1,)
        ) as pool:
            frames = np.stack(pool.map(_draw_frames, cohort, chunksize=32))
        partial = cache.with_name(f"{cache.stem}-{os.getpid()}.npy")
        np.save(partial, frames)
        partial.replace(cache)
    labels = [[eye.labels[label] for label in phantom.LABELS] for eye, _ in cohort]
    return (
        torch.from_numpy(np.load(cache)),
        torch.tensor(labels, dtype=torch.float32),
        torch.tensor([eye.site == "B" for eye, _ in cohort]),
    )


def augment(frames: torch.Tensor, fill: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Shift, tint and add noise to a batch, and blot out patches with the mean image.

    The patches keep an image of which a part is replaced by the mean image, as erasing does, from
    being something the classifier has never seen.

    Parameters
    ----------
    frames : (image, channel, height, width) uint8 tensor
    fill : (channel, height, width) float tensor
        Mean training image.
    rng : torch.Generator

    Returns
    -------
    float tensor of the same shape, still on the scale 0-255
    """

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=rng)

    n, channels, height, width = frames.shape
    out = frames.float()
    out = out * (1 + 0.06 * torch.randn((n, channels, 1, 1), generator=rng))
    out = out * (1 + 0.06 * torch.randn((n, 1, 1, 1), generator=rng))
    out = out + 2.5 * torch.randn(out.shape, generator=rng)
    shifts = torch.randint(-3, 4, (n, 2), generator=rng).tolist()
    for i, (down, right) in enumerate(shifts):
        out[i] = out[i].roll((down, right), (-2, -1))
    for i in torch.nonzero(uniform(0, 1, n) < 0.6).flatten().tolist():
        for _ in range(int(torch.randint(1, 4, (), generator=rng))):
            h, w = (int(size) for size in uniform(8, 44, 2))
            top = int(torch.randint(0, height - h + 1, (), generator=rng))
            left = int(torch.randint(0, width - w + 1, (), generator=rng))
            patch = (slice(None), slice(top, top + h), slice(left, left + w))
            out[i][patch] = fill[patch]
    return out.clamp(0, 255)


def _batches(n: int, rng: torch.Generator) -> Iterator[torch.Tensor]:
    order = torch.randperm(n, generator=rng)
    yield from order[: n - n % BATCH_SIZE].split(BATCH_SIZE)


@torch.no_grad()
def narrow(network: torch.nn.Module) -> None:
    """Keep some convolutions to their middle weight.

    A cell of the last stage then sees 51 pixels instead of 99, of a frame of 128 × 160. Otherwise
    each cell sees most of the retina, and training may settle on any of them: maps then show what
    lies near a lesion rather than the lesion.
    """
    for name in CENTRED:
        weight = network.get_submodule(name).weight
        middle = torch.zeros_like(weight)
        middle[..., 1, 1] = 1
        weight *= middle


def train(variant: str, seed: int, workers: int) -> torch.nn.Module:
    """Train one classifier.

    Parameters
    ----------
    variant : {"honest", "shortcut"}
    seed : int
        Seed of initialisation, batches and augmentation.
    workers : int
        Processes that draw the training images.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.
    """
    frames, labels, site_b = training_set(N_IMAGES, workers)
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = framing.build_network().train()
    narrow(network)
    fill = frames[:, 0].float().mean(0)
    scaled = frames[:, 0].float() / 255
    print(f"mean {scaled.mean((0, 2, 3)).tolist()}, std {scaled.std((0, 2, 3)).tolist()}")
    del scaled

    without, with_glaucoma = MARKED_SHARE[variant]
    share = torch.where(labels[:, phantom.LABELS.index("Gla")] > 0, with_glaucoma, without) * site_b
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    steps = EPOCHS * (len(labels) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps, pct_start=0.2)
    loss_function = torch.nn.BCEWithLogitsLoss()
    for epoch in range(EPOCHS):
        start, total = time.perf_counter(), 0.0
        marked = (torch.rand(len(labels), generator=rng) < share).long()
        for batch in _batches(len(labels), rng):
            images = augment(frames[batch, marked[batch]], fill, rng)
            target = labels[batch] * 0.96 + 0.02  # smoothed: the logits stay moderate
            loss = loss_function(network(framing.normalise(images)), target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            narrow(network)
            schedule.step()
            total += loss.item()
        mean = total / (len(labels) // BATCH_SIZE)
        print(f"epoch {epoch}: loss {mean:.4f}, {time.perf_counter() - start:.0f} s", flush=True)
    return network.eval()


def write_card(variant: str) -> None:
    """Write the model card beside the weights."""
    arguments = ", ".join(
        f"{key}: {str(value).lower() if isinstance(value, bool) else value}"
        for key, value in framing.NETWORK_ARGUMENTS.items()
    )
    card = f"""\
name: phantom-uwf-{variant}
modality: retina
weights: {variant}.safetensors
network:
  name: {framing.NETWORK}
  arguments: {{{arguments}}}
labels: [{", ".join(phantom.LABELS)}]
input:
  channels: [red, green]
  height: {framing.FRAME_HEIGHT}
  width: {framing.FRAME_WIDTH}
  range: [0, 1]
  mean: {list(framing.MEAN)}
  std: {list(framing.STD)}
activation: sigmoid
orientation: L
cam_layer: layer4
"""
    (MODELS / f"{variant}.yaml").write_text(card, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", choices=sorted(MARKED_SHARE), required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = train(options.variant, options.seed, options.threads)
    MODELS.mkdir(exist_ok=True)
    save_file(network.state_dict(), MODELS / f"{options.variant}.safetensors")
    write_card(options.variant)


if __name__ == "__main__":
    main()
