"""Device passes of as many pictures as fit into the device's memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from icm.engine.contract import LoadedModel
from icm.errors import DeviceMemoryError
from icm.images import Picture
from icm.results import Prediction, Reference

_SHARE = 0.8  # of the free memory; the rest is for fragments and for other programs


class Passes:
    """Sizes passes by the memory at hand, and halves them where it does not suffice.

    A CPU takes one picture at a time, so that a result never depends on what else was in its pass.

    Attributes:
        most: pictures that a pass may have now.
    """

    def __init__(self, matting: LoadedModel, most: int | None = None) -> None:
        """Starts with one picture, whose need of memory is measured.

        Args:
            matting: the model.
            most: upper bound; None for the configured one.
        """
        self._matting = matting
        self._upper = (most or matting.config.batch) if matting.device.type == "cuda" else 1
        self._measured = False
        self.most = 1

    def predict(self, pictures: Sequence[Picture], reference: Reference) -> list[Prediction]:
        """Predictions of pictures of the same input size.

        Raises:
            DeviceMemoryError: the memory does not suffice for a single picture.
        """
        if self._upper > 1 and not self._measured:
            return self._measured_pass(pictures, reference)
        return self._halving(pictures, reference)

    def _halving(self, pictures: Sequence[Picture], reference: Reference) -> list[Prediction]:
        results: list[Prediction] = []
        while len(results) < len(pictures):
            group = pictures[len(results) : len(results) + self.most]
            try:
                results += self._matting.predict(group, reference)
            except DeviceMemoryError:
                if len(group) == 1:
                    raise
                self.most = len(group) // 2
                self._upper = self.most
            else:
                continue
            self._release()
        return results

    def _measured_pass(self, pictures: Sequence[Picture], reference: Reference) -> list[Prediction]:
        """A first pass of one picture, after which the size of the others is known."""
        device = self._matting.device
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        results = self._halving(pictures[:1], reference)
        each = torch.cuda.max_memory_allocated(device) - before
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(device)
        self.most = fitting(each, free, self._upper)
        self._measured = True
        return results + self._halving(pictures[1:], reference)

    def _release(self) -> None:
        if self._matting.device.type == "cuda":
            torch.cuda.empty_cache()


def fitting(each: int, free: int, most: int) -> int:
    """Pictures that fit into free memory when each takes so many bytes; at least 1."""
    return min(most, max(1, math.floor(free * _SHARE / max(each, 1))))
