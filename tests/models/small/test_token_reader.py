"""The reading block against written-out loops."""

from __future__ import annotations

import torch

from icm.models.small.token_reader import TokenReader


@torch.no_grad()
def test_a_reader_is_attention_over_itself_and_its_context() -> None:
    torch.manual_seed(0)
    reader = TokenReader(8, heads=2)
    token, context = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    normed = reader.norm(token)[0]
    source = torch.cat([normed, reader.context_norm(context)[0]])
    query, (key, value) = reader.query(normed), reader.key_value(source).chunk(2, dim=-1)
    read = torch.zeros(3, 8)
    for head in (slice(0, 4), slice(4, 8)):
        for n in range(3):
            logits = torch.stack([query[n, head] @ key[m, head] / 2 for m in range(8)])
            for m, weight in enumerate(logits.softmax(0)):
                read[n, head] += weight * value[m, head]
    expected = token[0] + reader.out(read)
    expected = expected + reader.mlp(reader.mlp_norm(expected))
    assert torch.allclose(reader(token, context)[0], expected, atol=1e-5)
