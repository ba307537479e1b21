"""The bundled network: evidence of two independent branches, added, and one decoder.

The diffusion branch (`SmallNetwork`) and the encoder branch (`EncoderNetwork`) look at the same
pictures with different features and err in different places. The encoder branch finds the object;
the diffusion branch starts from that answer, with the target as one more reference; their logits
are added at 1/8 of the input, late enough that neither can unlearn the other, and the encoder
branch's decoder brings the sum to the input size. The confidence is that of the presence head times
the highest alpha: what nothing opaque was found of is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from icm.models.confidence import peak_confidence
from icm.models.small.encoder_network import EncoderNetwork
from icm.models.small.encoder_steps import EncoderCoarse
from icm.models.small.network import SmallNetwork
from icm.models.small.network_steps import Prepared
from icm.results import Example, Features, Prediction

EVIDENCE_LIMIT = 8.0  # of the diffusion branch's logit: beyond it, it is no surer


class JointNetwork(nn.Module):
    """Alpha from features of `icm.backbones.joint.JointBackbone`.

    Args:
        diffusion: reads the denoiser's maps, the first three.
        encoder: reads the encoder's maps.
        diffusion_weight: what the logit of the diffusion branch counts; 0 leaves it out.
    """

    def __init__(
        self, diffusion: SmallNetwork, encoder: EncoderNetwork, *, diffusion_weight: float
    ) -> None:
        super().__init__()
        self.diffusion = diffusion
        self.encoder = encoder
        self.diffusion_weight = diffusion_weight

    def forward(self, target: Features, examples: Sequence[Example]) -> Prediction:
        """Alpha of targets; examples have the batch of the target or a batch of 1."""
        return self.joined(
            target.image_b3hw,
            encoder_maps(target),
            lambda: self.prepared(denoiser_features(target), examples),
            examples,
        )

    def prepared(self, target: Features, examples: Sequence[Example]) -> Prepared:
        """What the diffusion branch does before the encoder branch has an answer.

        Args:
            target: the denoiser's share.
            examples: whole.
        """
        return self.diffusion.prepared(target, [_denoiser_example(each) for each in examples])

    def joined(
        self,
        image_b3hw: Tensor,
        maps: Sequence[Tensor],
        prepared: Callable[[], Prepared],
        examples: Sequence[Example],
    ) -> Prediction:
        """As `forward`, where the denoiser may still be at work.

        Args:
            image_b3hw: the targets.
            maps: the encoder's, fine to coarse.
            prepared: called once, for what the method of that name makes of the denoiser's share.
            examples: of the batch of the target or a batch of 1.
        """
        start = self.encoder.begin(maps, image_b3hw, self.encoder.marked(examples))
        coarse = self.encoder.refine(start)
        if self.diffusion_weight > 0:
            evidence_b1hw = self.diffusion_weight * self._evidence(prepared(), coarse)
            coarse = self.encoder.refine(
                start, estimate_b1hw=coarse.logit_b1hw, evidence_b1hw=evidence_b1hw, passes=1
            )
        alpha_b1hw = self.encoder.decode(maps, image_b3hw, coarse).sigmoid()
        confidence_b = coarse.present_b.sigmoid() * peak_confidence(alpha_b1hw)
        return Prediction(alpha_b1hw, coarse.prior_b1hw.sigmoid(), confidence_b)

    def _evidence(self, prepared: Prepared, coarse: EncoderCoarse) -> Tensor:
        """Logit of the diffusion branch, which starts from the encoder branch's answer."""
        logit_b1hw = self.diffusion.coarse(prepared, coarse.logit_b1hw)
        height, width = coarse.logit_b1hw.shape[-2:]
        return F.interpolate(
            logit_b1hw.clamp(-EVIDENCE_LIMIT, EVIDENCE_LIMIT), size=(height, width), mode="bilinear"
        )


def encoder_maps(features: Features) -> tuple[Tensor, ...]:
    """The encoder's maps, fine to coarse."""
    return tuple(reversed(features.maps[3:]))


def denoiser_features(features: Features) -> Features:
    """The denoiser's share, with the picture at the size that the denoiser saw."""
    height, width = features.maps[0].shape[-2:]
    reduced = F.interpolate(
        features.image_b3hw, size=(16 * height, 16 * width), mode="bilinear", antialias=True
    )
    return Features(reduced, features.maps[:3], features.attention)


def _denoiser_example(example: Example) -> Example:
    features = denoiser_features(example.features)
    height, width = features.image_b3hw.shape[-2:]
    mask_b1hw = F.adaptive_avg_pool2d(example.mask_b1hw.float(), (height, width))
    return Example(features, mask_b1hw)
