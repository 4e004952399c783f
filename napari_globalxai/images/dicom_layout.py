"""What a DICOM file tells of its samples at other places than pydicom looks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# By the sequence of a frame's functional groups that holds them (PS3.3, C.7.6.16).
_OF_GROUPS = {
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
}


def check_layout(dataset: Dataset) -> None:
    """Refuse samples that do not lie where they are looked for, and more of them than are told.

    Raises
    ------
    ValueError
        When they do not end at the lowest bit, or there are rows, or frames, that nothing tells.
    """
    stored, highest = int(dataset.BitsStored), dataset.get("HighBit")
    if highest not in (None, "") and int(highest) != stored - 1:
        raise ValueError(
            f"its samples lie in other bits than the lowest (High Bit is {highest}, Bits Stored "
            f"{stored}), which is not read"
        )
    transfer = dataset.file_meta.get("TransferSyntaxUID")
    if transfer is not None and transfer.is_encapsulated:
        return
    from pydicom.pixels.utils import get_expected_length

    row = int(dataset.Columns) * int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8
    told, there = get_expected_length(dataset), len(dataset.PixelData)
    if there - told >= max(row, 2):
        raise ValueError(
            f"its pixels take {there} bytes, of which its rows, columns and frames tell {told}"
        )


def take_from_groups(dataset: Dataset, index: int) -> None:
    """Put the window and the rescale of a frame where those of a single picture stand.

    Files of many frames have them in groups: one that all frames share, and one for each.

    Parameters
    ----------
    dataset : pydicom.dataset.Dataset
        It is changed.
    index : int
        The frame, from 0.
    """
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or ())[:1]
    own = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())[index : index + 1]
    for group in (*shared, *own):
        for sequence, names in _OF_GROUPS.items():
            for told in list(group.get(sequence) or ())[:1]:
                for name in names:
                    if name in told:
                        setattr(dataset, name, told[name].value)
