"""The bundled model: its denoiser is at work while the encoder's branch finds the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor

from icm.backbones import Noise
from icm.backbones.joint import JointBackbone
from icm.beside import begun
from icm.models.matting_model import MattingModel
from icm.models.small.joint_network import JointNetwork
from icm.models.small.network_steps import Prepared
from icm.results import Example, Prediction


class JointModel(MattingModel):
    """`JointBackbone` and `JointNetwork`; results are those of `MattingModel`, bit for bit."""

    def forward(self, image_b3hw: Tensor, examples: Sequence[Example], noise: Noise) -> Prediction:
        """Alpha and guidance of targets in [0, 1] whose sides are multiples of the stride."""
        backbone, network = cast(JointBackbone, self.backbone), cast(JointNetwork, self.network)
        if network.diffusion_weight == 0:
            return super().forward(image_b3hw, examples, noise)

        def prepare() -> Prepared:
            return network.prepared(backbone.denoised(image_b3hw, noise), examples)

        with begun(prepare) as prepared:
            maps = backbone.encoder(image_b3hw)
            return network.joined(image_b3hw, maps, prepared, examples)
