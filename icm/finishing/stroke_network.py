"""A small network that says how far a stroke reaches: what else is wrong where it was drawn.

It learnt from what the bundled model gets wrong on training pictures, and from strokes along the
centre lines of such regions (`icm.research.training.strokes`), as interactive segmentation by
feed-forward networks does (*Reviving Iterative Training with Mask Guidance for Interactive
Segmentation*, ICIP 2022, arXiv 2102.06583), at a size that a CPU runs in a tenth of a second.
Without normalisation layers, so that one side of a part does not depend on the other.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from icm.config.locate import bundled_weights
from icm.errors import WeightsError
from icm.finishing.stroke_cues import CUES

WEIGHTS = "small/strokes.safetensors"
STRIDE = 8  # heights and widths are padded to multiples of this


class StrokeNetwork(nn.Module):
    """From cues to the logit of belonging to the region that a stroke was drawn for.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the input.
    """

    def __init__(self, widths: tuple[int, int, int] = (24, 40, 56)) -> None:
        super().__init__()
        half, quarter, eighth = widths
        self.enter = nn.Conv2d(4 * len(CUES), half, 1)
        self.encode_2 = _Residual(half)
        self.down_4 = nn.Conv2d(half, quarter, 2, stride=2)
        self.encode_4 = _Residual(quarter)
        self.down_8 = nn.Conv2d(quarter, eighth, 2, stride=2)
        self.encode_8 = nn.Sequential(_Residual(eighth), _Residual(eighth, dilation=2))
        self.up_4 = nn.Conv2d(eighth, 4 * quarter, 1)
        self.decode_4 = _Residual(quarter)
        self.up_2 = nn.Conv2d(quarter, 4 * half, 1)
        self.decode_2 = _Residual(half)
        self.leave = nn.Sequential(nn.SiLU(), nn.Conv2d(half, 4, 3, padding=1))

    def forward(self, cues_bchw: Tensor) -> Tensor:
        """Logits b 1 h w, of any size."""
        height, width = cues_bchw.shape[-2:]
        padding = (0, -width % STRIDE, 0, -height % STRIDE)
        padded_bchw = F.pad(cues_bchw, padding, mode="replicate")
        half = self.encode_2(self.enter(F.pixel_unshuffle(padded_bchw, 2)))
        quarter = self.encode_4(self.down_4(half))
        eighth = self.encode_8(self.down_8(quarter))
        quarter = self.decode_4(quarter + F.pixel_shuffle(self.up_4(eighth), 2))
        half = self.decode_2(half + F.pixel_shuffle(self.up_2(quarter), 2))
        logit_b1hw: Tensor = F.pixel_shuffle(self.leave(half), 2)[..., :height, :width]
        return logit_b1hw.float()


class _Residual(nn.Module):
    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        last = self.body[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]  # a convolution's
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]  # a convolution's

    def forward(self, x_bchw: Tensor) -> Tensor:
        result_bchw: Tensor = x_bchw + self.body(x_bchw)
        return result_bchw


@lru_cache(maxsize=1)
def bundled_stroke_network() -> StrokeNetwork:
    """The network with its bundled weights, on the CPU.

    Raises:
        WeightsError: they are missing or damaged.
    """
    path = bundled_weights(WEIGHTS)
    network = StrokeNetwork()
    try:
        values = {name: value.float() for name, value in load_file(path).items()}
        network.load_state_dict(values)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise WeightsError(f"{path} is missing or damaged: install the package again") from error
    return network.eval().requires_grad_(False)


def belonging(cues_bchw: Tensor, network: StrokeNetwork | None = None) -> Tensor:
    """Share in [0, 1] to which each place belongs to the region of its stroke: b 1 h w."""
    network = network or bundled_stroke_network()
    with torch.inference_mode():
        share_b1hw: Tensor = network(cues_bchw).sigmoid()
    return share_b1hw
