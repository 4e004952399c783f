"""Small files that claim, or swell to, more than a picture needs; and many large ones at once."""

import io
import re
import struct
import subprocess
import sys
import threading
import time
import zlib

import numpy as np
import pytest
import tifffile
from pictures import C8, FILES, G8, ROWS, JPEGLosslessSV1, dicom, jpeg, png_chunk, tiff
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian

from napari_globalxai.images import guarded_decoder, pixels
from napari_globalxai.images.image_file import UnreadableImageError
from napari_globalxai.images.memory_budget import MemoryBudget
from napari_globalxai.images.pixels import in_bands, reduction
from napari_globalxai.images.readers import FundusReader

pytestmark = pytest.mark.timeout(120)
MIB = 1 << 20


def refusal(path, **options):
    with pytest.raises(UnreadableImageError) as error:
        FundusReader(**options).read(path)
    return error.value.reason


# ---------------------------------------------------------------- deflated DICOM


def deflated_bomb(meta=0, preamble=True, rows=None, zeros=1 << 29):
    """A deflated file whose dataset ends in zeros; with as much in its file meta as is asked."""
    elements = {} if rows is None else {"Rows": rows, "Columns": rows}
    plain = dicom(G8, syntax=DeflatedExplicitVRLittleEndian, **elements)
    length = int.from_bytes(plain[140:144], "little")
    start = 132 + 12 + length
    dataset = zlib.decompress(plain[start:], -15)
    private = b""
    if meta:
        private = struct.pack("<HH2sHI", 2, 0x0102, b"OB", 0, meta) + bytes(meta)
    head = plain[132:140] + (length + len(private)).to_bytes(4, "little") + plain[144:start]
    packer = zlib.compressobj(1, wbits=-15)
    block = bytes(1 << 24)
    body = packer.compress(dataset)
    body += b"".join(packer.compress(block) for _ in range(zeros >> 24)) + packer.flush()
    return (plain[:132] if preamble else b"") + head + private + body


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"meta": 5000},
        {"meta": 1 << 20},
        {"preamble": False},
        {"preamble": False, "meta": 5000},
        {"rows": 60000},
    ],
)
def test_a_deflated_file_is_not_inflated_beyond_its_picture(options, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(deflated_bomb(**options))
    assert path.stat().st_size < 12 * MIB
    said = refusal(path)
    assert "inflates to more than" in said or "million pixels" in said or "elements" in said


def test_zeros_are_not_read_as_elements(tmp_path):
    """Eight bytes each: after the pixels, where they are no bomb, and before them."""
    started = time.perf_counter()
    plain = dicom(G8)
    path = tmp_path / "a"
    path.write_bytes(plain + bytes(1 << 25))
    np.testing.assert_array_equal(FundusReader().read(path).values[..., 0], G8)
    at = plain.index(b"\x28\0\x02\0")
    path.write_bytes(plain[:at] + bytes(1 << 25) + plain[at:])
    assert "more than 100000 elements" in refusal(path)
    assert time.perf_counter() - started < 20


def test_what_is_not_inflated_takes_no_memory(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(deflated_bomb(meta=5000, preamble=False))
    script = (
        "import resource, sys\n"
        "from napari_globalxai.images.readers import FundusReader\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    FundusReader().read(sys.argv[1])\n"
        "except ValueError as why:\n"
        "    print(why)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    said, more = done.stdout.strip().rsplit("\n", 1)
    assert "inflates to more than" in said
    assert int(more) < 200 * 1024


def test_ordinary_deflated_files_are_read_however_long_their_meta_are(tmp_path):
    whole = deflated_bomb(zeros=0)
    for content in (
        FILES["deflated.dcm"].content,
        FILES["deflated.dcm"].content[132:],
        whole,
        deflated_bomb(meta=5000, zeros=0),
        deflated_bomb(meta=5000, preamble=False, zeros=0),
    ):
        (tmp_path / "a").write_bytes(content)
        values = FundusReader().read(tmp_path / "a").values
        wanted = C8 if content[:400] in FILES["deflated.dcm"].content else np.dstack([G8] * 3)
        np.testing.assert_array_equal(values, wanted)


# ---------------------------------------------------------------- TIFF


def huge_tiff(path, side=20_000, tile=2000):
    """Large, of one value: some hundred kilobytes."""
    part = np.full((tile, tile), 40_000, np.uint16)
    tifffile.imwrite(
        path, data=(part for _ in range((side // tile) ** 2)), shape=(side, side), dtype=np.uint16,
        compression="deflate", tile=part.shape, metadata=None,
    )  # fmt: skip
    return path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_huge_pictures_are_decoded_one_at_a_time_and_reduced(tmp_path):
    """400 megapixels of 16 bit, three times: more than 9 GB once, of which two hold too much."""
    path = huge_tiff(tmp_path / "a.tif")
    assert path.stat().st_size < 2 * MIB
    script = (
        "import resource, sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from napari_globalxai.images.readers import FundusReader\n"
        "reader = FundusReader(at_least=(384, 512))\n"
        "with ThreadPoolExecutor(3) as pool:\n"
        "    done = list(pool.map(reader.read, [sys.argv[1]] * 3))\n"
        "print({each.values.shape for each in done}, {float(each.values.max()) for each in done})\n"
        "print(done[0].affine.tolist(), done[0].native_shape)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    shapes, affine, most = done.stdout.strip().split("\n")
    # 20 000 // (2 * 512) = 19 stored pixels a side.
    assert shapes.startswith("{(1053, 1053, 3)}")
    assert abs(float(re.search(r"\{(\d+\.\d+)", shapes)[1]) - 40_000 / 257) < 0.001
    assert affine == "[[19.0, 0.0, 9.0], [0.0, 19.0, 9.0], [0.0, 0.0, 1.0]] (20000, 20000)"
    # Kilobytes: one at a time takes 1.3 GB, all three at once 2.9.
    assert int(most) < 2 * MIB


def test_strips_that_inflate_to_more_than_they_have_room_for(tmp_path):
    """tifffile inflates a strip as a whole, whatever the picture's size."""
    samples = np.full((16, 16), 40_000, np.uint16)
    content = tiff(samples, compression="deflate")
    with tifffile.TiffFile(io.BytesIO(content)) as plain:
        page = plain.pages[0]
        at = page.tags["StripByteCounts"].valueoffset, page.tags["StripOffsets"].valueoffset
        codes = [page.tags[name].dtype for name in ("StripByteCounts", "StripOffsets")]
    packer = zlib.compressobj(1)
    block = bytes(1 << 24)
    bomb = b"".join(packer.compress(block) for _ in range(64)) + packer.flush()
    changed = bytearray(content + bomb)
    for place, code, value in zip(at, codes, (len(bomb), len(content)), strict=True):
        assert code in (3, 4)
        form = "<H" if code == 3 else "<I"
        if code == 3 and value > 65535:
            # A longer number in the place of the short one: its type stands before it.
            struct.pack_into("<H", changed, place - 6, 4)
            form = "<I"
        struct.pack_into(form, changed, place, value)
    path = tmp_path / "a.tif"
    path.write_bytes(changed)
    assert "inflates to more than it has room for" in refusal(path)


def test_tiles_larger_than_any_picture(tmp_path):
    content = bytearray(tiff(np.full((16, 16), 40_000, np.uint16), tile=(16, 16)))
    with tifffile.TiffFile(io.BytesIO(content)) as plain:
        tags = plain.pages[0].tags
        for name in ("TileWidth", "TileLength"):
            struct.pack_into("<H", content, tags[name].offset + 2, 4)
            struct.pack_into("<I", content, tags[name].offset + 8, 1 << 20)
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert "million pixels" in refusal(path)


# ---------------------------------------------------------------- what is decoded elsewhere


def test_a_stream_larger_than_its_file_tells_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "napari_globalxai.images.dicom.decode_guarded", lambda *_: pytest.fail("was decoded")
    )
    stream = jpeg(C8, lossless=True, predictor=1)
    at = stream.index(b"\xff\xc3") + 5
    grown = stream[:at] + (65000).to_bytes(2) * 2 + stream[at + 4 :]
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom(C8, syntax=JPEGLosslessSV1, frames=[grown]))
    assert refusal(path) == "its pixels decode to another size than it tells"


def test_the_decoder_in_its_own_process_gets_what_the_picture_needs(tmp_path, monkeypatch):
    """Told that it is a small picture, it cannot decode a large one."""
    rows = 9000
    header = struct.pack(">IIBBBBB", rows, rows, 16, 2, 0, 0, 0)
    packer = zlib.compressobj(1)
    line = bytes(1 + 6 * rows)
    body = b"".join(packer.compress(line) for _ in range(rows)) + packer.flush()
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body)
        + png_chunk(b"IEND", b"")
    )  # fmt: skip
    monkeypatch.setattr(guarded_decoder, "SECONDS", 60)
    with pytest.raises(ValueError, match=r"\w"):
        guarded_decoder.decode_guarded(path, "PNGImageIO", 1000)


# ---------------------------------------------------------------- reduced reading


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "deep", "dicom", "alpha"])
def test_huge_pictures_become_block_averages(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "HUGE", 5000)
    monkeypatch.setattr(pixels, "_BAND", 700)
    rng = np.random.default_rng(1)
    samples = rng.integers(0, 256, (103, 131, 3)).astype(np.uint8)
    path, factor = tmp_path / "a", 4
    wanted = samples.astype(float)
    if kind == "deep":
        path.write_bytes(tiff(samples.astype(np.uint16) * 257, photometric="rgb"))
    elif kind == "dicom":
        path.write_bytes(dicom(samples))
    elif kind == "alpha":
        alpha = np.where(np.arange(131) < 60, 255, 0).astype(np.uint8) + np.zeros(
            (103, 1), np.uint8
        )
        Image.fromarray(np.dstack([samples, alpha])).save(path, "PNG")
        wanted = wanted * (alpha[..., None] > 0)
    else:
        Image.fromarray(samples).save(path, kind)
    picture = FundusReader(at_least=(12, 16)).read(path)
    blocks = [
        [wanted[y : y + factor, x : x + factor].mean(axis=(0, 1)) for x in range(0, 131, factor)]
        for y in range(0, 103, factor)
    ]
    np.testing.assert_allclose(picture.values, blocks, atol=0.51 if kind != "alpha" else 1.01)
    assert picture.native_shape == (103, 131)
    np.testing.assert_array_equal(picture.affine, [[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1]])
    # Asked for nothing less, all pixels are there.
    assert FundusReader().read(path).values.shape == (103, 131, 3)


def test_ordinary_pictures_are_not_reduced():
    assert reduction((8000, 8000), (1, 1)) == 1
    assert reduction((10_000, 10_000), None) == 1
    assert reduction((10_000, 10_000), (384, 512)) == 9
    assert reduction((10_000, 10_000), (6000, 6000)) == 1
    assert in_bands(G8, lambda band: np.dstack([band] * 3), 1).shape == (*G8.shape, 3)
    assert len(G8) == ROWS


# ---------------------------------------------------------------- the budget


def test_no_more_is_held_than_fits_and_nobody_is_passed_for_ever():
    budget, lock = MemoryBudget(100), threading.Lock()
    held, most, order = [], [], []

    def work(name, size):
        with budget.hold(size):
            with lock:
                held.append(size)
                most.append(sum(held))
                order.append(name)
            time.sleep(0.02)
            with lock:
                held.remove(size)

    threads = []
    for name, size in enumerate([60, 60, 30, 250, 10, 10, 10, 40]):
        threads.append(threading.Thread(target=work, args=(name, size)))
        threads[-1].start()
        time.sleep(0.002)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    # A share that is larger than all is held alone.
    assert sorted(each for each in most if each > 100) == [250]
    assert order.index(3) < order.index(4)


def test_a_share_is_given_back_after_an_error():
    budget = MemoryBudget(10)

    def fail():
        with budget.hold(10):
            raise RuntimeError

    for _ in range(3):
        with pytest.raises(RuntimeError):
            fail()
    with budget.hold(10):
        pass
