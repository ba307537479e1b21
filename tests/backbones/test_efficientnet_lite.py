"""EfficientNet-Lite2: the published package's numbers, "same" padding, folded batch norms."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from icm.backbones.efficientnet_lite import (
    BATCH_NORM_EPS,
    BLOCK_COUNT,
    EfficientNetLite2,
    SameConv2d,
    converted,
)
from icm.weights.encoder import read_encoder

RECORDED = (0, 3, 6, 10, 14, 19, 20)
OWN = Path(__file__).with_name("efficientnet_lite2_own.json")


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite2:
    network = EfficientNetLite2(RECORDED).eval()
    network.load_state_dict(converted(read_encoder(), RECORDED))
    return network


def painted(height: int, width: int) -> Tensor:
    """A picture from a formula: waves of three lengths and a bright disc."""
    y = torch.arange(height, dtype=torch.float64)[:, None]
    x = torch.arange(width, dtype=torch.float64)[None]
    waves = [torch.sin(x / (3 + 2 * c) + y / (7 - c)) * 0.4 + 0.5 for c in range(3)]
    disc = ((x - width / 3) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2).double()
    return (torch.stack(waves) * (1 - 0.5 * disc) + 0.3 * disc).clamp(0, 1).float()[None]


@torch.no_grad()
def test_equals_the_published_package(encoder: EfficientNetLite2, published: Path) -> None:
    recorded = load_file(published / "efficientnet_lite2_260.safetensors")
    found = encoder(recorded["image"].float() / 255)
    for number, map_bchw in zip(RECORDED, found, strict=True):
        expected = recorded[f"block_{number:02d}"]
        error = (map_bchw - expected).norm() / expected.norm()
        assert error < 1e-5, f"block {number}: relative error {error:.1e}"


@torch.no_grad()
def test_equals_our_own_few_numbers(encoder: EfficientNetLite2) -> None:
    """Taken when the whole of the published package's maps were equal; of an odd size."""
    for number, map_bchw in zip(RECORDED, encoder(painted(97, 66)), strict=True):
        recorded = json.loads(OWN.read_text())[str(number)]
        assert list(map_bchw.shape) == recorded["shape"]
        flat = map_bchw.flatten()
        places = torch.linspace(0, len(flat) - 1, len(recorded["values"])).long()
        assert flat[places].tolist() == pytest.approx(recorded["values"], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("kernel", "stride", "size"), [(3, 1, 5), (3, 2, 5), (3, 2, 6), (5, 2, 7), (5, 2, 4)]
)
@torch.no_grad()
def test_same_padding_is_written_out_in_loops(kernel: int, stride: int, size: int) -> None:
    torch.manual_seed(0)
    layer, x = SameConv2d(1, 1, kernel, stride), torch.randn(1, 1, size, size)
    outputs = math.ceil(size / stride)
    before = max((outputs - 1) * stride + kernel - size, 0) // 2  # the odd pixel comes after
    expected = torch.zeros(outputs, outputs)
    for i in range(outputs):
        for j in range(outputs):
            total = float(layer.bias)
            for u in range(kernel):
                for v in range(kernel):
                    row, column = i * stride + u - before, j * stride + v - before
                    if 0 <= row < size and 0 <= column < size:
                        total += float(layer.weight[0, 0, u, v] * x[0, 0, row, column])
            expected[i, j] = total
    assert torch.allclose(layer(x)[0, 0], expected, atol=1e-5)


@torch.no_grad()
def test_a_folded_batch_norm_is_the_batch_norm(encoder: EfficientNetLite2) -> None:
    state = read_encoder()
    image = painted(32, 48)
    x = F.pad((image * 255 - 127) / 128, (0, 1, 0, 1))
    x = F.conv2d(x, state["_conv_stem.weight"], stride=2)
    names = ("running_mean", "running_var", "weight", "bias")
    expected = F.batch_norm(x, *(state[f"_bn0.{name}"] for name in names), eps=BATCH_NORM_EPS)
    assert torch.allclose(encoder.stem((image * 255 - 127) / 128), expected, atol=1e-4)


@torch.no_grad()
def test_maps_have_the_promised_channels_and_sizes(encoder: EfficientNetLite2) -> None:
    maps = encoder(painted(75, 130))
    for map_bchw, channels, stride in zip(maps, encoder.channels, encoder.strides, strict=True):
        assert map_bchw.shape == (1, channels, math.ceil(75 / stride), math.ceil(130 / stride))


@torch.no_grad()
def test_each_item_alone_equals_the_item_in_its_batch(encoder: EfficientNetLite2) -> None:
    first = painted(64, 64)
    images = torch.cat([first, 1 - first.flip(-1)])
    before = images.clone()
    together = encoder(images)
    assert torch.equal(images, before), "the input was written to"
    for index in range(2):
        alone = encoder(images[index : index + 1])
        for one, many in zip(alone, together, strict=True):
            assert torch.allclose(one[0], many[index], atol=1e-4, rtol=1e-4)


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite2((3, 6))
    generator = torch.Generator().manual_seed(1)
    maps = network(torch.rand(1, 3, 40, 40, generator=generator))
    sum((m * torch.randn(m.shape, generator=generator)).sum() for m in maps).backward()
    idle = [name for name, v in network.named_parameters() if v.grad is None or not v.grad.any()]
    assert idle == []


def test_only_what_is_asked_for_is_built() -> None:
    assert len(EfficientNetLite2((2, 5)).blocks) == 6
    for outputs in ((), (5, 2), (3, 3), (BLOCK_COUNT,), (-1, 4)):
        with pytest.raises(ValueError, match="block"):
            EfficientNetLite2(outputs)
