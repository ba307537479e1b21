"""Trains the stroke network: `python -m icm.research.training.strokes --data DATA -o OUT`.

First mattes are made of training pictures and strokes drawn on what is wrong with them, which takes
most of the time; then the network learns from crops of these. On one core half an hour.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from safetensors.torch import save_file
from torch import Tensor

from icm.errors import IcmError
from icm.finishing.stroke_cues import CUES
from icm.finishing.stroke_network import StrokeNetwork
from icm.matting import load
from icm.research.data.stroke_samples import StrokeSample, attempts, stroke_samples

CROP = 96  # pixels
BATCH = 8
LEARNING_RATE, LAST_RATE, WEIGHT_DECAY, WARM_UP = 2e-3, 2e-5, 1e-3, 50
DECAY = 0.005  # of the averaged weights, at last
LABELLED = 0.6  # from there a place has the stroke's label already
LEAST_LEFT = 0.05  # of what is left to the label, in a division
SMALL = 20.0  # pixels that are added to the area of what is wrong
CROSS_ENTROPY, DIFFERENCE = 1 / 15, 1 / 8  # weights of the losses
REPORTED = 100  # steps

MARK, KEEP = CUES.index("mark"), CUES.index("keep")


def main(words: list[str] | None = None) -> int:
    """Reads the call, trains and writes the weights; 2 where that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m icm.research.training.strokes")
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("-o", "--out", type=Path, required=True, help="weights, .safetensors")
    parser.add_argument("--cache", type=Path, help="decoded pictures (default: beside OUT)")
    parser.add_argument("--mattes", type=int, default=280)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(words)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(chosen.seed)
    torch.manual_seed(chosen.seed)
    cache = chosen.cache or chosen.out.with_name("cache")
    try:
        samples = gathered(chosen.data, cache, chosen.mattes, rng)
    except IcmError as error:
        print(f"strokes: {error}", file=sys.stderr)
        return 2
    weights = trained(samples, chosen.steps, rng)
    write_weights(weights, chosen.out)
    return 0


def gathered(data: Path, cache: Path, most: int, rng: Generator) -> list[StrokeSample]:
    """Strokes on so many mattes of the bundled model."""
    samples: list[StrokeSample] = []
    matting = load("small", device="cpu")
    for number, attempt in enumerate(attempts(matting, data, cache, rng), 1):
        samples += stroke_samples(attempt, rng)
        if number % 10 == 0:
            print(f"{number} mattes, {len(samples)} strokes", flush=True)
        if number == most:
            break
    return samples


def trained(samples: Sequence[StrokeSample], steps: int, rng: Generator) -> dict[str, Tensor]:
    """The running mean of the weights over a training."""
    network = StrokeNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # of a module
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    mean = {name: value.clone() for name, value in network.state_dict().items()}
    losses = []
    for step in range(steps):
        rate = min(1, step / WARM_UP) * (1 - step / steps) ** 0.9
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate + LAST_RATE
        drawn = rng.integers(len(samples), size=BATCH)
        batch = torch.from_numpy(np.stack([crop(samples[number], rng) for number in drawn]))
        loss = loss_of(network, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        for name, value in network.state_dict().items():
            mean[name].lerp_(value, max(DECAY, 1 / (1 + step / 4)))
        losses.append(float(loss.detach()))
        if (step + 1) % REPORTED == 0:
            print(f"{step + 1} steps, loss {np.mean(losses[-REPORTED:]):.3f}", flush=True)
    return mean


def write_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Writes them in bfloat16, as they are bundled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.to(torch.bfloat16).contiguous() for name, value in weights.items()}, path
    )


def crop(sample: StrokeSample, rng: Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A square about a place of the stroke, turned and mirrored: cues, alpha, truth, free, valid.

    Where the part is smaller than the square it is continued, and not valid.
    """
    planes = np.concatenate([sample.cues, [sample.alpha, sample.true, sample.free]])
    size = planes.shape[1:]
    places = np.argwhere(sample.cues[MARK] > 0.5)
    place = places[rng.integers(len(places))]
    top, left = (
        int(np.clip(at - rng.integers(CROP // 5, 4 * CROP // 5), 0, max(0, side - CROP)))
        for at, side in zip(place, size, strict=True)
    )
    kept = planes[:, top : top + CROP, left : left + CROP]
    missing = [(0, 0), *((0, CROP - side) for side in kept.shape[1:])]
    valid = np.pad(np.ones((1, *kept.shape[1:]), np.float16), missing)
    square = np.concatenate([np.pad(kept, missing, mode="edge"), valid]).astype(np.float32)
    square = square[:, :, ::-1] if rng.random() < 0.5 else square
    square = square[:, ::-1] if rng.random() < 0.5 else square
    return np.ascontiguousarray(square.transpose(0, 2, 1) if rng.random() < 0.5 else square)


def loss_of(network: StrokeNetwork, batch_bchw: Tensor) -> Tensor:
    """How far alpha is from the truth after the stroke, where the stroke could have changed it."""
    cues_bchw = batch_bchw[:, : len(CUES)].contiguous(memory_format=torch.channels_last)
    alpha, true, free, valid = torch.chunk(batch_bchw[:, len(CUES) :], 4, dim=1)
    with torch.autocast("cpu", torch.bfloat16):
        logit = network(cues_bchw)
    keeps = cues_bchw[:, KEEP : KEEP + 1] > 0
    labelled, wanted = (torch.where(keeps, each, 1 - each) for each in (alpha, true))
    missing = ((wanted > 0.5) & (labelled < 0.5) & (valid > 0)).sum(dim=(1, 2, 3)) + SMALL
    wanted = torch.maximum(wanted, labelled)  # a stroke takes nothing back
    left = 1 - labelled
    difference = (labelled + left * logit.sigmoid() * free - wanted).abs() * valid
    share = ((wanted - labelled) / left.clamp_min(LEAST_LEFT)).clamp(0, 1)
    entropy = F.binary_cross_entropy_with_logits(logit, share, reduction="none")
    entropy = entropy * valid * free * (labelled < LABELLED) * left
    total = CROSS_ENTROPY * entropy + DIFFERENCE * difference
    result: Tensor = (total.sum(dim=(1, 2, 3)) / missing.sqrt()).mean()
    return result


if __name__ == "__main__":
    sys.exit(main())
