"""The networks that OpenVINO runs, each in its module's place: those in which it saves time.

The encoder and the denoiser see a few sizes only. The rest stays with torch: matching solves linear
systems, the decoder and the passes of the encoder's branch gain nothing, and the detail refiner's
tiles have so many sizes that preparing each takes longer than it saves.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from icm.backbones.denoiser import SmallBackbone
from icm.backbones.efficientnet_lite import EfficientNetLite2
from icm.backbones.joint import JointBackbone
from icm.backbones.unet import Recorder
from icm.compiled.runtime import Runtime

SIDE = 64  # of the pictures by which networks are converted

Maps = tuple[Tensor, ...]


def compile_networks(
    runtime: Runtime, backbone: JointBackbone | SmallBackbone, dtype: torch.dtype
) -> None:
    """Has OpenVINO run a backbone's networks from now on.

    Args:
        runtime: compiles them.
        backbone: in evaluation mode, on the CPU.
        dtype: of the maps that torch would have given.
    """
    if isinstance(backbone, JointBackbone):
        _compile_encoder(runtime, backbone.encoder, dtype)
        _compile_denoiser(runtime, backbone.denoiser, dtype)
    else:
        _compile_denoiser(runtime, backbone, dtype)


class _Denoiser(nn.Module):
    """Maps of the denoiser and then the mean attention of each grid, b n n, in one tuple."""

    def __init__(self, backbone: SmallBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, noisy_b3hw: Tensor) -> Maps:
        recorder = Recorder()
        maps = self.backbone.decode(noisy_b3hw, recorder)
        return (*maps, *(mean.mean_bnn for mean in recorder.means.values()))


def _compile_encoder(runtime: Runtime, encoder: EfficientNetLite2, dtype: torch.dtype) -> None:
    compiled = runtime.compile(encoder, "encoder", [torch.zeros(1, 3, SIDE, SIDE)])

    def forward(image_b3hw: Tensor) -> Maps:
        return _in(dtype, compiled(image_b3hw))

    encoder.forward = forward  # type: ignore[method-assign]  # of this one object


def _compile_denoiser(runtime: Runtime, backbone: SmallBackbone, dtype: torch.dtype) -> None:
    compiled = runtime.compile(_Denoiser(backbone), "denoiser", [torch.zeros(1, 3, SIDE, SIDE)])
    levels = len(backbone.channels)

    def read(noisy_b3hw: Tensor, *, attention: bool) -> tuple[Maps, Maps]:
        found = compiled(noisy_b3hw)
        maps, means = _in(dtype, found[:levels]), found[levels:]
        grids = tuple(
            rearrange(mean_bnn, "b (h w) n -> b h w n", h=map_bchw.shape[-2])
            for map_bchw, mean_bnn in zip(maps, means, strict=False)
        )
        return maps, grids if attention else ()

    backbone.read = read  # type: ignore[method-assign]  # of this one object


def _in(dtype: torch.dtype, maps: Maps) -> Maps:
    return tuple(map_bchw.to(dtype) for map_bchw in maps)
