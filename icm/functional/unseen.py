"""Where code must not look at the values of a tensor."""

from __future__ import annotations

import torch
from torch import Tensor


def unseen(x: Tensor) -> bool:
    """Whether looking at values is too dear: a GPU would be waited for; a compiler has none yet."""
    return x.is_cuda or torch.compiler.is_compiling()
