"""DICOM pictures: pydicom, with Pillow for JPEG, and SimpleITK for what neither decodes."""

from __future__ import annotations

import logging
import tempfile
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.images.guarded_decoder import decode_guarded
from napari_globalxai.images.pixels import (
    MOST_PIXELS,
    Array,
    Picture,
    check_size,
    choose_page,
    to_rgb,
)

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

# As for tifffile: what pydicom says of files that it does read is noise to whoever reads thousands,
# and `warnings.catch_warnings` cannot be used in threads.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\.")

_PREAMBLE = 128
_LONGEST_FIRST_VALUE = 256
# Group 2 or 8 comes first; then the kind of value, unless that is implicit.
_FIRST_GROUPS = (b"\x02\0", b"\x08\0", b"\0\x08")
_FIRST_KINDS = (b"UL", b"OB", b"UI", b"CS", b"DA", b"SH", b"LO", b"TM")
_OCT_VOLUME = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
_DEFLATED = "1.2.840.10008.1.2.1.99"
# Three 16-bit samples a pixel, and what else a file tells.
_MOST_BYTES = 6 * MOST_PIXELS + (64 << 20)
_SIDES = {
    "L": "L", "R": "R",
    # Modifiers of an anatomic region, in SNOMED CT's codes and in the older ones.
    "7771000": "L", "G-A101": "L", "24028007": "R", "G-A100": "R",
}  # fmt: skip


def is_dicom(head: bytes) -> bool:
    """Return whether a file that begins with `head` is DICOM, with or without the preamble."""
    if head[_PREAMBLE:].startswith(b"DICM"):
        return True
    if len(head) < 8 or head[:2] not in _FIRST_GROUPS:
        return False
    implicit = head[:2] != b"\0\x08" and (
        int.from_bytes(head[4:8], "little") <= _LONGEST_FIRST_VALUE
    )
    return head[4:6] in _FIRST_KINDS or implicit


def read_dicom(path: Path, page: int | None) -> Picture:
    """Read a photograph from a DICOM file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    page : int or None
        Frame asked for, counted from 1.
    """
    import pydicom

    with path.open("rb") as stream:
        _check_deflated(stream.read)
    dataset = pydicom.dcmread(path, force=True)
    _check_kind(dataset)
    native = int(dataset.Rows), int(dataset.Columns)
    check_size(*native)
    frames = int(dataset.get("NumberOfFrames") or 1)
    # Broken files claim billions.
    shapes = [native] * min(frames, 1_000_000)
    samples, colours = _samples(dataset, choose_page(page, shapes, path.name))
    if samples.shape[:2] != native:
        raise ValueError("its pixels decode to another size than it tells")
    values = to_rgb(_values(samples, colours, dataset))
    return Picture(values, native, np.eye(3), laterality(dataset))


def laterality(dataset: FileDataset) -> str:
    """Return ``"L"`` or ``"R"`` as a dataset says, or ``""``."""
    for name in ("ImageLaterality", "Laterality"):
        if side := str(dataset.get(name) or ""):
            return _SIDES.get(side, "")
    for region in dataset.get("AnatomicRegionSequence") or ():
        for modifier in region.get("AnatomicRegionModifierSequence") or ():
            code = str(modifier.get("CodeValue"))
            if code in _SIDES:
                return _SIDES[code]
    return ""


def _check_deflated(read: Callable[[int], bytes]) -> None:
    """Refuse a deflated file that swells beyond what a picture needs: pydicom inflates it whole."""
    head = read(_PREAMBLE + 4096)
    if _DEFLATED.encode() not in head or not head[_PREAMBLE:].startswith(b"DICM"):
        return
    # Group 2 tells its own length in its first element.
    end = _PREAMBLE + 16 + int.from_bytes(head[_PREAMBLE + 12 : _PREAMBLE + 16], "little")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    size, part = 0, head[end:]
    while part and not inflate.eof:
        size += len(inflate.decompress(part, 1 << 24))
        if size > _MOST_BYTES:
            raise ValueError(f"it inflates to more than {_MOST_BYTES >> 20} MiB")
        part = inflate.unconsumed_tail or read(1 << 20)


def _check_kind(dataset: FileDataset) -> None:
    if dataset.get("SOPClassUID") == _OCT_VOLUME:
        raise ValueError("it is a DICOM file with an OCT volume, not a photograph")
    if "EncapsulatedDocument" in dataset:
        raise ValueError("it is a DICOM file with a document, not a photograph")
    if "PixelData" not in dataset:
        raise ValueError("it is a DICOM file without pixels")


def _samples(dataset: FileDataset, index: int) -> tuple[Array, str]:
    """Return the samples of a frame, and the photometric interpretation that they are in."""
    from pydicom import uid
    from pydicom.pixels import get_decoder

    if dataset.file_meta.get("TransferSyntaxUID") is None:
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            uid.ImplicitVRLittleEndian
            if implicit
            else uid.ExplicitVRLittleEndian
            if little
            else uid.ExplicitVRBigEndian
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    bits, single = int(dataset.BitsStored), int(dataset.SamplesPerPixel) == 1
    if "YBR_FULL" in dataset.PhotometricInterpretation and bits != 8:
        raise ValueError(f"{dataset.PhotometricInterpretation} of {bits} bit is not read")
    plugin = None
    if syntax in (
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ):
        plugin = ""
    elif syntax == uid.RLELossless:
        plugin = "pydicom"
    elif (syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit) and bits == 8) or (
        syntax in (uid.JPEG2000Lossless, uid.JPEG2000) and (single or bits <= 8)
    ):
        plugin = "pillow"
    if plugin is not None:
        # The plugin is named so that no other decoder that happens to be installed is tried.
        samples, told = get_decoder(syntax).as_array(dataset, index=index, decoding_plugin=plugin)
        return samples, str(told["photometric_interpretation"])
    if syntax not in (
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
    ):
        raise ValueError(f"its pixels are stored as {syntax.name}, which is not read")
    return _samples_of_simpleitk(dataset, index)


def _samples_of_simpleitk(dataset: FileDataset, index: int) -> tuple[Array, str]:
    """Decode one frame with SimpleITK, which is given nothing but its codes.

    SimpleITK would apply the rescale itself, and convert some colours and not others.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate, get_frame
    from pydicom.pixels import convert_color_space
    from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

    frames = int(dataset.get("NumberOfFrames") or 1)
    frame = get_frame(dataset.PixelData, index, number_of_frames=frames)
    bare = Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    bare.SOPClassUID = SecondaryCaptureImageStorage
    bare.SOPInstanceUID = generate_uid()
    single = int(dataset.SamplesPerPixel) == 1
    bare.PhotometricInterpretation = "MONOCHROME2" if single else "RGB"
    if not single:
        bare.PlanarConfiguration = 0
    for name in (
        "SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
        "PixelRepresentation",
    ):  # fmt: skip
        setattr(bare, name, int(dataset[name].value))
    bare.PixelData = encapsulate([frame])
    bare["PixelData"].VR = "OB"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.dcm"
        bare.save_as(path, enforce_file_format=True)
        samples = decode_guarded(path, "GDCMImageIO")[0]
    colours = str(dataset.PhotometricInterpretation)
    if colours in ("YBR_FULL", "YBR_FULL_422"):
        return convert_color_space(samples, "YBR_FULL", "RGB"), "RGB"
    return samples, "RGB" if colours in ("YBR_RCT", "YBR_ICT") else colours


def _values(samples: Array, colours: str, dataset: FileDataset) -> Array:
    """Return grey or RGB in 0–255."""
    if colours == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        painted = apply_color_lut(samples, dataset)[..., :3]
        # Entries of 8 bit may be stored in 16.
        narrow = int(dataset.RedPaletteColorLookupTableDescriptor[2]) == 8 and painted.max() < 256
        return _by_bits(painted, 8 if narrow else 8 * painted.itemsize)
    bits = int(dataset.BitsStored)
    if colours == "RGB":
        return _by_bits(samples, bits)
    if colours not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"its colours are {colours}, which is not read")
    windowed = _windowed(samples, dataset)
    values = _by_bits(samples, bits) if windowed is None else windowed
    return 255 - values if colours == "MONOCHROME1" else values


def _by_bits(samples: Array, bits: int) -> Array:
    """Scale whole numbers to 0–255 by what so many bits can hold."""
    if samples.dtype == np.uint8 and bits == 8:
        return samples
    white = 2**bits - 1
    low, high = int(samples.min()), int(samples.max())
    if low < 0 or high > white:
        raise ValueError(
            f"its values lie between {low} and {high} and no window says what is black and white"
        )
    return samples.astype(np.float32) * np.float32(255 / white)


def _windowed(samples: Array, dataset: FileDataset) -> Array | None:
    """Apply the file's first window; return grey in 0–255, or None where there is none."""
    from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing

    with np.errstate(all="ignore"):
        if dataset.get("VOILUTSequence"):
            numbers = np.rint(apply_modality_lut(samples, dataset)).astype(np.int64)
            top = 2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
            looked_up: Array = apply_voi(numbers, dataset)
            return looked_up.astype(np.float32) * np.float32(255 / top)
        if dataset.get("WindowCenter") in (None, "") or dataset.get("WindowWidth") in (None, ""):
            return None
        shown: Array = apply_windowing(apply_modality_lut(samples, dataset), dataset)
        # What is far below and above the window becomes black and white.
        black, white = apply_windowing(np.array([-1e12, 1e12]), dataset)
        if not abs(white - black) > 0:
            raise ValueError("its window and rescale make black and white the same")
        values: Array = (shown - black) * (255 / (white - black))
        return values.astype(np.float32)
