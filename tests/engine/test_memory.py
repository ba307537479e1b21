"""A device whose memory does not suffice: said in words, by every way to use the model."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import icm
from icm.cli import main
from icm.engine.streaming import stream_mattes
from icm.errors import DeviceError
from icm.matting import Failure, Matting
from tests.conftest import TINY_SMALL

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
MASK = np.zeros((40, 60), np.uint8)
MASK[10:30, 20:50] = 255
MESSAGE = "cpu has too little memory for this: .*smaller --set input.size, or --device cpu"


@pytest.fixture(scope="module")
def matting() -> Matting:
    return icm.load(device="cpu", overrides=(*TINY_SMALL, "finish.method=bicubic"))


def starved(matting: Matting, holds: int) -> Matting:
    """The same model on a device that holds so many pictures at a time."""
    built = matting._built

    class Model:
        backbone = built.model.backbone

        def __init__(self) -> None:
            self.tensors: list[weakref.ref] = []

        def __call__(self, image_b3hw, examples, noise):
            ours = torch.zeros(1)
            self.tensors.append(weakref.ref(ours))
            if len(image_b3hw) > holds:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return built.model(image_b3hw, examples, noise)

        def example(self, image_b3hw, mask_b1hw, noise):
            raise torch.OutOfMemoryError("CUDA out of memory")

    return Matting(replace(built, model=Model()))


def test_a_reference_and_a_target(matting: Matting) -> None:
    reference = matting.reference(PICTURE, MASK)
    without = starved(matting, 0)
    with pytest.raises(DeviceError, match=MESSAGE):
        without.reference(PICTURE, MASK)
    with pytest.raises(DeviceError, match=MESSAGE):
        without(PICTURE, reference)


def test_a_kept_error_keeps_no_tensor(matting: Matting) -> None:
    reference = matting.reference(PICTURE, MASK)
    without = starved(matting, 0)
    with pytest.raises(DeviceError) as kept:
        without(PICTURE, reference)
    gc.collect()
    assert [tensor() for tensor in without._built.model.tensors] == [None]
    assert kept.value.__cause__ is not None


def test_a_stream_halves_its_passes_and_names_what_does_not_fit(matting: Matting) -> None:
    reference = matting.reference(PICTURE, MASK)
    whole = list(matting.stream([PICTURE] * 5, reference))
    for holds, fails in ((2, False), (0, True)):
        little = starved(matting, holds)
        found = list(stream_mattes(little, [PICTURE] * 5, reference, 4))
        assert [isinstance(each, Failure) for each in found] == [fails] * 5
        for each, expected in zip(found, whole, strict=True):
            if isinstance(each, Failure):
                assert "too little memory" in str(each.error)
            else:
                np.testing.assert_allclose(each.alpha, expected.alpha, atol=1e-5)


def test_the_command_names_each_target(matting: Matting, tmp_path, monkeypatch, capsys) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    matting.reference(PICTURE, MASK).save(tmp_path / "r.icmref")
    monkeypatch.setattr("icm.matting.load", lambda *_, **__: starved(matting, 0))
    words = ["--reference", str(tmp_path / "r.icmref"), "-o", str(tmp_path / "out")]
    assert main(["matte", str(tmp_path / "a.png"), *words]) == 1
    assert "a.png: cpu has too little memory" in capsys.readouterr().err
