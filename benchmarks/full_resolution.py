"""How alpha is best brought to a picture's size: guided filtering against a cubic resize.

Held-back cut-outs with true alpha (every tenth, by name) are composited on held-back backgrounds,
with a photograph's noise. Their alpha is shrunk, as it is or blurred as a network's would be, and
brought back by each method. Errors are over the band around the true alpha's soft pixels.

Run: python benchmarks/full_resolution.py ../shared/data
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.finishing import full_resolution_alpha, guided_upsampling
from icm.images import read_image, resize

Map = NDArray[np.float32]

SOURCES = ("caltech101", "grocery_iconic", "noto_emoji")
PER_SOURCE = 40
NOISE = 3 / 255
NETWORK_BLUR = 0.8  # standard deviation, in the network's pixels
RESULT = Path(__file__).with_suffix(".json")
METHODS: dict[str, Callable[[Map, Map], Map]] = {
    "cubic": lambda alpha, image: resize(alpha, image.shape[:2]),
    "guided": guided_upsampling,
    "guided in the band (default)": full_resolution_alpha,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with train/cutouts and train/backgrounds")
    data = parser.parse_args().data
    cv2.setNumThreads(1)
    rows = [
        {"shrunk by": factor, "network": network, "method": name, **errors}
        for factor in (2, 4, 8)
        for network in ("exact", "blurred")
        for name, errors in compared(data, factor, network).items()
    ]
    result = {
        "processor": platform.processor() or platform.machine(),
        "cut-outs": len(list(scenes(data))),
        "errors, x 1000, over the band": rows,
        "seconds, 12 megapixels from 768 x 768, one core": {
            name: timed(method) for name, method in METHODS.items()
        },
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def compared(data: Path, factor: int, network: str) -> dict[str, dict[str, float]]:
    """Mean errors of each method over all scenes."""
    errors: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
    for image, alpha in scenes(data):
        size = tuple(max(1, side // factor) for side in alpha.shape)
        small = resize(alpha, (size[0], size[1]))
        if network == "blurred":
            small = cv2.GaussianBlur(small, (0, 0), NETWORK_BLUR)
        soft = ((alpha > 0.01) & (alpha < 0.99)).astype(np.uint8)
        band = cv2.dilate(soft, np.ones((2 * factor + 1,) * 2)) > 0
        for name, method in METHODS.items():
            difference = (method(small, image) - alpha)[band]
            errors[name].append((np.abs(difference).mean(), np.square(difference).mean()))
    means = {name: np.mean(values, axis=0) * 1000 for name, values in errors.items()}
    return {
        name: {"MAE": round(float(m[0]), 2), "MSE": round(float(m[1]), 2)}
        for name, m in means.items()
    }


def scenes(data: Path) -> Iterator[tuple[Map, Map]]:
    """Composites with their true alpha, the same at every call."""
    backgrounds = sorted((data / "train" / "backgrounds").iterdir())[::10]
    cutouts = [
        file
        for source in SOURCES
        for file in sorted((data / "train" / "cutouts" / source).rglob("*.*"))[::10][:PER_SOURCE]
    ]
    rng = np.random.default_rng(0)
    for index, file in enumerate(cutouts):
        cutout = read_image(file)
        if cutout.alpha is None:
            continue
        behind = read_image(backgrounds[index % len(backgrounds)]).at(cutout.size)
        share = cutout.alpha[..., np.newaxis]
        clean = cutout.rgb * share + behind * (1 - share)
        noisy = clean + rng.normal(0, NOISE, clean.shape)
        yield (np.rint(np.clip(noisy, 0, 1) * 255) / 255).astype(np.float32), cutout.alpha


def timed(method: Callable[[Map, Map], Map]) -> float:
    rows, columns = np.mgrid[:3000, :4000].astype(np.float32)
    distance = np.hypot(rows / 3000 - 0.5, columns / 4000 - 0.5)
    alpha = np.clip((0.3 - distance) / 0.01 + 0.5, 0, 1)
    image = np.repeat(alpha[..., np.newaxis], 3, axis=2)
    network = resize(alpha, (768, 768))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        method(network, image)
        seconds.append(time.perf_counter() - start)
    return round(min(seconds), 2)


if __name__ == "__main__":
    main()
