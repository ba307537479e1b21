"""Shared set-up of the suite: offline, one thread a process, fixtures of the published code."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared"


class _FailuresAtOnce:
    """Names each failure as it happens, so that a run that is cut off has said what it knew."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            reason = report.longreprtext.strip().rpartition("\n")[2]
            terminal.write_line(f"\nFAILED {report.nodeid} ({report.when}): {reason}")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # not in the workers of pytest-xdist
        config.pluginmanager.register(_FailuresAtOnce(config))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Two workers on two cores: more threads than that make each other slower."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def published() -> Path:
    """Folder with inputs and outputs of the published code; the test skips where it is absent."""
    folder = SHARED / "fixtures"
    if not folder.is_dir():
        pytest.skip("the published code's fixtures (../shared/fixtures) are not here")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with training and validation pictures; the test skips where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the training and validation pictures (../shared/data) are not here")
    return folder


TINY_SMALL = (
    "weights=null",
    "network.encoder_weights=null",
    "backbone.denoiser.channels=[16, 16, 32]",
    "backbone.denoiser.head_width=16",
    "network.diffusion.width=16",
    "network.diffusion.decoder_width=32",
    "input.size=64",
    "precision=float32",
    "finish.present_threshold=0",
    "finish.solve_edges=0",  # random alphas have no edges
)
"""The bundled model's configuration made tiny and random: quick, and wired like the real one."""

TINY_JOINT = {
    "name": "tiny joint",
    "backbone": {
        "kind": "joint",
        "denoiser": {"kind": "small", "channels": [16, 16, 32], "head_width": 16},
    },
    "network": {"kind": "joint", "diffusion": {"kind": "small", "width": 16, "decoder_width": 32}},
    "input": {"size": 96, "shape": "aspect"},
    "finish": {"method": "bicubic", "present_threshold": 0},
    "precision": "float32",
}
"""A joint model with a tiny random denoiser, the pretrained encoder, and random branches."""
