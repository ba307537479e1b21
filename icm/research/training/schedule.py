"""Learning rates over a training: linear warm-up, a level stretch, then half a cosine."""

from __future__ import annotations

import math

WARM_UP_STEPS = 250  # of the published training
WARM_UP_START = 1e-6


def warm_up_factor(step: int, steps: int = WARM_UP_STEPS, start: float = WARM_UP_START) -> float:
    """Share of the learning rate at a step: from `start` in a line to 1 at `steps`, then 1."""
    return 1.0 if step >= steps else start + (1 - start) * step / steps


def cosine_factor(progress: float, *, decay_from: float = 0.6, floor: float = 0.03) -> float:
    """Share of the learning rate at a progress in [0, 1]: 1, then half a cosine down to `floor`.

    Args:
        progress: share of the training that is done.
        decay_from: progress at which the rate starts to fall; 1 keeps it.
        floor: share that is left at the end.
    """
    if progress <= decay_from or decay_from >= 1:
        return 1.0
    done = min((progress - decay_from) / (1 - decay_from), 1.0)
    return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2


def rate_factor(
    step: int, steps: int, *, warm_up: int = WARM_UP_STEPS, decay_from: float = 0.6
) -> float:
    """Share of the learning rate at one step of `steps`: warm-up and cosine joined."""
    return warm_up_factor(step, warm_up) * cosine_factor(step / steps, decay_from=decay_from)
