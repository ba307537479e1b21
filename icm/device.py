"""Device, precision and threads: where a model runs, in which dtype, and how many to a kernel."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch

from icm.errors import DeviceError

_MANY_THREADS = 4  # from here on short kernels get two each
MOST_SIDE_BY_SIDE = 16  # pictures on a CPU; each takes some 150 MB beside its results


class Kernels:
    """Torch's number of threads for a kernel, which each thread has for itself.

    A thread's first question sets it to what any thread has set last.
    """

    def __init__(self) -> None:
        self._at_work: deque[None] = deque()  # no lock: a forked process can go on with it
        self._otherwise = 1

    def threads(self) -> int:
        """The number that holds for a thread outside of any model."""
        return self._otherwise if self._at_work else torch.get_num_threads()

    @contextmanager
    def limited(self, threads: int, otherwise: int) -> Iterator[None]:
        """So many for the kernels that this thread calls here.

        Args:
            threads: of each kernel.
            otherwise: the number that held when the model was loaded; other libraries change it
                under way, as numba does with its first kernel.
        """
        self._otherwise = otherwise
        self._at_work.append(None)
        torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(otherwise)
            self._at_work.pop()


KERNELS = Kernels()


def as_here(work: Callable[[], None]) -> Callable[[], None]:
    """Has work run on another thread with this one's kernel threads, autocast and gradient mode.

    So it computes the same bits wherever it runs.
    """
    threads = torch.get_num_threads()
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    autocast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def worked() -> None:
        torch.get_num_threads()  # a thread's first question undoes what was set before it
        torch.set_num_threads(threads)
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(grad),
            torch.autocast("cpu", dtype, enabled=autocast),
        ):
            work()

    return worked


def side_by_side(threads: int) -> tuple[int, int]:
    """Threads for each kernel of a small model, and pictures that gain from being at work at once.

    Its kernels are too short for more: the other threads do well with another picture, or another
    part of the same.
    """
    each = 2 if threads >= _MANY_THREADS else 1
    return each, min(threads // each, MOST_SIDE_BY_SIDE)


def choose_device(name: str) -> torch.device:
    """The device of a name; never another one than was asked for."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"unknown device '{name}': use auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device '{name}' is not supported: use auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise DeviceError(
                "no CUDA device is here (or torch was installed without CUDA): use --device cpu, "
                "or see 'icm info'"
            )
        if (device.index or 0) >= torch.cuda.device_count():
            raise DeviceError(
                f"there is no {name}: this machine has {torch.cuda.device_count()} CUDA device(s)"
            )
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of a precision; 'auto' takes bfloat16 where the device computes it fast."""
    if name != "auto":
        return cast(torch.dtype, getattr(torch, name))
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32
