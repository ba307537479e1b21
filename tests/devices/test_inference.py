"""Both models with references and a batch, on a GPU that is not there: nothing waits there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from icm.build import build, read_model_config
from tests.devices.fake_gpu import GPU, fake_gpu, moved

SIZE = (128, 160)


@pytest.mark.parametrize("name", ["small", "small_diffusion"])
def test_references_and_batches_stay_on_the_gpu(name) -> None:
    built = build(read_model_config(name), device="cpu")
    drawn = built.model.backbone.draw_noise(*SIZE, 0)
    with fake_gpu() as watch:
        model = moved(built.model)
        noise = replace(drawn, diffusion_echw=drawn.diffusion_echw.to(GPU))
        image, mask = torch.zeros(2, 3, *SIZE, device=GPU), torch.zeros(1, 1, *SIZE, device=GPU)
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16), watch.closely():
            example = model.example(image[:1], mask, noise)
            found = model(image, [example, example], noise)
    for value in (found.alpha_b1hw, found.guidance_b1hw, found.confidence_b):
        assert (value.device, value.dtype, value.shape[0]) == (GPU, torch.float32, 2)
    assert set(watch.products) == {torch.bfloat16, torch.float32}
    assert watch.products[torch.bfloat16] > 5 * watch.products[torch.float32]  # ridges alone
