"""The network of the bundled model: few-shot guidance, cross-attention, coarse-to-fine decoding.

The method of *In-Context Matting* (CVPR 2024, arXiv 2403.15789) at a size that a CPU runs and
trains: guidance channels at 1/8 of the input (`FewShotCorrespondence`), two blocks in which target
tokens at 1/16 read those of the marked references, fusion of scales from 1/16 to 1/4, and a detail
decoder at full size. A confidence says whether the object is in the target at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from icm.blocks.plugs import Refinement
from icm.models.small.guidance import GUIDANCE_CHANNELS, FewShotCorrespondence
from icm.models.small.network_steps import Drawn, KnownTokens, Prepared, SmallOutput, SmallSketch
from icm.models.small.presence import PresenceHead, presence_features
from icm.models.small.token_reader import TokenReader
from icm.results import Example, Features, Prediction

POSITION_GRID = 16
DETAIL_CHANNELS = 48  # of the details at 1/2
PRESENCE_WIDTH = 64


class SmallNetwork(nn.Module):
    """From features of target and references to alpha.

    Args:
        map_channels: widths of the backbone's maps at 1/16, 1/8 and 1/4.
        width: width of the tokens at 1/16.
        readers: number of cross-attention blocks.
        decoder_width: channels at 1/8 and (half of it) at 1/4.
        passes: refinement passes over everything before the details; from the second on the
            target, marked with what the pass before found, is a reference beside the given ones:
            objects resemble themselves most (*Self-Support Few-Shot Semantic Segmentation*, ECCV
            2022, arXiv 2207.11549).
        without: ingredients of the guidance that are left out, to measure what they are worth.
        merge: a pyramid block over tokens at 1/16 and maps at 1/8 and 1/4, which keeps their
            widths; none in the bundled model, nor of the next two.
        refinement: blocks over the fused map at 1/8, guided by the references' maps there.
        stages: map blocks, after the fusion at 1/4 and after the details at 1/2.
    """

    def __init__(
        self,
        map_channels: Sequence[int] = (320, 160, 64),
        *,
        width: int = 192,
        readers: int = 2,
        decoder_width: int = 128,
        passes: int = 2,
        without: Sequence[str] = (),
        merge: nn.Module | None = None,
        refinement: Refinement | None = None,
        stages: Sequence[nn.Module] | None = None,
    ) -> None:
        super().__init__()
        coarse, middle, fine = map_channels
        self.passes = passes
        self.correspondence = FewShotCorrespondence(map_channels, without=without)
        self.token = nn.Conv2d(coarse, width, 1)
        self.guide = nn.Conv2d(GUIDANCE_CHANNELS, width, 1)
        self.mask_tag = nn.Conv2d(64, width, 1)
        self.position = nn.Parameter(torch.randn(1, width, POSITION_GRID, POSITION_GRID) * 0.02)
        self.target_tag = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.reference_tag = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.readers = nn.ModuleList(TokenReader(width) for _ in range(readers))
        self.reference_readers = nn.ModuleList(TokenReader(width) for _ in range(readers - 1))
        self.presence_token = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, PRESENCE_WIDTH), nn.GELU()
        )
        self.presence = PresenceHead(
            self.correspondence.token_channels, GUIDANCE_CHANNELS, 2 * PRESENCE_WIDTH
        )
        half = decoder_width // 2
        self.fuse_8 = nn.Sequential(
            _conv(width + middle + GUIDANCE_CHANNELS, decoder_width),
            _conv(decoder_width, decoder_width),
        )
        self.coarse_head = nn.Conv2d(decoder_width, 1, 1)
        self.fuse_4 = nn.Sequential(
            _conv(decoder_width + fine + GUIDANCE_CHANNELS + 1, half), _conv(half, 2 * half)
        )
        self.detail_2 = nn.Sequential(
            nn.Conv2d(half // 2 + 12, 32, 3, 1, 1),
            nn.SiLU(),
            nn.Conv2d(32, DETAIL_CHANNELS, 3, 1, 1),
        )
        self.detail_1 = nn.Sequential(
            nn.Conv2d(12 + 3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 1, 3, 1, 1)
        )
        self.merge = merge or nn.Identity()
        self.refinement = refinement or Refinement()
        self.stages = nn.ModuleList(stages or [nn.Identity(), nn.Identity()])

    def forward(self, target: Features, examples: Sequence[Example]) -> Prediction:
        """Alpha of targets; examples have the batch of the target or a batch of 1."""
        output = self.predict(target, examples)
        alpha_b1hw = output.logit_b1hw.sigmoid()
        guidance_b1hw = output.guidance.logit_b1hw.sigmoid()
        return Prediction(alpha_b1hw, guidance_b1hw, output.present_b.sigmoid())

    def predict(self, target: Features, examples: Sequence[Example]) -> SmallOutput:
        """Logits and guidance, for the losses."""
        examples = [_expanded(example, target.batch) for example in examples]
        known = KnownTokens(
            self.correspondence.tokens(target),
            tuple(self.correspondence.tokens(example.features) for example in examples),
        )
        sketch = self.sketch(target, examples, known=known)
        first = sketch if self.passes > 1 else None
        known = replace(known, examples=(*known.examples, known.target))
        for _ in range(self.passes - 1):
            own = _own_example(target, sketch.coarse_b1hw)
            sketch = self.sketch(target, [*examples, own], first, known=known)
        logit_b1hw = self._decode(target, sketch)
        return SmallOutput(logit_b1hw, sketch.coarse_b1hw, sketch.guidance, sketch.present_b, first)

    def prepared(self, target: Features, examples: Sequence[Example]) -> Prepared:
        """What `coarse` needs of a batch of targets and their references, before any estimate."""
        examples = tuple(_expanded(example, target.batch) for example in examples)
        own = self.correspondence.tokens(target)
        theirs = (self.correspondence.tokens(example.features) for example in examples)
        return Prepared(target, examples, KnownTokens(own, (*theirs, own)))

    def coarse(self, prepared: Prepared, estimate_b1hw: Tensor) -> Tensor:
        """Logit of alpha at 1/8 of the input, starting from an estimate by other means.

        Args:
            prepared: targets and references.
            estimate_b1hw: logit of alpha, any size; with it the target is one more reference from
                the first pass on.

        Returns:
            b 1 h w, float32.
        """
        target, examples, known = prepared.target, prepared.examples, prepared.known
        for _ in range(self.passes):
            found = _own_example(target, estimate_b1hw)
            estimate_b1hw = self._drawn(target, [*examples, found], known).coarse_b1hw
        return estimate_b1hw

    def sketch(
        self,
        target: Features,
        examples: Sequence[Example],
        first: SmallSketch | None = None,
        *,
        known: KnownTokens | None = None,
    ) -> SmallSketch:
        """Everything but the details.

        Args:
            target: a batch of targets.
            examples: the references.
            first: the first pass, whose presence counts, where there was one.
            known: tokens that an earlier pass over the same pictures has made.
        """
        examples = [_expanded(example, target.batch) for example in examples]
        drawn = self._drawn(target, examples, known)
        if first is not None:
            return replace(
                first,
                fused_bchw=drawn.fused_bchw,
                fine_bchw=drawn.fine_bchw,
                coarse_b1hw=drawn.coarse_b1hw,
                guidance=drawn.guidance,
            )
        guidance, coarse_b1hw = drawn.guidance, drawn.coarse_b1hw
        presence_feature_bc = presence_features(
            guidance.tokens,
            drawn.reference,
            coarse_b1hw.detach().sigmoid().flatten(1),
            guidance.map_bchw.flatten(2),
            self._pooled(drawn.token_bchw),
        )
        present_b = self.presence(presence_feature_bc)
        return SmallSketch(
            drawn.fused_bchw,
            drawn.fine_bchw,
            coarse_b1hw,
            guidance,
            present_b,
            presence_feature_bc,
        )

    def _drawn(
        self, target: Features, examples: Sequence[Example], known: KnownTokens | None
    ) -> Drawn:
        """A sketch before presence; examples of the target's batch."""
        reference = self.correspondence.reference(examples, known.examples if known else None)
        guidance = self.correspondence(target, reference, known.target if known else None)
        guidance_bchw = guidance.map_bchw.to(target.maps[0].dtype)
        token_bchw = self._read(target, guidance_bchw, examples)
        merged_bchw, middle, fine = self.merge((token_bchw, *target.maps[1:]))
        up_bchw = F.interpolate(merged_bchw, size=middle.shape[-2:], mode="nearest")
        joined = [up_bchw.to(middle.dtype), middle, guidance_bchw]
        fused_bchw = self.fuse_8(torch.cat(joined, dim=1))
        maps = [example.features.maps[1] for example in examples]
        fused_bchw = self.refinement(fused_bchw, maps, [example.mask_b1hw for example in examples])
        coarse_b1hw = self.coarse_head(fused_bchw).float()
        return Drawn(fused_bchw, fine, coarse_b1hw, guidance, reference, token_bchw)

    def _read(self, target: Features, guidance_bchw: Tensor, examples: Sequence[Example]) -> Tensor:
        """Target tokens at 1/16 after reading the references': b c h w."""
        coarse = target.maps[0]
        height, width = coarse.shape[-2:]
        pooled_bchw = F.adaptive_avg_pool2d(guidance_bchw, (height, width))
        token_bchw = self.token(coarse) + self.guide(pooled_bchw) + self.target_tag
        token_bnc = _flat(token_bchw + self._positions(height, width))
        context_bmc = torch.cat([self._marked(example) for example in examples], dim=1)
        for index, reader in enumerate(self.readers):
            following_bnc = reader(token_bnc, context_bmc)
            if index < len(self.reference_readers):
                context_bmc = self.reference_readers[index](context_bmc, token_bnc)
            token_bnc = following_bnc
        result_bchw: Tensor = rearrange(token_bnc, "b (h w) c -> b c h w", h=height)
        return result_bchw

    def _marked(self, example: Example) -> Tensor:
        """Reference tokens that know their own mask: b m c."""
        coarse = example.features.maps[0]
        height, width = coarse.shape[-2:]
        mask_b1hw = F.adaptive_avg_pool2d(example.mask_b1hw.float(), (height * 8, width * 8))
        tag_bchw = F.pixel_unshuffle(mask_b1hw * 2 - 1, 8).to(coarse.dtype)
        token_bchw = self.token(coarse) + self.mask_tag(tag_bchw) + self.reference_tag
        return _flat(token_bchw + self._positions(height, width))

    def _positions(self, height: int, width: int) -> Tensor:
        return F.interpolate(self.position, size=(height, width), mode="bilinear")

    def _pooled(self, token_bchw: Tensor) -> Tensor:
        """Mean and maximum of the target's projected tokens, for presence: b c."""
        token_bnc = self.presence_token(_flat(token_bchw))
        return torch.cat([token_bnc.mean(dim=1), token_bnc.amax(dim=1)], dim=-1)

    def _decode(self, target: Features, sketch: SmallSketch) -> Tensor:
        """Logit of alpha at the input size."""
        fine, guidance = sketch.fine_bchw, sketch.guidance
        up_bchw, guide_up_bchw = (
            F.interpolate(map_bchw.to(fine.dtype), size=fine.shape[-2:], mode="nearest")
            for map_bchw in (sketch.fused_bchw, guidance.map_bchw)
        )
        fine_b1hw = guidance.fine_b1hw.to(fine.dtype)
        joined_bchw = torch.cat([up_bchw, fine, guide_up_bchw, fine_b1hw], dim=1)
        x_bchw = self.stages[0](self.fuse_4(joined_bchw))
        image_b3hw = target.image_b3hw.to(fine.dtype) * 2 - 1
        folded_bchw = F.pixel_unshuffle(image_b3hw, 2)
        x_bchw = self.detail_2(torch.cat([F.pixel_shuffle(x_bchw, 2), folded_bchw], dim=1))
        x_bchw = self.stages[1](x_bchw)
        joined_bchw = torch.cat([F.pixel_shuffle(x_bchw, 2), image_b3hw], dim=1)
        logit_b1hw: Tensor = self.detail_1(joined_bchw)
        return logit_b1hw.float()


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 1, 1), nn.GroupNorm(max(1, outputs // 16), outputs), nn.SiLU()
    )


def _flat(x_bchw: Tensor) -> Tensor:
    return rearrange(x_bchw, "b c h w -> b (h w) c")


def _own_example(target: Features, coarse_b1hw: Tensor) -> Example:
    """The target as a reference, marked with the coarse alpha that was found in it."""
    size = target.image_b3hw.shape[-2:]
    mask_b1hw = F.interpolate(coarse_b1hw.detach().sigmoid(), size=size, mode="bilinear")
    return Example(Features(target.image_b3hw, target.maps), mask_b1hw)


def _expanded(example: Example, batch: int) -> Example:
    """An example of batch 1, repeated for a batch of targets."""
    if example.features.batch == batch:
        return example
    features = Features(
        _repeated(example.features.image_b3hw, batch),
        tuple(_repeated(map_bchw, batch) for map_bchw in example.features.maps),
    )
    return Example(features, _repeated(example.mask_b1hw, batch))


def _repeated(x_1chw: Tensor, batch: int) -> Tensor:
    return repeat(x_1chw, "1 c h w -> b c h w", b=batch)
