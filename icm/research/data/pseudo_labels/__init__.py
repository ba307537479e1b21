"""Pseudo-labels: masks of unlabelled photographs, found by co-segmentation of their category."""

from icm.research.data.pseudo_labels.folder import Plan, make_pseudo_labels
from icm.research.data.pseudo_labels.photograph import Encode, Encoded, encoder_reader

__all__ = ["Encode", "Encoded", "Plan", "encoder_reader", "make_pseudo_labels"]
