"""In-context matting without trained parameters."""

from icm.models.training_free.network import TrainingFreeNetwork
from icm.models.training_free.ridge import RidgeGuidance

__all__ = ["RidgeGuidance", "TrainingFreeNetwork"]
