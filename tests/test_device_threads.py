"""Threads for a kernel: few while a small model is at work, all afterwards."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from icm.device import Kernels, side_by_side


@pytest.mark.parametrize(
    ("threads", "each", "pictures"),
    [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 2), (5, 2, 2), (8, 2, 4), (32, 2, 16), (64, 2, 16)],
)
def test_threads_are_shared_among_pictures(threads: int, each: int, pictures: int) -> None:
    assert side_by_side(threads) == (each, pictures)


def test_whoever_leaves_first_has_all_threads_again() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    kernels, inside, leave = Kernels(), threading.Event(), threading.Event()

    def other() -> tuple[int, int]:
        with kernels.limited(2, otherwise=5):
            inside.set()
            assert leave.wait(20)
            within = torch.get_num_threads()
        return within, torch.get_num_threads()

    try:
        with ThreadPoolExecutor(1) as pool:
            with kernels.limited(2, otherwise=5):
                assert torch.get_num_threads() == 2
                future = pool.submit(other)
                assert inside.wait(20)
                assert kernels.threads() == 5
            assert torch.get_num_threads() == 5
            assert kernels.threads() == 5
            leave.set()
            assert future.result(20) == (2, 5)
        assert kernels.threads() == 5
    finally:
        torch.set_num_threads(before)
