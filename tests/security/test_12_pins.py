"""Point 12, of Gradio: its private parts are relied on, so its next minor version is not taken."""

from __future__ import annotations

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import gradio
from gradio import processing_utils, queueing, routes
from gradio.blocks import Block, Blocks
from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_next_minor_version_is_not_taken() -> None:
    declared = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    (gradio_s,) = [each for each in map(Requirement, declared) if each.name == "gradio"]
    major, minor, *_ = (int(part) for part in version("gradio").split("."))
    assert f"{major}.{minor}.0" in gradio_s.specifier
    assert f"{major}.{minor}.99" in gradio_s.specifier
    assert f"{major}.{minor + 1}.0" not in gradio_s.specifier
    assert f"{major + 1}.0" not in gradio_s.specifier


def test_the_private_parts_are_there() -> None:
    """Each is named where it is used; what they do is tested by attacks."""
    page = gradio.Blocks()
    assert page.has_launched is False  # or mounting has learned to set it
    assert "has_launched" in inspect.getsource(processing_utils._check_allowed)
    assert inspect.iscoroutinefunction(Block.async_move_resource_to_block_cache)
    assert "has_launched" not in inspect.getsource(routes.mount_gradio_app)
    event = inspect.signature(queueing.Event).parameters
    assert list(event)[:2] == ["session_hash", "fn"]
    assert "job.alive = False" in inspect.getsource(queueing.Queue.clean_events)
    assert "stop_event" in inspect.getsource(routes.App.__init__)
    assert isinstance(page, Blocks)
