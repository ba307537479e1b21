"""Memory that the process keeps: in processes of their own, since it holds for all of one."""

import os
import platform
import subprocess
import sys

import pytest

WORK = """
import resource
import numpy as np
from icm.memory import keep_freed_memory

print(keep_freed_memory())
for turn in range(13):
    if turn == 3:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffers = [np.ones((1 << 20, 3), np.float32) for _ in range(3)]
    del buffers
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 10 * 3 * 12 * 256  # of 4 kB, that the buffers of ten turns take


def kept(**variables: str) -> list[str]:
    """Whether memory is kept, and how many pages had to be cleared."""
    ours = {name: value for name, value in os.environ.items() if "MALLOC" not in name.upper()}
    ours.pop("GLIBC_TUNABLES", None)
    command = [sys.executable, "-c", WORK]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ours | variables)
    return done.stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the thresholds are glibc's")
def test_freed_buffers_are_used_again() -> None:
    answer, cleared = kept()
    assert answer == "True" and int(cleared) < PAGES / 100


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_user_has_set_stays(name: str) -> None:
    assert kept(**{name: ""})[0] == "False"
