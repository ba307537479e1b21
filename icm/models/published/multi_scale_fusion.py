"""Multi-scale feature fusion: levels merged from coarse to fine (In-Context Matting, CVPR 2024)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from icm.errors import InputError
from icm.models.published.convolution import FusionBlock


class MultiScaleFeatureFusion(nn.Module):
    """Merges each level into the next finer one (In-Context Matting, CVPR 2024, arXiv 2403.15789).

    Args:
        in_feature_dim: channels that enter each fusion block, the finer level's and the merged
            coarser one's together; one entry a level, the last of which is not used.
        out_feature_dim: channels that leave each fusion block; likewise.
        use_bottleneck: published without effect; only False is accepted.

    Raises:
        InputError: the lists differ in length or are empty, or `use_bottleneck` is set.
    """

    def __init__(
        self,
        in_feature_dim: Sequence[int],
        out_feature_dim: Sequence[int],
        use_bottleneck: bool = False,
    ) -> None:
        super().__init__()
        if not in_feature_dim or len(in_feature_dim) != len(out_feature_dim):
            raise InputError(
                f"{len(in_feature_dim)} input and {len(out_feature_dim)} output widths: "
                "give one of each for every level"
            )
        if use_bottleneck:
            raise InputError("use_bottleneck has no effect in the published model: leave it False")
        self.module_list = nn.ModuleList(
            FusionBlock(width_in, width_out)
            for width_in, width_out in zip(in_feature_dim[:-1], out_feature_dim[:-1], strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Merges the levels.

        Args:
            maps: b c h w each, coarse to fine.

        Returns:
            b c h w at the size of the finest level.

        Raises:
            InputError: the number of levels is not the constructor's.
        """
        if len(maps) != len(self.module_list) + 1:
            raise InputError(f"{len(maps)} levels: expected {len(self.module_list) + 1}")
        merged_bchw = maps[0]
        for block, finer_bchw in zip(self.module_list, maps[1:], strict=True):
            merged_bchw = block(merged_bchw, finer_bchw)
        return merged_bchw
