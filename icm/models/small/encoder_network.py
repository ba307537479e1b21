"""From encoder guidance to a coarse alpha, in passes, and from there to the input size.

A small convolutional network reads the guidance channels, which do not depend on what the thing
is, beside projected encoder features, which are dropped at random in training so that nothing is
learned by heart. The result starts from the sum of the guidance's log-odds and corrects it. After
*Hypercorrelation Squeeze* (ICCV 2021, arXiv 2104.01538) and *Self-Support Few-Shot Semantic
Segmentation* (ECCV 2022, arXiv 2207.11549), at a size that a CPU runs and trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from icm.models.small.encoder_guidance import (
    CHANNELS,
    LOGIT_LIMIT,
    PASS_CHANNELS,
    PRESENCE_FEATURES,
    EncoderTokens,
    encoder_guidance,
    joined,
    kept_names,
    pass_channels,
    presence_features,
    tokens,
)
from icm.models.small.encoder_steps import EncoderCoarse, EncoderReference, EncoderStart
from icm.models.small.guidance import colour_statistics
from icm.models.small.residual import Residual
from icm.results import Example

GUIDANCE_WIDTH = 32
DILATIONS = (1, 2, 4, 8, 2, 1)
STARTING_WEIGHTS = {"texture_odds": 0.5, "deep_odds": 1.0, "joint_odds": 0.5, "deep_ridge": 0.7}
PRESENCE_WIDTH = 32
PRESENCE_FLOOR = -1.0  # of the logit that the passes see, but in training: doubt, not a verdict
CONTEXT = "context"  # beside the groups of guidance: the projected features


class EncoderNetwork(nn.Module):
    """Alpha from the maps of a pretrained encoder.

    Args:
        map_channels: widths of the encoder's maps, fine to coarse: at 1/4, 1/8, 1/16, 1/16 and
            1/32 of the input.
        context_widths: what each map but the first is projected to.
        width: of the trunk at 1/8.
        decoder_widths: channels at 1/4, 1/2 and 1 of the input.
        passes: how often the trunk runs, each time with its last answer.
        context_dropout: share of training examples that see guidance only.
        without: `GROUPS` of guidance, or `context`, that are zeroed, to measure their worth.
    """

    kept_channels: Tensor
    kept_pass_channels: Tensor
    kept_features: Tensor

    def __init__(
        self,
        map_channels: Sequence[int] = (24, 48, 88, 120, 208),
        *,
        context_widths: Sequence[int] = (24, 24, 40, 40),
        width: int = 96,
        decoder_widths: tuple[int, int, int] = (64, 32, 16),
        passes: int = 2,
        context_dropout: float = 0.3,
        without: Sequence[str] = (),
    ) -> None:
        super().__init__()
        fine, *coarser = map_channels
        quarter, half, full = decoder_widths
        self.passes = passes
        self.context_dropout = context_dropout
        self.without = tuple(without)
        for part, names in (
            ("channels", CHANNELS),
            ("pass_channels", PASS_CHANNELS),
            ("features", PRESENCE_FEATURES),
        ):
            kept = kept_names(names, [group for group in self.without if group != CONTEXT])
            self.register_buffer(f"kept_{part}", kept, persistent=False)
        self.prior = nn.Linear(len(CHANNELS), 1)
        self.enter_guidance = nn.Conv2d(
            len(CHANNELS) + len(PASS_CHANNELS) + 1, GUIDANCE_WIDTH, 1
        )  # the last one is presence
        self.project = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 1)
            for inputs, outputs in zip(coarser, context_widths, strict=True)
        )
        self.enter = nn.Conv2d(GUIDANCE_WIDTH + sum(context_widths), width, 3, padding=1)
        self.trunk = nn.ModuleList(Residual(width, dilation) for dilation in DILATIONS)
        self.context = nn.Linear(3 * width, width)
        self.coarse = nn.Conv2d(width, 1, 1)
        self.presence = nn.Sequential(
            nn.Linear(len(PRESENCE_FEATURES), PRESENCE_WIDTH),
            nn.SiLU(),
            nn.Linear(PRESENCE_WIDTH, 1),
        )
        self.narrow = nn.Conv2d(width, quarter, 1)
        self.fine = nn.Conv2d(fine, quarter, 1)
        self.image_4 = nn.Conv2d(48, quarter, 1)
        self.coarse_4 = nn.Conv2d(1, quarter, 3, padding=1)
        self.decode_4 = nn.Sequential(Residual(quarter, 1), Residual(quarter, 1))
        self.up_2 = nn.Conv2d(quarter, 4 * half, 1)
        self.image_2 = nn.Conv2d(12, half, 3, padding=1)
        self.decode_2 = Residual(half, 1)
        self.up_1 = nn.Conv2d(half, 4 * full, 1)
        self.image_1 = nn.Conv2d(4, full, 3, padding=1)
        self.leave = nn.Sequential(nn.SiLU(), nn.Conv2d(full, 1, 3, padding=1))
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Begins as the plain sum of log-odds, enlarged."""
        self.prior.weight.zero_()
        self.prior.bias.zero_()
        for name, weight in STARTING_WEIGHTS.items():
            self.prior.weight[0, CHANNELS.index(name)] = weight
        for last in (self.coarse, self.leave[1]):
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]  # a convolution's
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]  # a convolution's

    def tokens(self, maps_bchw: Sequence[Tensor], image_b3hw: Tensor) -> EncoderTokens:
        """Tokens of a batch of pictures, from their encoder maps."""
        grid = maps_bchw[1].shape[-2:]
        return tokens(maps_bchw, colour_statistics(image_b3hw, grid))

    def marked(self, examples: Sequence[Example]) -> EncoderReference:
        """Joins references whose maps are those of `JointBackbone`."""
        maps = [tuple(reversed(example.features.maps[3:])) for example in examples]
        several = [
            self.tokens(each, example.features.image_b3hw)
            for each, example in zip(maps, examples, strict=True)
        ]
        return self.reference(
            several,
            [example.mask_b1hw for example in examples],
            [(each[1].shape[-2], each[1].shape[-1]) for each in maps],
        )

    def reference(
        self,
        several: Sequence[EncoderTokens],
        masks: Sequence[Tensor],
        grids: Sequence[tuple[int, int]],
    ) -> EncoderReference:
        """Joins references; masks b 1 h w of any size, in [0, 1], and the grids of their tokens."""
        flat = [
            F.adaptive_avg_pool2d(mask_b1hw.float(), grid).flatten(1)
            for mask_b1hw, grid in zip(masks, grids, strict=True)
        ]
        return EncoderReference(joined(several), torch.cat(flat, dim=1))

    def forward(
        self, maps_bchw: Sequence[Tensor], image_b3hw: Tensor, reference: EncoderReference
    ) -> EncoderCoarse:
        """Coarse alpha of a batch of targets, from this branch alone.

        Args:
            maps_bchw: encoder maps of the targets, fine to coarse.
            image_b3hw: the targets, RGB in [0, 1].
            reference: of the same batch or a batch of 1.
        """
        return self.refine(self.begin(maps_bchw, image_b3hw, reference))

    def begin(
        self, maps_bchw: Sequence[Tensor], image_b3hw: Tensor, reference: EncoderReference
    ) -> EncoderStart:
        """What all passes share; arguments as for `forward`."""
        height, width = maps_bchw[1].shape[-2:]
        grid = int(height), int(width)
        guidance = encoder_guidance(
            self.tokens(maps_bchw, image_b3hw), reference.tokens, reference.mask_bm, grid
        )
        if self.without:
            kept_bcn = guidance.channels_bcn * self.kept_channels[:, None]
            guidance = replace(guidance, channels_bcn=kept_bcn)
        prior_bn = self.prior(rearrange(guidance.channels_bcn, "b c n -> b n c")).float()[..., 0]
        feature_bf = presence_features(guidance, prior_bn) * self.kept_features
        present_b = self.presence(feature_bf).float()[..., 0]
        return EncoderStart(guidance, self._context(maps_bchw, grid), prior_bn, present_b, grid)

    def refine(
        self,
        start: EncoderStart,
        *,
        estimate_b1hw: Tensor | None = None,
        evidence_b1hw: Tensor | None = None,
        passes: int | None = None,
    ) -> EncoderCoarse:
        """Runs passes, each with the answer of the one before.

        Args:
            start: of `begin`.
            estimate_b1hw: logit to start from, at the start's grid; None for the prior.
            evidence_b1hw: logit of another network at the same grid, added to every answer.
            passes: how many; None for the configured number.
        """
        added_bn = 0.0 if evidence_b1hw is None else evidence_b1hw.float().flatten(1)
        logit_bn = start.prior_bn if estimate_b1hw is None else estimate_b1hw.float().flatten(1)
        logit_bn = logit_bn + added_bn
        for _ in range(self.passes if passes is None else passes):
            change_bn, trunk_bchw = self._pass(start, logit_bn.detach())
            logit_bn = start.prior_bn + change_bn + added_bn
        return EncoderCoarse(
            _map(logit_bn, start.grid),
            trunk_bchw,
            _map(start.prior_bn, start.grid),
            start.present_b,
        )

    def decode(
        self, maps_bchw: Sequence[Tensor], image_b3hw: Tensor, coarse: EncoderCoarse
    ) -> Tensor:
        """Logit of alpha at the input size, b 1 h w, float32."""
        size = image_b3hw.shape[-2:]
        pad = (0, -size[1] % 4, 0, -size[0] % 4)
        image_b3hw = F.pad(image_b3hw.float() * 2 - 1, pad, mode="replicate")
        full = image_b3hw.shape[-2:]
        quarter, logit_b1hw = (full[0] // 4, full[1] // 4), coarse.logit_b1hw
        known_b1hw = logit_b1hw.clamp(-LOGIT_LIMIT, LOGIT_LIMIT) / 2
        x_bchw = (
            F.interpolate(self.narrow(coarse.trunk_bchw), size=quarter, mode="bilinear")
            + F.interpolate(self.fine(_normal(maps_bchw[0])), size=quarter, mode="bilinear")
            + self.image_4(F.pixel_unshuffle(image_b3hw, 4))
            + self.coarse_4(F.interpolate(known_b1hw, size=quarter, mode="bilinear"))
        )
        x_bchw = self.decode_4(x_bchw)
        x_bchw = F.pixel_shuffle(self.up_2(x_bchw), 2) + self.image_2(
            F.pixel_unshuffle(image_b3hw, 2)
        )
        x_bchw = self.decode_2(x_bchw)
        up_b1hw = F.interpolate(logit_b1hw.float(), size=full, mode="bilinear")
        joined_b4hw = torch.cat([image_b3hw, up_b1hw.clamp(-LOGIT_LIMIT, LOGIT_LIMIT) / 2], dim=1)
        x_bchw = F.pixel_shuffle(self.up_1(x_bchw), 2) + self.image_1(joined_b4hw)
        result_b1hw: Tensor = up_b1hw + self.leave(x_bchw).float()
        return result_b1hw[..., : size[0], : size[1]]

    def _context(self, maps_bchw: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Projected features, b c h w; in training none at all for some examples."""
        parts = [
            F.interpolate(project(_normal(map_bchw)), size=grid, mode="bilinear")
            for project, map_bchw in zip(self.project, maps_bchw[1:], strict=True)
        ]
        context_bchw = torch.cat(parts, dim=1)
        if CONTEXT in self.without:
            return torch.zeros_like(context_bchw)
        if not self.training or self.context_dropout == 0:
            return context_bchw
        kept_b = torch.rand(context_bchw.shape[0], device=context_bchw.device)
        return context_bchw * (kept_b >= self.context_dropout).to(context_bchw)[:, None, None, None]

    def _pass(self, start: EncoderStart, known_bn: Tensor) -> tuple[Tensor, Tensor]:
        """Change of the prior's logit, b n, and the trunk's features."""
        guidance, grid = start.guidance, start.grid
        least = -LOGIT_LIMIT if self.training else PRESENCE_FLOOR
        present_b = start.present_b.detach().clamp(least, LOGIT_LIMIT) / 2
        channels_bcn = torch.cat(
            [
                guidance.channels_bcn,
                pass_channels(guidance, known_bn, grid) * self.kept_pass_channels[:, None],
                repeat(present_b, "b -> b 1 n", n=known_bn.shape[1]),
            ],
            dim=1,
        )
        guide_bchw = self.enter_guidance(rearrange(channels_bcn, "b c (h w) -> b c h w", h=grid[0]))
        context_bchw = start.context_bchw.to(guide_bchw.dtype)
        x_bchw = self.enter(torch.cat([guide_bchw, context_bchw], dim=1))
        half = len(self.trunk) // 2
        for block in self.trunk[:half]:
            x_bchw = block(x_bchw)
        x_bchw = x_bchw + self._summary(x_bchw, known_bn)[..., None, None].to(x_bchw.dtype)
        for block in self.trunk[half:]:
            x_bchw = block(x_bchw)
        return self.coarse(F.silu(x_bchw)).float().flatten(1), x_bchw

    def _summary(self, x_bchw: Tensor, known_bn: Tensor) -> Tensor:
        """What the picture holds within and without the estimate, and at most: b c."""
        x_bcn = x_bchw.flatten(2)
        share_b1n = known_bn.sigmoid().to(x_bcn.dtype)[:, None]
        means = [
            (x_bcn * weight).sum(dim=-1) / weight.sum(dim=-1).clamp_min(1e-2)
            for weight in (share_b1n, 1 - share_b1n)
        ]
        result_bc: Tensor = self.context(torch.cat([*means, x_bcn.amax(dim=-1)], dim=-1))
        return result_bc


def _normal(map_bchw: Tensor) -> Tensor:
    """Zero mean and unit deviation over the channels of each place."""
    channels_last = rearrange(map_bchw.float(), "b c h w -> b h w c")
    return rearrange(F.layer_norm(channels_last, channels_last.shape[-1:]), "b h w c -> b c h w")


def _map(value_bn: Tensor, grid: tuple[int, int]) -> Tensor:
    return rearrange(value_bn, "b (h w) -> b 1 h w", h=grid[0])
