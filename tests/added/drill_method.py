"""A method that another package may add; apart, as it needs torch."""

import torch
from pydantic import BaseModel, Field

from napari_globalxai.attribution.method import Attribution
from napari_globalxai.maps.cell_grid import CellGrid


class Brightness:
    """An attribution method: how bright each pixel is, whatever the model says of it."""

    name = "brightness"
    needs_split = False
    needs_gradients = False
    signed = False
    default_part = "positive"

    class Settings(BaseModel):
        power: float = Field(default=1.0, gt=0, le=4, description="What it is raised to")

    def __init__(self, **settings):
        self.settings = self.Settings(**settings)

    def grid(self, classifier):
        return CellGrid.pixels(classifier.frame_shape)

    def attribute(self, classifier, inputs, labels):
        bright = inputs.mean(dim=1, keepdim=True)
        bright = (bright - bright.amin(dim=(2, 3), keepdim=True)) ** self.settings.power
        with torch.no_grad():
            logits = classifier.logits(inputs)
        return Attribution(bright.repeat(1, len(labels), 1, 1), logits)
