"""The stroke network learns from strokes on drawings."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import load_file

from icm.finishing.stroke_cues import CUES
from icm.finishing.stroke_network import StrokeNetwork
from icm.research.data.drawn_scenes import drawn_scene
from icm.research.data.stroke_samples import Attempt, StrokeSample, stroke_samples
from icm.research.training import strokes
from icm.research.training.strokes import CROP, crop, loss_of, trained, write_weights


def _samples(count: int) -> list[StrokeSample]:
    rng = np.random.default_rng(0)
    found: list[StrokeSample] = []
    while len(found) < count:
        found += stroke_samples(Attempt(*drawn_scene(rng)), rng)
    return found[:count]


def test_a_crop_is_continued_where_the_part_is_smaller() -> None:
    rng = np.random.default_rng(0)
    cues = np.zeros((len(CUES), 20, 200), np.float16)
    cues[CUES.index("mark"), 8:12, 90:110] = 1
    plane = np.full((20, 200), 0.25, np.float16)
    for _ in range(8):
        square = crop(StrokeSample(cues, plane, plane, plane), rng)
        assert square.shape == (len(CUES) + 4, CROP, CROP)
        assert square[-1].sum() == 20 * CROP
        assert (square[-3:-1] == 0.25).all()
        assert square[CUES.index("mark")].any()


def test_some_steps_make_the_loss_smaller_and_the_weights_are_kept(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(strokes, "WARM_UP", 5)
    monkeypatch.setattr(strokes, "BATCH", 4)
    samples = _samples(4)
    torch.manual_seed(0)
    network = StrokeNetwork()
    batch = torch.from_numpy(np.stack([crop(each, np.random.default_rng(1)) for each in samples]))
    before = float(loss_of(network, batch).detach())
    path = tmp_path / "new" / "strokes.safetensors"
    write_weights(trained(samples, 25, np.random.default_rng(0)), path)
    network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    assert float(loss_of(network, batch).detach()) < 0.8 * before
