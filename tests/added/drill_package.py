"""What another package may add, each by one class and one line of entry_points.txt."""

import numpy as np


class OwnColour:
    """A fill that differs by image: the mean colour of each."""

    name = "own-colour"
    per_image = True

    def __init__(self, images, rows):
        pass

    def of(self, rows, pixels):
        axes = tuple(range(2, pixels.ndim))
        colour = pixels.mean(axis=axes, keepdims=True)
        return np.broadcast_to(colour, pixels.shape).astype(np.float32)


class White:
    """A fill that is the same for all images."""

    name = "white"
    per_image = False

    def __init__(self, images, rows):
        self.shape = images.mean_image(rows).shape

    def of(self, rows, pixels):
        return np.full((1, *self.shape), 255, np.float32)


class Striped:
    """A family of orders that a map is judged by: stripes along the first axis, at random."""

    name = "striped"
    title = "Striped orders"
    colour = "#2a7f62"
    judged = True

    def orders(self, ranking):
        pixels = np.flatnonzero(ranking.valid)
        stripe = np.unravel_index(pixels, ranking.valid.shape)[0]
        for child in np.random.SeedSequence([ranking.seed, 77]).spawn(ranking.count):
            place = np.random.default_rng(child).permutation(len(ranking.valid))
            yield pixels[np.argsort(place[stripe], kind="stable")]


class TopFirst:
    """A family of one order, which a map is compared with."""

    name = "top-first"
    title = "From the top"
    colour = "#2a7f62"
    judged = False

    def orders(self, ranking):
        yield np.flatnonzero(ranking.valid)


class PeakAgreement:
    """Share of the images whose own map is strongest in the cell where the mean is."""

    name = "peak_agreement"
    heading = "Same peak"
    format = ".0%"

    def measure(self, context):
        if context.is_overall:
            return float("nan")
        peak = context.whole.mean.argmax()
        hits = [
            int(image.argmax()) == peak and np.ptp(image) > 0
            for _, maps in context.maps()
            for image in maps
        ]
        return float(np.mean(hits)) if hits else float("nan")
