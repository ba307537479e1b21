"""presence_threshold.py DATA: the threshold of presence, from new pairs of the training pictures.

Pairs are sampled as for training, with another seed: each target with its own reference, and with
that of the next pair whose object it is known not to show. The threshold is the confidence below
which lie at most so many (`WITHHELD`) of the targets that show the object. No validation picture
takes part, so `icm evaluate` says how the threshold carries over.

    python benchmarks/presence_threshold.py DATA --pseudo-labels runs/pseudo_labels
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import icm
from icm.config.data import PairSettings, PairShares
from icm.images import read_image
from icm.research.bench.stages import machine
from icm.research.data.pairs import Pair, PairSource
from icm.research.data.pictures import TrainingPictures
from icm.research.metrics.roc import area_under_roc

WITHHELD = 0.02
SHARES = {"composite": 0.35, "procedural": 0.05, "natural": 0.45, "video": 0.15}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--pseudo-labels", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(".cache/pictures"))
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    pairs = _pairs(arguments)
    matting = icm.load("small", device="cpu")
    present, mismatched = [], []
    for index, pair in enumerate(pairs):
        target = read_image(pair.target_image)
        references = [("present", pair)]
        other = pairs[(index + 1) % len(pairs)]
        if not other.excluded & pair.target_shows:
            references.append(("mismatched", other))
        for kind, marked in references:
            reference = matting.reference(marked.reference_image, marked.reference_alpha)
            (prediction,) = matting.predict([target], reference)
            confidence = float(prediction.confidence_b)
            (present if kind == "present" else mismatched).append(confidence)
    threshold = float(np.quantile(present, WITHHELD))
    result = {
        "machine": machine(matting.device),
        "fingerprint": matting.fingerprint,
        "seed": arguments.seed,
        "present_pairs": len(present),
        "mismatched_pairs": len(mismatched),
        "withheld_of_present": WITHHELD,
        "threshold": round(threshold, 3),
        "withheld_of_mismatched": round(float(np.mean(np.array(mismatched) < threshold)), 3),
        "area_under_roc": round(area_under_roc(present, mismatched), 4),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def _pairs(arguments: argparse.Namespace) -> list[Pair]:
    shares = PairShares(**{name: SHARES.get(name, 0.0) for name in PairShares.model_fields})
    settings = PairSettings(
        size=320,
        difficulty=0.6,
        shares=shares,
        absent=0,
        pseudo_labels=None if arguments.pseudo_labels is None else str(arguments.pseudo_labels),
    )
    pictures = TrainingPictures.open(
        arguments.data, arguments.cache, pseudo_labels=settings.pseudo_labels
    )
    source = PairSource(pictures, settings)
    generator = np.random.default_rng(arguments.seed)
    return [source.draw(generator) for _ in range(arguments.pairs)]


if __name__ == "__main__":
    main()
