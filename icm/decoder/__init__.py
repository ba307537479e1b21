"""From fused features and the image to alpha."""

from icm.decoder.detail import DetailCapture
from icm.decoder.head import MattingHead

__all__ = ["DetailCapture", "MattingHead"]
