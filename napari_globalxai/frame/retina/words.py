"""What texts say of photographs of the retina."""

from napari_globalxai.frame.modality import Modality

RETINA = Modality(
    one="retinal image",
    many="retinal images",
    left="left eye",
    right="right eye",
    other_side="the other eye",
    mirrored=" in left-eye orientation, with right eyes mirrored",
    landmarks="disc and macula",
    zones="landmarks",
)
