"""Time aligning large JPEGs beside Pillow's own opening and resizing, and compare the results.

The pictures are drawn: a bright field with fine vessels, texture and noise, 3900 × 3072, as
ultra-widefield cameras write them, JPEG at quality 90. Aligned is what the transforms do before
the field of view is looked for: read, and resize by the mean of areas.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from monai.transforms import Compose, Resized
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from napari_globalxai.frame.alignment import DECODING_THREADS
from napari_globalxai.frame.transforms import LoadWithd
from napari_globalxai.images.readers import FundusReader

ROWS, COLUMNS = 3072, 3900
HEIGHT, WIDTH = 384, 512


def vessels(rng: np.random.Generator) -> np.ndarray:
    drawn = Image.new("L", (COLUMNS, ROWS))
    pen = ImageDraw.Draw(drawn)
    for _ in range(60):
        angle, width, at = rng.uniform(0, 2 * np.pi), rng.uniform(3, 22), np.array([1560.0, 1536.0])
        for _ in range(4):
            points = [tuple(at)]
            for _ in range(20):
                angle += rng.normal(0, 0.15)
                at = at + 28 * np.array([np.cos(angle), np.sin(angle)])
                points.append(tuple(at))
            pen.line(points, fill=255, width=max(1, int(width)))
            width *= 0.7
    return gaussian_filter(np.asarray(drawn, np.float32) / 255, 1.5)


def fundus(seed: int, noise: float) -> Image.Image:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    radius = np.hypot((y / ROWS - 0.5) / 0.48, (x / COLUMNS - 0.5) / 0.48)
    light = np.clip(1.1 - 0.5 * radius**2, 0, 1)
    lines = vessels(rng) * light
    texture = 60 * gaussian_filter(rng.standard_normal((ROWS, COLUMNS), np.float32), 6)
    rgb = np.stack([190 * light, 95 * light, 50 * light], -1)
    rgb -= lines[..., None] * np.array([32, 42, 14], np.float32)
    rgb += texture[..., None] + noise * rng.standard_normal(rgb.shape, np.float32)
    rgb[radius > 1] = 2
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM with a Gaussian window of 1.5 pixels, mean over channels; (channel, height, width)."""

    def mean(values: np.ndarray) -> np.ndarray:
        return np.stack([gaussian_filter(plane, 1.5, truncate=3.5) for plane in values])

    one, other = one.astype(float), other.astype(float)
    a, b = mean(one), mean(other)
    variances = mean(one**2) - a**2 + mean(other**2) - b**2
    covariance = mean(one * other) - a * b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ratio = (2 * a * b + c1) * (2 * covariance + c2)
    return float((ratio / ((a**2 + b**2 + c1) * (variances + c2))).mean())


def with_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.moveaxis(np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT))), -1, 0)


def seconds(
    run: Callable[[Path], np.ndarray], files: list[Path], threads: int, repeats: int
) -> float:
    """Return the median of seconds an image."""
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for repeat in range(repeats + 1):
            start = time.perf_counter()
            for _ in map(run, files) if threads == 1 else pool.map(run, files):
                pass
            if repeat:
                times.append((time.perf_counter() - start) / len(files))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--noise", type=float, default=4, help="SD, of 255")
    parser.add_argument("--repeats", type=int, default=5, help="timed repeats, after one warm-up")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args()
    # Images are decoded side by side; each then uses one core.
    torch.set_num_threads(1)
    steps = Compose(
        [
            LoadWithd("image", FundusReader(at_least=(HEIGHT, WIDTH))),
            Resized("image", spatial_size=(HEIGHT, WIDTH), mode="area"),
        ]
    )

    def ours(path: Path) -> np.ndarray:
        return np.asarray(steps({"image": path})["image"].numpy())

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.jpg" for number in range(options.images)]
        drawn = [fundus(seed, options.noise) for seed in range(min(3, len(files)))]
        for number, path in enumerate(files):
            drawn[number % len(drawn)].save(path, quality=90)
        size = files[0].stat().st_size / 2**20
        alike = min(similarity(with_pillow(path), ours(path)) for path in files[: len(drawn)])
        rows = [
            (
                threads,
                *(seconds(run, files, threads, options.repeats) for run in (with_pillow, ours)),
            )
            for threads in (1, DECODING_THREADS)
        ]
        loop = rows[0][1]
    print(f"{COLUMNS} × {ROWS} JPEGs of {size:.1f} MiB to {HEIGHT} × {WIDTH}: SSIM {alike:.4f}")
    head = ("threads", "Pillow, ms", "ours, ms", "ratio", "ratio to Pillow's loop")
    table = [
        (f"{threads}", f"{1000 * pillow:.1f}", f"{1000 * own:.1f}", f"{pillow / own:.1f}",
         f"{loop / own:.1f}")
        for threads, pillow, own in rows
    ]  # fmt: skip
    if options.markdown:
        print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for row in table:
            print("| " + " | ".join(row) + " |")
    else:
        for row in [head, *table]:
            print("".join(f"{cell:>24}" for cell in row))


if __name__ == "__main__":
    main()
