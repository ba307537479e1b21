"""The two halves of a model, a backbone and a network, as one module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from icm.backbones import Backbone, Noise
from icm.results import Example, Features, Prediction


class Network(Protocol):
    """Predicts alpha of targets from features of targets and references."""

    def __call__(self, target: Features, examples: Sequence[Example]) -> Prediction:
        """Examples have the batch of the target or a batch of 1."""
        ...


@runtime_checkable
class Checking(Protocol):
    """A network that cannot use every example."""

    def check(self, examples: Sequence[Example]) -> None:
        """Refuses examples whose values the network would refuse on a CPU."""
        ...


class MattingModel(nn.Module):
    """Backbone and network; parameters are named `backbone.*` and `network.*`.

    Args:
        backbone: gives features of images.
        network: predicts alpha from features.
    """

    backbone: Backbone
    network: Network

    def __init__(self, backbone: Backbone, network: Network) -> None:
        super().__init__()
        self.backbone = backbone
        self.network = network

    def example(self, image_b3hw: Tensor, mask_b1hw: Tensor, noise: Noise) -> Example:
        """A marked reference as the network sees it: RGB and mask in [0, 1], of the same size."""
        return Example(self.backbone.extract(image_b3hw, noise, attention=False), mask_b1hw)

    def check(self, examples: Sequence[Example]) -> None:
        """Looks at the values of examples on the CPU, as the network does not on a GPU.

        Raises:
            InputError: the network cannot use an example.
        """
        if isinstance(self.network, Checking):
            self.network.check(examples)

    def forward(self, image_b3hw: Tensor, examples: Sequence[Example], noise: Noise) -> Prediction:
        """Alpha and guidance of targets in [0, 1] whose sides are multiples of the stride."""
        return self.network(self.backbone.extract(image_b3hw, noise), examples)
