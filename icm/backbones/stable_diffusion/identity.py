"""Identity of backbone weights, independent of where they lie."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

SAMPLE = 4096  # values of each tensor: any training or merging of weights changes some of them


def weights_identity(*networks: nn.Module) -> str:
    """SHA-256 over names, shapes and the first values of all tensors.

    Values count in bfloat16, so that weights have one identity whether they are loaded in float32
    or in bfloat16 (in float16 too, unless their file holds more than that). Not a check against
    damage, which files have hashes for.

    Args:
        networks: as loaded, before anything is folded into them.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for network in networks:
        for name, value in sorted(network.state_dict().items()):
            sample = value.detach().flatten()[:SAMPLE].to("cpu", torch.bfloat16)
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(sample.view(torch.uint8).numpy().data)
    return digest.hexdigest()
