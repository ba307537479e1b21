"""Region in which errors are counted: the unknown band of a trimap, or the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icm.errors import InputError

Plane = NDArray[np.float64]
Region = NDArray[np.bool_] | None

UNKNOWN_TOLERANCE = 0.01  # 128 of 255, as published trimaps are stored, counts as 0.5


def unknown_band(trimap: NDArray[Any]) -> NDArray[np.bool_]:
    """The pixels of a trimap (h w, in {0, 0.5, 1}) that are neither foreground nor background."""
    return np.abs(np.asarray(trimap, np.float64) - 0.5) < UNKNOWN_TOLERANCE


def checked(prediction: NDArray[Any], alpha: NDArray[Any], region: Region) -> tuple[Plane, Plane]:
    """Both maps as float64; integers are refused, since their differences would wrap.

    Raises:
        InputError: a map is not h w, holds integers, or the sizes differ.
    """
    maps = {"prediction": np.asarray(prediction), "alpha": np.asarray(alpha)}
    for name, values in maps.items():
        if values.ndim != 2:
            raise InputError(f"{name} must be h w, found {values.ndim} dimensions")
        if not np.issubdtype(values.dtype, np.floating):
            raise InputError(f"{name} must be floats in [0, 1], found {values.dtype}")
    sizes = {name: values.shape for name, values in maps.items()}
    if region is not None:
        sizes["region"] = region.shape
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name} {size[0]} x {size[1]}" for name, size in sizes.items())
        raise InputError(f"metrics compare maps of one size, found {found}")
    return maps["prediction"].astype(np.float64), maps["alpha"].astype(np.float64)


def inside(values: Plane, region: Region) -> Plane:
    """The values of the region, flat."""
    return values.ravel() if region is None else values[region]
