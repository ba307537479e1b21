"""Written PNG files, read back by two independent decoders, and what a failure leaves behind."""

import os
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from icm.beside import Helpers
from icm.errors import InputError, OutputError
from icm.images import write_png, written_aside
from tests.images.painted import SRGB, deep, painted


def samples(channels, bits):
    count = 40 * 30 * channels
    values = np.arange(count, dtype=np.float64) * 7919 % count / (count - 1)
    shape = (40, 30) if channels == 1 else (40, 30, channels)
    return values.reshape(shape).astype(np.float32), 2**bits - 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_eight_bits_are_rounded(tmp_path, channels):
    array, top = samples(channels, 8)
    write_png(tmp_path / "a.png", array)
    found = np.asarray(Image.open(tmp_path / "a.png"))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.rint(array * np.float32(top)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_rounded(tmp_path, channels):
    array, top = samples(channels, 16)
    write_png(tmp_path / "a.png", array, bits=16)
    found = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    if channels > 1:
        found = found[..., [2, 1, 0, 3][:channels]]
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, np.rint(array * np.float32(top)))


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_beside_the_colours_gives_the_same_file(tmp_path, bits):
    array, _ = samples(4, bits)
    write_png(tmp_path / "joined.png", array, bits)
    write_png(tmp_path / "apart.png", array[..., :3], bits, alpha=array[..., 3])
    assert (tmp_path / "apart.png").read_bytes() == (tmp_path / "joined.png").read_bytes()


@pytest.mark.parametrize("bits", [8, 16])
def test_helpers_change_no_byte(tmp_path, monkeypatch, bits):
    array = np.random.default_rng(0).random((700, 900, 3), dtype=np.float32)
    for most in (1, 4):
        monkeypatch.setattr("icm.images.png.FINISHING", Helpers(most))
        write_png(tmp_path / f"{most}.png", array, bits)
    content = (tmp_path / "1.png").read_bytes()
    assert (tmp_path / "4.png").read_bytes() == content
    assert content.count(b"IDAT") > 4


@pytest.mark.parametrize("shape", [(1, 1), (5, 7, 4), (900, 900, 3)])
def test_the_stream_is_whole_and_its_checksum_right(tmp_path, shape):
    array = np.random.default_rng(0).random(shape, dtype=np.float32)
    write_png(tmp_path / "a.png", array)
    content, stream, place = (tmp_path / "a.png").read_bytes(), b"", 8
    while place < len(content):
        length = int.from_bytes(content[place : place + 4])
        if content[place + 4 : place + 8] == b"IDAT":
            stream += content[place + 8 : place + 8 + length]
        place += length + 12
    decoder = zlib.decompressobj()
    rows = decoder.decompress(stream)  # raises where the checksum is wrong
    assert decoder.eof
    assert not decoder.unused_data
    assert len(rows) == shape[0] + array.size


def test_rounded_not_truncated(tmp_path):
    write_png(tmp_path / "a.png", np.array([[0.4990, 0.0019, 0.0021, 0.9981]]))
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[127, 0, 1, 255]]


def test_values_beyond_the_range_are_clipped(tmp_path):
    write_png(tmp_path / "a.png", np.array([[-0.5, 1.5]]))
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[0, 255]]


@pytest.mark.parametrize("shape", [(1, 1), (3, 4000), (3000, 2000)])
def test_sizes_of_one_and_of_several_bands(tmp_path, shape):
    picture = painted(*shape) if min(shape) > 1 else np.full((1, 1, 3), 9, np.uint8)
    write_png(tmp_path / "a.png", picture / np.float32(255))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)


def test_the_profile_is_embedded(tmp_path):
    write_png(tmp_path / "a.png", painted() / 255, profile=SRGB)
    write_png(tmp_path / "b.png", deep() / 65535, 16, SRGB)
    assert Image.open(tmp_path / "a.png").info["icc_profile"] == SRGB
    assert Image.open(tmp_path / "b.png").info["icc_profile"] == SRGB


@pytest.mark.parametrize("shape", [(4, 4, 2), (4,), (0, 4), (4, 4, 3, 1)])
def test_what_is_no_picture(tmp_path, shape):
    with pytest.raises(InputError, match="shape"):
        write_png(tmp_path / "a.png", np.zeros(shape))
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made(tmp_path):
    write_png(tmp_path / "x" / "y" / "a.png", np.zeros((2, 2)))
    assert [path.name for path in (tmp_path / "x" / "y").iterdir()] == ["a.png"]


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "x").write_text("here first")
    with pytest.raises(OutputError, match="cannot write") as caught:
        write_png(tmp_path / "x" / "a.png", np.zeros((2, 2)))
    assert "\n" not in str(caught.value)


@pytest.mark.fault
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, fault):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")

    def fail(descriptor):
        raise fault

    monkeypatch.setattr(os, "fsync", fail)
    expected = OutputError if isinstance(fault, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_png(path, np.zeros((2, 2)))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.fault
def test_a_full_disk(tmp_path):
    """A limit on file sizes fails the very write that a full disk would fail."""
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from icm.errors import OutputError\n"
        "from icm.images import write_png\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "noise = np.random.default_rng(0).random((200, 200))\n"
        "try:\n"
        "    write_png(sys.argv[1], noise)\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    pytest.importorskip("resource", reason="no limits on file sizes here")
    command = [sys.executable, "-c", script, str(tmp_path / "a.png")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot write" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_written_aside_too(tmp_path):
    path = tmp_path / "reference.icmref"
    with written_aside(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]
