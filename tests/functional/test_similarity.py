"""Similarities against written-out loops."""

from __future__ import annotations

import numpy as np
import torch

from icm.functional.similarity import compute_correspondence_matrix, softmax_similarity
from tests.parity import loops


def test_cosine_of_images_of_unequal_size():
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(2, 4, 3, 5, generator=generator)
    reference = torch.randn(2, 4, 2, 2, generator=generator)
    source[1, :, 2, 4] = 0
    found = compute_correspondence_matrix(source, reference)
    expected = loops.cosine_matrix(source.double().numpy(), reference.double().numpy())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert found.shape == (2, 15, 4)
    assert not found[1, 14].any()


def test_softmax_similarity_row_by_row():
    generator = torch.Generator().manual_seed(1)
    reference = torch.randn(2, 3, 4, generator=generator)
    target = torch.randn(2, 6, 4, generator=generator)
    valid = torch.tensor([[True, True, True], [True, False, False]])
    found = softmax_similarity(reference, target, valid, temperature=0.7, use_scale=True)
    for b in range(2):
        for m in range(3):
            weights = [(reference[b, m] @ target[b, n]).item() / 2 / 0.7 for n in range(6)]
            expected = np.exp(weights) / np.exp(weights).sum() * valid[b, m].item()
            np.testing.assert_allclose(found[b, m].numpy(), expected, atol=1e-6)


def test_bf16_products_are_normalised_in_float32():
    reference, target = torch.randn(1, 5, 8), torch.randn(1, 700, 8)
    valid = torch.ones(1, 5, dtype=torch.bool)
    found = softmax_similarity(reference.bfloat16(), target.bfloat16(), valid)
    assert found.dtype == torch.float32
    assert torch.allclose(found.sum(dim=-1), torch.ones(1, 5), atol=1e-5)
