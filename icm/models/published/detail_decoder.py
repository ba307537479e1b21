"""The detail decoder: edges from the image, restored step by step to full size.

In-Context Matting (CVPR 2024, arXiv 2403.15789) takes it from ViTMatte (Information Fusion 2024,
arXiv 2305.15272).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from icm.errors import InputError
from icm.models.published.convolution import ConvNormRelu, FusionBlock
from icm.models.published.head import MattingHead


class ConvStream(nn.Module):
    """A light pyramid over the image: each level half the size of the one before, rounded up.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of channels of each level.
    """

    def __init__(self, in_channels: int, out_channels: Sequence[int]) -> None:
        super().__init__()
        widths = [in_channels, *out_channels]
        self.convs = nn.ModuleList(
            ConvNormRelu(width_in, width_out, stride=2) for width_in, width_out in pairwise(widths)
        )

    def forward(self, image_bchw: Tensor) -> list[Tensor]:
        """Returns b c h w each, fine to coarse; the image itself comes first."""
        levels = [image_bchw]
        for conv in self.convs:
            levels.append(conv(levels[-1]))
        return levels


class DetailCapture(nn.Module):
    """Merges features with a pyramid of the image, coarse to fine, and gives alpha at full size.

    Args:
        in_chans: channels of the features.
        img_chans: 3 for RGB, 4 where a further map (published: the trimap) is stacked on it.
        convstream_out: channels of the pyramid's levels at 1/2, 1/4, ... of the image.
        fusion_out: channels of the fusion blocks, one more than levels: the last merges the image.
        use_sigmoid: give alpha; else its logits.
        stages: a map block after each fusion block, which keeps its width; none as published.

    Raises:
        InputError: `fusion_out` does not have one entry more than `convstream_out`, or there are
            not as many `stages` as fusion blocks.
    """

    def __init__(
        self,
        in_chans: int = 384,
        img_chans: int = 4,
        convstream_out: Sequence[int] = (48, 96, 192),
        fusion_out: Sequence[int] = (256, 128, 64, 32),
        use_sigmoid: bool = True,
        *,
        stages: Sequence[nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if len(fusion_out) != len(convstream_out) + 1:
            raise InputError(
                f"{len(fusion_out)} fusion widths for {len(convstream_out)} pyramid levels: "
                f"expected {len(convstream_out) + 1}, one for each level and one for the image"
            )
        self.img_chans = img_chans
        self.use_sigmoid = use_sigmoid
        self.convstream = ConvStream(img_chans, convstream_out)
        level_chans = [*reversed(convstream_out), img_chans]
        coarse_chans = [in_chans, *fusion_out[:-1]]
        self.fusion_blks = nn.ModuleList(
            FusionBlock(coarse + level, out)
            for coarse, level, out in zip(coarse_chans, level_chans, fusion_out, strict=True)
        )
        if stages is not None and len(stages) != len(fusion_out):
            raise InputError(f"{len(stages)} stages of blocks for {len(fusion_out)} fusion blocks")
        self.stages = nn.ModuleList(stages or [nn.Identity() for _ in fusion_out])
        self.matting_head = MattingHead(fusion_out[-1])

    def forward(self, feature_bchw: Tensor, image_bchw: Tensor) -> Tensor:
        """Decodes alpha.

        Args:
            feature_bchw: features, published at 1/16 of the image; any size will do.
            image_bchw: the image, published in [-1, 1], with `img_chans` channels; any size.

        Returns:
            b 1 h w at the image's size: alpha in [0, 1], or logits.

        Raises:
            InputError: the image does not have `img_chans` channels.
        """
        if image_bchw.shape[1] != self.img_chans:
            raise InputError(
                f"an image of {image_bchw.shape[1]} channels: this decoder takes {self.img_chans}"
            )
        merged_bchw = feature_bchw
        levels = reversed(self.convstream(image_bchw))
        for block, stage, level_bchw in zip(self.fusion_blks, self.stages, levels, strict=True):
            merged_bchw = stage(block(merged_bchw, level_bchw))
        logit_b1hw: Tensor = self.matting_head(merged_bchw)
        return logit_b1hw.sigmoid() if self.use_sigmoid else logit_b1hw
