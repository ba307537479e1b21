"""Networks run by OpenVINO: what torch makes of them, converted once, and well said if missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import icm
from icm.build import _compile, build, read_model_config
from icm.cli.demonstration import MASK, REFERENCE, photograph
from icm.compiled import Runtime, runtime
from icm.compiled.store import FOLDER, kept
from icm.errors import ConfigError
from icm.results import Features
from tests.conftest import TINY_SMALL

needed = pytest.mark.skipif(
    find_spec("openvino") is None, reason="the extra [openvino] is not installed"
)
AGREEMENT = 1e-2  # mean difference of alpha
SIZES = ((64, 64), (96, 160), (64, 64))
DENOISER = (  # small, random, and alone: quickly converted
    "weights=null",
    "backbone.channels=[16, 16, 32]",
    "backbone.head_width=16",
    "input.size=64",
    "precision=float32",
)
LOADED_AGAIN = f"""
import torch
import icm
from icm.compiled import runtime

torch.set_num_threads(1)  # as in the suite: a network is compiled for so many

def never(*_):
    raise SystemExit("converted again")

runtime._converted = never
icm.load("small_diffusion", device="cpu", overrides=["engine=openvino", *{DENOISER!r}])
print("loaded")
"""

SIGNALLED = """
import ctypes, faulthandler, gc, os, signal, threading, time
import torch
from icm.compiled.runtime import Runtime

class Stack(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

def stack():
    now = Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(now)) == 0
    return now.at, now.flags, now.size

faulthandler.enable()  # has handlers of signals run on a stack of their own
before = stack()
runtime = Runtime(torch.float32)
network = runtime.compile(torch.nn.Conv2d(3, 4, 1).eval(), "small", [torch.zeros(1, 3, 8, 8)])
network(torch.zeros(1, 3, 8, 8))
assert stack() == before
held = [runtime, network]
del runtime, network
threading.Thread(target=held.clear).start()
time.sleep(0.5)
gc.collect()
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
os.kill(os.getpid(), signal.SIGUSR1)
time.sleep(0.1)
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where compiled networks are kept."""
    monkeypatch.setenv("ICM_HOME", str(tmp_path))
    return tmp_path / FOLDER


def features(
    engine: str, *overrides: str, model: str = "small_diffusion", tiny: Sequence[str] = DENOISER
) -> list[Features]:
    """What the backbone of a model with random weights sees of pictures of `SIZES`."""
    options = [f"engine={engine}", *tiny, *overrides]
    backbone = build(read_model_config(model, options), device="cpu").model.backbone
    found = []
    for number, size in enumerate(SIZES):
        image_b3hw = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(number))
        with torch.inference_mode():
            found.append(backbone.extract(image_b3hw, backbone.draw_noise(*size, 0)))
    return found


def assert_equal(found: Sequence[Features], expected: Sequence[Features]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        for name in ("maps", "attention"):
            torch.testing.assert_close(
                getattr(mine, name), getattr(theirs, name), rtol=1e-4, atol=1e-4
            )


def convolution(value: float, stride: int = 1) -> nn.Conv2d:
    """A network whose weights are all of one value."""
    network = nn.Conv2d(3, 8, 3, stride)
    nn.init.constant_(network.weight, value)
    nn.init.zeros_(network.bias)
    return network.eval().requires_grad_(False)


def assert_runs(network: nn.Module) -> None:
    """OpenVINO, new to it or not, gives what torch gives."""
    x_bchw = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    compiled = Runtime(torch.float32).compile(network, "one", [torch.zeros(1, 3, 8, 8)])
    torch.testing.assert_close(compiled(x_bchw), (network(x_bchw),), rtol=1e-4, atol=1e-4)


def files(folder: Path) -> dict[str, int]:
    """Names of what is kept, without their keys, and sizes."""
    return {file.name.partition("-")[0]: file.stat().st_size for file in folder.iterdir()}


@needed
def test_the_bundled_model_gives_the_same_mattes(folder: Path) -> None:
    engines = ("torch", "openvino")
    mattings = [icm.load("small", device="cpu", overrides=[f"engine={e}"]) for e in engines]
    references = [matting.reference(photograph(REFERENCE), MASK) for matting in mattings]
    mattes = [
        matting(photograph("lion.jpg"), reference)
        for matting, reference in zip(mattings, references, strict=True)
    ]
    first, second = (matte.alpha for matte in mattes)
    assert np.abs(first - second).mean() < AGREEMENT
    assert not np.array_equal(first, second), "both were made by the same engine"
    assert mattes[0].present
    assert mattes[1].present
    # A reference that one engine has made serves the other.
    crossed = mattings[1](photograph("lion.jpg"), references[0]).alpha
    assert np.abs(first - crossed).mean() < AGREEMENT
    assert set(files(folder)) == {"encoder", "denoiser"}


@needed
def test_maps_and_attention_are_those_of_torch_at_every_size(folder: Path) -> None:
    whole = {"model": "small", "tiny": TINY_SMALL}
    assert_equal(features("openvino", **whole), features("torch", **whole))


@needed
def test_a_second_process_converts_nothing(folder: Path) -> None:
    first = features("openvino")
    made = files(folder)
    again = subprocess.run(
        [sys.executable, "-c", LOADED_AGAIN], capture_output=True, text=True, check=False
    )
    assert again.stdout == "loaded\n", again.stderr
    assert files(folder) == made
    assert_equal(features("openvino"), first)


@needed
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other signal stacks")
def test_signals_are_still_handled_when_a_network_is_gone(folder: Path) -> None:
    del folder
    ran = subprocess.run(
        [sys.executable, "-c", SIGNALLED], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "handled\n"), ran.stderr


@needed
def test_other_weights_are_converted_anew(folder: Path) -> None:
    for value in (1.0, 2.0):
        assert_runs(convolution(value))
    assert len(list(folder.iterdir())) == 2


@needed
@pytest.mark.parametrize("whole", [False, True], ids=["damaged", "of another kind"])
def test_what_cannot_be_used_is_converted_again(
    folder: Path, whole: bool, caplog: pytest.LogCaptureFixture
) -> None:
    network = convolution(1.0)
    assert_runs(network)
    (file,) = folder.iterdir()
    if whole:  # intact, and no network
        kept(file.stem, b"no network")
    else:
        file.write_bytes(file.read_bytes()[:-100])
    assert_runs(network)
    assert "again" in caplog.text
    caplog.clear()
    assert_runs(network)
    assert not caplog.text, "it was not kept in the damaged one's place"


@needed
def test_threads_share_a_network(folder: Path) -> None:
    """Each call has its own memory: no result is overwritten by another's."""
    network = nn.Conv2d(3, 8, 3, padding=1).eval()
    compiled = Runtime(torch.float32).compile(network, "one", [torch.zeros(1, 3, 8, 8)])
    pictures = [torch.full((1, 3, 40, 40), float(value)) for value in range(16)]
    with torch.inference_mode(), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(compiled, pictures * 4))
        expected = [network(picture) for picture in pictures * 4]
    for (mine,), theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@needed
@pytest.mark.parametrize("threads", [1, 2])
def test_as_many_threads_as_torch(folder: Path, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        used = Runtime(torch.float32)
        network = used.compile(nn.Conv2d(3, 8, 3).eval(), "one", [torch.zeros(1, 3, 8, 8)])
    finally:
        torch.set_num_threads(before)
    assert network.property("INFERENCE_NUM_THREADS") == threads


@needed
def test_float32_is_kept_where_it_is_asked_for(folder: Path) -> None:
    network = Runtime(torch.float32).compile(nn.Conv2d(3, 8, 3), "one", [torch.zeros(1, 3, 8, 8)])
    assert network.property("INFERENCE_PRECISION_HINT").to_string() == "f32"


@needed
def test_converting_sends_no_usage_statistics(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`openvino.convert_model` would, through openvino-telemetry, which comes with OpenVINO."""
    import openvino.tools.ovc.convert_impl as convert

    def sent() -> None:
        raise AssertionError("a session of usage statistics was begun")

    monkeypatch.setattr(convert, "init_ovc_telemetry", sent)
    with pytest.raises(AssertionError, match="usage statistics"):
        convert._convert(None, {}, True)
    Runtime(torch.float32).compile(nn.Conv2d(3, 8, 3).eval(), "one", [torch.zeros(1, 3, 8, 8)])


def test_where_it_is_missing_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ConfigError, match=r"pip install 'in-context-matting\[openvino\]'"):
        icm.load("small", device="cpu", overrides=["engine=openvino", *TINY_SMALL])
    assert icm.load("small", device="cpu", overrides=TINY_SMALL).config.engine == "torch"


def test_on_a_gpu_it_is_refused() -> None:
    backbone = build(read_model_config("small", TINY_SMALL), device="cpu").model.backbone
    with pytest.raises(ConfigError, match="runs on a CPU, not on cuda"):
        _compile(backbone, torch.device("cuda"), torch.bfloat16)


def test_the_key_of_a_network_follows_all_that_it_depends_on() -> None:
    def key(network: nn.Module) -> str:
        return runtime.key_of(network, {"openvino": "1"})

    first = key(convolution(1.0))
    assert key(convolution(1.0)) == first
    others = [convolution(2.0), convolution(1.0, 2), nn.Sequential(convolution(1.0)), Plain()]
    assert len({first, *map(key, others)}) == 5
    assert runtime.key_of(convolution(1.0), {"openvino": "2"}) != first


class Plain(nn.Module):
    def forward(self, x_bchw: Tensor) -> Tensor:
        return x_bchw * 2
