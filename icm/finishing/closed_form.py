"""Alpha from a trimap: Levin, Lischinski, Weiss, A Closed-Form Solution to Natural Image Matting.

CVPR 2006, TPAMI 2008. Solved by pymatting (conjugate gradients) in the box around the unknown.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from icm.errors import InputError
from icm.finishing.full_resolution import guided_upsampling
from icm.finishing.kernels import load_pymatting
from icm.images import resize, scaled_size

_MEGAPIXELS = 0.5  # solved at once: some 4 s and 0.5 GB on one core
_REACH = 2  # pixels: a 3 x 3 window at the unknown's border touches no further
_WINDOW = 3  # smaller pictures are padded to one window
_SHIFTS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)  # of the preconditioner, the next on failure


def closed_form_alpha(
    image: NDArray[np.float32], trimap: NDArray[np.float32], *, megapixels: float = _MEGAPIXELS
) -> NDArray[np.float32]:
    """Alpha of the unknown pixels from the picture's colours and the known pixels.

    Where the box around the unknown is larger than `megapixels`, it is solved at that size and
    enlarged by guided filtering. Without any foreground the solution is 0 throughout, without any
    background 1.

    Args:
        image: h w 3 in [0, 1].
        trimap: h w in {0, 0.5, 1}.
        megapixels: what is solved at most at once.

    Returns:
        h w in [0, 1]; known pixels keep the trimap's value.

    Raises:
        InputError: the trimap has no known pixel, or is of another size than the image.
    """
    if trimap.shape != image.shape[:2]:
        raise InputError(f"the trimap's size {trimap.shape} is not the image's {image.shape[:2]}")
    unknown = (trimap > 0) & (trimap < 1)
    if unknown.all():
        raise InputError("the trimap is unknown throughout: mark some foreground or background")
    alpha = np.array(trimap, dtype=np.float32)
    if not unknown.any():
        return alpha
    tight = trimap[_box(unknown, _REACH)]
    scale = min(1.0, float(np.sqrt(megapixels * 1e6 / tight.size)))
    box = _box(unknown, int(np.ceil(_REACH / scale)))
    inner_image, inner_trimap = image[box], trimap[box]
    if scale == 1:
        solved = _solve(inner_image, inner_trimap)
    else:
        size = scaled_size(inner_trimap.shape, scale)
        small_alpha = _solve(resize(inner_image, size), _shrunk_trimap(inner_trimap, size))
        solved = guided_upsampling(small_alpha, inner_image)
    alpha[box] = np.where(unknown[box], solved, inner_trimap)
    return alpha


def _solve(image: NDArray[np.float32], trimap: NDArray[np.float32]) -> NDArray[np.float32]:
    foreground, background = (trimap == 1).any(), (trimap == 0).any()
    if not (foreground and background):
        return np.full(trimap.shape, foreground, np.float32)
    pymatting = load_pymatting()
    height, width = trimap.shape
    pad = ((0, max(0, _WINDOW - height)), (0, max(0, _WINDOW - width)))
    padded_image = np.pad(image.astype(np.float64), (*pad, (0, 0)), mode="edge")
    padded_trimap = np.pad(trimap.astype(np.float64), pad, mode="edge")
    try:
        alpha = pymatting.estimate_alpha_cf(
            padded_image, padded_trimap, preconditioner=partial(pymatting.ichol, shifts=_SHIFTS)
        )
    except ValueError as error:
        raise InputError(f"no alpha follows from this trimap ({error}): mark more of it") from error
    return np.asarray(alpha[:height, :width], np.float32)


def _box(region: NDArray[np.bool_], reach: int) -> tuple[slice, slice]:
    """The rows and columns of the region, and `reach` more on each side."""
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(0, rows[0] - reach), rows[-1] + reach + 1),
        slice(max(0, columns[0] - reach), columns[-1] + reach + 1),
    )


def _shrunk_trimap(trimap: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Known where half of the pixels below are; a stroke too thin for that is kept wherever it is.

    A kind that is known in the trimap is known in the result too: without one the solution would
    be a constant.
    """
    shrunk = np.full(size, 0.5, np.float32)
    for value in (0, 1):
        share = resize(trimap == value, size)
        shrunk[share >= 0.5 if share.max() >= 0.5 else share > 0] = value
    return shrunk
