"""The network of the released checkpoint, as a configuration of its defaults builds it."""

from __future__ import annotations

from icm.build import _published_network
from icm.config.blocks import DecoderConfig, FusionConfig
from icm.config.published import PublishedNetworkConfig
from icm.models.published.network import PublishedNetwork


def released_network() -> PublishedNetwork:
    """With random weights: 768 x 768, 21.1 M parameters."""
    network = _published_network(PublishedNetworkConfig(), FusionConfig(), DecoderConfig())
    assert isinstance(network, PublishedNetwork)
    return network
