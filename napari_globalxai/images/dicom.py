"""DICOM pictures: pydicom, with Pillow for JPEG, and SimpleITK for what neither decodes."""

from __future__ import annotations

import logging
import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_globalxai.images.dicom_colours import decode_jpeg, note_on_colours
from napari_globalxai.images.dicom_layout import check_layout, take_from_groups
from napari_globalxai.images.dicom_stream import DeflatedError, picture_bytes, read_elements
from napari_globalxai.images.guarded_decoder import decode_guarded
from napari_globalxai.images.jpeg_stream import read_header
from napari_globalxai.images.memory_budget import DECODING
from napari_globalxai.images.pixels import (
    Array,
    Picture,
    Wanted,
    check_size,
    choose_page,
    in_bands,
    reduction,
    to_rgb,
)
from napari_globalxai.images.value_range import refuse_lower_bits

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
_OTHER_SIZE = "its pixels decode to another size than it tells"
_SIDES = {
    "L": "L", "R": "R",
    # Modifiers of an anatomic region, in SNOMED CT's codes and in the older ones.
    "7771000": "L", "G-A101": "L", "24028007": "R", "G-A100": "R",
}  # fmt: skip
# Memory while a picture is inflated, decoded and made RGB, in pictures as they are stored.
_TIMES_INFLATED, _TIMES_REDUCED, _TIMES_WHOLE, _TIMES_GUARDED = 8, 4, 8, 8


class _Samples(NamedTuple):
    """Samples of a frame, the photometric interpretation that they are in, and a note."""

    values: Array
    colours: str
    note: str = ""


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


def read_dicom(path: Path, page: int | None, wanted: Wanted) -> Picture:
    """Read a photograph from a DICOM file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    page : int or None
        Frame asked for, counted from 1.
    wanted : Wanted
        Huge pictures are brought to a lower resolution where one will do.
    """
    with ExitStack() as held:
        try:
            dataset, size = read_elements(path), 0
        except DeflatedError as found:
            size = _TIMES_INFLATED * found.size
            held.enter_context(DECODING.hold(size))
            dataset = read_elements(path, inflate=True)
        _check_kind(dataset)
        native = int(dataset.Rows), int(dataset.Columns)
        check_size(*native)
        frames = int(dataset.get("NumberOfFrames") or 1)
        # Broken files claim billions.
        shapes = [native] * min(frames, 1_000_000)
        index = choose_page(page, shapes, path.name)
        check_layout(dataset)
        take_from_groups(dataset, index)
        factor = reduction(native, wanted.at_least)
        if not size:
            held.enter_context(DECODING.hold(_decoding_bytes(dataset, factor)))
        samples, colours, note = _samples(dataset, index)
        if samples.shape[:2] != native:
            raise ValueError(_OTHER_SIZE)
        values = _rgb(samples, colours, dataset, wanted.stored_bits, factor)
    half = (factor - 1) / 2
    affine = np.array([[factor, 0, half], [0, factor, half], [0, 0, 1.0]])
    return Picture(values, native, affine, laterality(dataset), note)


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


def _decoding_bytes(dataset: FileDataset, factor: int) -> int:
    """Return what decoding a frame may take: SimpleITK does it in another process."""
    times = _TIMES_WHOLE if factor == 1 else _TIMES_REDUCED
    if _plugin(dataset) is None:
        times += _TIMES_GUARDED
    return times * picture_bytes(dataset)


def _check_kind(dataset: FileDataset) -> None:
    if dataset.get("SOPClassUID") == _OCT_VOLUME:
        raise ValueError("it is a DICOM file with an OCT volume, not a photograph")
    if "EncapsulatedDocument" in dataset:
        raise ValueError("it is a DICOM file with a document, not a photograph")
    if "PixelData" not in dataset:
        raise ValueError("it is a DICOM file without pixels")


def _samples(dataset: FileDataset, index: int) -> _Samples:
    from pydicom import uid
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    colours, single = str(dataset.PhotometricInterpretation), int(dataset.SamplesPerPixel) == 1
    if "YBR_FULL" in colours and int(dataset.BitsStored) != 8:
        raise ValueError(f"{colours} of {dataset.BitsStored} bit is not read")
    plugin = _plugin(dataset)
    if plugin is None and syntax not in (
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
    ):
        raise ValueError(f"its pixels are stored as {syntax.name}, which is not read")
    header = None
    if plugin in (None, "pillow"):
        frame = _frame(dataset, index)
        header = read_header(frame)
        # Before it is decoded: a stream may be larger than anything that the file tells.
        if header is not None and header.shape != (int(dataset.Rows), int(dataset.Columns)):
            raise ValueError(_OTHER_SIZE)
    if (
        plugin == "pillow"
        and not single
        and syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
    ):
        samples, note = decode_jpeg(frame, header, colours)
        return _Samples(samples, "RGB", note)
    if plugin is None:
        samples, colours = _samples_of_simpleitk(dataset, frame)
    else:
        # The plugin is named so that no other decoder that happens to be installed is tried.
        samples, told = get_decoder(syntax).as_array(dataset, index=index, decoding_plugin=plugin)
        colours = str(told["photometric_interpretation"])
    return _Samples(samples, colours, note_on_colours(samples, colours, dataset))


def _plugin(dataset: FileDataset) -> str | None:
    """Return the plugin of pydicom that decodes a file's pixels; None where none of them does."""
    from pydicom import uid

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
    if syntax in (
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ):
        return ""
    if syntax == uid.RLELossless:
        return "pydicom"
    if (syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit) and bits == 8) or (
        syntax in (uid.JPEG2000Lossless, uid.JPEG2000) and (single or bits <= 8)
    ):
        return "pillow"
    return None


def _frame(dataset: FileDataset, index: int) -> bytes:
    """Return the stream of one frame."""
    from pydicom.encaps import get_frame

    frames = int(dataset.get("NumberOfFrames") or 1)
    stream: bytes = get_frame(dataset.PixelData, index, number_of_frames=frames)
    return stream


def _samples_of_simpleitk(dataset: FileDataset, frame: bytes) -> tuple[Array, str]:
    """Decode one frame with SimpleITK, which is given nothing but its codes.

    SimpleITK would apply the rescale itself, and convert some colours and not others.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.pixels import convert_color_space
    from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

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
        samples = decode_guarded(path, "GDCMImageIO", picture_bytes(dataset))[0]
    colours = str(dataset.PhotometricInterpretation)
    if colours in ("YBR_FULL", "YBR_FULL_422"):
        return convert_color_space(samples, "YBR_FULL", "RGB"), "RGB"
    return samples, "RGB" if colours in ("YBR_RCT", "YBR_ICT") else colours


def _rgb(
    samples: Array, colours: str, dataset: FileDataset, stored_bits: int | None, factor: int
) -> Array:
    """Return RGB in 0–255, averaged over squares of `factor` pixels."""
    bits = int(dataset.BitsStored)
    # What fills its 16 bits by its own word may be of fewer, unless a window tells black and white.
    if bits == 16 and colours in ("RGB", "MONOCHROME1", "MONOCHROME2") and samples.min() >= 0:
        if stored_bits is not None:
            bits = stored_bits
        elif colours == "RGB" or not _has_window(dataset):
            refuse_lower_bits(int(samples.max()))
    if bits == int(dataset.BitsStored):
        # One bit of signed numbers is the sign's.
        bits -= int(dataset.PixelRepresentation)
    if colours == "PALETTE COLOR":
        return in_bands(to_rgb(_values(samples, colours, dataset, bits)), lambda band: band, factor)
    return in_bands(samples, lambda band: to_rgb(_values(band, colours, dataset, bits)), factor)


def _values(samples: Array, colours: str, dataset: FileDataset, bits: int) -> Array:
    """Return grey or RGB in 0–255."""
    if colours == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        painted = apply_color_lut(samples, dataset)[..., :3]
        # Entries of 8 bit may be stored in 16.
        narrow = int(dataset.RedPaletteColorLookupTableDescriptor[2]) == 8 and painted.max() < 256
        return _by_bits(painted, 8 if narrow else 8 * painted.itemsize)
    if colours == "RGB":
        return _by_bits(samples, bits)
    if colours not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"its colours are {colours}, which is not read")
    _check_shape(colours, dataset)
    windowed = _windowed(samples, dataset)
    values = _by_bits(samples, bits) if windowed is None else windowed
    if windowed is None and _turns_round(dataset):
        values = 255 - values
    return 255 - values if colours == "MONOCHROME1" else values


def _check_shape(colours: str, dataset: FileDataset) -> None:
    """Refuse grey whose polarity is told twice and differently (PS3.3, C.7.6.1)."""
    shape = dataset.get("PresentationLUTShape")
    meant = "INVERSE" if colours == "MONOCHROME1" else "IDENTITY"
    if dataset.get("PresentationLUTSequence"):
        raise ValueError(
            "it has a table of its own for its greys (Presentation LUT), which is not read"
        )
    if shape not in (None, "", meant):
        raise ValueError(
            f"its Presentation LUT Shape is {shape}, where {colours} goes with {meant}: whether "
            "low values are dark or bright cannot be told; mend or remove it"
        )


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


def _turns_round(dataset: FileDataset) -> bool:
    """Return whether what is dark as stored is bright as meant, where no window is given."""
    if dataset.get("ModalityLUTSequence"):
        raise ValueError(
            "it has a table of values (Modality LUT) and no window says what is black and white"
        )
    slope = dataset.get("RescaleSlope")
    return slope not in (None, "") and float(slope) < 0


def _has_window(dataset: FileDataset) -> bool:
    values = (dataset.get("WindowCenter"), dataset.get("WindowWidth"))
    return bool(dataset.get("VOILUTSequence")) or not any(each in (None, "") for each in values)


def _windowed(samples: Array, dataset: FileDataset) -> Array | None:
    """Apply the file's first window; return grey in 0–255, or None where there is none."""
    from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing

    with np.errstate(all="ignore"):
        if dataset.get("VOILUTSequence"):
            numbers = np.rint(apply_modality_lut(samples, dataset)).astype(np.int64)
            top = 2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
            looked_up: Array = apply_voi(numbers, dataset)
            return looked_up.astype(np.float32) * np.float32(255 / top)
        if not _has_window(dataset):
            return None
        shown: Array = apply_windowing(apply_modality_lut(samples, dataset), dataset)
        # What is far below and above the window becomes black and white.
        black, white = apply_windowing(np.array([-1e12, 1e12]), dataset)
        if not abs(white - black) > 0:
            raise ValueError("its window and rescale make black and white the same")
        values: Array = (shown - black) * (255 / (white - black))
        return values.astype(np.float32)
