"""What another package may add, each by one class and one line of entry_points.txt."""

import numpy as np


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
