"""The classifier of EfficientNet-Lite2 over every place: class activation maps of ImageNet.

*Learning Deep Features for Discriminative Localization*, CVPR 2016, arXiv 1512.04150: without the
pooling, the classifier's weights say where in a picture a class is seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from icm.backbones.efficientnet_lite import BLOCK_COUNT, folded

LAST_BLOCK = BLOCK_COUNT - 1  # whose output the classifier reads
INPUT_WIDTH = 352
HEAD_WIDTH = 1280
CLASSES = 1000


class Classifier(nn.Module):
    """Logits of the classes at each place; their mean over all places is the picture's logit."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(INPUT_WIDTH, HEAD_WIDTH, 1)
        self.classes = nn.Conv2d(HEAD_WIDTH, CLASSES, 1)

    def forward(self, map_bchw: Tensor) -> Tensor:
        """Class logits b 1000 h w from the output of block `LAST_BLOCK`."""
        logit_bkhw: Tensor = self.classes(F.relu6(self.head(map_bchw)))
        return logit_bkhw


def converted_classifier(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of `Classifier` from the names and the batch norm of the PyPI package.

    Raises:
        KeyError: a tensor is missing.
    """
    return {
        **folded(state, "_conv_head", "_bn1", "head"),
        "classes.weight": rearrange(state["_fc.weight"], "k c -> k c 1 1"),
        "classes.bias": state["_fc.bias"],
    }
