"""Chunked attention and its mean, against the written-out softmax."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from icm.backbones.stable_diffusion import attention as module
from icm.backbones.stable_diffusion.attention import AttentionMean, Recording, attend
from icm.errors import ConfigError

IMAGES, MEMBERS, HEADS, HEIGHT, WIDTH, CHANNELS = 2, 3, 4, 5, 7, 8


def _tokens(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(IMAGES * MEMBERS, HEADS, HEIGHT * WIDTH, CHANNELS, generator=generator)


def _probability(query, key):
    return torch.softmax(query @ key.transpose(-1, -2) / CHANNELS**0.5, -1)


@pytest.mark.parametrize("chunk", [1, 6000, 10**9])
def test_output_and_mean_are_those_of_the_definition(monkeypatch, chunk):
    monkeypatch.setattr(module, "CPU_CHUNK", chunk)
    query, key, value = 2 * _tokens(0), 2 * _tokens(1), _tokens(2)
    mean = AttentionMean(IMAGES, HEIGHT, WIDTH, torch.device("cpu"))
    output = attend(query, key, value, mean)
    attend(value, key, None, mean)  # a second layer of the level, queries and keys only
    torch.testing.assert_close(output, _probability(query, key) @ value, atol=5e-6, rtol=0)
    layers = torch.stack([_probability(query, key), _probability(value, key)])
    expected = torch.stack(
        [layers[:, i * MEMBERS : (i + 1) * MEMBERS].mean((0, 1, 2)) for i in range(IMAGES)]
    )
    found = mean.result()
    assert found.shape == (IMAGES, HEIGHT, WIDTH, HEIGHT * WIDTH)
    torch.testing.assert_close(found.flatten(1, 2), expected, atol=1e-6, rtol=0)


def test_rows_of_all_heads_at_once_give_the_same(monkeypatch):
    monkeypatch.setattr(module, "GPU_CHUNK", 6000)
    query, key, value = _tokens(0), _tokens(1), _tokens(2)
    means = [AttentionMean(IMAGES, HEIGHT, WIDTH, torch.device("cpu")) for _ in range(2)]
    by_head = module._attend_by_head(query, key, value, means[0])
    by_rows = module._attend_by_rows(query, key, value, means[1])
    torch.testing.assert_close(by_rows, by_head, atol=5e-6, rtol=0)
    torch.testing.assert_close(means[0].sum_bnm, means[1].sum_bnm, atol=5e-6, rtol=0)


class _Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return result


def test_the_probabilities_of_all_heads_are_never_held(monkeypatch):
    monkeypatch.setattr(module, "CPU_CHUNK", 4096)
    tokens = 16 * 24
    query = torch.randn(2, 8, tokens, 4)
    mean = AttentionMean(1, 16, 24, query.device)
    with _Largest() as largest:
        attend(query, query, query, mean)
    assert largest.numbers <= query.numel()


def test_levels_of_mixed_grids_are_refused():
    recording = Recording(levels=1, images=1)
    recording.at(0, torch.zeros(1, 1, 4, 4))
    with pytest.raises(ConfigError, match="4 x 4 and 8 x 2"):
        recording.at(0, torch.zeros(1, 1, 8, 2))
